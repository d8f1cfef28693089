//! Strings as JSON spells them: what their escapes mean, lone surrogates included.
//!
//! The one rule: a string that is not Unicode has one canonical JSON text, so that equal strings have
//! equal texts.

use super::write::write_unit;

/// What a JSON string stands for.
pub(super) enum Unescaped {
    Text(String),
    /// Not Unicode: the canonical JSON text, quotes included.
    Unpaired(Box<str>),
}

/// Resolves the escapes between the quotes of a string that the reader has accepted.
pub(super) fn unescape(body: &str) -> Unescaped {
    if !body.contains('\\') {
        return Unescaped::Text(body.to_owned());
    }
    let units = units(body);
    match String::from_utf16(&units) {
        Ok(text) => Unescaped::Text(text),
        Err(_) => Unescaped::Unpaired(canonical(&units)),
    }
}

/// What stands between the quotes.
pub(super) fn body(json: &str) -> &str {
    json.strip_prefix('"').and_then(|json| json.strip_suffix('"')).unwrap_or(json)
}

/// The code points of a string, as Python counts them, from its JSON text.
pub(crate) fn code_points(json: &str) -> Vec<u32> {
    let decoded = char::decode_utf16(units(body(json)));
    decoded.map(|unit| unit.map_or_else(|lone| u32::from(lone.unpaired_surrogate()), u32::from)).collect()
}

/// The text of a string that is not Unicode, from its JSON text: each lone surrogate becomes U+FFFD.
///
/// ```
/// assert_eq!(karton_rs::json::lossy_text(r#""caf\udce9""#), "caf\u{fffd}");
/// ```
pub fn lossy_text(json: &str) -> String {
    String::from_utf16_lossy(&units(body(json)))
}

fn units(body: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(body.len());
    let mut rest = body.chars();
    let mut buffer = [0; 2];
    while let Some(character) = rest.next() {
        if character != '\\' {
            units.extend_from_slice(character.encode_utf16(&mut buffer));
            continue;
        }
        units.push(match rest.next() {
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => 10,
            Some('r') => 13,
            Some('t') => 9,
            // The reader has seen four digits.
            Some('u') => {
                rest.by_ref().take(4).filter_map(|digit| u16::try_from(digit.to_digit(16)?).ok()).fold(0, |unit, digit| unit << 4 | digit)
            }
            Some(plain) => {
                units.extend_from_slice(plain.encode_utf16(&mut buffer));
                continue;
            }
            None => break,
        });
    }
    units
}

fn canonical(units: &[u16]) -> Box<str> {
    let mut out = String::with_capacity(units.len() + 2);
    out.push('"');
    for unit in units {
        write_unit(&mut out, *unit);
    }
    out.push('"');
    out.into()
}
