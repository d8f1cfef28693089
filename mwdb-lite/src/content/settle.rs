//! Doubts about content: does a row need it?
//!
//! The one rule: the database is asked while the lock of the hash is held alone. Then no upload of the
//! same bytes is between its look at the store and its commit.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Store, StoreError, locks::Held, store::Place};
use crate::{
    db::{
        Db,
        objects::{self, ObjectRow},
    },
    objects::Kind,
    state::App,
};

/// How often doubts that a crash or an outage left are looked at.
const PAUSE: Duration = Duration::from_secs(30);
/// How long uploads gather whose row is there: the database is asked about all of them together.
const GATHER: Duration = Duration::from_millis(100);
/// How many are settled at once: bounds how long their hashes are locked.
const AT_ONCE: usize = 100;

/// Uploads whose rows are committed: the doubts about them need not be settled at once.
#[derive(Default)]
pub(crate) struct Uploaded {
    hashes: Mutex<Vec<String>>,
    some: Notify,
}

impl Uploaded {
    pub(crate) fn add(&self, sha256: String) {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).push(sha256);
        self.some.notify_one();
    }

    async fn gathered(&self) {
        self.some.notified().await;
        tokio::time::sleep(GATHER).await;
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.hashes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Removes content unless a row names it. A failure is told in the log and made good later: the
/// database has decided already.
pub(crate) async fn settle(db: &Db, store: &Store, sha256: &str) {
    let held = store.locks.alone(sha256).await;
    for (sha256, cause) in decide(db, store, vec![(sha256.to_owned(), held)]).await {
        tracing::warn!("content {sha256} may be left over, this is tried again: {cause}");
    }
}

/// Asks the database about content whose locks are held alone, all at once. Gives what is in doubt still, and why.
async fn decide(db: &Db, store: &Store, contents: Vec<(String, Held)>) -> Vec<(String, String)> {
    let hashes: Vec<String> = contents.iter().map(|(sha256, _)| sha256.clone()).collect();
    // A blob with the same hash keeps its text in the database.
    let is_file = |object: ObjectRow| object.kind == Kind::File;
    let needed = db.read(move |c| hashes.iter().map(|hash| Ok(objects::by_dhash(c, hash)?.is_some_and(is_file))).collect()).await;
    let needed: Vec<bool> = match needed {
        Ok(needed) => needed,
        Err(error) => return contents.into_iter().map(|(sha256, _)| (sha256, error.cause())).collect(),
    };
    let mut in_doubt = Vec::new();
    for ((sha256, held), needed) in contents.into_iter().zip(needed) {
        if let Err(error) = carry_out(store, &sha256, needed).await {
            in_doubt.push((sha256, error.to_string()));
        }
        drop(held);
    }
    in_doubt
}

async fn carry_out(store: &Store, sha256: &str, needed: bool) -> Result<(), StoreError> {
    if !needed {
        // The deletion is on the disk: a power cut cannot bring the row back without its content.
        match &store.place {
            Place::Disk(disk) => disk.remove(sha256)?,
            Place::S3(bucket) => bucket.remove(sha256).await?,
        }
    }
    store.no_doubt(sha256)
}

/// Settles the doubts whose hash nobody is working on. Gives how many are left.
pub(crate) async fn settle_all(db: &Db, store: &Store) -> Result<usize, StoreError> {
    let mut left = 0;
    for sha256 in store.doubts()? {
        let Some(held) = store.locks.try_alone(&sha256) else {
            left += 1;
            continue;
        };
        // Whoever has left a doubt may also have left an upload in parts.
        if let Place::S3(bucket) = &store.place
            && let Err(error) = bucket.abort_unfinished(&sha256).await
        {
            tracing::debug!("{error}");
        }
        for (sha256, cause) in decide(db, store, vec![(sha256, held)]).await {
            tracing::debug!("content {sha256} is still in doubt: {cause}");
            left += 1;
        }
    }
    Ok(left)
}

/// Settles what uploads have left, but for what somebody is at work on: it leaves that to [`settle_all`].
async fn settle_uploaded(db: &Db, store: &Store) {
    let uploaded = store.uploaded.take();
    for hashes in uploaded.chunks(AT_ONCE) {
        let held = hashes.iter().filter_map(|sha256| Some((sha256.clone(), store.locks.try_alone(sha256)?)));
        for (sha256, cause) in decide(db, store, held.collect()).await {
            tracing::debug!("content {sha256} is in doubt: {cause}");
        }
    }
}

/// Looks after doubts until the server stops.
pub(crate) async fn run(app: App, shutdown: CancellationToken) {
    // What is given up in the middle is in doubt still.
    tokio::select! {
        () = look_after(&app) => {}
        () = shutdown.cancelled() => {}
    }
}

async fn look_after(app: &App) {
    let (db, store) = (&app.db, &app.store);
    let mut round = tokio::time::interval(PAUSE);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = round.tick() => {
                if let Err(error) = settle_all(db, store).await {
                    tracing::warn!("doubts about content cannot be looked at: {error}");
                }
            }
            () = store.uploaded.gathered() => {}
        }
        settle_uploaded(db, store).await;
    }
}
