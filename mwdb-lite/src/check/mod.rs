//! Looking at everything that is stored: every row, every file, every hash.
//!
//! It works beside a running server; repairs need the server to be stopped. The one rule: content that
//! a row needs is never deleted, and what nobody needs is moved aside.

mod contents;
mod report;
mod rows;

use std::{path::Path, sync::Arc};

use anyhow::Context;

use crate::{
    claim::Claim,
    config::Config,
    content::{self, Store},
    db::{Db, fresh, upkeep},
};

pub use report::{Problem, Report};

/// What may be done about problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Only tell.
    Look,
    /// Repair what can be repaired.
    Repair,
}

/// Checks database and content.
///
/// # Errors
/// When something cannot be read at all, or repairs are wanted while the server runs.
pub async fn run(config: &Config, mode: Mode) -> anyhow::Result<Report> {
    let repair = mode == Mode::Repair;
    let c = upkeep::open(&config.sqlite_path, repair)?;
    let store = Arc::new(Store::open(config).await?);
    store.check().await?;
    let _claims = if repair { Some(claim(config, &store)?) } else { None };
    let mut report = Report::default();
    rows::database(&c, repair, &mut report)?;
    rows::objects(&c, repair, &mut report)?;
    if repair && fresh::is_any(&c)? {
        put_back(config, &store, &mut report).await?;
    }
    contents::files(&c, &store, repair, &mut report).await?;
    if repair {
        leftovers(config, &store, repair, &mut report).await?;
    } else if let Some(_claim) = store.claim()? {
        // No longer than this: a server may want to start meanwhile.
        leftovers(config, &store, repair, &mut report).await?;
    }
    contents::strays(&c, &store, repair, &mut report).await?;
    Ok(report)
}

/// What repairs need for themselves: nobody may work on the rows, nor on what is being stored.
fn claim(config: &Config, store: &Store) -> anyhow::Result<(Claim, Claim)> {
    let database = Claim::database(&config.sqlite_path)?;
    let folder = store.claim()?.with_context(|| {
        format!("mwdb-lite is running on the uploads folder `{}`: stop it before repairs", config.uploads_folder.display())
    })?;
    Ok((database, folder))
}

/// What a power cut has taken from the folder, and the database has still.
async fn put_back(config: &Config, store: &Arc<Store>, report: &mut Report) -> anyhow::Result<()> {
    let db = Db::open(&config.sqlite_path, None)?;
    let left = content::put_back(&db, store).await.map_err(|error| anyhow::anyhow!(error.cause()))?;
    for sha256 in left.put_back {
        let problem = Problem::new("missing", sha256, "the content was lost in a power cut");
        report.add(problem.repaired(Some("put back from the database")));
    }
    Ok(())
}

/// What a crash has left. A server that runs looks after it by itself.
async fn leftovers(config: &Config, store: &Store, repair: bool, report: &mut Report) -> anyhow::Result<()> {
    for path in store.leftovers()? {
        let problem = Problem::new("leftover", name(&path), "an upload that never ended");
        let repaired = if repair { Some(std::fs::remove_file(&path).map(|()| "removed").context("remove a leftover")?) } else { None };
        report.add(problem.repaired(repaired));
    }
    let doubts = store.doubts()?;
    if doubts.is_empty() {
        return Ok(());
    }
    if repair {
        let db = Db::open(&config.sqlite_path, None)?;
        content::settle_all(&db, store).await?;
    }
    let left = store.doubts()?;
    for sha256 in doubts {
        let repaired = (repair && !left.contains(&sha256)).then_some("decided: content without a row was removed");
        report.add(Problem::new("doubt", &sha256, "a crash left it open whether its content is needed").repaired(repaired));
    }
    Ok(())
}

fn name(path: &Path) -> String {
    path.display().to_string()
}
