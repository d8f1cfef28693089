//! Texts of a query: escapes and wildcards. See MWDB search §S3 and §S6.4.
//!
//! Pure. The one rule: comparing is exact for every character, and takes time that grows with the
//! text, not with what an adversary puts into the pattern.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// One character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any run of characters.
    Many,
}

/// What a backslash stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// Any character, which then is itself.
    Plain,
    /// As in Python's notation of text too: `\n`, `\x00`, `\u0105`.
    Python,
}

/// A value of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Piece>);

impl Pattern {
    pub(crate) fn parse(raw: &str, escapes: Escapes) -> Self {
        let mut pieces = Vec::new();
        let mut characters = raw.chars().peekable();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                '*' => Piece::Many,
                '?' => Piece::One,
                '\\' => match characters.next() {
                    Some(next) => Piece::Char(escaped(next, &mut characters, escapes)),
                    None => Piece::Char('\\'),
                },
                other => Piece::Char(other),
            });
        }
        // A row of stars says no more than one.
        pieces.dedup_by(|next, last| *next == Piece::Many && *last == Piece::Many);
        Self(pieces)
    }

    /// What contains this pattern somewhere.
    pub(crate) fn somewhere(self) -> Self {
        let mut pieces = vec![Piece::Many];
        pieces.extend(self.0);
        pieces.push(Piece::Many);
        pieces.dedup_by(|next, last| *next == Piece::Many && *last == Piece::Many);
        Self(pieces)
    }

    /// The text, when there is no wildcard.
    pub(crate) fn literal(&self) -> Option<String> {
        self.0.iter().map(|piece| if let Piece::Char(character) = piece { Some(*character) } else { None }).collect()
    }

    /// Whether it is a lone `*`.
    pub(crate) fn is_anything(&self) -> bool {
        self.0 == [Piece::Many]
    }

    /// Whether it starts and ends with a star.
    pub(crate) fn is_inner(&self) -> bool {
        self.0.first() == Some(&Piece::Many) && self.0.last() == Some(&Piece::Many)
    }

    /// The literal texts between the wildcards.
    pub(crate) fn runs(&self) -> Vec<String> {
        let mut runs = vec![String::new()];
        for piece in &self.0 {
            match (piece, runs.last_mut()) {
                (Piece::Char(character), Some(run)) => run.push(*character),
                _ => runs.push(String::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }

    /// The literal text that everything it matches starts with.
    pub(crate) fn prefix(&self) -> String {
        self.0.iter().map_while(|piece| if let Piece::Char(character) = piece { Some(*character) } else { None }).collect()
    }

    /// Each character replaced by what `spell` writes for it; wildcards stay.
    pub(crate) fn respelled(&self, spell: impl Fn(char, &mut String)) -> Self {
        let mut pieces = Vec::with_capacity(self.0.len());
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Char(character) => {
                    text.clear();
                    spell(*character, &mut text);
                    pieces.extend(text.chars().map(Piece::Char));
                }
                other => pieces.push(*other),
            }
        }
        Self(pieces)
    }

    /// A text that [`Pattern::parse`] reads as this pattern.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for piece in &self.0 {
            let _ = match piece {
                Piece::Many => write!(out, "*"),
                Piece::One => write!(out, "?"),
                Piece::Char(character @ ('*' | '?' | '\\')) => write!(out, "\\{character}"),
                Piece::Char(character) => write!(out, "{character}"),
            };
        }
        out
    }
}

fn escaped(character: char, rest: &mut Peekable<Chars<'_>>, escapes: Escapes) -> char {
    if escapes == Escapes::Plain {
        return character;
    }
    let digits = match character {
        'n' => return '\n',
        't' => return '\t',
        'r' => return '\r',
        'x' => 2,
        'u' => 4,
        'U' => 8,
        other => return other,
    };
    let code: String = rest.clone().take(digits).collect();
    match u32::from_str_radix(&code, 16) {
        Ok(number) if code.len() == digits && code.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            rest.by_ref().take(digits).for_each(drop);
            // Half of a pair is no character: stored ones are compared in the same disguise.
            char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => character,
    }
}

/// The comparison ran out of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfTime;

/// A pattern made ready for comparing with many texts.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    segments: Vec<Segment>,
    starts: bool,
    ends: bool,
}

/// What stands between two stars.
#[derive(Debug, Clone)]
struct Segment {
    /// Nothing stands for any one character.
    characters: Vec<Option<char>>,
    /// Its longest literal part, which is looked for first, and how many characters are before that.
    anchor: String,
    before: usize,
}

impl Segment {
    fn new(pieces: &[Piece]) -> Self {
        let characters: Vec<Option<char>> =
            pieces.iter().map(|piece| if let Piece::Char(character) = piece { Some(*character) } else { None }).collect();
        let (mut anchor, mut before, mut at) = (String::new(), 0, 0);
        for part in characters.split(Option::is_none) {
            let text: String = part.iter().flatten().collect();
            if text.len() > anchor.len() {
                (anchor, before) = (text, at);
            }
            at += part.len() + 1;
        }
        Self { characters, anchor, before }
    }

    /// The end of the segment when it stands at the start of `text`.
    fn at_start(&self, text: &str) -> Option<usize> {
        let mut rest = text.chars();
        for wanted in &self.characters {
            let found = rest.next()?;
            if wanted.is_some_and(|wanted| wanted != found) {
                return None;
            }
        }
        Some(text.len() - rest.as_str().len())
    }

    /// The end of the first place where the segment stands.
    fn find(&self, text: &str, expired: &dyn Fn() -> bool) -> Result<Option<usize>, OutOfTime> {
        if self.anchor.is_empty() {
            return Ok(self.at_start(text));
        }
        // Nothing to compare beyond the anchor.
        if self.anchor.chars().count() == self.characters.len() {
            return Ok(text.find(&self.anchor).map(|at| at + self.anchor.len()));
        }
        let (mut from, mut work) = (0, 0_usize);
        while let Some(found) = text[from..].find(&self.anchor) {
            let anchored = from + found;
            let start = if self.before == 0 {
                Some(anchored)
            } else {
                text[..anchored].char_indices().rev().nth(self.before - 1).map(|(at, _)| at)
            };
            if let Some(end) = start.and_then(|start| self.at_start(&text[start..]).map(|length| start + length)) {
                return Ok(Some(end));
            }
            work += self.characters.len();
            if work > 1 << 18 {
                work = 0;
                if expired() {
                    return Err(OutOfTime);
                }
            }
            from = anchored + text[anchored..].chars().next().map_or(1, char::len_utf8);
        }
        Ok(None)
    }
}

impl Glob {
    pub(crate) fn new(pattern: &Pattern) -> Self {
        let pieces = &pattern.0;
        Self {
            segments: pieces.split(|piece| *piece == Piece::Many).filter(|part| !part.is_empty()).map(Segment::new).collect(),
            starts: pieces.first() != Some(&Piece::Many),
            ends: pieces.last() != Some(&Piece::Many),
        }
    }

    /// Whether the whole of `text` matches. `expired` says that the time is up.
    pub(crate) fn matches(&self, text: &str, expired: &dyn Fn() -> bool) -> Result<bool, OutOfTime> {
        let mut rest = text;
        let mut segments = self.segments.as_slice();
        if self.starts {
            let Some((first, others)) = segments.split_first() else { return Ok(text.is_empty()) };
            let Some(end) = first.at_start(rest) else { return Ok(false) };
            rest = &rest[end..];
            segments = others;
            if segments.is_empty() {
                return Ok(!self.ends || rest.is_empty());
            }
        }
        let last = if self.ends { segments.split_last() } else { None };
        let (last, middle) = last.map_or((None, segments), |(last, middle)| (Some(last), middle));
        for segment in middle {
            let Some(end) = segment.find(rest, expired)? else { return Ok(false) };
            rest = &rest[end..];
        }
        Ok(last.is_none_or(|last| {
            let start = rest.char_indices().rev().nth(last.characters.len() - 1);
            start.is_some_and(|(at, _)| last.at_start(&rest[at..]).is_some())
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(&Pattern::parse(pattern, Escapes::Plain)).matches(text, &|| false).expect("time enough")
    }

    /// The definition, one character at a time.
    fn naive(pattern: &[Piece], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((Piece::Many, rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            Some((Piece::One, rest)) => !text.is_empty() && naive(rest, &text[1..]),
            Some((Piece::Char(wanted), rest)) => text.first() == Some(wanted) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn globs_do_what_the_definition_says(pattern in "[abą?*]{0,8}", text in "[abą]{0,10}") {
            let characters: Vec<char> = text.chars().collect();
            let parsed = Pattern::parse(&pattern, Escapes::Plain);
            prop_assert_eq!(matches(&pattern, &text), naive(&parsed.0, &characters));
        }

        #[test]
        fn patterns_survive_their_text(raw in "[ab*?\\\\\"ą]{0,12}") {
            let pattern = Pattern::parse(&raw, Escapes::Plain);
            prop_assert_eq!(&Pattern::parse(&pattern.to_text(), Escapes::Plain), &pattern);
        }
    }

    #[test]
    fn only_bare_wildcards_are_wild() {
        assert!(matches("a*c", "abbc") && !matches("a*c", "abbcd"));
        assert!(matches("a?c", "aąc") && !matches("a?c", "ac"));
        assert!(matches(r"a\*c", "a*c") && !matches(r"a\*c", "abc"));
        assert!(matches("%_", "%_") && !matches("%_", "ab"), "SQL's wildcards are none here");
        assert!(!matches("ABC", "abc"));
    }

    #[test]
    fn config_texts_are_written_as_in_python() {
        let literal = |raw: &str| Pattern::parse(raw, Escapes::Python).literal().expect("no wildcard");
        assert_eq!(literal(r"a\nb\t\r\\n"), "a\nb\t\r\\n");
        assert_eq!(literal(r"\x00\x41\u0105\U0001f600"), "\0Aą😀");
        assert_eq!(literal(r"\xzz\u12\:\*"), "xzzu12:*");
        assert_eq!(literal(r"\ud800"), "\u{fffd}");
        assert_eq!(Pattern::parse(r"\n", Escapes::Plain).literal().expect("no wildcard"), "n");
    }

    #[test]
    fn hostile_patterns_are_fast() {
        let text = "a".repeat(200_000);
        for pattern in ["*a".repeat(2000) + "b", "a?".repeat(50_000) + "*b", "*".repeat(100_000) + "b", format!("*{}b", "?".repeat(1000))] {
            assert!(!matches(&pattern, &text));
        }
        let glob = Glob::new(&Pattern::parse(&format!("*{}?b*", "a".repeat(50_000)), Escapes::Plain));
        assert_eq!(glob.matches(&text, &|| true), Err(OutOfTime));
    }
}
