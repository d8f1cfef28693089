//! Python's pattern syntax, read into a tree.
//!
//! Follows Python 3.11: inline flags only at the start, possessive quantifiers, atomic groups, and an
//! error for every escape of an ASCII letter that has no meaning. Flags, case and classes are resolved
//! while reading, so the tree is the same for every engine.

mod escapes;
mod groups;

use std::collections::HashMap;

use super::{
    Flags, PatternError,
    charset::CharSet,
    tree::{Assertion, Mode, Node, Parsed, UNBOUNDED},
};

/// Groups deeper than this are refused (Python gives up at a few hundred).
const MAX_DEPTH: usize = 150;

/// Ranges that all character sets of a pattern may have together (`\w` alone has some 700).
const MAX_RANGES: usize = 400_000;

/// What ignoring case costs in a set of several characters, in ranges.
const FOLD_COST: usize = 500;

/// Python's largest count of a repetition, plus one.
const REPEAT_LIMIT: u64 = 4_294_967_295;

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
                    items.push(one(Node::Char('{')));
                    return Ok(());
                }
                let low = self.digits()?;
                let high = if self.eat(',')? { self.digits()? } else { low.clone() };
                if !self.eat('}')? {
                    self.seek(start)?;
                    items.push(one(Node::Char('{')));
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
