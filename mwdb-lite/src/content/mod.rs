//! The bytes of files: staged while they arrive, hashed in one pass, kept under their hash in a folder
//! or a bucket.
//!
//! The one rule: content is in place before the database speaks of it, and is removed only after the
//! database has forgotten it. A place that a power cut may take back does not count: see [`fresh`].

mod digests;
mod disk;
mod error;
mod fresh;
mod layout;
mod locks;
mod magic;
mod s3;
mod settle;
mod stage;
mod store;
mod walk;
mod zip;

pub(crate) use digests::{Digests, Hasher};
pub(crate) use error::StoreError;
pub(crate) use fresh::{put_back, run as look_after_fresh};
use layout::{Layout, hash_in};
pub(crate) use magic::Magic;
pub(crate) use settle::{run as look_after, settle, settle_all};
pub(crate) use stage::{Staged, Staging};
pub(crate) use store::{Lent, Reader, Store, Upload};
pub(crate) use walk::Stored;
pub(crate) use zip::pack;

/// Where what nobody needs is moved to, below the folder or in the bucket.
const STRAYS: &str = ".strays";
