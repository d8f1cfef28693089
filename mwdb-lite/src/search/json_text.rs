//! JSON as the text that patterns are compared with, and that the index holds. See MWDB search §S6.3.
//!
//! Pure. Keys are ordered by length and bytes; in strings only `"` and `\` are escaped, so that every
//! character that a person can type stands for itself; numbers have no exponent.

use karton_rs::json::{Number, Value, lossy_text};

/// Appends the text of a value.
pub(crate) fn write(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_quoted(out, text),
        Value::Unpaired(json) => write_quoted(out, &lossy_text(json)),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| (key.spelled().len(), *key));
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_quoted(out, key.spelled());
                out.push_str(": ");
                write(out, member);
            }
            out.push('}');
        }
    }
}

fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    text.chars().for_each(|character| write_character(character, out));
    out.push('"');
}

/// A character of a string.
pub(crate) fn write_character(character: char, out: &mut String) {
    if matches!(character, '"' | '\\') {
        out.push('\\');
    }
    out.push(character);
}

/// A backslash is doubled, a quotation mark may be one of the structure.
pub(crate) fn write_structural(character: char, out: &mut String) {
    if character == '\\' {
        out.push('\\');
    }
    out.push(character);
}

/// The number in digits: `1e5` is `100000`.
pub(crate) fn write_number(out: &mut String, number: &Number) {
    let literal = number.literal();
    let (unsigned, negative) = literal.strip_prefix('-').map_or((literal, false), |unsigned| (unsigned, true));
    let split = unsigned.split_once(['e', 'E']).and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?)));
    // A double has no more digits than this; longer ones are written as they are.
    let Some((digits, exponent)) = split.filter(|(_, exponent)| exponent.abs() <= 400) else {
        let zero = negative && unsigned.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        out.push_str(if zero { unsigned } else { literal });
        return;
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).unwrap_or(i32::MAX).saturating_add(exponent);
    if negative {
        out.push('-');
    }
    match usize::try_from(point) {
        Ok(point) if point >= all.len() => {
            out.push_str(&all);
            out.extend(std::iter::repeat_n('0', point - all.len()));
        }
        Ok(point) if point > 0 => {
            out.push_str(&all[..point]);
            out.push('.');
            out.push_str(&all[point..]);
        }
        _ => {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', usize::try_from(-point).unwrap_or(0)));
            out.push_str(&all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        let mut out = String::new();
        write(&mut out, &Value::parse(json).expect("JSON"));
        out
    }

    #[test]
    fn keys_are_ordered_by_length_first() {
        assert_eq!(text(r#"{"v10": [1, {"a": null}], "v9": true, "a": "x"}"#), r#"{"a": "x", "v9": true, "v10": [1, {"a": null}]}"#);
    }

    #[test]
    fn strings_keep_their_characters() {
        assert_eq!(text(r#""a\n\u0105\u0000\"\\""#), "\"a\n\u{105}\0\\\"\\\\\"");
        assert_eq!(text(r#""x\ud800\ud83d\ude00\t""#), "\"x\u{fffd}😀\t\"");
    }

    #[test]
    fn numbers_have_no_exponent() {
        let cases = [
            ("1e5", "100000"),
            ("1e+22", "10000000000000000000000"),
            ("1.5e-07", "0.00000015"),
            ("12.5e1", "125"),
            ("1.25e1", "12.5"),
            ("-1e-2", "-0.01"),
            ("-0.0", "0.0"),
            ("-5", "-5"),
            ("100.0", "100.0"),
        ];
        for (json, expected) in cases {
            assert_eq!(text(json), expected, "{json}");
        }
    }
}
