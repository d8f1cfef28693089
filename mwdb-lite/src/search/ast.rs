//! A parsed query: fields with values, combined by AND, OR and NOT.
//!
//! It says what was written, not what it means: fields are not looked up yet, texts keep their escapes.

use super::error::Span;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expr {
    /// Two or more, all of which hold.
    And(Vec<Self>),
    /// Two or more, one of which holds.
    Or(Vec<Self>),
    Not(Box<Self>),
    Field(Field),
}

/// `path:value`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) path: Raw,
    pub(crate) value: Value,
    /// From the path to the end of the value.
    pub(crate) span: Span,
}

/// Text of the query, escapes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) text: String,
    pub(crate) span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Raw),
    Range(Range),
    /// `( … )`
    Query(Box<Expr>),
}

/// An interval; a missing bound is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) low: Option<Bound>,
    pub(crate) high: Option<Bound>,
    pub(crate) span: Span,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) text: Raw,
    pub(crate) inclusive: bool,
}
