//! Fetches a sample from the object store.
//!
//! The one rule: **no more is fetched than is looked at**. Of a large sample these are its [`parts`], unless
//! libmagic, YARA rules or a digest need all of it.

use karton_rs::{Error, Karton, Resource, StorageErrorKind};

use super::{Content, IN_MEMORY, parts};

/// How much of a sample must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// What the decision list looks at.
    Parts,
    /// All of it: it is scanned or hashed.
    Whole,
}

impl Content {
    /// Fetches a sample: a small one with one read, a large one into a temporary file, with holes when `need` allows.
    ///
    /// # Errors
    /// When the object store does not have it, or the disk has no room.
    pub async fn fetch(karton: &Karton, sample: &Resource, need: Need) -> anyhow::Result<Self> {
        let mut sample = sample.clone();
        if sample.size.is_none_or(|size| size <= IN_MEMORY) {
            match karton.read(&sample, IN_MEMORY).await {
                Ok(bytes) => return Ok(Self::loaded(bytes.into())),
                // The size is unknown, or not what the task says; the server knows.
                Err(Error::Storage { kind: StorageErrorKind::TooLarge { size }, .. }) => sample.size = size,
                Err(error) => return Err(error.into()),
            }
        }
        if need == Need::Parts
            && let Some(size) = sample.size
            && let Some(parts) = parts::of_object(karton, &sample, size).await?
        {
            return tokio::task::spawn_blocking(move || Self::of_parts(parts)).await?;
        }
        let temporary = karton.download_temp(&sample).await?;
        tokio::task::spawn_blocking(move || Self::of_temporary(temporary)).await?
    }
}
