//! The exit of a pipeline: puts what other services have found into MWDB.
//!
//! [`run`] is the service, [`report`] what it does with one task, [`mwdb`] the client it does it
//! with; [`dry_run`] only tells what a task would do. The one rule: nothing here knows which MWDB answers; all of it goes through the public API.
#![deny(missing_docs)]

pub mod dry_run;
pub mod mwdb;
pub mod report;

mod service;

pub use service::{IDENTITY, INFO, Settings, VERSION, run, run_with};
