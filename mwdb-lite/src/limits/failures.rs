//! Logins that failed: who guesses passwords has to wait.
//!
//! Counted by login and address, so that nobody can lock out somebody else from afar. The one rule: an attempt that is
//! being judged counts as one that may fail, so that many at once are no more than one after the other; and one address
//! has no more than [`AT_ONCE`] of them judged at a time, so that others have their turn.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{LARGEST_TABLE, make_room, network};

/// How long failures are held against somebody.
const PERIOD: Duration = Duration::from_mins(5);
/// Attempts of one address that are judged at a time.
const AT_ONCE: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(5);

type Key = (String, Option<IpAddr>);

/// Failed logins of the last minutes.
pub(crate) struct Failures {
    /// 0: nothing is held against anybody.
    most: u32,
    /// How long an attempt waits for others to be judged.
    patience: Duration,
    state: Mutex<State>,
    /// An attempt was judged.
    judged: Notify,
}

#[derive(Default)]
struct State {
    failed: HashMap<Key, Failed>,
    /// Attempts that are being judged, by login and address, and by address.
    pending: HashMap<Key, u32>,
    pending_of: HashMap<Option<IpAddr>, u32>,
}

struct Failed {
    until: Instant,
    count: u32,
}

/// Why an attempt is not judged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There were too many: how long to wait.
    Wait(Duration),
    /// Others of this login or address are being judged.
    Busy,
}

/// An attempt that is being judged; dropped, it was not.
pub(crate) struct Attempt {
    failures: Arc<Failures>,
    key: Key,
}

impl Failures {
    pub(crate) fn new(most: u32) -> Self {
        Self { most, patience: PATIENCE, state: Mutex::default(), judged: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Consistent between any two statements that hold the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait before the next attempt, if at all.
    pub(crate) fn wait(&self, login: &str, address: Option<IpAddr>) -> Option<Duration> {
        self.left(&self.state(), &key(login, address))
    }

    fn left(&self, state: &State, key: &Key) -> Option<Duration> {
        let failed = state.failed.get(key).filter(|failed| self.most > 0 && failed.count >= self.most)?;
        Some(failed.until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// Begins an attempt, once so few others are being judged that all of them may fail.
    pub(crate) async fn attempt(self: &Arc<Self>, login: &str, address: Option<IpAddr>) -> Result<Attempt, Refused> {
        let key = key(login, address);
        let turn = async {
            loop {
                // Asked for before looking: nothing is missed in between.
                let judged = self.judged.notified();
                if let Some(outcome) = self.begin(&key) {
                    return outcome;
                }
                judged.await;
            }
        };
        tokio::time::timeout(self.patience, turn).await.unwrap_or(Err(Refused::Busy))?;
        Ok(Attempt { failures: Arc::clone(self), key })
    }

    /// None while others must be judged first.
    fn begin(&self, key: &Key) -> Option<Result<(), Refused>> {
        let mut state = self.state();
        if let Some(wait) = self.left(&state, key) {
            return Some(Err(Refused::Wait(wait)));
        }
        let now = Instant::now();
        let failed = state.failed.get(key).filter(|failed| failed.until > now).map_or(0, |failed| failed.count);
        let pending = state.pending.get(key).copied().unwrap_or_default();
        let is_full = state.pending_of.get(&key.1).is_some_and(|pending| *pending >= AT_ONCE);
        if is_full || self.most > 0 && failed + pending >= self.most {
            return None;
        }
        *state.pending.entry(key.clone()).or_default() += 1;
        *state.pending_of.entry(key.1).or_default() += 1;
        Some(Ok(()))
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, login: &str, address: Option<IpAddr>) {
        self.count(key(login, address));
    }

    fn count(&self, key: Key) {
        let now = Instant::now();
        let failed = &mut self.state().failed;
        if failed.len() >= LARGEST_TABLE && !failed.contains_key(&key) {
            // Whoever fills the table with names frees nobody who has to wait, as long as there are others.
            make_room(failed, |failed| (failed.until > now).then_some((failed.count, failed.until)));
        }
        let entry = failed.entry(key).or_insert(Failed { until: now + PERIOD, count: 0 });
        if entry.until <= now {
            *entry = Failed { until: now + PERIOD, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
    }
}

impl Attempt {
    pub(crate) fn failed(self) {
        self.failures.count(self.key.clone());
    }

    pub(crate) fn succeeded(self) {
        self.failures.state().failed.remove(&self.key);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let state = &mut *self.failures.state();
        give_back(&mut state.pending, &self.key);
        give_back(&mut state.pending_of, &self.key.1);
        self.failures.judged.notify_waiters();
    }
}

fn give_back<K: std::hash::Hash + Eq>(pending: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = pending.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            pending.remove(key);
        }
    }
}

fn key(login: &str, address: Option<IpAddr>) -> Key {
    (login.to_owned(), address.map(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_slowed_down_for_the_one_who_guesses() {
        let failures = Failures::new(2);
        let here: Option<IpAddr> = "10.0.0.1".parse().ok();
        let there: Option<IpAddr> = "10.0.0.2".parse().ok();
        failures.failed("alice", here);
        assert_eq!(failures.wait("alice", here), None);
        failures.failed("alice", here);
        assert!(failures.wait("alice", here).is_some_and(|wait| wait <= PERIOD));
        assert_eq!(failures.wait("alice", there), None);
        assert_eq!(failures.wait("bob", here), None);
    }

    #[tokio::test]
    async fn attempts_at_once_are_as_many_as_one_after_the_other() {
        let failures = Arc::new(Failures::new(3));
        let mut attempts = Vec::new();
        for _ in 0..3 {
            attempts.push(failures.attempt("alice", None).await.expect("a turn"));
        }
        // The fourth waits, and is refused once the others have failed.
        let fourth = tokio::spawn({
            let failures = Arc::clone(&failures);
            async move { failures.attempt("alice", None).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!fourth.is_finished());
        attempts.drain(..).for_each(Attempt::failed);
        assert!(matches!(fourth.await.expect("no panic"), Err(Refused::Wait(_))));
        assert!(failures.state().pending.is_empty() && failures.state().pending_of.is_empty());
    }

    #[tokio::test]
    async fn what_succeeds_or_was_not_judged_counts_for_nothing() {
        let failures = Arc::new(Failures::new(2));
        failures.attempt("alice", None).await.expect("a turn").failed();
        for _ in 0..10 {
            drop(failures.attempt("alice", None).await.expect("a turn"));
        }
        failures.attempt("alice", None).await.expect("a turn").succeeded();
        failures.attempt("alice", None).await.expect("a turn").failed();
        assert_eq!(failures.wait("alice", None), None);
    }

    #[tokio::test]
    async fn one_address_has_few_judged_at_a_time() {
        let failures = Arc::new(Failures { patience: Duration::from_millis(20), ..Failures::new(0) });
        let (here, there): (Option<IpAddr>, Option<IpAddr>) = ("10.0.0.1".parse().ok(), "10.0.0.2".parse().ok());
        let mut attempts = Vec::new();
        for number in 0..AT_ONCE {
            attempts.push(failures.attempt(&number.to_string(), here).await.expect("a turn"));
        }
        assert_eq!(failures.attempt("alice", here).await.map(drop), Err(Refused::Busy));
        assert_eq!(failures.attempt("alice", there).await.map(drop), Ok(()));
        attempts.clear();
        assert_eq!(failures.attempt("alice", here).await.map(drop), Ok(()));
    }

    #[test]
    fn neighbours_of_one_ipv6_network_count_together() {
        let failures = Failures::new(1);
        failures.failed("alice", "2001:db8::1".parse().ok());
        assert!(failures.wait("alice", "2001:db8::2".parse().ok()).is_some());
        assert_eq!(failures.wait("alice", "2001:db8:0:1::2".parse().ok()), None);
    }

    #[test]
    fn zero_turns_it_off() {
        let failures = Failures::new(0);
        failures.failed("alice", None);
        assert_eq!(failures.wait("alice", None), None);
    }

    #[test]
    fn who_has_to_wait_is_not_freed_by_many_names() {
        let failures = Failures::new(2);
        failures.failed("alice", None);
        failures.failed("alice", None);
        for number in 0..2 * LARGEST_TABLE {
            failures.failed(&number.to_string(), None);
        }
        assert!(failures.wait("alice", None).is_some());
        assert!(failures.state().failed.len() <= LARGEST_TABLE);
    }
}
