//! What is wrong with a query, and where.
//!
//! The one rule: every refusal of a query names the characters it is about, so that a person who
//! wrote a long one finds the place.

use std::fmt;

/// Characters of a query, counted from 0; the end is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of one to the end of another.
    pub(crate) fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// A query that cannot be answered. Shown with the column, which counts from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    message: String,
    span: Span,
}

impl QueryError {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span }
    }

    /// Where.
    pub(crate) fn span(&self) -> Span {
        self.span
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (query, column {}", self.message, self.span.start + 1)?;
        if self.span.end > self.span.start + 1 {
            write!(f, " to {}", self.span.end)?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for QueryError {}

/// A piece of the query as messages quote it: short, and without characters that would break the line.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
