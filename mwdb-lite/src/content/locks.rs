//! One lock per hash: uploads and deletions of the same bytes share it; who decides whether content is
//! removed has it alone.
//!
//! An upload holds its share from before it looks for old content until its transaction is over, so
//! content never vanishes between the two. A deletion holds its share from before it leaves a doubt
//! until its transaction is over, so nobody settles that doubt by the row that is about to go.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// The locks that are held or waited for.
#[derive(Default)]
pub(super) struct Locks(Mutex<HashMap<String, Arc<RwLock<()>>>>);

/// A held lock.
pub(super) struct Held {
    locks: Arc<Locks>,
    hash: String,
    guard: Option<Guard>,
}

#[expect(dead_code, reason = "held, not read")]
enum Guard {
    Shared(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
}

impl Locks {
    fn of(&self, hash: &str) -> Arc<RwLock<()>> {
        Arc::clone(self.map().entry(hash.to_owned()).or_default())
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<RwLock<()>>>> {
        // The map is consistent between any two statements that hold the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn shared(self: &Arc<Self>, hash: &str) -> Held {
        let guard = self.of(hash).read_owned().await;
        self.held(hash, Guard::Shared(guard))
    }

    pub(super) async fn alone(self: &Arc<Self>, hash: &str) -> Held {
        let guard = self.of(hash).write_owned().await;
        self.held(hash, Guard::Alone(guard))
    }

    /// Nothing when somebody holds it.
    pub(super) fn try_alone(self: &Arc<Self>, hash: &str) -> Option<Held> {
        let guard = self.of(hash).try_write_owned().ok()?;
        Some(self.held(hash, Guard::Alone(guard)))
    }

    fn held(self: &Arc<Self>, hash: &str, guard: Guard) -> Held {
        Held { locks: Arc::clone(self), hash: hash.to_owned(), guard: Some(guard) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.guard = None;
        let mut map = self.locks.map();
        // Whoever waits has a copy: the lock goes with the last one.
        if map.get(&self.hash).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            map.remove(&self.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_removal_waits_for_uploads_and_nothing_is_left_behind() {
        let locks = Arc::new(Locks::default());
        let (one, two) = (locks.shared("a").await, locks.shared("a").await);
        assert!(locks.try_alone("a").is_none());
        assert!(locks.try_alone("b").is_some());
        let waiting = tokio::spawn({
            let locks = Arc::clone(&locks);
            async move { drop(locks.alone("a").await) }
        });
        drop((one, two));
        waiting.await.expect("no panic");
        assert!(locks.try_alone("a").is_some());
        assert!(locks.map().is_empty());
    }
}
