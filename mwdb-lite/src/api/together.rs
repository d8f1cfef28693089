//! Values that are checked together: all of them, or everything that is wrong with them.
//!
//! A client hears of all its mistakes at once. Errors of another kind, such as a missing right, come alone.

use crate::{
    error::{ApiError, ApiResult},
    mistakes::Mistakes,
};

/// What was wrong so far.
#[derive(Default)]
pub(super) struct Findings(Mistakes);

impl Findings {
    /// The value; none when it breaks the schema, which is noted.
    pub(super) fn take<T>(&mut self, outcome: ApiResult<T>) -> ApiResult<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(ApiError::Invalid(mistakes)) => {
                self.0.add(mistakes);
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Whether it makes no difference what else is wrong.
    pub(super) fn is_full(&self) -> bool {
        self.0.is_full()
    }

    /// An error when something was wrong.
    pub(super) fn end(self) -> ApiResult<()> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::Invalid(self.0)) }
    }
}

/// Tuples of results.
pub(crate) trait Together {
    /// The tuple of their values.
    type Values;

    fn together(self) -> ApiResult<Self::Values>;
}

macro_rules! together {
    ($($value:ident: $of:ident),+) => {
        impl<$($of),+> Together for ($(ApiResult<$of>,)+) {
            type Values = ($($of,)+);

            fn together(self) -> ApiResult<Self::Values> {
                let ($($value,)+) = self;
                let mut findings = Findings::default();
                let found = ($(findings.take($value)?,)+);
                findings.end()?;
                match found {
                    ($(Some($value),)+) => Ok(($($value,)+)),
                    // What is missing was noted.
                    _ => Err(ApiError::Invalid(Mistakes::default())),
                }
            }
        }
    };
}

together!(a: A, b: B);
together!(a: A, b: B, c: C);
together!(a: A, b: B, c: C, d: D);
together!(a: A, b: B, c: C, d: D, e: E);
together!(a: A, b: B, c: C, d: D, e: E, f: F);
together!(a: A, b: B, c: C, d: D, e: E, f: F, g: G);
together!(a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H);

/// A value that passes a check as well.
pub(crate) fn passing<T>(value: ApiResult<T>, check: impl FnOnce(&T) -> ApiResult<()>) -> ApiResult<T> {
    let value = value?;
    check(&value)?;
    Ok(value)
}
