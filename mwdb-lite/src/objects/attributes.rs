//! Values of attributes. See MWDB API §O9.2.

use std::fmt::Write as _;

use karton_rs::json::{Number, Value, write_key, write_string};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    Kind, access, room,
    text::{self, Nul, trimmed},
    views::json_text,
};
use crate::{
    auth::{Caller, Capability},
    db::attributes::{self as db, Right},
    error::{ApiError, ApiResult},
};

#[derive(Debug, Serialize)]
pub(crate) struct AttributeItem {
    id: i64,
    key: String,
    value: Box<RawValue>,
}

/// Trimmed and lower-cased; `[a-z0-9_-]{1,32}`.
pub(crate) fn normalise_key(key: &str) -> ApiResult<String> {
    let normal = trimmed(key).to_lowercase();
    let fits = (1..=32).contains(&normal.len()) && normal.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if fits {
        Ok(normal)
    } else {
        Err(ApiError::invalid("key", "Key should contain max 32 chars and include only letters, digits, underscores and dashes"))
    }
}

/// A value that says something, and that every client can read.
pub(crate) fn check_value(value: &Value) -> ApiResult<()> {
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if empty {
        return Err(ApiError::invalid("value", "Value shouldn't be empty"));
    }
    text::check_json("value", value, Nul::Refused)
}

/// Missing and not allowed are the same to the client.
pub(crate) fn not_settable(key: &str) -> ApiError {
    ApiError::NotFound(format!("Attribute key '{key}' is not defined or you have insufficient permissions to set it"))
}

pub(crate) fn items(c: &Connection, caller: &Caller, object_id: i64, hidden: bool) -> ApiResult<Vec<AttributeItem>> {
    let rows = db::values(c, caller, object_id, hidden)?;
    rows.into_iter().map(|row| Ok(AttributeItem { id: row.id, key: row.key, value: json_text(row.value)? })).collect()
}

pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, hidden: bool) -> ApiResult<Vec<AttributeItem>> {
    let object = access::find(c, caller, kind, hash)?;
    items(c, caller, object.id, hidden)
}

pub(crate) fn add(
    c: &Connection,
    caller: &Caller,
    kind: Option<Kind>,
    hash: &str,
    key: &str,
    value: &Value,
) -> ApiResult<Vec<AttributeItem>> {
    let object = access::find(c, caller, kind, hash)?;
    if !db::has(c, caller, Right::Set, key)? {
        return Err(not_settable(key));
    }
    put(c, object.id, [(key, value)])?;
    items(c, caller, object.id, false)
}

/// Adds values to an object, as far as there is room for them.
pub(crate) fn put<'a>(c: &Connection, object_id: i64, values: impl IntoIterator<Item = (&'a str, &'a Value)>) -> ApiResult<()> {
    let mut added = false;
    for (key, value) in values {
        added |= db::insert_value(c, object_id, key, &value.to_json(), &digest(value))?;
    }
    if added { room::for_attributes(c, object_id) } else { Ok(()) }
}

pub(crate) fn remove(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, id: i64) -> ApiResult<()> {
    let missing = || ApiError::NotFound("Attribute doesn't exist or you have insufficient permissions to remove it".to_owned());
    caller.require(Capability::RemovingAttributes)?;
    let object = access::find(c, caller, kind, hash)?;
    let key = db::value_key(c, object.id, id)?.ok_or_else(missing)?;
    if !db::has(c, caller, Right::Set, &key)? {
        return Err(missing());
    }
    Ok(db::delete_value(c, id)?)
}

/// Equal values have equal digests: order of keys and spelling of numbers do not count.
pub(crate) fn digest(value: &Value) -> [u8; 32] {
    let mut text = String::new();
    canonical(&mut text, value);
    Sha256::digest(text.as_bytes()).into()
}

fn canonical(out: &mut String, value: &Value) {
    match value {
        Value::Number(number) => canonical_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(out, item);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (key, member) in members {
                write_key(out, key);
                out.push(':');
                canonical(out, member);
                out.push(',');
            }
            out.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Unpaired(_) => out.push_str(&value.to_json()),
    }
}

fn canonical_number(out: &mut String, number: &Number) {
    if number.is_integer() {
        out.push_str(if number.literal() == "-0" { "0" } else { number.literal() });
        return;
    }
    let float = number.as_f64();
    // A whole double has an exact decimal expansion, the spelling of the equal integer.
    let _ = if float == 0.0 {
        write!(out, "0")
    } else if float.fract() == 0.0 {
        write!(out, "{float:.0}")
    } else {
        write!(out, "{float}")
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let parse = |text| Value::parse(text).expect("JSON");
        digest(&parse(one)) == digest(&parse(other))
    }

    #[test]
    fn equal_values_are_recognised() {
        assert!(same("0", "0.0"));
        assert!(same("100", "1e2"));
        assert!(same(r#"{"a": 1, "b": [2]}"#, r#"{"b": [2.0], "a": 1}"#));
        assert!(!same("0", "false"));
        assert!(!same("[1, 2]", "[2, 1]"));
        assert!(!same("\"1\"", "1"));
        assert!(!same("123456789012345678901", "123456789012345678902"));
    }
}
