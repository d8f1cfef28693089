//! How many requests somebody may make in which time. See MWDB API §A3.3.
//!
//! Counted in memory: the server is one process. The one rule: a count is bounded in place and time,
//! whoever sends what.

mod failures;
mod windows;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

pub(crate) use failures::{Failures, Refused};
pub(crate) use windows::{Asked, Windows};

/// So many requests in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub(crate) requests: u64,
    pub(crate) period: Duration,
}

/// Limits by key; see `Windows` for what keys mean.
pub type Limits = BTreeMap<String, Vec<Limit>>;

const READING: &str = "1000/10second 2000/minute 6000/5minute 10000/15minute";
const CHANGING: &str = "100/10second 1000/minute 3000/5minute 6000/15minute";

/// The limits of methods, where nothing else is configured.
pub fn defaults() -> Limits {
    let of = |method: &str, text| (method.to_owned(), parse(text).unwrap_or_default());
    [of("get", READING), of("post", CHANGING), of("put", CHANGING), of("delete", CHANGING)].into()
}

/// Reads `100/10second 1000/minute`.
///
/// # Errors
/// When a piece has another form; names it.
pub fn parse(text: &str) -> Result<Vec<Limit>, String> {
    text.split_whitespace().map(|piece| parse_one(piece).ok_or_else(|| format!("`{piece}` is no limit like `100/10second`"))).collect()
}

fn parse_one(piece: &str) -> Option<Limit> {
    let (requests, period) = piece.split_once('/')?;
    let digits = period.len() - period.trim_start_matches(|character: char| character.is_ascii_digit()).len();
    let (count, unit) = period.split_at(digits);
    let count: u64 = if count.is_empty() { 1 } else { count.parse().ok()? };
    let seconds: u64 = match unit.to_ascii_lowercase().trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 24 * 3600,
        "month" => 30 * 24 * 3600,
        "year" => 365 * 24 * 3600,
        _ => return None,
    };
    let period = Duration::from_secs(count.checked_mul(seconds).filter(|seconds| *seconds > 0)?);
    Some(Limit { requests: requests.parse().ok()?, period })
}

/// Counted things that one table holds at most. Beyond it what is over is dropped, and then the half that counts least.
const LARGEST_TABLE: usize = 100_000;

/// Drops what counts for nothing any more; while that is too little, the half that `counts` least.
fn make_room<K, V, T: Ord + Copy>(table: &mut HashMap<K, V>, counts: impl Fn(&V) -> Option<T>) {
    table.retain(|_, value| counts(value).is_some());
    if table.len() < LARGEST_TABLE {
        return;
    }
    let mut all: Vec<Option<T>> = table.values().map(&counts).collect();
    let middle = all.len() / 2;
    let (_, middle, _) = all.select_nth_unstable(middle);
    let middle = *middle;
    table.retain(|_, value| counts(value) > middle);
}

/// What stands for an address: one network of IPv6 is one customer.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_none() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(requests: u64, seconds: u64) -> Limit {
        Limit { requests, period: Duration::from_secs(seconds) }
    }

    #[test]
    fn limits_are_read() {
        assert_eq!(parse("100/10second 1000/minute 2/2hours"), Ok(vec![limit(100, 10), limit(1000, 60), limit(2, 7200)]));
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(defaults()["put"].len(), 4);
    }

    #[test]
    fn what_is_no_limit_is_named() {
        for bad in ["x", "1", "1/", "/second", "1/2", "1/0second", "-1/second", "1/fortnight", "1/99999999999999999999second"] {
            assert_eq!(parse(bad), Err(format!("`{bad}` is no limit like `100/10second`")));
        }
    }
}
