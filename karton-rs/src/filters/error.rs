//! What can go wrong with filters, in words that lead to the rule.

use std::fmt;

use crate::json::Key;

/// How Karton's reference implementation takes an error.
///
/// ```
/// use karton_rs::filters::{FilterErrorKind, Filters};
/// use karton_rs::json::{Map, Value};
///
/// let filters = Filters::compile(&Value::parse(r#"[{"size": {"$near": 5}}]"#)?)?;
/// let error = filters.matches(&Map::new()).unwrap_err();
/// assert_eq!(error.kind(), FilterErrorKind::Query);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FilterErrorKind {
    /// An unknown operator or an operand of the wrong kind; the reference's broker skips the bind.
    Query,
    /// A misuse that ends the reference's process.
    Other,
    /// Given up for size or time; the reference has no such bound.
    Limit,
}

/// Filters that cannot be used, or could not be evaluated on certain headers.
///
/// ```
/// use karton_rs::filters::Filters;
/// use karton_rs::json::{Map, Value};
///
/// let filters = Filters::compile(&Value::parse(r#"[{"kind": "raw"}, {"a.b": {"$in": 5}}]"#)?)?;
/// let error = filters.matches(&Map::new()).unwrap_err();
/// assert_eq!(error.rule(), Some(2));
/// assert_eq!(error.path(), ["a.b", "$in"]);
/// assert_eq!(error.to_string(), "rule 2, `a.b` > `$in`: the operand must be a list, not an integer");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    kind: FilterErrorKind,
    rule: Option<usize>,
    /// Outermost first once complete; innermost first while it is on its way out.
    path: Vec<String>,
    reason: String,
}

impl FilterError {
    pub(super) fn new(kind: FilterErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, rule: None, path: Vec::new(), reason: reason.into() }
    }

    /// Adds the key on the way out.
    pub(super) fn inside(mut self, key: &Key) -> Self {
        self.path.push(shorten(key.spelled()));
        self
    }

    /// Completes the error.
    pub(super) fn in_rule(mut self, index: usize) -> Self {
        self.path.reverse();
        self.rule = Some(index + 1);
        self
    }

    /// How the reference takes it.
    pub fn kind(&self) -> FilterErrorKind {
        self.kind
    }

    /// Number of the rule, from 1; nothing when the list as a whole is wrong.
    pub fn rule(&self) -> Option<usize> {
        self.rule
    }

    /// Keys and operators that lead to the place, outermost first.
    pub fn path(&self) -> &[String] {
        &self.path
    }

    /// What is wrong there.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = self.rule {
            write!(f, "rule {rule}")?;
            for (index, key) in self.path.iter().enumerate() {
                write!(f, "{}`{key}`", if index == 0 { ", " } else { " > " })?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for FilterError {}

/// Data for a message, at a length that suits a log line.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
