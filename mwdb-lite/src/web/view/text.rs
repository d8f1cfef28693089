//! Text that strangers wrote, made safe and visible.
//!
//! The one rule: whatever comes from a sample, a user or a service reaches a template as a [`Text`].
//! It escapes itself, and characters that would hide, reorder or fake something show as their code.

use std::fmt::{self, Write as _};

use askama::{FastWritable, NO_VALUES, Values, filters::HtmlSafe};

/// How much of a name a table shows.
const SHORT: usize = 120;

/// One line of untrusted text: line breaks and tabs show as marks, too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it came, for comparisons.
    pub(crate) fn raw(&self) -> &str {
        &self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The start of it, for tables.
    pub(crate) fn short(&self) -> Self {
        clip(&self.0, SHORT).map_or_else(|| self.clone(), |start| Self(format!("{start}…")))
    }

    /// Without markup, for attributes: marks are written as `<U+202E>` and the template escapes the rest.
    pub(crate) fn plain(&self) -> String {
        let mut out = String::new();
        for character in self.0.chars().take(4 * SHORT) {
            match mark(character, false) {
                Some(code) => {
                    let _ = write!(out, "<{code}>");
                }
                None => out.push(character),
            }
        }
        out
    }

    /// For a hidden field of a form: text goes through it unchanged, whatever it holds.
    pub(crate) fn field(&self) -> String {
        encode_field(&self.0)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_visible(f, &self.0, false)
    }
}

impl FastWritable for Text {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(write_visible(dest, &self.0, false)?)
    }
}

impl HtmlSafe for Text {}

/// Untrusted text of several lines, for `<pre>`: bounded, line breaks and tabs are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    text: String,
    /// Not all of it is here.
    pub(crate) clipped: bool,
}

impl Block {
    /// At most `limit` bytes of `text`.
    pub(crate) fn new(text: &str, limit: usize) -> Self {
        clip(text, limit)
            .map_or_else(|| Self { text: text.to_owned(), clipped: false }, |start| Self { text: start.to_owned(), clipped: true })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FastWritable::write_into(self, f, NO_VALUES).map_err(|_| fmt::Error)
    }
}

impl FastWritable for Block {
    fn write_into(&self, dest: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        // An HTML parser drops the first line break of a <pre>.
        if self.text.starts_with('\n') {
            dest.write_char('\n')?;
        }
        Ok(write_visible(dest, &self.text, true)?)
    }
}

impl HtmlSafe for Block {}

/// The first `limit` bytes, cut between characters; nothing when all of it fits.
fn clip(text: &str, limit: usize) -> Option<&str> {
    (text.len() > limit).then(|| &text[..text.floor_char_boundary(limit)])
}

fn write_visible(out: &mut (impl fmt::Write + ?Sized), text: &str, lines: bool) -> fmt::Result {
    let mut start = 0;
    for (at, character) in text.char_indices() {
        let entity = match character {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            '"' => "&quot;",
            '\'' => "&#39;",
            _ => match mark(character, lines) {
                None => continue,
                Some(code) => {
                    write!(out, "{}<span class=ctl>{code}</span>", &text[start..at])?;
                    start = at + character.len_utf8();
                    continue;
                }
            },
        };
        write!(out, "{}{entity}", &text[start..at])?;
        start = at + character.len_utf8();
    }
    out.write_str(&text[start..])
}

/// What to show in place of a character that shows nothing itself or moves others.
fn mark(character: char, lines: bool) -> Option<String> {
    let code = u32::from(character);
    match character {
        '\n' | '\t' if lines => None,
        '\t' => Some("TAB".to_owned()),
        '\n' => Some("LF".to_owned()),
        '\r' => Some("CR".to_owned()),
        '\0' => Some("NUL".to_owned()),
        _ if character.is_control() || is_invisible(code) => Some(format!("U+{code:04X}")),
        _ => None,
    }
}

/// Direction marks and overrides, zero-width and filler characters, separators, tag characters,
/// private use and noncharacters.
fn is_invisible(code: u32) -> bool {
    matches!(
        code,
        0x00AD
            | 0x034F
            | 0x061C
            | 0x115F
            | 0x1160
            | 0x17B4
            | 0x17B5
            | 0x180B..=0x180F
            | 0x200B..=0x200F
            | 0x2028..=0x202E
            | 0x2060..=0x206F
            | 0x2800
            | 0x3164
            | 0xE000..=0xF8FF
            | 0xFDD0..=0xFDEF
            | 0xFEFF
            | 0xFFA0
            | 0xFFF0..=0xFFFB
            | 0xFFFE
            | 0xFFFF
            | 0xE0000..=0xE0FFF
            | 0xF0000..=0x0010_FFFF
    )
}

/// Percent-encodes everything but letters, digits and `-._`: the inverse is [`decode_field`].
pub(crate) fn encode_field(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Reads back [`encode_field`]; nothing when that is not what the text is.
pub(crate) fn decode_field(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// `1.5 MiB`, with the exact number kept for the hint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    /// `1,572,864 bytes`
    pub(crate) fn exact(self) -> String {
        format!("{} byte{}", group_digits(self.0), if self.0 == 1 { "" } else { "s" })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        // The unit in which the rounded number stays below 1024.
        let mut tenths = u128::from(self.0) * 10;
        let mut unit = 0;
        loop {
            tenths = (tenths + 512) / 1024;
            if tenths < 10_235 || unit == UNITS.len() - 1 {
                break;
            }
            unit += 1;
        }
        if tenths < 1000 {
            write!(f, "{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
        } else {
            write!(f, "{} {}", (tenths + 5) / 10, UNITS[unit])
        }
    }
}

/// `1,234 characters`
#[derive(Clone, Copy, Debug)]
pub(crate) struct Characters(pub(crate) u64);

impl fmt::Display for Characters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} character{}", group_digits(self.0), if self.0 == 1 { "" } else { "s" })
    }
}

/// `1234567` as `1,234,567`.
pub(super) fn group_digits(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_controls_become_visible() {
        let text = Text::new("<script>\"a\" & 'b'\u{202e}exe\0\n");
        assert_eq!(
            text.to_string(),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;<span class=ctl>U+202E</span>exe<span class=ctl>NUL</span><span class=ctl>LF</span>"
        );
        assert_eq!(Text::new("a\u{202e}b\t").plain(), "a<U+202E>b<TAB>");
    }

    #[test]
    fn a_block_keeps_lines_and_is_cut_between_characters() {
        let block = Block::new("\na\tä\u{1b}[1m", 200);
        assert_eq!(block.to_string(), "\n\na\tä<span class=ctl>U+001B</span>[1m");
        assert!(!block.clipped);
        let cut = Block::new("aää", 2);
        assert_eq!(cut.to_string(), "a");
        assert!(cut.clipped);
    }

    #[test]
    fn long_names_are_shortened() {
        assert_eq!(Text::new("ä".repeat(5000)).short().raw().chars().count(), SHORT / 2 + 1);
        assert_eq!(Text::new("short").short().raw(), "short");
    }

    #[test]
    fn fields_survive_a_round_trip() {
        for text in ["", "plain", "a b%\0\r\n\u{202e}ä\"'&", "%41"] {
            assert_eq!(decode_field(&encode_field(text)).as_deref(), Some(text));
        }
        assert_eq!(decode_field("%4"), None);
        assert_eq!(decode_field("%ff"), None);
    }

    #[test]
    fn sizes_are_readable() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (u64::MAX, "16.0 EiB"),
            (250 << 20, "250 MiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Size(bytes).to_string(), text);
        }
        assert_eq!(Size(1_234_567).exact(), "1,234,567 bytes");
        assert_eq!(Size(1).exact(), "1 byte");
    }
}
