//! Keys of objects: text, or what Python's `str` can hold and Rust's `String` cannot.
//!
//! The one rule: **a key that is not Unicode equals no text**. It keeps its canonical JSON text, as
//! [`Value::Unpaired`] does, in a variant of its own, so no spelling of it can meet an ordinary key.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use indexmap::Equivalent;

use super::{Value, escapes, parse};

/// A key of an object. Python makes keys that are not Unicode of file names that are not UTF-8.
///
/// ```
/// use karton_rs::json::{Key, Value};
///
/// let value = Value::parse(r#"{"caf\udce9.txt": 1, "name": 2}"#)?;
/// let keys: Vec<Option<&str>> = value.as_object().unwrap().keys().map(Key::as_str).collect();
/// assert_eq!(keys, [None, Some("name")]);
/// # Ok::<(), karton_rs::json::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// A Unicode string.
    Text(String),
    /// A string with lone surrogates, as its canonical JSON text (quotes included).
    Unpaired(Box<str>),
}

impl Key {
    /// The text of a Unicode key.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Unpaired(_) => None,
        }
    }

    /// The text or, of a key that is not Unicode, what stands between the quotes of its JSON text. There
    /// ASCII other than quotes, backslashes and controls stands for itself.
    pub fn spelled(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Unpaired(json) => escapes::body(json),
        }
    }

    /// The pieces between the dots.
    pub(crate) fn split(&self) -> Vec<Self> {
        match self {
            Self::Text(text) => text.split('.').map(Self::from).collect(),
            // A dot is never part of an escape.
            Self::Unpaired(json) => escapes::body(json).split('.').map(parse::key).collect(),
        }
    }
}

/// The text; of a key that is not Unicode its escapes, which tell what it is and are no text of it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.spelled())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Unpaired(json) => f.write_str(json),
        }
    }
}

/// As the text itself, by which keys are looked up.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Text(text) => text.hash(state),
            Self::Unpaired(json) => json.hash(state),
        }
    }
}

/// By code points, as Python sorts.
impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            // UTF-8 sorts as code points do.
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            _ => self.code_points().cmp(other.code_points()),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Key {
    fn code_points(&self) -> impl Iterator<Item = u32> {
        let points = match self {
            Self::Text(text) => text.chars().map(u32::from).collect(),
            Self::Unpaired(json) => escapes::code_points(json),
        };
        points.into_iter()
    }
}

impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Key {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(other)
    }
}

impl Equivalent<Key> for str {
    fn equivalent(&self, key: &Key) -> bool {
        key == self
    }
}

impl Equivalent<Key> for String {
    fn equivalent(&self, key: &Key) -> bool {
        key == self.as_str()
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Key {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        match key {
            Key::Text(text) => Self::String(text),
            Key::Unpaired(json) => Self::Unpaired(json),
        }
    }
}

impl From<&Key> for Value {
    fn from(key: &Key) -> Self {
        key.clone().into()
    }
}
