//! How Python compares and prints JSON values; filters and the hash of a config depend on it.

use std::fmt::Write as _;

use super::{Key, Number, Value, escapes::code_points};

/// Python's `==`.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    use std::cmp::Ordering::Equal;
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Number(left), Value::Number(right)) => left.python_cmp(right) == Some(Equal),
        (Value::Bool(flag), Value::Number(number)) | (Value::Number(number), Value::Bool(flag)) => {
            number.python_cmp(&Number::from(i64::from(*flag))) == Some(Equal)
        }
        (Value::String(left), Value::String(right)) => left == right,
        (Value::Unpaired(left), Value::Unpaired(right)) => left == right,
        (Value::Array(left), Value::Array(right)) => left == right,
        (Value::Object(left), Value::Object(right)) => left == right,
        _ => false,
    }
}

/// Python's `str(value)`: a string is itself, everything else its literal form.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Unpaired(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => literal(value),
    }
}

/// Python's `repr(value)`: `None`, `True`, `['x', 1]`, `{'k': 1.0}`.
pub fn literal(value: &Value) -> String {
    let mut out = String::new();
    write_literal(&mut out, value);
    out
}

fn write_literal(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_quoted(out, text.chars().map(u32::from)),
        Value::Unpaired(json) => write_quoted(out, code_points(json).into_iter()),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_literal(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                match key {
                    Key::Text(text) => write_quoted(out, text.chars().map(u32::from)),
                    Key::Unpaired(json) => write_quoted(out, code_points(json).into_iter()),
                }
                out.push_str(": ");
                write_literal(out, item);
            }
            out.push('}');
        }
    }
}

fn write_quoted(out: &mut String, code_points: impl Iterator<Item = u32> + Clone) {
    let has = |quote: char| code_points.clone().any(|code| code == u32::from(quote));
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    out.push(quote);
    for code in code_points {
        // Writing to a String cannot fail.
        let _ = match char::from_u32(code) {
            Some('\\') => out.write_str("\\\\"),
            Some('\n') => out.write_str("\\n"),
            Some('\r') => out.write_str("\\r"),
            Some('\t') => out.write_str("\\t"),
            Some(c) if c == quote => write!(out, "\\{c}"),
            Some(_) if code < 0x20 || (0x7f..0xa1).contains(&code) || code == 0xad => write!(out, "\\x{code:02x}"),
            Some(c) => out.write_char(c),
            None => write!(out, "\\u{code:04x}"),
        };
    }
    out.push(quote);
}

/// `str()` of a number.
pub(super) fn number_text(number: &Number) -> String {
    if number.is_integer() {
        let literal = number.literal();
        return if literal == "-0" { "0" } else { literal }.to_owned();
    }
    let value = number.as_f64();
    if value.is_nan() {
        "nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else {
        float_text(value)
    }
}

/// Python's `repr` of a finite float: the shortest digits that read back as the same double, in
/// positional notation for exponents from -4 to 15.
pub(crate) fn float_text(value: f64) -> String {
    let positional = value == 0.0 || (1e-4..1e16).contains(&value.abs());
    if positional {
        let text = value.to_string();
        return if text.contains('.') { text } else { text + ".0" };
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}
