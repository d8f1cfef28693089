//! A piece of SQL with the values of its parameters.
//!
//! Pieces are put together in the order in which they are written, so every parameter is a plain `?`.
//! Values are always bound, never written into the text.

use rusqlite::types::Value;

/// SQL text and its parameters, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) params: Vec<Value>,
}

impl Sql {
    /// A piece without parameters.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), params: Vec::new() }
    }

    /// Adds text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds text that ends the use of one `?`.
    pub(crate) fn push_with(&mut self, text: &str, param: impl Into<Value>) -> &mut Self {
        self.text.push_str(text);
        self.params.push(param.into());
        self
    }

    /// Adds another piece.
    pub(crate) fn append(&mut self, other: Self) -> &mut Self {
        self.text.push_str(&other.text);
        self.params.extend(other.params);
        self
    }
}
