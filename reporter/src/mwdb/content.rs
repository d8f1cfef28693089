//! Where the bytes of an upload come from.
//!
//! The one rule: a source can be opened any number of times, because an upload that failed starts again.

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use tokio::io::AsyncRead;

/// An open source.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// Content that was opened.
pub struct Opened {
    /// How many bytes [`Opened::reader`] gives.
    pub size: u64,
    /// The bytes, from the start.
    pub reader: Reader,
}

impl Opened {
    /// A source of `size` bytes.
    pub fn new(size: u64, reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        Self { size, reader: Box::new(reader) }
    }
}

/// Content that can be read from its start again and again.
pub trait Content: Send + Sync {
    /// Opens the content at its start.
    fn open(&self) -> BoxFuture<'_, Result<Opened, ContentError>>;
}

/// Content in a file.
///
/// ```
/// let content = reporter::mwdb::FileContent::new("/tmp/sample.exe");
/// assert_eq!(content.path().file_name().unwrap(), "sample.exe");
/// ```
#[derive(Debug)]
pub struct FileContent(PathBuf);

impl FileContent {
    /// The content of the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Content for FileContent {
    fn open(&self) -> BoxFuture<'_, Result<Opened, ContentError>> {
        Box::pin(async move {
            let failed = |error| ContentError::broken(format!("{}: {error}", self.0.display()));
            let file = tokio::fs::File::open(&self.0).await.map_err(failed)?;
            let size = file.metadata().await.map_err(failed)?.len();
            Ok(Opened::new(size, file))
        })
    }
}

/// Content that cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct ContentError {
    reason: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Broken,
    Interrupted,
    Away,
}

impl ContentError {
    /// Something is wrong with this content: another try would not help.
    pub fn broken(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: Kind::Broken }
    }

    /// Reading broke off on the way, or failed while the place answers others: worth a few more tries.
    pub fn interrupted(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: Kind::Interrupted }
    }

    /// The place where the content is kept does not answer: worth waiting for.
    pub fn away(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), kind: Kind::Away }
    }

    /// Whether it is the place that is away.
    pub fn is_away(&self) -> bool {
        self.kind == Kind::Away
    }

    /// Whether the same content may be read later.
    pub fn is_temporary(&self) -> bool {
        self.kind != Kind::Broken
    }
}
