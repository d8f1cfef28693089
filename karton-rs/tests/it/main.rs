//! Integration tests of `karton-rs`: the shared truth tables, and services on real servers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, unreachable_pub)]

mod bed;
mod vectors;

mod ahead;
mod analyses;
mod broker;
mod chaos;
mod claims;
mod cli;
mod config;
mod consumer;
mod dhash;
mod filter_cases;
mod filters;
mod handlers;
mod interop;
mod outages;
mod pipeline;
mod reference;
mod secured;
mod subscriptions;
