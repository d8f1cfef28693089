//! The part of the patterns that needs no backtracking, on the linear engine.
//!
//! The tree is written out again in that engine's syntax with every class spelled as ranges, so no
//! class or escape of that syntax can mean something else. Greedy or lazy makes no difference to
//! whether there is a match, nor do captures that nothing refers to.

use std::fmt::Write as _;

use super::tree::{Assertion, Mode, Node, UNBOUNDED};

/// Longest counted repetition written out; the machine counts instead of unrolling.
const MAX_COUNT: u64 = 1_000;

/// A pattern on the linear engine.
#[derive(Debug)]
pub(super) struct Linear {
    regex: fancy_regex::Regex,
}

impl Linear {
    /// Nothing if the pattern needs the machine, or is too large for this engine.
    pub(super) fn new(root: &Node) -> Option<Self> {
        let mut writer = Writer { out: String::new() };
        writer.node(root, true)?;
        let regex =
            fancy_regex::RegexBuilder::new(&writer.out).delegate_size_limit(4 << 20).delegate_dfa_size_limit(1 << 20).build().ok()?;
        Some(Self { regex })
    }

    pub(super) fn search(&self, text: &str) -> bool {
        // What is written below never takes the engine's own backtracking path, which alone can fail.
        self.regex.is_match(text).unwrap_or(false)
    }
}

struct Writer {
    out: String,
}

impl Writer {
    /// `tail`: nothing of the pattern comes after this node.
    fn node(&mut self, node: &Node, tail: bool) -> Option<()> {
        match node {
            Node::Char(character) => self.code((*character).into()),
            Node::Set(set) => {
                // A negated full set is the one spelling of "no character".
                let ranges = set.ranges();
                self.out.push_str(if ranges.is_empty() { "[^" } else { "[" });
                for (low, high) in if ranges.is_empty() { &[(0, 0x10_ffff)] } else { ranges } {
                    self.code(*low);
                    if low != high {
                        self.out.push('-');
                        self.code(*high);
                    }
                }
                self.out.push(']');
            }
            Node::Assert(assertion) => self.assertion(*assertion, tail)?,
            Node::Sequence(nodes) => {
                self.out.push_str("(?:");
                for (index, node) in nodes.iter().enumerate() {
                    self.node(node, tail && index + 1 == nodes.len())?;
                }
                self.out.push(')');
            }
            Node::Choice(nodes) => {
                self.out.push_str("(?:");
                for (index, node) in nodes.iter().enumerate() {
                    if index > 0 {
                        self.out.push('|');
                    }
                    self.node(node, tail)?;
                }
                self.out.push(')');
            }
            Node::Group(_, body) => self.node(body, tail)?,
            Node::Repeat { body, min, max, mode } => {
                if *mode == Mode::Possessive || *min > MAX_COUNT || (*max != UNBOUNDED && *max > MAX_COUNT) {
                    return None;
                }
                self.out.push_str("(?:");
                self.node(body, false)?;
                self.out.push(')');
                match (*min, *max) {
                    (0, 1) => self.out.push('?'),
                    (0, UNBOUNDED) => self.out.push('*'),
                    (1, UNBOUNDED) => self.out.push('+'),
                    (min, UNBOUNDED) => write!(self.out, "{{{min},}}").ok()?,
                    (min, max) => write!(self.out, "{{{min},{max}}}").ok()?,
                }
            }
            Node::Atomic(_) | Node::Look { .. } | Node::Backref { .. } | Node::Conditional { .. } => return None,
        }
        Some(())
    }

    fn assertion(&mut self, assertion: Assertion, tail: bool) -> Option<()> {
        self.out.push_str(match assertion {
            Assertion::Start => r"\A",
            Assertion::StartOfLine => "(?m:^)",
            Assertion::EndOfLine => "(?m:$)",
            Assertion::EndOfText => r"\z",
            // At the very end of the pattern nobody minds that the line feed is consumed.
            Assertion::End if tail => r"(?:\n?\z)",
            // Word boundaries there know other words than Python's.
            Assertion::End | Assertion::WordBoundary { .. } | Assertion::NotWordBoundary { .. } => return None,
        });
        Some(())
    }

    fn code(&mut self, code: u32) {
        match char::from_u32(code) {
            Some(character) if character.is_ascii_alphanumeric() => self.out.push(character),
            // Writing to a string cannot fail.
            _ => _ = write!(self.out, "\\x{{{code:x}}}"),
        }
    }
}
