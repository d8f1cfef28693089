//! Regular expressions with the syntax and the meaning of Python's `re` (search, text patterns).
//!
//! [`parser`] reads Python's syntax into a tree in which flags, case and character classes are already
//! resolved ([`tree`]). What a finite automaton can do is handed to a linear engine ([`linear`]);
//! look-around, backreferences, conditionals, word boundaries, atomic and possessive parts run on a
//! backtracking machine of our own ([`program`], [`machine`]). The one rule: **no pattern and no text can
//! hang or overflow it**; every size is bounded and the machine counts its steps.
//!
//! The linear engine's own extension for backtracking is not used: it goes back into lookaheads, knows
//! other words at `\b`, and limits neither the work between two backtracks nor that of atomic loops.
//!
//! Known to be left out: `\N{NAME}` (an error here), the `t` flag of old Pythons.

mod charset;
mod linear;
mod machine;
mod parser;
mod program;
pub(super) mod tables;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod tree;

use self::{linear::Linear, program::Program};
use super::budget::Budget;

/// Patterns longer than this many bytes are refused.
const MAX_PATTERN: usize = 64 * 1024;

/// Steps one search may take on the backtracking machine: some tens of milliseconds.
const MAX_STEPS: usize = 4_000_000;

/// Flags that Python takes beside the pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // five independent switches
pub(super) struct Flags {
    /// `i`: letters match either case.
    pub(super) ignore_case: bool,
    /// `m`: `^` and `$` match at every line.
    pub(super) multi_line: bool,
    /// `s`: `.` matches a line feed too.
    pub(super) dot_all: bool,
    /// `x`: blanks and comments in the pattern mean nothing.
    pub(super) verbose: bool,
    /// `a`, inline only: classes and case follow ASCII.
    pub(super) ascii: bool,
}

/// Why a pattern cannot be used; the text says where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {position}")]
pub(super) struct PatternError {
    message: String,
    position: usize,
}

/// A search was given up: it took more steps than one search may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepLimit;

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    linear: Option<Linear>,
    program: Program,
}

impl Pattern {
    /// Compiles a Python pattern.
    pub(super) fn new(pattern: &str, flags: Flags) -> Result<Self, PatternError> {
        if pattern.len() > MAX_PATTERN {
            return Err(PatternError { message: format!("pattern is longer than {MAX_PATTERN} bytes"), position: 0 });
        }
        let parsed = parser::parse(pattern, flags)?;
        Ok(Self { linear: Linear::new(&parsed.root), program: Program::new(&parsed) })
    }

    /// Is the pattern found anywhere in the text? The work counts against the caller's budget too.
    pub(super) fn search(&self, text: &str, budget: &Budget) -> Result<bool, StepLimit> {
        if let Some(linear) = &self.linear {
            budget.spend(1 + text.len() / 8).map_err(|_| StepLimit)?;
            return Ok(linear.search(text));
        }
        let allowed = budget.left().min(MAX_STEPS);
        let mut left = allowed;
        let found = machine::search(&self.program, text, &mut left);
        budget.spend(allowed - left).map_err(|_| StepLimit)?;
        found
    }
}
