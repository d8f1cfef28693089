//! Backslashes and character sets.

use super::{FOLD_COST, Item, MAX_RANGES, Parser, Token, assertion, literal, one, other};
use crate::filters::python_regex::{
    Flags, PatternError,
    charset::CharSet,
    tables,
    tree::{Assertion, Fold, Node},
};

impl Parser {
    /// A `\` and the character after it, outside of a class.
    pub(super) fn escape(&mut self, character: char, flags: Flags) -> Result<Item, PatternError> {
        let ascii = flags.ascii;
        Ok(match character {
            'A' => assertion(Assertion::Start),
            'Z' => assertion(Assertion::EndOfText),
            'b' => assertion(Assertion::WordBoundary { ascii }),
            'B' => assertion(Assertion::NotWordBoundary { ascii }),
            '1'..='9' => return self.reference_or_octal(character, flags),
            _ => {
                if let Some(set) = category(character, ascii) {
                    one(Node::Set(set))
                } else {
                    literal(self.escaped_character(character)?, flags)
                }
            }
        })
    }

    fn reference_or_octal(&mut self, first: char, flags: Flags) -> Result<Item, PatternError> {
        let mut digits = String::from(first);
        if let Some(second) = self.eat_if(|character| character.is_ascii_digit())? {
            digits.push(second);
            if is_octal(first)
                && is_octal(second)
                && let Some(third) = self.eat_if(is_octal)?
            {
                digits.push(third);
                return Ok(literal(self.octal(&digits)?, flags));
            }
        }
        let group = digits.parse().unwrap_or(usize::MAX);
        if group >= self.groups.len() {
            return Err(self.error(format!("there is no group {digits}")));
        }
        self.backref(group, flags)
    }

    pub(super) fn backref(&mut self, group: usize, flags: Flags) -> Result<Item, PatternError> {
        let Some(width) = self.groups.get(group).copied().flatten() else {
            return Err(self.error("a group cannot be referred to from inside itself"));
        };
        self.check_lookbehind(group)?;
        self.refer(group);
        let fold = flags.ignore_case.then_some(if flags.ascii { Fold::Ascii } else { Fold::Unicode });
        Ok(other(Node::Backref { group, fold }, width))
    }

    pub(super) fn refer(&mut self, group: usize) {
        // Numbers are below the count of groups in the end, or the pattern is refused.
        if group < self.characters.len() {
            if self.referred.len() <= group {
                self.referred.resize(group + 1, false);
            }
            self.referred[group] = true;
        }
    }

    pub(super) fn check_lookbehind(&self, group: usize) -> Result<(), PatternError> {
        let Some(outer) = self.lookbehind else { return Ok(()) };
        if self.groups.get(group).copied().flatten().is_none() {
            return Err(self.error("a group cannot be referred to from inside itself"));
        }
        if group >= outer {
            return Err(self.error("a lookbehind cannot refer to a group of its own"));
        }
        Ok(())
    }

    fn octal(&self, digits: &str) -> Result<u32, PatternError> {
        match u32::from_str_radix(digits, 8) {
            Ok(code) if code <= 0o377 => Ok(code),
            _ => Err(self.error(format!("octal escape \\{digits} is above \\377"))),
        }
    }

    /// Escapes that stand for one character, in and outside of classes.
    fn escaped_character(&mut self, character: char) -> Result<u32, PatternError> {
        let hex_digits = match character {
            'a' => return Ok(7),
            'f' => return Ok(12),
            'n' => return Ok(10),
            'r' => return Ok(13),
            't' => return Ok(9),
            'v' => return Ok(11),
            '0' => {
                let mut digits = String::from('0');
                for _ in 0..2 {
                    digits.extend(self.eat_if(is_octal)?);
                }
                return self.octal(&digits);
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            'N' => return Err(self.error("characters by name are not supported")),
            letter if letter.is_ascii_alphanumeric() => return Err(self.error(format!("bad escape \\{letter}"))),
            other => return Ok(other.into()),
        };
        let mut code = 0_u32;
        for _ in 0..hex_digits {
            let digit = self.eat_if(|character| character.is_ascii_hexdigit())?.and_then(|digit| digit.to_digit(16));
            let Some(digit) = digit else {
                return Err(self.error(format!("escape \\{character} needs {hex_digits} hexadecimal digits")));
            };
            code = code << 4 | digit;
        }
        if code > 0x10_ffff {
            return Err(self.error("escape is beyond the last character"));
        }
        Ok(code)
    }

    /// A class, after its opening bracket.
    pub(super) fn class(&mut self, flags: Flags) -> Result<CharSet, PatternError> {
        let negate = self.eat('^')?;
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut empty = true;
        loop {
            let Some(token) = self.take()? else {
                return Err(self.error("unterminated character set"));
            };
            if token == Token::Plain(']') && !empty {
                break;
            }
            empty = false;
            if ranges.len() > MAX_RANGES {
                return Err(self.error("the character sets are too large together"));
            }
            let member = self.class_member(token, flags)?;
            if !self.eat('-')? {
                member.add_to(&mut ranges);
                continue;
            }
            let Some(end) = self.take()? else {
                return Err(self.error("unterminated character set"));
            };
            if end == Token::Plain(']') {
                member.add_to(&mut ranges);
                ranges.push(('-'.into(), '-'.into()));
                break;
            }
            match (member, self.class_member(end, flags)?) {
                (Member::Character(low), Member::Character(high)) if low <= high => ranges.push((low, high)),
                _ => return Err(self.error("bad character range")),
            }
        }
        let mut set = CharSet::new(ranges);
        if flags.ignore_case {
            self.ranges += FOLD_COST;
            set = set.fold(flags.ascii);
        }
        Ok(if negate { set.negate() } else { set })
    }

    fn class_member(&mut self, token: Token, flags: Flags) -> Result<Member, PatternError> {
        match token {
            Token::Plain(character) => Ok(Member::Character(character.into())),
            Token::Escape('b') => Ok(Member::Character(8)),
            Token::Escape(first @ '1'..='7') => {
                let mut digits = String::from(first);
                for _ in 0..2 {
                    digits.extend(self.eat_if(is_octal)?);
                }
                Ok(Member::Character(self.octal(&digits)?))
            }
            Token::Escape(character) => match category(character, flags.ascii) {
                Some(set) => Ok(Member::Set(set)),
                None => Ok(Member::Character(self.escaped_character(character)?)),
            },
        }
    }
}

enum Member {
    Character(u32),
    Set(CharSet),
}

impl Member {
    fn add_to(&self, ranges: &mut Vec<(u32, u32)>) {
        match self {
            Self::Character(code) => ranges.push((*code, *code)),
            Self::Set(set) => ranges.extend(set.ranges()),
        }
    }
}

/// `\d`, `\s`, `\w` and their opposites.
fn category(letter: char, ascii: bool) -> Option<CharSet> {
    let set = match (letter.to_ascii_lowercase(), ascii) {
        ('d', false) => CharSet::new(tables::DIGIT.to_vec()),
        ('s', false) => CharSet::new(tables::SPACE.to_vec()),
        ('w', false) => CharSet::new(tables::WORD.to_vec()),
        ('d', true) => CharSet::new(vec![(0x30, 0x39)]),
        ('s', true) => CharSet::new(vec![(0x09, 0x0d), (0x20, 0x20)]),
        ('w', true) => CharSet::new(vec![(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)]),
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() { set.negate() } else { set })
}

fn is_octal(character: char) -> bool {
    ('0'..='7').contains(&character)
}
