//! JSON as Python's `json` module reads and writes it, without loss.
//!
//! Karton records are made by Python: they may hold integers of any size, `NaN`, and strings with
//! lone surrogates, none of which `serde_json` can carry. The one rule: **what was read is written
//! back unchanged in meaning**. Numbers keep their literal text; a string that is not Unicode keeps
//! its JSON text ([`Value::Unpaired`], [`Key::Unpaired`]). See `spec/karton-protocol.md` §4.1 and §4.4.

mod escapes;
mod key;
mod map;
mod number;
mod parse;
mod python;
mod write;

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

pub(crate) use escapes::code_points;
pub use escapes::lossy_text;
pub use key::Key;
pub use map::Map;
pub use number::Number;
pub(crate) use parse::string_text;
pub use parse::{ParseError, RawObject, skip_value};
pub(crate) use python::float_text;
pub use python::{literal as python_literal, text as python_text};
pub(crate) use write::write_members;
pub use write::{write_key, write_sorted, write_string};

/// Any JSON value a Karton record can hold.
///
/// ```
/// use karton_rs::json::Value;
///
/// let value = Value::parse(r#"{"big": 123456789012345678901234567890, "odd": NaN}"#)?;
/// assert_eq!(value.to_json(), r#"{"big": 123456789012345678901234567890, "odd": NaN}"#);
/// # Ok::<(), karton_rs::json::ParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, kept as it was spelled.
    Number(Number),
    /// A Unicode string.
    String(String),
    /// A string with lone surrogates, as its canonical JSON text (quotes included): Python can hold
    /// it, Rust's `String` cannot.
    Unpaired(Box<str>),
    /// A list.
    Array(Vec<Self>),
    /// An object.
    Object(Map),
}

impl Value {
    /// Reads one JSON document, in the dialect of Python's `json.loads`.
    ///
    /// # Errors
    /// When the text is not JSON, or is nested deeper than 200 levels.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text, usize::MAX)
    }

    /// Like [`Value::parse`], for texts of strangers: a value takes many times the two bytes that name it
    /// in a list, so a document with more than `most` of them is refused before it takes the memory.
    ///
    /// ```
    /// use karton_rs::json::Value;
    ///
    /// assert!(Value::parse_bounded("[1, 2]", 3).is_ok());
    /// assert!(Value::parse_bounded("[1, 2]", 2).is_err());
    /// ```
    ///
    /// # Errors
    /// As [`Value::parse`], and when there are more values.
    pub fn parse_bounded(text: &str, most: usize) -> Result<Self, ParseError> {
        parse::parse(text, most)
    }

    /// The text Python's `json.dumps(value, sort_keys=True)` would give.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write_sorted(&mut out, self);
        out
    }

    /// Converts any serialisable value.
    ///
    /// # Errors
    /// When `value` does not serialise to JSON (a map with keys that are no strings, say).
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        let text = serde_json::to_string(value)?;
        Self::parse(&text).map_err(serde::ser::Error::custom)
    }

    /// Reads the value as a type of yours.
    ///
    /// # Errors
    /// When the value does not have the shape of `T`.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.to_json())
    }

    /// The text of a Unicode string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Self::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The members of an object, to change them.
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self {
            Self::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// A number.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A member of an object; nothing when this is not an object or has no such key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }
}

/// Equality of Python: numbers and booleans by value (`true == 1 == 1.0`), objects without order.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        python::equal(self, other)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// Written as its exact JSON text; only `serde_json` can take it.
impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::value::RawValue::from_string(self.to_json()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(Number::from_literal(&number.to_string())),
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(map) => Self::Object(map.into_iter().map(|(key, value)| (key, value.into())).collect()),
        }
    }
}

macro_rules! from_simple {
    ($($source:ty => |$name:ident| $make:expr;)*) => {
        $(impl From<$source> for Value {
            fn from($name: $source) -> Self {
                $make
            }
        })*
    };
}

from_simple! {
    bool => |value| Self::Bool(value);
    &str => |text| Self::String(text.to_owned());
    String => |text| Self::String(text);
    &String => |text| Self::String(text.clone());
    i64 => |value| Self::Number(Number::from(value));
    u64 => |value| Self::Number(Number::from(value));
    i32 => |value| Self::Number(Number::from(i64::from(value)));
    u32 => |value| Self::Number(Number::from(u64::from(value)));
    usize => |value| Self::Number(Number::from(value as u64));
    f64 => |value| Self::Number(Number::from(value));
    Map => |map| Self::Object(map);
}

impl<T: Into<Self>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests;
