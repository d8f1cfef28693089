//! Recognises scripts and pages by the words they use.
//!
//! The one rule: words are only looked for in text that **decodes without a single error**; whatever does not
//! is left to the rules that follow. Words are lower case, and a blank at the end of one is part of it.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1254};

use super::shifts;

const ESCAPE: u8 = 0x1B;

/// A language, as it shows in lower-cased text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// A web page.
    Html,
    /// Visual Basic Script.
    Vbs,
    /// `PowerShell`.
    PowerShell,
    /// `JavaScript`.
    Js,
    /// Encoded `JScript`.
    EncodedJs,
}

const HTML_WORDS: &[&str] = &["<!doctype", "<html", "<script"];
const VBS_WORDS: &[&str] = &["end function", "end if", "array(", "sub ", "on error ", "createobject", "execute"];
const POWERSHELL_WORDS: &[&str] =
    &["powershell", "-nop", "bypass", "new-object", "invoke-expression", "frombase64string(", "| iex", "|iex"];
const JS_WORDS: &[&str] = &["function ", "function(", "this.", "this[", "new ", "createobject", "activexobject", "var ", "catch"];

impl Script {
    /// Whether lower-cased text looks like it.
    pub(crate) fn is_in(self, text: &str) -> bool {
        let (words, enough) = self.words();
        match self {
            Self::EncodedJs => is_encoded_js(text.as_bytes()),
            _ => words.iter().filter(|word| text.contains(**word)).take(enough).count() == enough,
        }
    }

    /// The words, and how many of them are enough.
    pub(super) fn words(self) -> (&'static [&'static str], usize) {
        match self {
            Self::Html => (HTML_WORDS, 2),
            Self::Vbs => (VBS_WORDS, 2),
            Self::PowerShell => (POWERSHELL_WORDS, 1),
            Self::Js => (JS_WORDS, 2),
            Self::EncodedJs => (&[], 0),
        }
    }
}

/// `#@~^`, a length in six characters of base64, `==`.
fn is_encoded_js(text: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.starts_with(b"#@~^") && text.get(10..12) == Some(b"==") && text[4..10].iter().all(is_base64)
}

/// Decodes to lower-cased text; nothing when the encoding is not known for sure.
pub(crate) fn decode(part: &[u8]) -> Option<String> {
    if part.is_empty() {
        return None;
    }
    Some(decode_strictly(part)?.to_lowercase())
}

fn decode_strictly(part: &[u8]) -> Option<Cow<'_, str>> {
    // The mark of UTF-32 begins like the one of UTF-16.
    if let Some(text) = part.strip_prefix(&[0xFF, 0xFE, 0, 0]) {
        return decode_utf32(text, u32::from_le_bytes).map(Cow::from);
    }
    if let Some(text) = part.strip_prefix(&[0, 0, 0xFE, 0xFF]) {
        return decode_utf32(text, u32::from_be_bytes).map(Cow::from);
    }
    for (mark, encoding) in [(&[0xEF, 0xBB, 0xBF][..], UTF_8), (&[0xFF, 0xFE], UTF_16LE), (&[0xFE, 0xFF], UTF_16BE)] {
        if let Some(text) = part.strip_prefix(mark) {
            return encoding.decode_without_bom_handling_and_without_replacement(text);
        }
    }
    if part.is_ascii() {
        // With a mark of an encoding that shifts it is that encoding or nothing.
        return if shifts::are_in(part) { shifts::decode(part).map(Cow::from) } else { std::str::from_utf8(part).ok().map(Cow::from) };
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(part, true);
    // Text in UTF-8 has no use for characters that shift.
    let utf8 = if part.iter().any(|byte| matches!(*byte, 0x0E | 0x0F | ESCAPE)) { Utf8Detection::Deny } else { Utf8Detection::Allow };
    let mut encoding = detector.guess(None, utf8);
    // In binary data the guess is chance, mostly of a code page in which every byte is a character. Karton's
    // classifier takes Western ones there, which a few bytes disprove.
    if encoding.is_single_byte() && part.contains(&0) {
        encoding = WINDOWS_1252;
    }
    // Python takes Chinese text for GB 2312, which has fewer characters than what was made of it.
    if [GBK, GB18030].contains(&encoding) && !shifts::stays_in_gb2312(part) {
        return None;
    }
    if part.iter().any(|byte| undefined(encoding).contains(byte)) {
        return None;
    }
    encoding.decode_without_bom_handling_and_without_replacement(part)
}

/// Bytes without a meaning in a code page; the WHATWG tables give them one (control characters).
fn undefined(encoding: &'static Encoding) -> &'static [u8] {
    let table: [(&Encoding, &[u8]); 4] = [
        (WINDOWS_1250, &[0x81, 0x83, 0x88, 0x90, 0x98]),
        (WINDOWS_1251, &[0x98]),
        (WINDOWS_1252, &[0x81, 0x8D, 0x8F, 0x90, 0x9D]),
        (WINDOWS_1254, &[0x81, 0x8D, 0x8E, 0x8F, 0x90, 0x9D, 0x9E]),
    ];
    table.into_iter().find(|(name, _)| *name == encoding).map_or(&[], |(_, bytes)| bytes)
}

fn decode_utf32(bytes: &[u8], read: fn([u8; 4]) -> u32) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return None;
    }
    units.iter().map(|unit| char::from_u32(read(*unit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_decides_the_encoding() {
        let expected = Some("Ünîcode".to_lowercase());
        let utf16: Vec<u16> = "Ünîcode".encode_utf16().collect();
        let utf16_le: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let utf16_be: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let utf32_le: Vec<u8> = "Ünîcode".chars().flat_map(|unit| u32::from(unit).to_le_bytes()).collect();
        let utf32_be: Vec<u8> = "Ünîcode".chars().flat_map(|unit| u32::from(unit).to_be_bytes()).collect();
        assert_eq!(decode(&[b"\xEF\xBB\xBF", "Ünîcode".as_bytes()].concat()), expected);
        assert_eq!(decode(&[b"\xFF\xFE", &utf16_le[..]].concat()), expected);
        assert_eq!(decode(&[b"\xFE\xFF", &utf16_be[..]].concat()), expected);
        assert_eq!(decode(&[b"\xFF\xFE\0\0", &utf32_le[..]].concat()), expected);
        assert_eq!(decode(&[b"\0\0\xFE\xFF", &utf32_be[..]].concat()), expected);
    }

    #[test]
    fn one_bad_unit_disables_the_heuristics() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode(b"\xEF\xBB\xBFpowershell \xFF"), None);
        assert_eq!(decode(b"\xFF\xFEp\0o\0w"), None, "half a unit");
        assert_eq!(decode(b"\xFF\xFE\0\xD8p\0"), None, "half a surrogate pair");
        assert_eq!(decode(b"\0\0\xFE\xFF\0\x11\0\0"), None, "beyond Unicode");
        assert_eq!(decode(b"powershell \x1B[31m"), None, "a shift to nowhere");
        assert_eq!(decode(b"powershell ~{ "), None, "a shift to nowhere");
        assert_eq!(decode(b"powershell \0 \x81\xE5\xE5 \xC7\xE5\xD3"), None, "binary data in no Western code page");
        assert_eq!(decode("powershell Łódź \u{F}".as_bytes()), None, "not UTF-8, and no such byte in Windows-1252");
        assert_eq!(decode(b"the caf\xE9 of powershell is not undefined: \x81"), None, "no such byte in Windows-1252");
    }

    #[test]
    fn seven_bit_text_that_shifts_is_decoded() {
        assert_eq!(decode(b"POWERSHELL \x1B$B$\"$$\x1B(B").as_deref(), Some("powershell あい"));
        assert_eq!(decode(b"POWERSHELL ~{VPND~}").as_deref(), Some("powershell 中文"));
        assert_eq!(decode(b"\x1B$)CPOWERSHELL \x0EGQ1[\x0F").as_deref(), Some("powershell 한글"));
    }

    #[test]
    fn chinese_text_is_decoded_within_gb_2312() {
        let encoded = |text: &str| GBK.encode(text).0.into_owned();
        let simplified = "你好，世界！这是一段普通的中文文字，它谈论天气，并说明天会下雨。powershell 运行程序。";
        assert_eq!(decode(&encoded(simplified)).as_deref(), Some(simplified));
        let traditional = "你好，世界！這是一段普通的中文文字，它談論天氣，並說明天會下雨。powershell 執行程式。";
        assert_eq!(decode(&encoded(traditional)), None);
    }

    #[test]
    fn words_count_once_and_need_their_blank() {
        assert!(!Script::Vbs.is_in("sub sub sub "));
        assert!(Script::Vbs.is_in("sub x\nend if"));
        assert!(!Script::Vbs.is_in("substance\nend if"));
        assert!(Script::PowerShell.is_in("a |iex"));
    }

    #[test]
    fn an_encoded_script_is_known_by_its_first_twelve_characters() {
        assert!(Script::EncodedJs.is_in("#@~^aa+/9z==rest"));
        assert!(!Script::EncodedJs.is_in(" #@~^aa+/9z=="));
        assert!(!Script::EncodedJs.is_in("#@~^aa+-9z=="));
        assert!(!Script::EncodedJs.is_in("#@~^aa"));
    }
}
