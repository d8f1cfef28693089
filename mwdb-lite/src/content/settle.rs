//! Doubts about content: does a row need it?
//!
//! The one rule: the database is asked while the lock of the hash is held alone. Then no upload of the
//! same bytes is between its look at the store and its commit.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Store, StoreError, locks::Held, store::Place};
use crate::{
    db::{Db, objects},
    error::ApiResult,
    objects::Kind,
    state::App,
};

/// How often doubts that a crash or an outage left are looked at.
const PAUSE: Duration = Duration::from_secs(30);

/// Removes content unless a row names it. A failure is told in the log and made good later: the
/// database has decided already.
pub(crate) async fn settle(db: &Db, store: &Store, sha256: &str) {
    let held = store.locks.alone(sha256).await;
    if let Err(error) = decide(db, store, sha256, held).await {
        tracing::warn!("content {sha256} may be left over, this is tried again: {}", error.cause());
    }
}

async fn decide(db: &Db, store: &Store, sha256: &str, held: Held) -> ApiResult<()> {
    let hash = sha256.to_owned();
    // A blob with the same hash keeps its text in the database.
    let needed = db.read(move |c| Ok(objects::by_dhash(c, &hash)?.is_some_and(|object| object.kind == Kind::File))).await?;
    if !needed {
        // The deletion is on the disk: a power cut cannot bring the row back without its content.
        match &store.place {
            Place::Disk(disk) => disk.remove(sha256)?,
            Place::S3(bucket) => bucket.remove(sha256).await?,
        }
    }
    store.no_doubt(sha256)?;
    drop(held);
    Ok(())
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
        if let Err(error) = decide(db, store, &sha256, held).await {
            tracing::debug!("content {sha256} is still in doubt: {}", error.cause());
            left += 1;
        }
    }
    Ok(left)
}

/// Looks after doubts until the server stops.
pub(crate) async fn run(app: App, shutdown: CancellationToken) {
    loop {
        // What is given up in the middle is in doubt still.
        let settled = tokio::select! {
            settled = settle_all(&app.db, &app.store) => settled,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = settled {
            tracing::warn!("doubts about content cannot be looked at: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
