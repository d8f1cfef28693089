//! Fresh content: small files that are in their place, and in the database as well until the disk has them
//! there.
//!
//! So an upload waits for the disk once, for the commit of its row, instead of for its bytes, the folders
//! that list them and its row. The one rule: bytes leave the database only after the disk has said of their
//! file, and of each folder above it, that it has them. What it has once refused is written anew first, and
//! so is what a crash has left: then nobody knows any more what the disk has said.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use super::{
    Staged, Store, StoreError, settle,
    store::{Place, blocking},
};
use crate::{
    db::{Db, fresh, upkeep},
    error::ApiResult,
    state::App,
};

/// How long fresh content gathers: the disk is asked for all of it together.
const GATHER: Duration = Duration::from_secs(1);
/// How long a disk or database that refuses is left alone.
const PAUSE: Duration = Duration::from_secs(10);
/// How long a stopping server goes on with it.
const LAST_ROUND: Duration = Duration::from_secs(5);
/// Rows that are removed in one transaction: others write meanwhile.
const AT_ONCE: usize = 100;

/// What a crash has left in the database.
#[derive(Default)]
pub(crate) struct Left {
    rows: BTreeSet<i64>,
    /// The hashes of what was missing or damaged, and was put back.
    pub(crate) put_back: Vec<String>,
}

/// Before anybody is served: puts back what a power cut has taken, or moved content lacks. What cannot be put back
/// stays in the database, and is tried again by [`run`].
pub(crate) async fn put_back(db: &Db, store: &Arc<Store>) -> ApiResult<Left> {
    let mut left = Left::default();
    for (id, sha256) in all(db).await? {
        left.rows.insert(id);
        let put = async {
            let hash = sha256.clone();
            let needed = db.read(move |c| Ok(if upkeep::is_file(c, &hash)? { fresh::get(c, id)? } else { None })).await?;
            let Some((_, content)) = needed else { return Ok(false) };
            if store.holds(&sha256, &content).await? {
                return Ok(false);
            }
            write_anew(db, store, &sha256, content).await.map(|()| true)
        };
        match put.await {
            Ok(true) => left.put_back.push(sha256),
            Ok(false) => {}
            Err(error) => tracing::error!("the content of {sha256} cannot be put back, this is tried again: {}", error.cause()),
        }
    }
    Ok(left)
}

/// Number and hash of each row.
async fn all(db: &Db) -> ApiResult<Vec<(i64, String)>> {
    db.read(|c| Ok(fresh::all(c)?)).await
}

/// Brings content to its place whatever is there, and waits until the disk or the bucket has it.
async fn write_anew(db: &Db, store: &Arc<Store>, sha256: &str, content: Vec<u8>) -> ApiResult<()> {
    store.doubt(sha256)?;
    let staged = Staged::of(content).spooled(store).await?;
    let (upload, ()) = store.keep(staged, |_| std::future::ready(())).await?;
    drop(upload);
    // The file may have been deleted meanwhile.
    settle(db, store, sha256).await;
    Ok(())
}

impl Store {
    /// The database has fresh content.
    pub(crate) fn note_fresh(&self) {
        self.fresh.notify_one();
    }

    /// Whether exactly these bytes are in place.
    async fn holds(&self, sha256: &str, content: &[u8]) -> Result<bool, StoreError> {
        let Some(found) = self.find(sha256).await?.filter(|found| found.size == content.len() as u64) else { return Ok(false) };
        let mut bytes = Vec::with_capacity(content.len());
        // What cannot be read is not the same.
        Ok(found.whole().await?.read_to_end(&mut bytes).await.is_ok() && bytes == content)
    }
}

/// What the loop knows of the rows.
struct Caretaker {
    app: App,
    /// Rows whose file is written anew, whatever is there.
    refused: BTreeSet<i64>,
}

/// Looks after fresh content until nobody is `served` any more, and leaves none behind if it can.
pub(crate) async fn run(app: App, left: Left, served: CancellationToken) {
    let mut caretaker = Caretaker { app, refused: left.rows };
    if !caretaker.refused.is_empty() {
        caretaker.app.store.note_fresh();
    }
    loop {
        let gathered = async {
            caretaker.app.store.fresh.notified().await;
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            () = gathered => {}
            () = served.cancelled() => {}
        }
        let is_last = served.is_cancelled();
        let round = async {
            caretaker.write_refused().await?;
            caretaker.secure().await
        };
        let patience = async {
            served.cancelled().await;
            tokio::time::sleep(LAST_ROUND).await;
        };
        let outcome = tokio::select! {
            outcome = round => outcome,
            // The next start goes on with it.
            () = patience => return,
        };
        if let Err(error) = &outcome {
            tracing::warn!("what is fresh in the uploads folder cannot be looked after, this is tried again: {}", error.cause());
        }
        if is_last {
            return;
        }
        if outcome.is_err() || !caretaker.refused.is_empty() {
            caretaker.app.store.note_fresh();
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = served.cancelled() => {}
            }
        }
    }
}

impl Caretaker {
    /// Writes anew what the disk has refused, and what a crash has left.
    async fn write_refused(&mut self) -> ApiResult<()> {
        for id in self.refused.clone() {
            if let Some((sha256, content)) = self.app.db.read(move |c| Ok(fresh::get(c, id)?)).await? {
                if let Err(error) = write_anew(&self.app.db, &self.app.store, &sha256, content).await {
                    tracing::error!("the content of {sha256} stays in the database, it cannot be written: {}", error.cause());
                    continue;
                }
                self.remove(vec![id]).await?;
            }
            self.refused.remove(&id);
        }
        Ok(())
    }

    /// Asks the disk for all other rows, and takes out of the database what it has.
    async fn secure(&mut self) -> ApiResult<()> {
        let rows = all(&self.app.db).await?;
        // Without a folder, rows are of the time before the bucket.
        let Place::Disk(disk) = &self.app.store.place else {
            self.refused.extend(rows.into_iter().map(|(id, _)| id));
            return Ok(());
        };
        let disk = disk.clone();
        let rows = rows.into_iter().filter(|(id, _)| !self.refused.contains(id)).collect();
        let (secured, refused) = blocking(move || {
            // All at once, which is quick where the system does it, and no proof.
            disk.hurry();
            Ok(disk.secure(rows))
        })
        .await?;
        for (id, error) in refused {
            // Gone with its row as a rule; then it goes once more.
            tracing::debug!("{error}");
            self.refused.insert(id);
        }
        for ids in secured.chunks(AT_ONCE) {
            self.remove(ids.to_vec()).await?;
        }
        Ok(())
    }

    /// A power cut may bring rows back: their files are written anew then.
    async fn remove(&self, ids: Vec<i64>) -> ApiResult<()> {
        self.app.db.write_lazily(move |c| Ok(fresh::remove(c, &ids)?)).await
    }
}
