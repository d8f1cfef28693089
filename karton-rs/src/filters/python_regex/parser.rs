//! Python's pattern syntax, read into a tree.
//!
//! Follows Python 3.11: inline flags only at the start, possessive quantifiers, atomic groups, and an
//! error for every escape of an ASCII letter that has no meaning. Flags, case and classes are resolved
//! while reading, so the tree is the same for every engine.

use std::collections::HashMap;

use super::{Flags, PatternError, charset::CharSet, tables};

/// Groups deeper than this are refused (Python gives up at a few hundred).
const MAX_DEPTH: usize = 150;

/// No upper bound, of a repetition or of a width.
pub(super) const UNBOUNDED: u64 = u64::MAX;

/// Ranges that all character sets of a pattern may have together (`\w` alone has some 700).
const MAX_RANGES: usize = 400_000;

/// What ignoring case costs in a set of several characters, in ranges.
const FOLD_COST: usize = 500;

/// Python's largest count of a repetition, plus one.
const REPEAT_LIMIT: u64 = 4_294_967_295;

/// One node of a pattern.
#[derive(Debug)]
pub(super) enum Node {
    /// Exactly this character.
    Char(char),
    /// One character of a set.
    Set(CharSet),
    /// A condition on the place.
    Assert(Assertion),
    /// One after the other; may be empty.
    Sequence(Vec<Self>),
    /// The first that leads to a match.
    Choice(Vec<Self>),
    /// A capturing group.
    Group(usize, Box<Self>),
    /// A repetition.
    Repeat { body: Box<Self>, min: u64, max: u64, mode: Mode },
    /// Match without going back into it.
    Atomic(Box<Self>),
    /// Look ahead, or behind by a fixed number of characters.
    Look { body: Box<Self>, behind: Option<u64>, negative: bool },
    /// What a group has matched.
    Backref { group: usize, fold: Option<Fold> },
    /// By whether a group has matched.
    Conditional { group: usize, yes: Box<Self>, no: Box<Self> },
}

/// How a repetition gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Greedy,
    Lazy,
    Possessive,
}

/// How a backreference compares letters when case is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    Ascii,
    Unicode,
}

/// Conditions that consume nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assertion {
    Start,
    StartOfLine,
    /// The end, or before a line feed that ends the text.
    End,
    EndOfLine,
    EndOfText,
    WordBoundary {
        ascii: bool,
    },
    NotWordBoundary {
        ascii: bool,
    },
}

/// A pattern that has been read.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: Node,
    /// Number of capturing groups.
    pub(super) groups: usize,
    /// For each group from 1 on: is it referred to?
    pub(super) referred: Vec<bool>,
}

/// Least and greatest number of characters.
type Width = (u64, u64);

/// A character, or a backslash with the character after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Plain(char),
    Escape(char),
}

struct Parser {
    characters: Vec<char>,
    /// Index after `next`.
    index: usize,
    next: Option<Token>,
    flags: Flags,
    /// `(?a)` and `(?u)` were given: an error together.
    ascii: bool,
    unicode: bool,
    /// By number, the width once the group is closed; index 0 is the whole.
    groups: Vec<Option<Width>>,
    names: HashMap<String, usize>,
    referred: Vec<bool>,
    /// Number of groups when the outermost lookbehind in progress was opened.
    lookbehind: Option<usize>,
    largest_condition: usize,
    /// Ranges of character sets made so far.
    ranges: usize,
}

struct Item {
    node: Node,
    width: Width,
    kind: Kind,
}

/// What decides whether a quantifier may follow.
#[derive(PartialEq, Eq)]
enum Kind {
    Assertion,
    Repeat,
    Other,
}

pub(super) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, PatternError> {
    let mut parser = Parser {
        characters: pattern.chars().collect(),
        index: 0,
        next: None,
        flags,
        ascii: false,
        unicode: false,
        groups: vec![None],
        names: HashMap::new(),
        referred: vec![false],
        lookbehind: None,
        largest_condition: 0,
        ranges: 0,
    };
    parser.advance()?;
    let (root, _) = parser.choice(flags, 0)?;
    if parser.next.is_some() {
        return Err(parser.error("unbalanced parenthesis"));
    }
    if parser.unicode && parser.ascii {
        return Err(parser.error("flags a and u exclude each other"));
    }
    if parser.largest_condition >= parser.groups.len() {
        return Err(parser.error(format!("there is no group {}", parser.largest_condition)));
    }
    parser.referred.resize(parser.groups.len(), false);
    Ok(Parsed { root, groups: parser.groups.len() - 1, referred: parser.referred })
}

impl Parser {
    fn error(&self, message: impl Into<String>) -> PatternError {
        PatternError { message: message.into(), position: self.position() }
    }

    /// Index of `next`.
    fn position(&self) -> usize {
        let length = match self.next {
            None => 0,
            Some(Token::Plain(_)) => 1,
            Some(Token::Escape(_)) => 2,
        };
        self.index - length
    }

    fn advance(&mut self) -> Result<(), PatternError> {
        self.next = match self.characters.get(self.index) {
            None => None,
            Some('\\') => {
                let Some(escaped) = self.characters.get(self.index + 1) else {
                    return Err(PatternError { message: "backslash at the end of the pattern".to_owned(), position: self.index });
                };
                self.index += 2;
                return {
                    self.next = Some(Token::Escape(*escaped));
                    Ok(())
                };
            }
            Some(character) => {
                self.index += 1;
                Some(Token::Plain(*character))
            }
        };
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Token>, PatternError> {
        let token = self.next;
        self.advance()?;
        Ok(token)
    }

    fn at(&self, character: char) -> bool {
        self.next == Some(Token::Plain(character))
    }

    fn eat(&mut self, character: char) -> Result<bool, PatternError> {
        let found = self.at(character);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn seek(&mut self, index: usize) -> Result<(), PatternError> {
        self.index = index;
        self.advance()
    }

    /// The next character if it is a plain one that passes.
    fn eat_if(&mut self, accept: impl Fn(char) -> bool) -> Result<Option<char>, PatternError> {
        match self.next {
            Some(Token::Plain(character)) if accept(character) => {
                self.advance()?;
                Ok(Some(character))
            }
            _ => Ok(None),
        }
    }

    /// Alternatives, up to a closing parenthesis or the end.
    fn choice(&mut self, mut flags: Flags, depth: usize) -> Result<(Node, Width), PatternError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("groups are nested deeper than {MAX_DEPTH}")));
        }
        let (first, mut width) = self.sequence(flags, depth, depth == 0)?;
        let mut branches = vec![first];
        while self.eat('|')? {
            if depth == 0 {
                flags = self.flags;
            }
            let (branch, (low, high)) = self.sequence(flags, depth, false)?;
            branches.push(branch);
            width = (width.0.min(low), width.1.max(high));
        }
        let node = if branches.len() == 1 { branches.swap_remove(0) } else { Node::Choice(branches) };
        Ok((node, width))
    }

    fn sequence(&mut self, mut flags: Flags, depth: usize, first: bool) -> Result<(Node, Width), PatternError> {
        let mut items: Vec<Item> = Vec::new();
        while let Some(token) = self.next {
            if matches!(token, Token::Plain('|' | ')')) {
                break;
            }
            self.advance()?;
            let character = match token {
                Token::Escape(character) => {
                    let item = self.escape(character, flags)?;
                    self.count_ranges(&item.node)?;
                    items.push(item);
                    continue;
                }
                Token::Plain(character) => character,
            };
            if flags.verbose && matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}') {
                continue;
            }
            if flags.verbose && character == '#' {
                while !matches!(self.take()?, None | Some(Token::Plain('\n'))) {}
                continue;
            }
            match character {
                '[' => {
                    let set = self.class(flags)?;
                    let item = one(Node::Set(set));
                    self.count_ranges(&item.node)?;
                    items.push(item);
                }
                '*' | '+' | '?' | '{' => self.quantifier(character, &mut items)?,
                '.' => items.push(one(Node::Set(if flags.dot_all { CharSet::any() } else { CharSet::single('\n').negate() }))),
                '^' => items.push(assertion(if flags.multi_line { Assertion::StartOfLine } else { Assertion::Start })),
                '$' => items.push(assertion(if flags.multi_line { Assertion::EndOfLine } else { Assertion::End })),
                '(' => {
                    let global_allowed = first && items.is_empty();
                    if let Some(item) = self.group(&mut flags, depth, global_allowed)? {
                        items.push(item);
                    }
                }
                _ => items.push(literal(character.into(), flags)),
            }
        }
        let width =
            items.iter().fold((0_u64, 0_u64), |(low, high), item| (low.saturating_add(item.width.0), high.saturating_add(item.width.1)));
        let mut nodes: Vec<Node> = items.into_iter().map(|item| item.node).collect();
        let node = if nodes.len() == 1 { nodes.swap_remove(0) } else { Node::Sequence(nodes) };
        Ok((node, width))
    }

    /// Keeps a short pattern from growing into a huge one.
    fn count_ranges(&mut self, node: &Node) -> Result<(), PatternError> {
        if let Node::Set(set) = node {
            self.ranges += set.ranges().len();
        }
        if self.ranges > MAX_RANGES { Err(self.error("the character sets are too large together")) } else { Ok(()) }
    }

    fn quantifier(&mut self, character: char, items: &mut Vec<Item>) -> Result<(), PatternError> {
        let (min, max) = match character {
            '?' => (0, 1),
            '*' => (0, UNBOUNDED),
            '+' => (1, UNBOUNDED),
            _ => {
                let start = self.position();
                if self.at('}') {
                    items.push(self.brace_literal());
                    return Ok(());
                }
                let low = self.digits()?;
                let high = if self.eat(',')? { self.digits()? } else { low.clone() };
                if !self.eat('}')? {
                    self.seek(start)?;
                    items.push(self.brace_literal());
                    return Ok(());
                }
                let min = self.count(&low, 0)?;
                let max = self.count(&high, UNBOUNDED)?;
                if max < min {
                    return Err(self.error("least count of a repetition is above the greatest"));
                }
                (min, max)
            }
        };
        let Some(last) = items.last() else {
            return Err(self.error("nothing to repeat"));
        };
        match last.kind {
            Kind::Assertion => return Err(self.error("nothing to repeat")),
            Kind::Repeat => return Err(self.error("multiple repeat")),
            Kind::Other => {}
        }
        let mode = if self.eat('?')? {
            Mode::Lazy
        } else if self.eat('+')? {
            Mode::Possessive
        } else {
            Mode::Greedy
        };
        if let Some(Item { node, width: (low, high), .. }) = items.pop() {
            let high = if high == 0 { 0 } else { high.saturating_mul(max) };
            let node = Node::Repeat { body: Box::new(node), min, max, mode };
            items.push(Item { node, width: (low.saturating_mul(min), high), kind: Kind::Repeat });
        }
        Ok(())
    }

    /// A brace that opens no count. Case does not matter to it.
    #[allow(clippy::unused_self)] // reads as the other makers of items
    fn brace_literal(&self) -> Item {
        one(Node::Char('{'))
    }

    fn digits(&mut self) -> Result<String, PatternError> {
        let mut digits = String::new();
        while let Some(digit) = self.eat_if(|character| character.is_ascii_digit())? {
            digits.push(digit);
        }
        Ok(digits)
    }

    fn count(&self, digits: &str, default: u64) -> Result<u64, PatternError> {
        if digits.is_empty() {
            return Ok(default);
        }
        match digits.parse() {
            Ok(count) if count < REPEAT_LIMIT => Ok(count),
            _ => Err(self.error("count of a repetition is too large")),
        }
    }

    /// A `\` and the character after it, outside of a class.
    fn escape(&mut self, character: char, flags: Flags) -> Result<Item, PatternError> {
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

    fn backref(&mut self, group: usize, flags: Flags) -> Result<Item, PatternError> {
        let Some(width) = self.groups.get(group).copied().flatten() else {
            return Err(self.error("a group cannot be referred to from inside itself"));
        };
        self.check_lookbehind(group)?;
        self.refer(group);
        let fold = flags.ignore_case.then_some(if flags.ascii { Fold::Ascii } else { Fold::Unicode });
        Ok(Item { node: Node::Backref { group, fold }, width, kind: Kind::Other })
    }

    fn refer(&mut self, group: usize) {
        // Numbers are below the count of groups in the end, or the pattern is refused.
        if group < self.characters.len() {
            if self.referred.len() <= group {
                self.referred.resize(group + 1, false);
            }
            self.referred[group] = true;
        }
    }

    fn check_lookbehind(&self, group: usize) -> Result<(), PatternError> {
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
    fn class(&mut self, flags: Flags) -> Result<CharSet, PatternError> {
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

    /// A parenthesis. Nothing comes back for comments and global flags.
    fn group(&mut self, flags: &mut Flags, depth: usize, global_allowed: bool) -> Result<Option<Item>, PatternError> {
        if !self.eat('?')? {
            return self.capture(None, *flags, depth).map(Some);
        }
        let Some(token) = self.take()? else {
            return Err(self.error("unexpected end of pattern"));
        };
        let Token::Plain(character) = token else {
            return Err(self.error("unknown kind of group"));
        };
        match character {
            ':' => self.enclosed(*flags, depth).map(|(node, width)| Some(other(node, width))),
            '>' => self.enclosed(*flags, depth).map(|(node, width)| Some(other(Node::Atomic(Box::new(node)), width))),
            '=' | '!' => self.look(character == '!', false, *flags, depth).map(Some),
            '<' => match self.take()? {
                Some(Token::Plain(kind @ ('=' | '!'))) => self.look(kind == '!', true, *flags, depth).map(Some),
                _ => Err(self.error("unknown kind of group ?<")),
            },
            'P' => self.named(*flags, depth).map(Some),
            '(' => self.conditional(*flags, depth).map(Some),
            '#' => loop {
                match self.take()? {
                    None => return Err(self.error("unterminated comment")),
                    Some(Token::Plain(')')) => return Ok(None),
                    Some(_) => {}
                }
            },
            '-' | 'a' | 'i' | 'L' | 'm' | 's' | 'u' | 'x' => {
                let Some(inner) = self.inline_flags(character, *flags)? else {
                    if !global_allowed {
                        return Err(self.error("global flags belong at the start of the pattern"));
                    }
                    *flags = self.flags;
                    return Ok(None);
                };
                self.enclosed(inner, depth).map(|(node, width)| Some(other(node, width)))
            }
            _ => Err(self.error(format!("unknown kind of group ?{character}"))),
        }
    }

    /// The rest of a group up to its closing parenthesis.
    fn enclosed(&mut self, flags: Flags, depth: usize) -> Result<(Node, Width), PatternError> {
        let inner = self.choice(flags, depth + 1)?;
        if !self.eat(')')? {
            return Err(self.error("unterminated group"));
        }
        Ok(inner)
    }

    fn capture(&mut self, name: Option<String>, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        let number = self.groups.len();
        self.groups.push(None);
        if let Some(name) = name
            && self.names.insert(name, number).is_some()
        {
            return Err(self.error("two groups have the same name"));
        }
        let (node, width) = self.enclosed(flags, depth)?;
        self.groups[number] = Some(width);
        Ok(other(Node::Group(number, Box::new(node)), width))
    }

    fn look(&mut self, negative: bool, behind: bool, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        let outer = self.lookbehind;
        if behind && outer.is_none() {
            self.lookbehind = Some(self.groups.len());
        }
        let (node, (low, high)) = self.enclosed(flags, depth)?;
        self.lookbehind = outer;
        if behind && low != high {
            return Err(self.error("lookbehind needs a fixed width"));
        }
        if behind && low >= REPEAT_LIMIT {
            return Err(self.error("lookbehind is too wide"));
        }
        Ok(other(Node::Look { body: Box::new(node), behind: behind.then_some(low), negative }, (0, 0)))
    }

    /// After `(?P`.
    fn named(&mut self, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        match self.take()? {
            Some(Token::Plain('<')) => {
                let name = self.until('>')?;
                if !is_identifier(&name) {
                    return Err(self.error(format!("bad group name {name:?}")));
                }
                self.capture(Some(name), flags, depth)
            }
            Some(Token::Plain('=')) => {
                let name = self.until(')')?;
                let Some(group) = self.names.get(&name).copied() else {
                    return Err(self.error(format!("unknown group name {name:?}")));
                };
                self.backref(group, flags)
            }
            _ => Err(self.error("unknown kind of group ?P")),
        }
    }

    fn until(&mut self, end: char) -> Result<String, PatternError> {
        let mut name = String::new();
        loop {
            match self.take()? {
                None => return Err(self.error(format!("missing {end}"))),
                Some(Token::Plain(character)) if character == end => break,
                Some(Token::Plain(character)) => name.push(character),
                Some(Token::Escape(character)) => name.extend(['\\', character]),
            }
        }
        if name.is_empty() {
            return Err(self.error("missing group name"));
        }
        Ok(name)
    }

    /// After `(?(`.
    fn conditional(&mut self, flags: Flags, depth: usize) -> Result<Item, PatternError> {
        if depth >= MAX_DEPTH {
            return Err(self.error(format!("groups are nested deeper than {MAX_DEPTH}")));
        }
        let name = self.until(')')?;
        let group = if is_identifier(&name) {
            self.names.get(&name).copied().ok_or_else(|| self.error(format!("unknown group name {name:?}")))?
        } else {
            let number = crate::filters::path::python_int(&name).and_then(|number| usize::try_from(number).ok());
            let group = number.ok_or_else(|| self.error(format!("bad group name {name:?}")))?;
            if group == 0 {
                return Err(self.error("bad group number"));
            }
            self.largest_condition = self.largest_condition.max(group);
            group
        };
        self.check_lookbehind(group)?;
        self.refer(group);
        let (yes, yes_width) = self.sequence(flags, depth + 1, false)?;
        let (no, no_width) = if self.eat('|')? {
            let no = self.sequence(flags, depth + 1, false)?;
            if self.at('|') {
                return Err(self.error("a conditional has two branches at most"));
            }
            no
        } else {
            (Node::Sequence(Vec::new()), (0, 0))
        };
        if !self.eat(')')? {
            return Err(self.error("unterminated group"));
        }
        let width = (yes_width.0.min(no_width.0), yes_width.1.max(no_width.1));
        Ok(other(Node::Conditional { group, yes: Box::new(yes), no: Box::new(no) }, width))
    }

    /// Flags after `(?`: of the whole pattern (nothing comes back), or of a group.
    fn inline_flags(&mut self, first: char, outer: Flags) -> Result<Option<Flags>, PatternError> {
        let mut on = String::new();
        let mut off = String::new();
        let mut character = first;
        while !matches!(character, ')' | ':' | '-') {
            self.check_flag(character, &on)?;
            on.push(character);
            character = self.flag_character()?;
        }
        if character == ')' {
            self.ascii |= on.contains('a');
            self.unicode |= on.contains('u');
            self.flags = with_flags(self.flags, &on, "");
            return Ok(None);
        }
        if character == '-' {
            character = self.flag_character()?;
            while character != ':' {
                if matches!(character, 'a' | 'u' | 'L' | ')' | '-') {
                    return Err(self.error("bad inline flags"));
                }
                self.check_flag(character, "")?;
                off.push(character);
                character = self.flag_character()?;
            }
            if off.is_empty() {
                return Err(self.error("missing flag"));
            }
        }
        if on.chars().any(|flag| off.contains(flag)) {
            return Err(self.error("flag turned on and off"));
        }
        Ok(Some(with_flags(outer, &on, &off)))
    }

    fn flag_character(&mut self) -> Result<char, PatternError> {
        match self.take()? {
            Some(Token::Plain(character)) => Ok(character),
            _ => Err(self.error("unterminated inline flags")),
        }
    }

    fn check_flag(&self, flag: char, before: &str) -> Result<(), PatternError> {
        let clash = match flag {
            'i' | 'm' | 's' | 'x' => false,
            'a' => before.contains('u'),
            'u' => before.contains('a'),
            _ => true,
        };
        if clash { Err(self.error(format!("inline flag {flag} is not allowed here"))) } else { Ok(()) }
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

fn one(node: Node) -> Item {
    Item { node, width: (1, 1), kind: Kind::Other }
}

fn other(node: Node, width: Width) -> Item {
    Item { node, width, kind: Kind::Other }
}

fn assertion(assertion: Assertion) -> Item {
    Item { node: Node::Assert(assertion), width: (0, 0), kind: Kind::Assertion }
}

/// One character; a surrogate is a set without members.
fn literal(code: u32, flags: Flags) -> Item {
    let mut set = CharSet::new(vec![(code, code)]);
    if flags.ignore_case {
        set = set.fold(flags.ascii);
    }
    one(set.only().map_or_else(|| Node::Set(set), Node::Char))
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

fn with_flags(mut flags: Flags, on: &str, off: &str) -> Flags {
    for (letters, value) in [(on, true), (off, false)] {
        for letter in letters.chars() {
            match letter {
                'i' => flags.ignore_case = value,
                'm' => flags.multi_line = value,
                's' => flags.dot_all = value,
                'x' => flags.verbose = value,
                'a' => flags.ascii = true,
                // `(?u:..)` inside of `(?a)`.
                'u' => flags.ascii = false,
                _ => {}
            }
        }
    }
    flags
}

fn is_octal(character: char) -> bool {
    ('0'..='7').contains(&character)
}

fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && characters.all(|character| character == '_' || character.is_alphanumeric())
}
