//! Integration tests of the classifier.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod bed;
mod binary;
mod expected;
mod hostile;
mod limits;
mod service;
mod tasks;
mod vectors;
#[cfg(feature = "yara")]
mod yara;
