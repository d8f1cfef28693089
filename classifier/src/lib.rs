//! The entry service of a Karton pipeline: says what a raw sample is.

pub mod classify;
pub mod magic;
mod rules;
pub mod zip;
