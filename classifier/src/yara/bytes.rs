//! Bytes of a rule file that are no UTF-8: YARA takes a file for bytes, its successor for text.
//!
//! The one rule: only such bytes are rewritten, and **what a rule matches stays the same**: in strings and
//! regular expressions they become escapes, in comments anything will do, and elsewhere no rule can have them.

use std::borrow::Cow;

/// Where in a rule file a byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    LineComment,
    Comment,
    /// A text or a regular expression, which ends at this byte.
    Literal(u8),
}

/// The file as text, with line breaks where they were. What cannot be rewritten is left, and told of by the compiler.
pub(super) fn as_text(file: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(file).is_ok() {
        return Cow::Borrowed(file);
    }
    let mut text = Vec::with_capacity(file.len() + 64);
    let mut place = Place::Code;
    let (mut before, mut escaped) = (0, false);
    for chunk in file.utf8_chunks() {
        for &byte in chunk.valid().as_bytes() {
            let after_backslash = std::mem::take(&mut escaped);
            let was = place;
            place = match (place, byte) {
                (Place::Code, b'"') => Place::Literal(b'"'),
                // YARA divides with a backslash: a slash begins an expression, unless the next sign makes it a comment.
                (Place::Code, b'/') => Place::Literal(b'/'),
                (Place::Literal(b'/'), b'/') if before == b'/' => Place::LineComment,
                (Place::Literal(b'/'), b'*') if before == b'/' => Place::Comment,
                (Place::LineComment, b'\n') => Place::Code,
                (Place::Comment, b'/') if before == b'*' => Place::Code,
                (Place::Literal(end), byte) if !after_backslash && byte == end => Place::Code,
                (place, _) => place,
            };
            escaped = matches!(was, Place::Literal(_)) && byte == b'\\' && !after_backslash;
            // A sign that has ended or begun something begins nothing else; only the slash of an expression may.
            before = if was == place || (was, place) == (Place::Code, Place::Literal(b'/')) { byte } else { 0 };
            text.push(byte);
        }
        for &byte in chunk.invalid() {
            let after_backslash = std::mem::take(&mut escaped);
            before = 0;
            match (place, after_backslash) {
                (Place::Literal(_), false) => text.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
                // The backslash is there, and means the byte itself.
                (Place::Literal(b'/'), true) => text.extend_from_slice(format!("x{byte:02x}").as_bytes()),
                (Place::LineComment | Place::Comment, _) => text.push(b'?'),
                _ => text.push(byte),
            }
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(file: &[u8]) -> String {
        as_text(file).escape_ascii().to_string()
    }

    #[test]
    fn bytes_become_escapes_where_they_mean_something() {
        for (file, expected) in [
            (&b"// \xe9\n\"\xe9\""[..], r#"// ?\n\"\\xe9\""#),
            (b"/* \" \xe9 */ /\xe9[\xe0-\xe9]/i", r#"/* \" ? */ /\\xe9[\\xe0-\\xe9]/i"#),
            // Neither a quote nor a slash ends what it is escaped in, nor begins a comment there.
            (b"\"\\\"// \xe9\" // \xe9", r#"\"\\\"// \\xe9\" // ?"#),
            (b"/a\\/\\\xe9/ /* /\xe9 **/ \"/*\xe9\"", r#"/a\\/\\xe9/ /* /? **/ \"/*\\xe9\""#),
            (b"/a/ // /\xe9\n/*/\xe9*/\"\xe9\"", r#"/a/ // /?\n/*/?*/\"\\xe9\""#),
            // Text is left alone, and so is what no rule can have.
            ("\"\u{e9}\" // \u{e9}".as_bytes(), r#"\"\xc3\xa9\" // \xc3\xa9"#),
            (b"rule caf\xe9 { } \"\\\xe9\"", r#"rule caf\xe9 { } \"\\\xe9\""#),
        ] {
            assert_eq!(rewritten(file), expected);
        }
    }
}
