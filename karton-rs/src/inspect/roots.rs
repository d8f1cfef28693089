//! Which analysis a task is of whose uid does not say it.
//!
//! The one rule: that never changes, so a record that was read once need not be read again to learn
//! that it is none of those that are asked for. What is remembered is bounded.

use std::collections::{HashMap, hash_map::RandomState};
use std::hash::BuildHasher;

/// Tasks that are remembered, twice.
const REMEMBERED: usize = 1 << 16;

/// The root uids of tasks that were met lately.
#[derive(Default)]
pub(super) struct Roots {
    newer: HashMap<u64, u64>,
    older: HashMap<u64, u64>,
    hasher: RandomState,
}

impl Roots {
    /// False when the task is known to be of another analysis.
    pub(super) fn may_be_of<'a>(&self, uid: &str, mut roots: impl Iterator<Item = &'a String>) -> bool {
        let key = self.hasher.hash_one(uid);
        let known = self.newer.get(&key).or_else(|| self.older.get(&key));
        known.is_none_or(|known| roots.any(|root| self.hasher.hash_one(root.as_str()) == *known))
    }

    pub(super) fn remember(&mut self, uid: &str, root: &str) {
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(self.hasher.hash_one(uid), self.hasher.hash_one(root));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_rules_out_other_analyses_and_is_bounded() {
        let (mut roots, asked) = (Roots::default(), ["a".to_owned(), "b".to_owned()]);
        assert!(roots.may_be_of("one", asked.iter()));
        roots.remember("one", "b");
        assert!(roots.may_be_of("one", asked.iter()));
        assert!(!roots.may_be_of("one", asked[..1].iter()));
        for number in 0..3 * REMEMBERED {
            roots.remember(&number.to_string(), "c");
        }
        assert!(roots.may_be_of("one", asked[..1].iter()), "it is forgotten");
        assert!(roots.newer.len() + roots.older.len() <= 2 * REMEMBERED);
    }
}
