//! Fresh content: small files that are in their place in the folder, and in the database as well until the
//! disk has taken the folder.
//!
//! So an upload waits for the disk once, for the commit of its row, instead of for its bytes, the folders
//! that list them and its row. The one rule: bytes leave the database only after everything that was in the
//! folder when they were there has reached the disk.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Store, StoreError, stage,
    store::{Place, blocking},
};
use crate::{
    db::{Db, fresh},
    error::ApiResult,
    state::App,
};

/// How long fresh content gathers: the disk is asked once for all of it.
const GATHER: Duration = Duration::from_secs(1);
/// How long a disk that took nothing is left alone.
const PAUSE: Duration = Duration::from_secs(10);
/// Rows that are removed in one transaction: others write meanwhile.
const AT_ONCE: usize = 100;

/// Which files are written again from the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that are missing or hold something else: a power cut took the folder back.
    Lost,
    /// All: the disk has refused some, and does not tell which.
    All,
}

/// Puts content into its place from the database; gives the hashes of what was put there.
pub(crate) async fn put_back(db: &Db, store: &Arc<Store>, which: Which) -> ApiResult<Vec<String>> {
    let mut after = 0;
    let mut written = Vec::new();
    while let Some(next) = db.read(move |c| Ok(fresh::next(c, after)?)).await? {
        after = next.id;
        let (store, sha256) = (Arc::clone(store), next.sha256.clone());
        if blocking(move || store.put_back(&next.sha256, &next.content, which)).await? {
            written.push(sha256);
        }
    }
    Ok(written)
}

impl Store {
    /// The database has fresh content.
    pub(crate) fn note_fresh(&self) {
        self.fresh.notify_one();
    }

    fn put_back(&self, sha256: &str, content: &[u8], which: Which) -> Result<bool, StoreError> {
        let Place::Disk(disk) = &self.place else { return Ok(false) };
        let staging = self.staging_folder();
        let staged = stage::write(staging, content).map_err(StoreError::disk("write into the folder", staging))?;
        let placed = disk.put(staged, content.len() as u64, sha256, which == Which::All)?;
        let is_new = placed.is_new();
        placed.secure()?;
        Ok(is_new)
    }
}

/// Waits until the disk has the folder, and takes out of the database what is not fresh any more.
async fn secure(db: &Db, store: &Arc<Store>) -> ApiResult<()> {
    // Rows of the time before the bucket stay: their folder may be needed again.
    let Place::Disk(disk) = &store.place else { return Ok(()) };
    let Some(newest) = db.read(|c| Ok(fresh::newest(c)?)).await? else { return Ok(()) };
    let disk = disk.clone();
    blocking(move || disk.sync()).await?;
    // A power cut may bring rows back: their files are looked at once more then.
    while db.write_lazily(move |c| Ok(fresh::remove(c, newest, AT_ONCE)?)).await? == AT_ONCE {}
    Ok(())
}

/// Before anybody is served: puts back what a power cut has taken from the folder.
pub(crate) async fn recover(app: &App) -> anyhow::Result<()> {
    let written = put_back(&app.db, &app.store, Which::Lost).await.map_err(|error| anyhow::anyhow!(error.cause()))?;
    if !written.is_empty() {
        tracing::warn!("{} files were missing or damaged in the uploads folder and are back from the database", written.len());
    }
    app.store.note_fresh();
    Ok(())
}

/// Looks after fresh content until the server stops, and leaves none behind.
pub(crate) async fn run(app: App, shutdown: CancellationToken) {
    let mut refused = false;
    while !shutdown.is_cancelled() {
        let gathered = async {
            app.store.fresh.notified().await;
            tokio::time::sleep(if refused { PAUSE } else { GATHER }).await;
        };
        tokio::select! {
            () = gathered => {}
            () = shutdown.cancelled() => {}
        }
        let secured = async {
            if refused {
                put_back(&app.db, &app.store, Which::All).await?;
            }
            secure(&app.db, &app.store).await
        };
        match secured.await {
            Ok(()) => refused = false,
            Err(error) => {
                tracing::error!("the disk does not take the uploads folder, this is tried again: {}", error.cause());
                refused = true;
                app.store.note_fresh();
            }
        }
    }
}
