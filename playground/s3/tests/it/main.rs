//! The server over a real socket, with the AWS client and with raw HTTP.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod harness;
mod http;
mod listing;
mod multipart;
mod objects;
mod persistence;
