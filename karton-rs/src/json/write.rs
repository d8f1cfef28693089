//! The writer: the bytes of Python's `json.dumps(…, sort_keys=True)`.

use std::fmt::Write as _;

use super::{Key, Number, Value, python};

/// Appends the JSON text of `value` with sorted keys and everything outside ASCII escaped.
pub fn write_sorted(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Unpaired(json) => out.push_str(json),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_sorted(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            write_members(out, map.iter().collect());
        }
    }
}

/// Appends an object of these members, sorted by key.
pub(crate) fn write_members(out: &mut String, mut members: Vec<(&Key, &Value)>) {
    members.sort_unstable_by_key(|(key, _)| *key);
    out.push('{');
    for (index, (key, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_key(out, key);
        out.push_str(": ");
        write_sorted(out, value);
    }
    out.push('}');
}

fn write_number(out: &mut String, number: &Number) {
    if number.is_integer() {
        out.push_str(if number.literal() == "-0" { "0" } else { number.literal() });
        return;
    }
    let value = number.as_f64();
    if value.is_finite() {
        out.push_str(&python::float_text(value));
    } else if value.is_nan() {
        out.push_str("NaN");
    } else {
        out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
}

/// Appends a key as a JSON string.
pub fn write_key(out: &mut String, key: &Key) {
    match key {
        Key::Text(text) => write_string(out, text),
        Key::Unpaired(json) => out.push_str(json),
    }
}

/// Appends a JSON string.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // All bytes of a character outside ASCII are outside the plain range, and the first is met first.
    while let Some(at) = rest.bytes().position(|byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = special.chars();
        let mut units = [0; 2];
        for unit in characters.next().map(|character| &*character.encode_utf16(&mut units)).unwrap_or_default() {
            write_unit(out, *unit);
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// One UTF-16 unit inside a JSON string.
pub(super) fn write_unit(out: &mut String, unit: u16) {
    match unit {
        0x22 => out.push_str("\\\""),
        0x5c => out.push_str("\\\\"),
        0x08 => out.push_str("\\b"),
        0x0c => out.push_str("\\f"),
        0x0a => out.push_str("\\n"),
        0x0d => out.push_str("\\r"),
        0x09 => out.push_str("\\t"),
        0x20..=0x7e => out.push(char::from(unit.to_le_bytes()[0])),
        _ => {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
}
