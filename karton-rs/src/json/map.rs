//! A JSON object: an [`IndexMap`] that takes text for its keys.
//!
//! The one rule: whoever looks through the keys meets [`Key`], and so the ones that are not Unicode.

use std::ops::{Deref, DerefMut};

use indexmap::IndexMap;

use super::{Key, Value};

type Members = IndexMap<Key, Value>;

/// A JSON object that remembers the order of its keys (filters are evaluated in that order).
///
/// ```
/// use karton_rs::json::Map;
///
/// let mut map = Map::new();
/// map.insert("size", 3_u64.into());
/// assert!(map.contains_key("size"));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Members);

impl Map {
    /// An empty object.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a member, and gives the value that was there.
    pub fn insert(&mut self, key: impl Into<Key>, value: Value) -> Option<Value> {
        self.0.insert(key.into(), value)
    }

    /// The place of a member, taken or not.
    pub fn entry(&mut self, key: impl Into<Key>) -> indexmap::map::Entry<'_, Key, Value> {
        self.0.entry(key.into())
    }
}

impl Deref for Map {
    type Target = Members;

    fn deref(&self) -> &Members {
        &self.0
    }
}

impl DerefMut for Map {
    fn deref_mut(&mut self) -> &mut Members {
        &mut self.0
    }
}

impl<K: Into<Key>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(members: I) -> Self {
        Self(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl<K: Into<Key>> Extend<(K, Value)> for Map {
    fn extend<I: IntoIterator<Item = (K, Value)>>(&mut self, members: I) {
        self.0.extend(members.into_iter().map(|(key, value)| (key.into(), value)));
    }
}

impl IntoIterator for Map {
    type Item = (Key, Value);
    type IntoIter = indexmap::map::IntoIter<Key, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = (&'a Key, &'a Value);
    type IntoIter = indexmap::map::Iter<'a, Key, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = (&'a Key, &'a mut Value);
    type IntoIter = indexmap::map::IterMut<'a, Key, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}
