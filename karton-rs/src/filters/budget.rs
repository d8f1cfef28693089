//! How much work one evaluation may do, counted so that no filter and no headers can keep it busy.

use std::cell::Cell;

/// Steps per evaluation: well below a second, and far above what any routing rule needs.
const STEPS: usize = 5_000_000;

/// Steps left. Shared by everything one evaluation calls.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

/// Nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfBudget;

impl Budget {
    pub(super) fn new() -> Self {
        Self(Cell::new(STEPS))
    }

    pub(super) fn left(&self) -> usize {
        self.0.get()
    }

    pub(super) fn spend(&self, steps: usize) -> Result<(), OutOfBudget> {
        self.0.set(self.0.get().checked_sub(steps).ok_or(OutOfBudget)?);
        Ok(())
    }
}
