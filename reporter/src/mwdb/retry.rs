//! How long we wait for whom.
//!
//! The one rule: a server that is away is waited for without end, but a request that fails while the
//! server answers others is given up after some attempts, so that one bad object never holds up the rest.
//! When several were given up one after another it is hardly the objects: then they are tried for much longer.

use std::fmt::Display;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Pauses and attempts.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Patience {
    /// How often a request is repeated that fails while the server answers others.
    pub retries: u32,
    /// Pause after the first failure; each next one is twice as long.
    pub first_pause: Duration,
    /// The longest pause between two tries.
    pub longest_pause: Duration,
    /// Pause when the server asks for patience without saying for how long.
    pub rate_limit_pause: Duration,
    /// The longest pause that a server may ask for.
    pub longest_rate_limit_pause: Duration,
    /// Whether a server that answers nobody is waited for without end. Without this it has as many
    /// attempts as any request, which suits programs that somebody waits for.
    pub wait_for_server: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: 5,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            rate_limit_pause: Duration::from_mins(1),
            longest_rate_limit_pause: Duration::from_mins(10),
            wait_for_server: true,
        }
    }
}

impl Patience {
    /// Pause after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        self.first_pause.saturating_mul(2_u32.saturating_pow(failures)).min(self.longest_pause)
    }
}

/// How many requests were given up since MWDB has taken something last. A server whose disk is full answers all who
/// only ask, and fails at everything else.
#[derive(Debug, Default)]
pub(super) struct GivenUp(AtomicU32);

impl GivenUp {
    /// So many bad objects one after another are not bad luck any more.
    const SUSPICIOUS: u32 = 3;
    /// How many times as often a request is then tried: for an hour. Objects that are bad all the same end, too.
    const MORE: u32 = 25;

    /// MWDB has taken something.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn add(&self) {
        // Nobody counts that far.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn tries(&self, retries: u32) -> u32 {
        if self.0.load(Ordering::Relaxed) < Self::SUSPICIOUS { retries } else { retries.saturating_mul(Self::MORE) }
    }
}

/// Waiting was given up because the process is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// Waits longer after each failure, says so at the first one and now and then, and says when it is over.
#[derive(Debug)]
pub struct Waiter<'a> {
    patience: &'a Patience,
    given_up: &'a GivenUp,
    stop: &'a CancellationToken,
    failures: u32,
    counted: u32,
    /// Whether the last failure was counted.
    counts: bool,
}

impl<'a> Waiter<'a> {
    /// How many silent failures lie between two warnings: some ten minutes.
    const SILENT: u32 = 20;

    pub(super) fn new(patience: &'a Patience, given_up: &'a GivenUp, stop: &'a CancellationToken) -> Self {
        Self { patience, given_up, stop, failures: 0, counted: 0, counts: false }
    }

    /// Whether to try again after a failure. It counts unless the server is `away`, which is only asked
    /// where such a server is waited for; false when it was one too many.
    pub async fn may_repeat(&mut self, away: impl Future<Output = bool>) -> bool {
        if self.patience.wait_for_server && away.await {
            return true;
        }
        self.counted += 1;
        self.counts = true;
        let goes_on = self.counted <= self.tries();
        if !goes_on {
            self.given_up.add();
        }
        goes_on
    }

    /// Programs that somebody waits for are not more patient for what others have met.
    fn tries(&self) -> u32 {
        if self.patience.wait_for_server { self.given_up.tries(self.patience.retries) } else { self.patience.retries }
    }

    /// Pauses after a failure.
    ///
    /// # Errors
    /// When the process is told to stop.
    pub async fn pause(&mut self, failure: &impl Display) -> Result<(), Interrupted> {
        let pause = self.patience.pause(self.failures);
        let counts = std::mem::take(&mut self.counts);
        if !self.failures.is_multiple_of(Self::SILENT) {
            tracing::debug!("{failure}");
        } else if counts {
            tracing::warn!("{failure}; trying again, {} times at most", self.tries());
        } else {
            tracing::warn!("{failure}; trying again until it works");
        }
        self.failures = self.failures.saturating_add(1);
        self.sleep(pause).await
    }

    /// Pauses because the server asks for it: a moment even when it asks for none, or only until a date that
    /// our clock has passed, as nothing else bounds how often such a request is sent.
    pub(super) async fn pause_for_rate_limit(&self, asked: Option<Duration>) -> Result<(), Interrupted> {
        let asked = asked.unwrap_or(self.patience.rate_limit_pause).max(self.patience.first_pause);
        let pause = asked.min(self.patience.longest_rate_limit_pause);
        tracing::warn!("MWDB limits our requests: waiting {} s", pause.as_secs_f32());
        self.sleep(pause).await
    }

    async fn sleep(&self, pause: Duration) -> Result<(), Interrupted> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Interrupted),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// It worked.
    pub fn over(&self) {
        if self.failures > 0 {
            tracing::info!("Works again after {} failed attempts", self.failures);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_silence_takes_some_hundred_attempts() {
        let patience = Patience::default();
        let mut waited = Duration::ZERO;
        let attempts = (0..).take_while(|failures| {
            waited += patience.pause(*failures);
            waited < Duration::from_hours(1)
        });
        assert!((100..150).contains(&attempts.count()));
        assert_eq!(patience.pause(u32::MAX), patience.longest_pause);
    }
}
