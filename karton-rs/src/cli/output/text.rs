//! Text for terminals: escaped, and cut to a width.
//!
//! The one rule: nothing that acts on a terminal passes [`escape`], and what is cut ends with a sign of that.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Text without anything that moves a cursor, changes a colour, hides or reorders what is read.
pub(in crate::cli) fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if acts(c) && u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if acts(c) => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// As [`escape`], for text of several lines.
pub(in crate::cli) fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// As [`escape`], for bytes that may be no text.
pub(in crate::cli) fn escape_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&escape(chunk.valid()));
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out
}

fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The beginning of a text that fits into `width` columns, with a sign that something is missing.
pub(in crate::cli) fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut kept = String::new();
    for character in text.chars() {
        let columns = character.width().unwrap_or(0);
        if used + columns + 1 > width {
            break;
        }
        used += columns;
        kept.push(character);
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// A name in `width` columns: what stands before its first dot is left out before its end is.
pub(in crate::cli) fn cut_name(text: &str, width: usize) -> Cow<'_, str> {
    match text.split_once('.') {
        Some((_, own)) if text.width() > width && width > 1 => Cow::Owned(cut(&format!("…{own}"), width).into_owned()),
        _ => cut(text, width),
    }
}

/// The end of a text that fits into `width` columns, with a sign that something is missing.
pub(super) fn cut_start(text: &str, width: usize) -> Cow<'_, str> {
    let mut spare = text.width().saturating_sub(width);
    if spare == 0 {
        return Cow::Borrowed(text);
    }
    // For the sign.
    spare += 1;
    let kept = text.char_indices().find(|(_, character)| {
        let enough = spare == 0;
        spare = spare.saturating_sub(character.width().unwrap_or(0));
        enough
    });
    Cow::Owned(format!("…{}", kept.map_or("", |(at, _)| &text[at..])))
}

/// The beginning of a uid, which the commands take as well. What is no such uid is cut as any text.
pub(in crate::cli) fn cut_uid(text: &str, width: usize) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if plain && text.len() > width { Cow::Borrowed(&text[..width]) } else { cut(text, width) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_passes() {
        assert_eq!(escape("plain ünïcödé 漢"), "plain ünïcödé 漢");
        assert_eq!(escape("\x1b[2Jgone\x07\r\n\t"), "\\x1b[2Jgone\\x07\\r\\n\\t");
        assert_eq!(escape("exe.\u{202e}txt\u{9b}31m"), "exe.\\u{202e}txt\\x9b31m");
        assert_eq!(escape_bytes(b"a\xff\x1b"), "a\\xff\\x1b");
    }
}
