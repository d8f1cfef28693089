//! The whole product as its users run it: the `playground` program, the MWDB API, and real Python peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, unreachable_pub)]

mod commands;
mod hostile;
mod large;
mod mixed;
mod pipeline;
mod playground;
mod python;
mod samples;
mod start_stop;
mod swap;
