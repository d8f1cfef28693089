//! The bytes of a sample: in memory when there are few, else in a file that is mapped.
//!
//! The one rule: a sample above [`IN_MEMORY`] is never copied into memory. Only the pages that a test looks at
//! become resident, and they belong to the page cache.

use std::{fs::File, io::Read, ops::Deref, path::Path};

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
                Ok(bytes) => return Ok(Self { bytes: FileData::Loaded(bytes.into()), temporary: None }),
                // The size is unknown, or not what the task says.
                Err(Error::Storage { kind: StorageErrorKind::TooLarge, .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let temporary = karton.download_temp(sample).await?;
        let content = Self::open(temporary.path())?;
        Ok(Self { temporary: Some(temporary), ..content })
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
        let bytes = if metadata.len() > IN_MEMORY {
            mmap_guard::map_file(path).with_context(failed)?
        } else {
            let mut bytes = Vec::new();
            file.take(IN_MEMORY + 1).read_to_end(&mut bytes).with_context(failed)?;
            FileData::Loaded(bytes)
        };
        Ok(Self { bytes, temporary: None })
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
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}
