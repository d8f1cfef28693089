//! JSON request bodies: read whatever the content type says, checked field by field.
//!
//! The body is read before the handler runs but judged inside it, after the capability check: a
//! caller without the right learns nothing about the schema (MWDB API §A1.2, precedence). The one rule:
//! what a document takes in memory is bounded before it is read.

use std::ops::Deref;

use karton_rs::json::{Map, Value};
use rocket::{
    Request,
    data::{Data, FromData, Outcome},
};

use super::together::Findings;
use crate::{
    auth,
    error::{ApiError, ApiResult},
    intake::{self, Intake, LARGEST_ANONYMOUS},
    mistakes::Mistakes,
    objects::text::HAS_NUL,
    state::App,
};

/// Largest JSON document, unless `max_upload_size` is smaller: it is held in memory.
const LARGEST: u64 = 64 << 20;
/// Values in a document: each takes many times the two bytes that name it.
const MOST_VALUES: usize = 1_000_000;
/// Tags or attributes that one upload brings: while they are stored nobody else can write.
const MOST_ITEMS: usize = 10_000;
/// Characters of a name that is told back.
const LONGEST_TOLD: usize = 100;
/// What is parsed on the spot. Longer documents would keep other requests waiting.
const SHORT: usize = 64 << 10;

/// The members of the JSON object in the body, or why there are none. No body is none of both.
pub(crate) struct Body(ApiResult<Option<Fields>>);

#[rocket::async_trait]
impl<'r> FromData<'r> for Body {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        Outcome::Success(Self(read(request, data).await))
    }
}

async fn read(request: &Request<'_>, data: Data<'_>) -> ApiResult<Option<Fields>> {
    let largest = if auth::known(request).is_some() { LARGEST } else { LARGEST_ANONYMOUS };
    let configured = request.rocket().state::<App>().and_then(|app| app.config.max_upload_size);
    let Intake { bytes, .. } = &mut intake::read(data, configured.map_or(largest, |limit| limit.min(largest))).await?;
    if bytes.is_empty() { Ok(None) } else { Fields::read(std::mem::take(bytes)).await.map(Some) }
}

impl Body {
    /// The members of the JSON object in the body.
    pub(crate) fn object(self) -> ApiResult<Fields> {
        self.0?.map_or_else(|| Fields::parse(b""), Ok)
    }

    /// Like [`Body::object`], but nothing at all counts as `{}`.
    pub(crate) fn object_or_empty(self) -> ApiResult<Fields> {
        self.0.map(Option::unwrap_or_default)
    }
}

/// The members of an object, with the checks of the API. Unknown members are ignored unless [`Fields::only`] is called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Map);

impl Deref for Fields {
    type Target = Map;

    fn deref(&self) -> &Map {
        &self.0
    }
}

pub(crate) const REQUIRED: &str = "Missing data for required field.";
pub(crate) const NULL: &str = "Field may not be null.";
pub(crate) const NOT_TEXT: &str = "Not a valid string.";
pub(crate) const NOT_BOOLEAN: &str = "Not a valid boolean.";
pub(crate) const NOT_LIST: &str = "Not a valid list.";

impl Fields {
    /// Reads a document, off the threads that serve requests when it is long.
    pub(crate) async fn read(bytes: Vec<u8>) -> ApiResult<Self> {
        if bytes.len() <= SHORT {
            return Self::parse(&bytes);
        }
        tokio::task::spawn_blocking(move || Self::parse(&bytes)).await.map_err(anyhow::Error::from)?
    }

    fn parse(bytes: &[u8]) -> ApiResult<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| ApiError::BadRequest("JSONDecodeError: the body is not UTF-8".to_owned()))?;
        Self::of(read_json(text).map_err(|reason| ApiError::BadRequest(format!("JSONDecodeError: {reason}")))?)
    }

    pub(crate) fn of(value: Value) -> ApiResult<Self> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(ApiError::invalid("_schema", "Invalid input type.")),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// Refuses members that are not in `names`.
    pub(crate) fn only(&self, names: &[&str]) -> ApiResult<()> {
        let mut findings = Findings::default();
        for key in self.keys().filter(|key| !names.iter().any(|name| **key == **name)) {
            let name: String = key.spelled().chars().take(LONGEST_TOLD).collect();
            findings.take(Err::<(), _>(ApiError::invalid(&name, "Unknown field.")))?;
            if findings.is_full() {
                break;
            }
        }
        findings.end()
    }

    /// A member that must be there, and may be `null`.
    pub(crate) fn present(&self, name: &str) -> ApiResult<&Value> {
        self.get(name).ok_or_else(|| ApiError::invalid(name, REQUIRED))
    }

    /// A member that must be there and not `null`.
    pub(crate) fn required(&self, name: &str) -> ApiResult<&Value> {
        let value = self.present(name)?;
        if value.is_null() { Err(ApiError::invalid(name, NULL)) } else { Ok(value) }
    }

    /// A member that may be absent, but not `null`.
    pub(crate) fn optional(&self, name: &str) -> ApiResult<Option<&Value>> {
        if self.contains_key(name) { self.required(name).map(Some) } else { Ok(None) }
    }

    /// A member that may be absent or `null`.
    pub(crate) fn nullable(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> ApiResult<String> {
        text(name, self.required(name)?)
    }

    /// A text that may hold the character NUL.
    pub(crate) fn any_text(&self, name: &str) -> ApiResult<String> {
        any_text(name, self.required(name)?)
    }

    /// A text that is not empty.
    pub(crate) fn filled_text(&self, name: &str) -> ApiResult<String> {
        let value = self.text(name)?;
        if value.is_empty() { Err(ApiError::invalid(name, "Shorter than minimum length 1.")) } else { Ok(value) }
    }

    pub(crate) fn optional_text(&self, name: &str) -> ApiResult<Option<String>> {
        self.optional(name)?.map(|value| text(name, value)).transpose()
    }

    pub(crate) fn nullable_text(&self, name: &str) -> ApiResult<Option<String>> {
        self.nullable(name).map(|value| text(name, value)).transpose()
    }

    pub(crate) fn boolean(&self, name: &str) -> ApiResult<bool> {
        boolean(name, self.required(name)?)
    }

    pub(crate) fn optional_boolean(&self, name: &str) -> ApiResult<Option<bool>> {
        self.optional(name)?.map(|value| boolean(name, value)).transpose()
    }

    pub(crate) fn nullable_boolean(&self, name: &str) -> ApiResult<Option<bool>> {
        self.nullable(name).map(|value| boolean(name, value)).transpose()
    }

    /// A list of texts that may be absent or `null`.
    pub(crate) fn nullable_texts(&self, name: &str) -> ApiResult<Option<Vec<String>>> {
        let Some(value) = self.nullable(name) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| ApiError::invalid(name, NOT_LIST))?;
        let (mut texts, mut findings) = (Vec::with_capacity(items.len()), Findings::default());
        for (index, item) in items.iter().enumerate() {
            let reason = if item.is_null() { NULL } else { NOT_TEXT };
            let checked = match item {
                Value::String(_) => text(name, item),
                _ => Err(ApiError::Invalid(Mistakes::of_item(name, index, reason))),
            };
            texts.extend(findings.take(checked)?);
            if findings.is_full() {
                break;
            }
        }
        findings.end()?;
        Ok(Some(texts))
    }

    /// What `read` makes of the objects in a list, nothing when it is absent. What is wrong is told with its place.
    pub(crate) fn list<T>(&self, name: &str, read: impl Fn(&Self) -> ApiResult<T>) -> ApiResult<Vec<T>> {
        let Some(value) = self.optional(name)? else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| ApiError::invalid(name, "Invalid type."))?;
        if items.len() > MOST_ITEMS {
            return Err(ApiError::invalid(name, &format!("Longer than maximum length {MOST_ITEMS}.")));
        }
        let (mut values, mut findings) = (Vec::with_capacity(items.len()), Findings::default());
        for (index, item) in items.iter().enumerate() {
            let value = Self::of(item.clone()).and_then(|item| read(&item));
            values.extend(findings.take(value.map_err(|error| error.in_item(name, index)))?);
            if findings.is_full() {
                break;
            }
        }
        findings.end()?;
        Ok(values)
    }
}

fn any_text(name: &str, value: &Value) -> ApiResult<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| ApiError::invalid(name, NOT_TEXT))
}

/// MWDB stores no text with NUL: what it fails at is refused.
fn text(name: &str, value: &Value) -> ApiResult<String> {
    let text = any_text(name, value)?;
    if text.contains('\0') { Err(ApiError::invalid(name, HAS_NUL)) } else { Ok(text) }
}

fn boolean(name: &str, value: &Value) -> ApiResult<bool> {
    let known = match value {
        Value::Bool(value) => Some(*value),
        // Python's `1.0` and `-0.0` are equal to those.
        Value::Number(number) if number.as_f64().abs().total_cmp(&0.0).is_eq() => Some(false),
        Value::Number(number) if number.as_f64().total_cmp(&1.0).is_eq() => Some(true),
        Value::String(text) => boolean_text(text),
        _ => None,
    };
    known.ok_or_else(|| ApiError::invalid(name, NOT_BOOLEAN))
}

/// The spellings of true and false that the API takes as text.
pub(crate) fn boolean_text(text: &str) -> Option<bool> {
    match text {
        "t" | "T" | "true" | "True" | "TRUE" | "on" | "On" | "ON" | "y" | "Y" | "yes" | "Yes" | "YES" | "1" => Some(true),
        "f" | "F" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" | "n" | "N" | "no" | "No" | "NO" | "0" => Some(false),
        _ => None,
    }
}

/// A document that a client has written, or what is wrong with it.
pub(crate) fn read_json(text: &str) -> Result<Value, String> {
    let value = Value::parse_bounded(text, MOST_VALUES).map_err(|error| error.to_string())?;
    refuse_what_only_python_reads(&value)?;
    Ok(value)
}

/// `NaN` and infinities are no JSON, though Python reads and writes them. Halves of surrogate pairs may stand in
/// values, which have checks of their own; no client can read keys with them.
fn refuse_what_only_python_reads(value: &Value) -> Result<(), String> {
    match value {
        Value::Number(number) if !number.is_integer() && !number.as_f64().is_finite() => {
            Err(format!("{} is out of range", number.literal()))
        }
        Value::Array(items) => items.iter().try_for_each(refuse_what_only_python_reads),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| match key.as_str() {
            Some(_) => refuse_what_only_python_reads(value),
            None => Err(format!("object key is not Unicode text: {key}")),
        }),
        _ => Ok(()),
    }
}
