//! What a pattern says, with flags, case and character classes already resolved.

use super::charset::CharSet;

/// No upper bound, of a repetition or of a width.
pub(super) const UNBOUNDED: u64 = u64::MAX;

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
