//! Files that a task brings along, ready to be uploaded.
//!
//! The one rule: content is streamed from the object store to MWDB, as many bytes as are there. Only a
//! resource without digest passes through a temporary file, where it is found out.

use futures::future::BoxFuture;
use karton_rs::{Resource, hex};
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

use super::{Run, Samples, error::ReportError};
use crate::mwdb::{Content, ContentError, Opened};

/// A file with known id.
pub(super) struct SampleFile<'a> {
    pub(super) id: String,
    pub(super) name: String,
    /// Bytes, as the task says until the content is opened.
    pub(super) size: u64,
    pub(super) content: Box<dyn Content + 'a>,
}

/// Content in the object store.
struct Stored<'a> {
    samples: &'a dyn Samples,
    resource: &'a Resource,
}

impl Content for Stored<'_> {
    fn open(&self) -> BoxFuture<'_, Result<Opened, ContentError>> {
        self.samples.open(self.resource)
    }
}

/// Content in a temporary file.
struct Spooled(TempPath);

impl Content for Spooled {
    fn open(&self) -> BoxFuture<'_, Result<Opened, ContentError>> {
        Box::pin(async move {
            let file = tokio::fs::File::open(&self.0).await.map_err(on_disk)?;
            let size = file.metadata().await.map_err(on_disk)?.len();
            Ok(Opened::new(size, file))
        })
    }
}

impl Run<'_> {
    /// Finds out what has to be known about a resource.
    pub(super) async fn sample_file<'r>(&'r self, resource: &'r Resource) -> Result<SampleFile<'r>, ReportError> {
        let digest = resource.sha256().filter(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let (id, size, content): (_, _, Box<dyn Content + 'r>) = if let Some(digest) = digest {
            // What the task says names the object, as it does for the other services.
            (digest.to_ascii_lowercase(), resource.size.unwrap_or_default(), Box::new(Stored { samples: self.samples, resource }))
        } else {
            let (path, size, computed) = self.spool(resource).await?;
            (computed, size, Box::new(Spooled(path)))
        };
        Ok(SampleFile { id, name: resource.name.clone(), size, content })
    }

    async fn spool(&self, resource: &Resource) -> Result<(TempPath, u64, String), ReportError> {
        let mut waiter = self.mwdb.waiter();
        loop {
            match copy_to_disk(self.samples, resource).await {
                Ok(copied) => {
                    waiter.over();
                    return Ok(copied);
                }
                Err(error) if error.is_temporary() && waiter.may_repeat(std::future::ready(error.is_away())).await => {
                    waiter.pause(&error).await.map_err(|_| ReportError::Stopped)?;
                }
                Err(source) => return Err(ReportError::Content { name: resource.name.clone(), source }),
            }
        }
    }
}

async fn copy_to_disk(samples: &dyn Samples, resource: &Resource) -> Result<(TempPath, u64, String), ContentError> {
    to_disk(samples.open(resource).await?.reader).await
}

/// Content whose size nobody knows, by way of a temporary file.
pub(super) async fn measured(reader: impl AsyncRead + Unpin) -> Result<Opened, ContentError> {
    let (path, ..) = to_disk(reader).await?;
    // The open file stays when its name goes.
    Spooled(path).open().await
}

/// Copies into a temporary file; gives its size and digest.
async fn to_disk(mut reader: impl AsyncRead + Unpin) -> Result<(TempPath, u64, String), ContentError> {
    let (file, path) = tempfile::NamedTempFile::new().map_err(on_disk)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = reader.read(&mut buffer).await.map_err(|error| ContentError::interrupted(error.to_string()))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        file.write_all(&buffer[..count]).await.map_err(on_disk)?;
        size += count as u64;
    }
    file.flush().await.map_err(on_disk)?;
    Ok((path, size, hex(&hasher.finalize())))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn on_disk(error: std::io::Error) -> ContentError {
    ContentError::broken(format!("temporary file in {}: {error}", std::env::temp_dir().display()))
}

/// Digest of a text, which is the id of a blob with that content.
pub(super) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}
