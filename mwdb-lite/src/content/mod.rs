//! The bytes of files: staged while they arrive, hashed in one pass, kept under their hash.
//!
//! The one rule: content is in place and on disk before the database speaks of it, and is removed
//! only after the database has forgotten it.

mod digests;
mod magic;
mod stage;
mod store;
mod zip;

pub(crate) use magic::Magic;
pub(crate) use stage::{Staged, Staging};
pub(crate) use store::Store;
pub(crate) use zip::pack;
