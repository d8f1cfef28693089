//! The bytes of a sample: in memory when there are few, else in a file that is mapped.
//!
//! The one rule: a sample above [`IN_MEMORY`] is never copied into memory. Only the pages that a test looks at
//! become resident, and they are clean pages of a file, which the kernel drops when it needs them.

use std::{fmt::Write as _, fs::File, io::Read, ops::Deref, os::unix::fs::FileExt, path::Path};

use anyhow::Context as _;
use karton_rs::{Error, Karton, Resource, StorageErrorKind};
use mmap_guard::FileData;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

/// Largest sample that is held in memory.
pub const IN_MEMORY: u64 = 8 << 20;

/// The whole content of a sample.
pub struct Content {
    bytes: FileData,
    /// Length without the padding of [`Content::unpadded`].
    unpadded: usize,
    /// Removes the file that is mapped.
    temporary: Option<NamedTempFile>,
}

impl Content {
    /// Fetches a sample: a small one with one read, a large one into a temporary file.
    ///
    /// # Errors
    /// When the object store does not have it, or the disk has no room.
    pub async fn fetch(karton: &Karton, sample: &Resource) -> anyhow::Result<Self> {
        if sample.size.is_none_or(|size| size <= IN_MEMORY) {
            match karton.read(sample, IN_MEMORY).await {
                Ok(bytes) => return Ok(Self { unpadded: bytes.len(), bytes: FileData::Loaded(bytes.into()), temporary: None }),
                // The size is unknown, or not what the task says.
                Err(Error::Storage { kind: StorageErrorKind::TooLarge, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let temporary = karton.download_temp(sample).await?;
        tokio::task::spawn_blocking(move || {
            let content = Self::open(temporary.path())?;
            Ok(Self { temporary: Some(temporary), ..content })
        })
        .await?
    }

    /// Opens a file on disk.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot read `{}`", path.display());
        let file = File::open(path).with_context(failed)?;
        let metadata = file.metadata().with_context(failed)?;
        anyhow::ensure!(metadata.is_file(), "`{}` is not a file", path.display());
        if metadata.len() > IN_MEMORY {
            let bytes = mmap_guard::map_file(path).with_context(failed)?;
            let padding = trailing_nuls(&file, metadata.len()).with_context(failed)?.saturating_sub(IN_MEMORY);
            let unpadded = bytes.len().saturating_sub(usize::try_from(padding).unwrap_or(0));
            return Ok(Self { bytes, unpadded, temporary: None });
        }
        let mut bytes = Vec::new();
        file.take(IN_MEMORY + 1).read_to_end(&mut bytes).with_context(failed)?;
        Ok(Self { unpadded: bytes.len(), bytes: FileData::Loaded(bytes), temporary: None })
    }

    /// The content, with [`IN_MEMORY`] bytes at most of the NUL bytes that it ends with. For detectors: libmagic
    /// walks over all of them before it gives up on a file, and would make a padded gigabyte resident.
    pub fn unpadded(&self) -> &[u8] {
        self.bytes.get(..self.unpadded).unwrap_or(&self.bytes)
    }

    /// Digest of the content, in lower-case hex.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn sha256(&self) -> std::io::Result<String> {
        let mut hasher = Sha256::new();
        match &self.temporary {
            // Reading keeps the pages out of this process; going through the map would not.
            Some(file) => {
                let mut file = file.reopen()?;
                let mut buffer = vec![0; 64 * 1024];
                loop {
                    match file.read(&mut buffer)? {
                        0 => break,
                        count => hasher.update(&buffer[..count]),
                    }
                }
            }
            None => hasher.update(&**self),
        }
        Ok(hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }))
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Counts the NUL bytes at the end of a file.
fn trailing_nuls(file: &File, length: u64) -> std::io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    // Comparing whole pieces is many times faster than looking at bytes.
    let nuls = vec![0; buffer.len()];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let piece = &mut buffer[..usize::try_from(end - start).unwrap_or(0)];
        file.read_exact_at(piece, start)?;
        if *piece != nuls[..piece.len()] {
            let last = piece.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            return Ok(length - start - last as u64 - 1);
        }
        end = start;
    }
    Ok(length)
}
