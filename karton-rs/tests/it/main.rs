//! Integration tests of `karton-rs`: the shared truth tables, and services on real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod filter_cases;
mod filters;
mod vectors;

mod dhash;
