//! Integration tests of `reporter`: recorded sequences, bad servers, the service on real Redis and S3,
//! and the reference beside it on a real MWDB.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod bench;
mod binary;
mod client;
mod content;
mod dry_run;
mod hostile;
mod library;
mod mwdb;
mod outages;
mod parity;
mod repeated;
mod sequences;
mod service;
mod stub;
