//! Until when the read on this thread may run, and how much it may do.
//!
//! `SQLite` asks every [`STEPS`] steps of its machine. It does not while it runs a function of ours:
//! those that may take long ask themselves.

use std::cell::Cell;
use std::time::Instant;

/// Steps of `SQLite`'s machine between two questions.
pub(super) const STEPS: i32 = 10_000;

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    static ROUNDS: Cell<Option<u32>> = const { Cell::new(None) };
    static SPENT: Cell<u32> = const { Cell::new(0) };
}

/// Ends the deadline of this thread when it is dropped.
pub(super) struct Guard(());

pub(super) fn set(deadline: Instant) -> Guard {
    DEADLINE.set(Some(deadline));
    Guard(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        DEADLINE.set(None);
    }
}

/// Whether the read on this thread has had its time. Writes have no deadline.
pub(crate) fn passed() -> bool {
    DEADLINE.get().is_some_and(|deadline| Instant::now() > deadline)
}

/// Counts the work of a function as so many steps; whether the statement is to be interrupted.
pub(crate) fn spend(steps: usize) -> bool {
    let spent = SPENT.get().saturating_add(u32::try_from(steps).unwrap_or(u32::MAX));
    let rounds = spent / STEPS.unsigned_abs();
    SPENT.set(spent % STEPS.unsigned_abs());
    if rounds == 0 {
        return false;
    }
    let used_up = ROUNDS.get() == Some(0);
    ROUNDS.set(ROUNDS.get().map(|left| left.saturating_sub(rounds)));
    used_up || passed()
}

/// What `SQLite` asks: whether to interrupt the statement.
pub(super) fn interrupts() -> bool {
    let used_up = ROUNDS.get() == Some(0);
    ROUNDS.set(ROUNDS.get().map(|left| left.saturating_sub(1)));
    used_up || passed()
}

/// A bound on the work of what follows on this thread, until it is dropped. Work, not time: the same
/// question gets equally far on a busy machine.
pub(crate) struct Allowance(());

impl Allowance {
    /// So many times [`STEPS`] steps.
    pub(crate) fn new(rounds: u32) -> Self {
        ROUNDS.set(Some(rounds));
        Self(())
    }

    /// Whether nothing is left of it.
    #[expect(clippy::unused_self, reason = "there is one to ask about only while it lives")]
    pub(crate) fn is_used_up(&self) -> bool {
        ROUNDS.get() == Some(0)
    }
}

/// Runs what bounds itself, and leaves the allowance to what follows.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    let rounds = ROUNDS.take();
    let outcome = work();
    ROUNDS.set(rounds);
    outcome
}

impl Drop for Allowance {
    fn drop(&mut self) {
        ROUNDS.set(None);
    }
}
