//! So many at a time for one account: the share that each may have of what all accounts use together.
//!
//! The one rule: a [`Place`] is given back when it is dropped, and an account that has none and waits for none
//! takes up no memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, ApiResult};

/// Places by account; cheap to clone.
#[derive(Clone)]
pub(crate) struct PerAccount {
    most: usize,
    doors: Doors,
}

type Doors = Arc<Mutex<HashMap<i64, Door>>>;

/// The places of one account.
struct Door {
    free: Arc<Semaphore>,
    /// Who has one or waits for one.
    guests: usize,
}

/// One of the places of an account.
pub(crate) struct Place {
    // Given back before the guest leaves.
    _taken: OwnedSemaphorePermit,
    _guest: Guest,
}

/// Somebody who has a place or waits for one; the last one to leave closes the door.
struct Guest {
    account: i64,
    free: Arc<Semaphore>,
    doors: Doors,
}

impl PerAccount {
    /// At most so many at a time for one account.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, doors: Arc::default() }
    }

    /// A place at once.
    ///
    /// # Errors
    /// 429 with this text when the account has all its places.
    pub(crate) fn take(&self, account: i64, refusal: &str) -> ApiResult<Place> {
        let guest = self.guest(account);
        let taken = Arc::clone(&guest.free).try_acquire_owned().map_err(|_| too_many(refusal))?;
        Ok(Place { _taken: taken, _guest: guest })
    }

    /// A place as soon as one comes free, first come, first served.
    ///
    /// # Errors
    /// 429 with this text when that takes longer than `patience`.
    pub(crate) async fn wait(&self, account: i64, patience: Duration, refusal: &str) -> ApiResult<Place> {
        let guest = self.guest(account);
        let taken = tokio::time::timeout(patience, Arc::clone(&guest.free).acquire_owned()).await;
        let taken = taken.map_err(|_| too_many(refusal))?.map_err(anyhow::Error::from)?;
        Ok(Place { _taken: taken, _guest: guest })
    }

    fn guest(&self, account: i64) -> Guest {
        let mut doors = lock(&self.doors);
        let door = doors.entry(account).or_insert_with(|| Door { free: Arc::new(Semaphore::new(self.most)), guests: 0 });
        door.guests += 1;
        Guest { account, free: Arc::clone(&door.free), doors: Arc::clone(&self.doors) }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut doors = lock(&self.doors);
        if let Some(door) = doors.get_mut(&self.account) {
            door.guests -= 1;
            if door.guests == 0 {
                doors.remove(&self.account);
            }
        }
    }
}

fn lock(doors: &Doors) -> MutexGuard<'_, HashMap<i64, Door>> {
    // Whoever panicked has left a whole map behind.
    doors.lock().unwrap_or_else(PoisonError::into_inner)
}

fn too_many(refusal: &str) -> ApiError {
    ApiError::TooManyAtOnce(refusal.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_its_places_and_leaves_those_of_others_alone() {
        let places = PerAccount::new(2);
        let first = places.take(1, "no").expect("a place");
        let _second = places.take(1, "no").expect("a place");
        assert!(matches!(places.take(1, "no"), Err(ApiError::TooManyAtOnce(text)) if text == "no"));
        assert!(places.take(2, "no").is_ok());
        drop(first);
        assert!(places.take(1, "no").is_ok());
    }

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn who_waits_gets_what_comes_free_or_is_refused() {
        let places = PerAccount::new(1);
        let taken = places.take(1, "no").expect("a place");
        assert!(matches!(places.wait(1, SHORT, "no").await, Err(ApiError::TooManyAtOnce(_))));
        let (got, ()) = tokio::join!(places.wait(1, Duration::from_mins(1), "no"), async { drop(taken) });
        assert!(got.is_ok());
    }

    #[tokio::test]
    async fn nothing_is_kept_of_who_has_left() {
        let places = PerAccount::new(1);
        let taken = places.take(1, "no").expect("a place");
        // One who gives up, and one whose client goes away meanwhile.
        assert!(places.wait(1, SHORT, "no").await.is_err());
        assert!(tokio::time::timeout(SHORT, places.wait(1, Duration::from_mins(1), "no")).await.is_err());
        assert!(places.take(1, "no").is_err());
        assert_eq!(lock(&places.doors).values().map(|door| door.guests).collect::<Vec<_>>(), [1]);
        drop(taken);
        assert!(lock(&places.doors).is_empty());
    }
}
