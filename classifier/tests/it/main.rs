//! Integration tests of the classifier.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod expected;
mod hostile;
mod tasks;
mod vectors;
