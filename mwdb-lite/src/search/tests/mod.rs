//! Queries against a database of the test's own: the same objects as by definition, the right indexes,
//! and (on demand) how long it takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::match_same_arms,
    reason = "a failed test says so"
)]

mod bed;
mod counts;
mod edges;
mod naive;
mod plans;
mod property;
mod speed;
