//! Logins that failed: who guesses passwords has to wait.
//!
//! Counted by login and address, so that nobody can lock out somebody else from afar.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::LARGEST_TABLE;

/// How long failures are held against somebody.
const PERIOD: Duration = Duration::from_mins(5);

type Key = (String, Option<IpAddr>);

/// Failed logins of the last minutes.
pub(crate) struct Failures {
    /// 0: nothing is held against anybody.
    most: u32,
    failed: Mutex<HashMap<Key, (Instant, u32)>>,
}

impl Failures {
    pub(crate) fn new(most: u32) -> Self {
        Self { most, failed: Mutex::new(HashMap::new()) }
    }

    /// How long to wait before the next attempt, if at all.
    pub(crate) fn wait(&self, login: &str, address: Option<IpAddr>) -> Option<Duration> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, count) = failed.get(&key(login, address))?;
        let left = until.saturating_duration_since(Instant::now());
        (self.most > 0 && *count >= self.most && !left.is_zero()).then_some(left)
    }

    pub(crate) fn failed(&self, login: &str, address: Option<IpAddr>) {
        let now = Instant::now();
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= LARGEST_TABLE {
            failed.retain(|_, (until, _)| *until > now);
            if failed.len() >= LARGEST_TABLE {
                failed.clear();
            }
        }
        let entry = failed.entry(key(login, address)).or_insert((now + PERIOD, 0));
        if entry.0 <= now {
            *entry = (now + PERIOD, 0);
        }
        entry.1 = entry.1.saturating_add(1);
    }

    pub(crate) fn succeeded(&self, login: &str, address: Option<IpAddr>) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(login, address));
    }
}

/// One network of IPv6 is one customer.
fn key(login: &str, address: Option<IpAddr>) -> Key {
    let network = address.map(|address| match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    });
    (login.to_owned(), network)
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
        failures.succeeded("alice", here);
        assert_eq!(failures.wait("alice", here), None);
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
}
