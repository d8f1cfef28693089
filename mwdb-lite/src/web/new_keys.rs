//! API keys whose token nobody has seen yet.
//!
//! The one rule: the page that a form leads to shows the token once, to who made the key. The browser carries the id of
//! the key and never the token, so neither its history nor a page that is loaded again has it.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// The page is loaded at once. A key that was not shown by then is revoked and made again.
const LIFETIME: Duration = Duration::from_mins(1);
/// Keys that may wait to be shown. The oldest goes: nobody has come for it.
const MOST: usize = 1000;

struct Fresh {
    made: Instant,
    maker: i64,
    key: String,
}

/// The keys, in the order in which they were made.
#[derive(Default)]
pub(super) struct NewKeys(Mutex<Vec<Fresh>>);

impl NewKeys {
    /// Notes a key that this account has just made.
    pub(super) fn put(&self, maker: i64, key: &str) {
        let Ok(mut keys) = self.0.lock() else { return };
        keys.retain(|fresh| fresh.made.elapsed() < LIFETIME);
        if keys.len() >= MOST {
            keys.remove(0);
        }
        keys.push(Fresh { made: Instant::now(), maker, key: key.to_owned() });
    }

    /// Whether the token of this key may be shown to this account: once.
    pub(super) fn take(&self, viewer: i64, key: &str) -> bool {
        let Ok(mut keys) = self.0.lock() else { return false };
        keys.retain(|fresh| fresh.made.elapsed() < LIFETIME);
        let found = keys.iter().position(|fresh| fresh.maker == viewer && fresh.key == key);
        found.map(|place| keys.remove(place)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_once_and_to_its_maker() {
        let keys = NewKeys::default();
        keys.put(1, "a");
        assert!(!keys.take(2, "a"), "somebody else");
        assert!(!keys.take(1, "b"), "another key");
        assert!(keys.take(1, "a"));
        assert!(!keys.take(1, "a"), "a second time");
    }

    #[test]
    fn keys_that_nobody_comes_for_take_no_room() {
        let keys = NewKeys::default();
        (0..=MOST).for_each(|number| keys.put(1, &number.to_string()));
        assert!(!keys.take(1, "0") && keys.take(1, "1") && keys.take(1, &MOST.to_string()));
    }
}
