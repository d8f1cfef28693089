//! Integration tests of `reporter`: recorded sequences, bad servers, and the service on real Redis and S3.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod bench;
mod binary;
mod client;
mod content;
mod hostile;
mod outages;
mod sequences;
mod service;
mod stub;
