//! Why content could not be read or written.
//!
//! The one rule: a store that is away is told from one that refuses, because only the first is worth
//! trying again.

use std::io;
use std::path::Path;

use crate::error::ApiError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The store has no such content.
    #[error("the content of {0} is missing")]
    Missing(String),
    /// The server of the store does not answer, or asks to come again.
    #[error("{0}")]
    Away(String),
    /// Too many use the store at once.
    #[error("too many large uploads are under way")]
    Busy,
    /// The server of the store says no.
    #[error("{0}")]
    Refused(String),
    /// The disk says no.
    #[error("{action}")]
    Disk {
        action: String,
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    /// For `map_err`: what was done to which file.
    pub(super) fn disk(action: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let action = format!("{action} `{}`", path.display());
        |source| Self::Disk { action, source }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Away(reason) => {
                // The client learns only that it may come again.
                tracing::warn!("the store of file content does not answer: {reason}");
                Self::Unavailable("The store of file content does not answer".to_owned())
            }
            StoreError::Disk { action, source } if takes_nothing(&source) => Self::of_disk(&action, &source),
            StoreError::Busy => Self::Unavailable("Too many large uploads are under way".to_owned()),
            other => Self::Internal(other.into()),
        }
    }
}

/// Whether a disk may take later what it does not now: it is full, read only, or broken.
fn takes_nothing(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::StorageFull | Kind::QuotaExceeded | Kind::ReadOnlyFilesystem)
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}
