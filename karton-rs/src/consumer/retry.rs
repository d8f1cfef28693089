//! Trying a failed task again, for services that want it.
//!
//! The one rule: without a policy a task that fails is Crashed at once, as in the reference.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, ConfigError, ConfigErrorKind};

/// A wait is never longer than this.
const LONGEST: Duration = Duration::from_hours(24);

type Predicate = dyn Fn(&anyhow::Error) -> bool + Send + Sync;

/// How often and when a task that failed is tried again before it is Crashed.
///
/// The first retry comes after the backoff, each further one after twice the time of the one before.
/// A waiting task is Spawned, and any replica may take it then. `[karton] max_retries` and
/// `retry_backoff` (seconds) win over the numbers given here.
///
/// ```
/// use std::time::Duration;
/// use karton_rs::RetryPolicy;
///
/// let policy = RetryPolicy::new(3)
///     .backoff(Duration::from_secs(10))
///     .on(|error| error.is::<std::io::Error>());
/// assert_eq!(policy.wait(2), Some(Duration::from_secs(20)));
/// assert_eq!(policy.wait(4), None);
/// ```
#[derive(Clone)]
#[must_use]
pub struct RetryPolicy {
    retries: u32,
    backoff: Duration,
    wanted: Option<Arc<Predicate>>,
}

impl RetryPolicy {
    /// Up to `retries` more attempts after the first one, the first of them after 5 seconds.
    pub fn new(retries: u32) -> Self {
        Self { retries, backoff: Duration::from_secs(5), wanted: None }
    }

    /// The wait before the first retry.
    pub fn backoff(mut self, backoff: Duration) -> Self {
        self.backoff = backoff;
        self
    }

    /// Only for errors that `wanted` is true for; a panic is an error too.
    pub fn on(mut self, wanted: impl Fn(&anyhow::Error) -> bool + Send + Sync + 'static) -> Self {
        self.wanted = Some(Arc::new(wanted));
        self
    }

    /// The wait before retry number `retry`, which counts from 1; none when it is one too many.
    pub fn wait(&self, retry: u32) -> Option<Duration> {
        let doublings = retry.checked_sub(1).filter(|_| retry <= self.retries)?;
        Some(self.backoff.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST))
    }

    pub(super) fn is_for(&self, error: &anyhow::Error) -> bool {
        self.retries > 0 && self.wanted.as_ref().is_none_or(|wanted| wanted(error))
    }

    /// The policy after `[karton]` was read; none when nothing is to be retried.
    pub(super) fn configured(policy: Option<Self>, config: &Config) -> Result<Option<Self>, ConfigError> {
        let number = |option: &str| match config.int("karton", option)? {
            None => Ok(None),
            Some(value) => u32::try_from(value).map(Some).map_err(|_| {
                ConfigError::new(
                    ConfigErrorKind::BadInteger,
                    format!("{}: {value} must be between 0 and {}", config.place("karton", option), u32::MAX),
                )
            }),
        };
        let (retries, backoff) = (number("max_retries")?, number("retry_backoff")?);
        let mut policy = policy.unwrap_or_else(|| Self::new(0));
        policy.retries = retries.unwrap_or(policy.retries);
        policy.backoff = backoff.map_or(policy.backoff, |seconds| Duration::from_secs(seconds.into()));
        Ok(Some(policy).filter(|policy| policy.retries > 0))
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy").field("retries", &self.retries).field("backoff", &self.backoff).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let policy = RetryPolicy::new(40).backoff(Duration::from_secs(1));
        let waits: Vec<_> = [0, 1, 2, 3, 40, 41].into_iter().map(|retry| policy.wait(retry).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [None, Some(1), Some(2), Some(4), Some(LONGEST.as_secs()), None]);
    }

    #[test]
    fn the_configuration_wins_and_zero_turns_retries_off() -> Result<(), ConfigError> {
        let config = |text: &str| Config::from_parts(&[("k", &format!("[redis]\nhost = h\n[s3]\naddress = http://s\n{text}"))], []);
        let own = || Some(RetryPolicy::new(3));
        assert!(RetryPolicy::configured(own(), &config("[karton]\nmax_retries = 0\n")?)?.is_none());
        assert!(RetryPolicy::configured(None, &config("")?)?.is_none());
        let policy = RetryPolicy::configured(None, &config("[karton]\nmax_retries = 1\nretry_backoff = 2\n")?)?;
        assert_eq!(policy.and_then(|policy| policy.wait(1)), Some(Duration::from_secs(2)));
        let error = RetryPolicy::configured(own(), &config("[karton]\nmax_retries = -1\n")?).expect_err("an error");
        assert!(error.to_string().contains("[karton] max_retries (in `k`): -1"), "{error}");
        Ok(())
    }
}
