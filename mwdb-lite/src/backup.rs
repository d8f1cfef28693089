//! A copy of database and content, made while the server runs.
//!
//! The database is copied first, then the content that its rows name. What was deleted in between makes
//! the copy start over with a newer database, which finds nearly everything copied already; so the
//! database that is kept names no content that the copy lacks. The one rule: the old copy stays whole
//! until the new one is.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::io::AsyncReadExt;

use crate::{
    config::{Config, Storage},
    content::{Staging, Store, StoreError},
    db::upkeep::{self, Known},
    objects::Kind,
    progress::Progress,
};

/// Name of the database in the copy.
pub const DATABASE: &str = "mwdb.sqlite";
/// Name of the folder of content in the copy.
pub const UPLOADS: &str = "uploads";

/// Files that are copied at once.
const AT_ONCE: usize = 4;
/// Rows that are read at once.
const PAGE: u32 = 500;
/// How often the copy starts over because of deletions. Each time there is little left to copy.
const ROUNDS: u32 = 5;
/// How much of a file is read at once.
const PIECE: usize = 256 * 1024;

/// What was copied.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Files in the copy.
    pub files: u64,
    /// Files that were not there before.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Files of the copy that no row names any more.
    pub removed: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Hashes of files whose content is missing where it should be, or is not what its hash says.
    /// These are not in the copy.
    pub unreadable: Vec<String>,
}

/// The settings of a server on a copy.
#[must_use]
pub fn settings_of_copy(config: &Config, folder: &Path) -> Config {
    Config {
        sqlite_path: folder.join(DATABASE),
        uploads_folder: folder.join(UPLOADS),
        storage: Storage::Disk,
        hash_pathing_fallback: false,
        ..config.clone()
    }
}

/// Copies everything to the folder `dest`; again into the same folder, only what is new.
///
/// # Errors
/// When something cannot be read or written. Content that is missing is no error, see [`Report`].
pub async fn run(config: &Config, dest: &Path) -> anyhow::Result<Report> {
    let source = upkeep::open(&config.sqlite_path, false)?;
    let store = Store::open(config).await?;
    make_folder(dest).with_context(|| format!("make the folder `{}`", dest.display()))?;
    let settings = settings_of_copy(config, dest);
    for (ours, theirs) in [(&config.sqlite_path, &settings.sqlite_path), (&config.uploads_folder, &settings.uploads_folder)] {
        if theirs.exists() && fs::canonicalize(ours).ok() == fs::canonicalize(theirs).ok() {
            bail!("`{}` is in use by the server: choose another folder for the copy", theirs.display());
        }
    }
    let (copy, content) = (fs::canonicalize(dest)?, fs::canonicalize(&config.uploads_folder).ok());
    if content.is_some_and(|content| copy.starts_with(content)) {
        bail!("`{}` is inside the uploads folder of the server: choose another folder for the copy", dest.display());
    }
    let target = Arc::new(Store::open(&settings).await?);
    let _claim = target.claim()?.with_context(|| format!("another backup or server works on `{}`", dest.display()))?;
    target.sweep()?;

    let part = dest.join(format!("{DATABASE}.part"));
    let mut report = Report::default();
    for round in 1.. {
        remove_if_there(&part)?;
        let progress = Progress::of("database", 0);
        upkeep::copy(&source, &part, |done, total| progress.set(done, total)).context("copy the database")?;
        drop(progress);
        report.unreadable = copy_content(&part, &store, &target, &mut report).await?;
        if report.unreadable.is_empty() || round == ROUNDS || still_named(&source, &report.unreadable)? {
            break;
        }
    }
    report.database_bytes = put_in_place(&part, &settings.sqlite_path).context("put the copy of the database into its place")?;
    remove_unnamed(&settings.sqlite_path, &target, &mut report).await?;
    Ok(report)
}

/// The copy holds passwords' hashes and malware: it is the owner's alone.
fn make_folder(dest: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dest)
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).with_context(|| format!("remove `{}`", path.display())),
        _ => Ok(()),
    }
}

/// Whether all of these are files for the server still: then it is not a deletion that took their content.
fn still_named(source: &rusqlite::Connection, hashes: &[String]) -> rusqlite::Result<bool> {
    hashes.iter().try_fold(true, |all, sha256| Ok(all && upkeep::is_file(source, sha256)?))
}

/// Copies the content of every file in a database; gives the hashes of those that could not be read.
async fn copy_content(database: &Path, store: &Store, target: &Arc<Store>, report: &mut Report) -> anyhow::Result<Vec<String>> {
    let rows = upkeep::open(database, false)?;
    let progress = Progress::of("files", upkeep::count(&rows, Kind::File)?);
    let mut unreadable = Vec::new();
    let mut after = 0;
    report.files = 0;
    loop {
        let page = upkeep::objects(&rows, Kind::File, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(unreadable) };
        after = last.id;
        let copies = stream::iter(page).map(|Known { dhash, .. }| async {
            let copied = copy_one(store, target, &dhash).await;
            progress.step();
            Ok::<_, anyhow::Error>((copied.with_context(|| format!("copy the content of {dhash}"))?, dhash))
        });
        for (copied, dhash) in copies.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await? {
            match copied {
                Copied::There => report.files += 1,
                Copied::New(size) => {
                    report.files += 1;
                    report.copied += 1;
                    report.copied_bytes += size;
                }
                Copied::Unreadable(reason) => {
                    tracing::warn!("{dhash} is not copied: {reason}");
                    unreadable.push(dhash);
                }
            }
        }
    }
}

enum Copied {
    There,
    New(u64),
    Unreadable(&'static str),
}

async fn copy_one(store: &Store, target: &Arc<Store>, sha256: &str) -> anyhow::Result<Copied> {
    let there = target.find(sha256).await?;
    let Some(content) = store.find(sha256).await? else {
        // A copy that outlived its original is worth keeping.
        return Ok(if there.is_some() { Copied::There } else { Copied::Unreadable("its content is missing") });
    };
    let size = content.size;
    if there.is_some_and(|there| there.size == size) {
        return Ok(Copied::There);
    }
    let mut reader = match content.whole().await {
        Err(StoreError::Missing(_)) => return Ok(Copied::Unreadable("its content is missing")),
        read => read?,
    };
    let mut staging = Staging::start(target, false);
    loop {
        let mut piece = bytes::BytesMut::with_capacity(PIECE);
        if reader.read_buf(&mut piece).await? == 0 {
            break;
        }
        staging.push(piece.freeze()).await?;
    }
    // The copy has no server that looks after what the disk has not taken yet.
    let staged = staging.finish().await?.spooled(target).await?;
    if staged.sha256() != Some(sha256) {
        return Ok(Copied::Unreadable("its content is damaged, see `mwdb-lite check`"));
    }
    drop(target.keep(staged, |_| std::future::ready(())).await?);
    target.no_doubt(sha256)?;
    Ok(Copied::New(size))
}

/// Gives the database its name; a companion of an older one must not be taken for its own.
fn put_in_place(part: &Path, path: &Path) -> anyhow::Result<u64> {
    let file = fs::File::open(part)?;
    file.sync_all()?;
    for companion in ["-wal", "-shm"] {
        remove_if_there(Path::new(&format!("{}{companion}", path.display())))?;
    }
    fs::rename(part, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(file.metadata()?.len())
}

/// Removes content that the copied database does not name.
async fn remove_unnamed(database: &Path, target: &Arc<Store>, report: &mut Report) -> anyhow::Result<()> {
    let rows = upkeep::open(database, false)?;
    let mut walked = target.walk();
    while let Some(stored) = walked.recv().await {
        let stored = stored?;
        if stored.in_place && !upkeep::is_file(&rows, &stored.sha256)? {
            target.remove(&stored.sha256).await?;
            report.removed += 1;
        }
    }
    Ok(())
}
