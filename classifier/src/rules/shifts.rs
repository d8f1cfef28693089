//! Decodes seven-bit text that shifts into a character set of pairs: HZ (RFC 1843), ISO-2022-KR (RFC 1557) and
//! ISO-2022-JP (RFC 1468).
//!
//! The one rule: the **first mark** tells the encoding, and the text is of it or of none. For HZ it is a shift there
//! and back, for the others the first escape; nothing may be wrong before it, and no NUL byte may stand there
//! (before a Japanese one, none that shifts Korean either).

use encoding_rs::{EUC_JP, EUC_KR, Encoding, GBK};

const NUL: u8 = 0;
const ESCAPE: u8 = 0x1B;
const SHIFT_OUT: u8 = 0x0E;
const SHIFT_IN: u8 = 0x0F;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shifting {
    Hz,
    Korean,
    Japanese,
}

/// Whether seven-bit text is to be decoded here.
pub(super) fn are_in(part: &[u8]) -> bool {
    part.contains(&ESCAPE) || part.windows(2).any(|pair| pair == b"~{")
}

/// The text; nothing when the encoding is unknown or there is a single error.
pub(super) fn decode(part: &[u8]) -> Option<String> {
    match encoding(part)? {
        Shifting::Hz => decode_hz(part),
        encoding => decode_iso_2022(part, encoding),
    }
}

fn encoding(part: &[u8]) -> Option<Shifting> {
    let plain = part.iter().position(|byte| matches!(*byte, NUL | ESCAPE)).unwrap_or(part.len());
    let (before, mark) = part.split_at(plain);
    if shifts_there_and_back(before) {
        return Some(Shifting::Hz);
    }
    if mark.starts_with(b"\x1B$)C") {
        return Some(Shifting::Korean);
    }
    // Some of these then cannot be decoded: they belong to extensions.
    let japanese: [&[u8]; 6] = [b"\x1B(B", b"\x1B(J", b"\x1B(I", b"\x1B$@", b"\x1B$B", b"\x1B$(D"];
    let is_japanese =
        japanese.into_iter().any(|escape| mark.starts_with(escape)) && !before.iter().any(|byte| matches!(*byte, SHIFT_OUT | SHIFT_IN));
    is_japanese.then_some(Shifting::Japanese)
}

/// Whether the text goes from `~{` to `~}`.
fn shifts_there_and_back(mut rest: &[u8]) -> bool {
    loop {
        rest = match rest {
            [b'~', b'{', pairs @ ..] => {
                rest = pairs;
                break;
            }
            [b'~', b'~', more @ ..] => more,
            [b'~', ..] | [] => return false,
            [_, more @ ..] => more,
        };
    }
    loop {
        rest = match rest {
            [b'~', b'}', ..] => return true,
            [_, _, more @ ..] => more,
            [_] | [] => return false,
        };
    }
}

fn decode_hz(mut rest: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    let mut in_pairs = false;
    loop {
        rest = match (in_pairs, rest) {
            (_, []) => return Some(text),
            (false, [b'~', b'~', more @ ..]) => {
                text.push('~');
                more
            }
            (false, [b'~', b'{', more @ ..]) => {
                in_pairs = true;
                more
            }
            // A line that goes on.
            (false, [b'~', b'\n', more @ ..]) => more,
            // A mark that means nothing, or half of a pair.
            (false, [b'~', ..]) | (true, [_]) => return None,
            (false, [byte, more @ ..]) => {
                text.push(char::from(*byte));
                more
            }
            (true, [b'~', b'}', more @ ..]) => {
                in_pairs = false;
                more
            }
            (true, [row, cell, more @ ..]) => {
                push_pair(&mut text, Shifting::Hz, *row, *cell)?;
                more
            }
        };
    }
}

fn decode_iso_2022(mut rest: &[u8], encoding: Shifting) -> Option<String> {
    let korean = encoding == Shifting::Korean;
    let mut text = String::with_capacity(rest.len());
    // Korean names its set once and shifts to it and back; Japanese names a set wherever another begins.
    let mut named = false;
    let mut shifted = !korean;
    loop {
        rest = match rest {
            [] => return Some(text),
            [ESCAPE, b'(' | b')' | b'$' | b'.' | b'&', ..] => {
                let (length, names_pairs) = escape(rest, encoding)?;
                named = names_pairs || (korean && named);
                &rest[length..]
            }
            [ESCAPE] => return None,
            // Of something else, for terminals: up to its last character it means itself.
            [ESCAPE, ..] => {
                let end = rest.iter().position(|byte| matches!(*byte, b'@'..=b'Z')).map_or(rest.len(), |last| last + 1);
                text.extend(rest[..end].iter().copied().map(char::from));
                &rest[end..]
            }
            [SHIFT_OUT, more @ ..] if korean => {
                shifted = true;
                more
            }
            [SHIFT_IN, more @ ..] if korean => {
                shifted = false;
                more
            }
            [control @ ..=0x1F, more @ ..] => {
                // A line of Korean starts unshifted.
                shifted &= !korean || *control != b'\n';
                text.push(char::from(*control));
                more
            }
            [row, cell, more @ ..] if named && shifted => {
                push_pair(&mut text, encoding, *row, *cell)?;
                more
            }
            [_] if named && shifted => return None,
            [byte, more @ ..] => {
                text.push(char::from(*byte));
                more
            }
        };
    }
}

/// Length of the escape that a text begins with, and whether it names a set of pairs.
fn escape(text: &[u8], encoding: Shifting) -> Option<(usize, bool)> {
    let known: &[(&[u8], bool)] = if encoding == Shifting::Korean {
        &[(b"\x1B$)C", true), (b"\x1B(B", false)]
    } else {
        &[(b"\x1B(B", false), (b"\x1B(J", false), (b"\x1B$@", true), (b"\x1B$B", true)]
    };
    known.iter().find(|(escape, _)| text.starts_with(escape)).map(|(escape, names_pairs)| (escape.len(), *names_pairs))
}

/// The character of a pair, of which each of these sets has fewer than the encoding that contains it.
fn push_pair(text: &mut String, set: Shifting, row: u8, cell: u8) -> Option<()> {
    let (encoding, assigned): (&Encoding, bool) = match set {
        Shifting::Hz => (GBK, is_gb2312(row, cell)),
        Shifting::Korean => (EUC_KR, row >= 0x21),
        Shifting::Japanese => (EUC_JP, matches!(row, 0x21..=0x28 | 0x30..=0x74)),
    };
    if !assigned || !(0x21..=0x7E).contains(&cell) {
        return None;
    }
    let bytes = [row | 0x80, cell | 0x80];
    text.push_str(&encoding.decode_without_bom_handling_and_without_replacement(&bytes)?);
    Some(())
}

/// Whether text in an encoding that contains GB 2312 has no characters beyond it.
pub(super) fn stays_in_gb2312(mut text: &[u8]) -> bool {
    loop {
        text = match text {
            [] => return true,
            [..=0x7F, more @ ..] => more,
            [row @ 0xA1..=0xFE, cell @ 0xA1..=0xFE, more @ ..] if is_gb2312(row & 0x7F, cell & 0x7F) => more,
            _ => return false,
        };
    }
}

fn is_gb2312(row: u8, cell: u8) -> bool {
    match row {
        0x22 => matches!(cell, 0x31..=0x62 | 0x65..=0x6E | 0x71..=0x7C),
        0x24 => cell <= 0x73,
        0x25 => cell <= 0x76,
        0x26 => matches!(cell, 0x21..=0x38 | 0x41..=0x58),
        0x27 => matches!(cell, 0x21..=0x41 | 0x51..=0x71),
        0x28 => matches!(cell, 0x21..=0x3A | 0x45..=0x69),
        0x29 => matches!(cell, 0x24..=0x6F),
        0x57 => cell <= 0x79,
        0x21 | 0x23 | 0x30..=0x77 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the Python service makes of each text; nothing where it skips the heuristics.
    fn check(cases: &[(&[u8], Option<&str>)]) {
        for (part, expected) in cases {
            assert!(are_in(part), "{}", part.escape_ascii());
            assert_eq!(decode(part).as_deref(), *expected, "{}", part.escape_ascii());
        }
    }

    #[test]
    fn hz_is_known_by_a_shift_there_and_back() {
        check(&[
            (b"p ~{VPND~} x", Some("p 中文 x")),
            (b"~{VPND p", None),
            (b"p ~{~}", Some("p ")),
            (b"p ~{V~}", None),
            (b"~{VP~} ~{VP", Some("中 中")),
            (b"~{VP~} ~x", None),
            (b"a ~~ p ~{VP~}", Some("a ~ p 中")),
            (b"a ~\nb ~{VP~}", None),
            (b"~{VP~} a~\nb", Some("中 ab")),
            (b"~ p ~{VP~}", None),
            (b"~{ \"~}", None),
            (b"~{VP~} \x00", Some("中 \x00")),
            (b"\x00 ~{VP~}", None),
            (b"~{VP~} \x1B[0m", Some("中 \x1B[0m")),
            (b"\x1B[0m ~{VP~}", None),
            (b"~{VP~}~", None),
            (b"~{\"!~}", None),
            (b"~{VP~}~{)p~}", None),
            (b"~{V~P~}", None),
            (b"a~}~{VP~}", None),
            (b"~~~{VP~}", Some("~中")),
            (b"{ a } ~{VP~}", Some("{ a } 中")),
            (b"~{Wz~}", None),
            (b"~{VP~~~}", None),
            (b"~{p~~}", Some("瘙")),
        ]);
    }

    #[test]
    fn korean_is_known_by_its_first_escape() {
        check(&[
            (b"p \x1B$)C\x0EGQ1[\x0F x", Some("p 한글 x")),
            (b"\x1B$)Cp", Some("p")),
            (b"p \x1B$)C\x0EGQ\nGQ", Some("p 한\nGQ")),
            (b"p \x1B$)C\x0EG\x0F", None),
            (b"p \x1B$)C\x0EGQ", Some("p 한")),
            (b"p \x1B$)C \x1B[0m", Some("p  \x1B[0m")),
            (b"\x1B[0m p \x1B$)C", None),
            (b"\x00 \x1B$)C", None),
            (b"\x0EGQ\x0F\x1B$)C", Some("GQ")),
            (b"\x1B$)C\x0EGQ\x1B(BGQ\x0Fa", Some("한한a")),
            (b"\x1B$)Cp \x1B(J", None),
            (b"\x1B$)Cp \x1B.x", None),
            (b"\x1B$)Cp \x1B", None),
            (b"\x1B$)C\x0E\x01GQ\x0F", Some("\x01한")),
            (b"\x1B$)C\x0EI!", None),
            (b"~{VP \x1B$)Cp", Some("~{VP p")),
            (b"\x1B$)C~{VP~}p", Some("~{VP~}p")),
            (b"\x1B$)Ap", None),
        ]);
    }

    #[test]
    fn japanese_is_known_by_its_first_escape() {
        check(&[
            (b"p \x1B$B$\"$$\x1B(B", Some("p あい")),
            (b"\x1B$@$\"\x1B(Bp", Some("あp")),
            (b"\x1B(Bp", Some("p")),
            (b"\x1B(Jp", Some("p")),
            (b"\x1B(Ip", None),
            (b"\x1B$(D\"/\x1B(Bp", None),
            (b"\x1B$Bp", None),
            (b"\x1B$B$\"\x1B(B\x1B[0mp", Some("あ\x1B[0mp")),
            (b"\x1B$B\n$\"\x1B(B\x0Ep", Some("\nあ\x0Ep")),
            (b"\x1B$B-!\x1B(Bp", None),
            (b"\x1B$B|!\x1B(Bp", None),
            (b"\x1B(Bp \x1B$)C", None),
            (b"\x1B(Bp \x1B", None),
            (b"\x00 \x1B(Bp", None),
            (b"\x1BNp \x1B(B", None),
            (b"\x0E\x1B(Bp", None),
            (b"\x1B$B$\"\x1B[$\"\x1B(B", Some("あ\x1B[$\"\x1B(B")),
            (b"~{VP~}\x1B(Bp", Some("中\x1B(Bp")),
        ]);
    }
}
