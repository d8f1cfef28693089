//! The server as its clients see it: one real server per test, on a free port, spoken to over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    clippy::print_stderr,
    clippy::needless_pass_by_value,
    reason = "a failed test says so"
)]

mod harness;

mod access;
mod account_pages;
mod accounts;
mod analyses_pages;
mod announcements;
mod attributes;
mod auth;
mod backup;
mod bounds;
mod check;
mod command;
mod concurrency;
mod configs;
mod contract;
mod crash;
mod docs;
mod downloads;
mod errors;
mod files;
mod karton;
mod limits;
mod limits_pages;
mod listing;
mod logs;
mod mail;
mod meanwhile;
mod metadata;
mod mwdblib;
mod object_pages;
mod pages;
mod permissions;
mod permissions_model;
mod push;
mod register_pages;
mod relation_pages;
mod robust;
mod room_for_others;
mod search;
mod search_json;
mod search_pages;
mod search_refused;
mod server;
mod settings_pages;
mod shares;
mod shutdown;
mod storage;
mod tls;
mod upload_pages;
mod zips;
