//! What a check has found.

use serde::Serialize;

/// Problems that are listed; more are only counted.
const LISTED: usize = 10_000;

/// Something that is not as it should be.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// The kind in one word, for scripts.
    pub kind: &'static str,
    /// Which object, file or table.
    pub subject: String,
    /// What is wrong.
    pub detail: String,
    /// What was done about it; none: it is still so.
    pub repaired: Option<String>,
}

impl Problem {
    pub(super) fn new(kind: &'static str, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { kind, subject: subject.into(), detail: detail.into(), repaired: None }
    }

    pub(super) fn repaired(self, how: Option<impl Into<String>>) -> Self {
        Self { repaired: how.map(Into::into), ..self }
    }
}

/// The outcome of a check.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Objects that were looked at.
    pub objects: u64,
    /// Files whose content was read.
    pub files: u64,
    /// Bytes of content that were read.
    pub bytes: u64,
    /// The first problems.
    pub problems: Vec<Problem>,
    /// How many problems there are that were not repaired.
    pub unrepaired: u64,
    /// How many problems were repaired.
    pub repaired: u64,
}

impl Report {
    pub(super) fn add(&mut self, problem: Problem) {
        if problem.repaired.is_some() {
            self.repaired += 1;
        } else {
            self.unrepaired += 1;
        }
        if self.problems.len() < LISTED {
            self.problems.push(problem);
        }
    }

    /// Whether nothing is wrong any more.
    pub fn is_clean(&self) -> bool {
        self.unrepaired == 0
    }
}
