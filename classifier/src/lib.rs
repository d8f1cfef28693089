//! The entry service of a Karton pipeline: says what a raw sample is.
//!
//! Takes tasks with `type: sample, kind: raw` and answers with `stage: recognized` and what the sample is, or
//! `stage: unrecognized`. The parts, in the order in which a sample passes them: [`content`], [`magic`],
//! [`classify`](mod@classify), [`task`]; only [`run`] knows Redis.

pub mod classify;
pub mod content;
pub mod magic;
mod rules;
mod service;
pub mod task;
pub mod zip;

pub use service::{IDENTITY, INFO, SettingsError, VERSION, check, run};
