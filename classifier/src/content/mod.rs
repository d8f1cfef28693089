//! The bytes of a sample: in memory when there are few, else in a file that is mapped.
//!
//! The one rule: a sample above [`IN_MEMORY`] is never copied into memory, and of a much larger one the tests see
//! parts, so that nothing they do with it takes long or makes it resident. Only YARA rules and digests go through
//! all of it.

mod fetch;
mod parts;

use std::{
    fs::File,
    io::{Read, Write as _},
    ops::Deref,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use karton_rs::hex;
use mmap_guard::FileData;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

pub use fetch::Need;

/// Largest sample that is held in memory.
pub const IN_MEMORY: u64 = 8 << 20;

/// The content of a sample, as the tests see it.
pub struct Content {
    bytes: FileData,
    /// Length of all of the content.
    size: u64,
    /// Length without the padding of [`Content::unpadded`].
    unpadded: usize,
    /// Where all of the content is, when it is not in `bytes` alone.
    file: Option<PathBuf>,
    /// Removed at the end: what is mapped, and what was downloaded.
    temporary: Vec<NamedTempFile>,
}

impl Content {
    /// Opens a file on disk.
    ///
    /// # Errors
    /// When it is no regular file, or cannot be read.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot read `{}`", path.display());
        // Before it is opened: opening a pipe waits for a writer, and a device may do anything.
        anyhow::ensure!(path.metadata().with_context(failed)?.is_file(), "`{}` is not a file", path.display());
        let file = File::open(path).with_context(failed)?;
        let metadata = file.metadata().with_context(failed)?;
        if metadata.len() <= IN_MEMORY {
            let mut bytes = Vec::new();
            file.take(IN_MEMORY + 1).read_to_end(&mut bytes).with_context(failed)?;
            return Ok(Self::loaded(bytes));
        }
        let content = match parts::of_file(&file, metadata.len()).with_context(failed)? {
            Some(parts) => Self::of_parts(parts)?,
            None => Self::mapped(path, &file, metadata.len()).with_context(failed)?,
        };
        Ok(Self { file: Some(path.to_owned()), ..content })
    }

    /// Reads a stream to its end; what does not fit into memory goes into a temporary file.
    ///
    /// # Errors
    /// When it cannot be read, or the disk has no room.
    pub fn spool(stream: &mut impl Read) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        stream.take(IN_MEMORY + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= IN_MEMORY {
            return Ok(Self::loaded(bytes));
        }
        let mut temporary = NamedTempFile::new()?;
        temporary.write_all(&bytes)?;
        std::io::copy(stream, &mut temporary)?;
        Self::of_temporary(temporary)
    }

    fn loaded(bytes: Vec<u8>) -> Self {
        Self { size: bytes.len() as u64, unpadded: bytes.len(), bytes: FileData::Loaded(bytes), file: None, temporary: Vec::new() }
    }

    fn of_temporary(temporary: NamedTempFile) -> anyhow::Result<Self> {
        let mut content = Self::open(temporary.path())?;
        content.temporary.push(temporary);
        Ok(content)
    }

    fn mapped(path: &Path, file: &File, length: u64) -> std::io::Result<Self> {
        let padding = trailing_nuls(file, length)?.saturating_sub(IN_MEMORY);
        let bytes = mmap_guard::map_file(path)?;
        let unpadded = bytes.len().saturating_sub(usize::try_from(padding).unwrap_or(0));
        Ok(Self { bytes, size: length, unpadded, file: None, temporary: Vec::new() })
    }

    /// Only the parts are there.
    fn of_parts(parts: parts::Parts) -> anyhow::Result<Self> {
        let bytes = mmap_guard::map_file(parts.file.path()).context("cannot map the parts of the sample")?;
        let unpadded = usize::try_from(parts.unpadded).unwrap_or(usize::MAX).min(bytes.len());
        Ok(Self { bytes, size: parts.size, unpadded, file: None, temporary: vec![parts.file] })
    }

    /// Bytes in all of the content, of which the tests may see parts.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The content with [`IN_MEMORY`] bytes at most of the NUL bytes that it ends with. For detectors: libmagic
    /// walks over all of them before it gives up on a file, and would make a padded gigabyte resident.
    pub fn unpadded(&self) -> &[u8] {
        self.bytes.get(..self.unpadded).unwrap_or(&self.bytes)
    }

    /// All of the content, mapped anew where the tests see parts of it. Not for samples fetched as
    /// [`Need::Parts`], of which there is no more.
    ///
    /// # Errors
    /// When its file cannot be mapped.
    pub fn whole(&self) -> std::io::Result<Whole<'_>> {
        self.file.as_deref().map_or(Ok(Whole::Same(&self.bytes)), |file| mmap_guard::map_file(file).map(Whole::Mapped))
    }

    /// Digest of all of the content, in lower-case hex.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn sha256(&self) -> std::io::Result<String> {
        let mut hasher = Sha256::new();
        match &self.file {
            // Reading keeps the pages out of this process; going through a map would not.
            Some(file) => {
                let mut file = File::open(file)?;
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
        Ok(hex(&hasher.finalize()))
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// All of a content.
pub enum Whole<'a> {
    /// What the tests see.
    Same(&'a [u8]),
    /// Its file.
    Mapped(FileData),
}

impl Deref for Whole<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Same(bytes) => bytes,
            Self::Mapped(bytes) => bytes,
        }
    }
}

/// Counts the NUL bytes at the end of a file.
fn trailing_nuls(file: &File, length: u64) -> std::io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(buffer.len() as u64);
        let piece = &mut buffer[..usize::try_from(end - start).unwrap_or(0)];
        file.read_exact_at(piece, start)?;
        if let Some(last) = last_byte(piece) {
            return Ok(length - start - last as u64 - 1);
        }
        end = start;
    }
    Ok(length)
}

/// Where the last byte is that is not NUL.
fn last_byte(bytes: &[u8]) -> Option<usize> {
    const NULS: [u8; 4096] = [0; 4096];
    // Comparing whole pieces is many times faster than looking at bytes.
    let nuls: usize = bytes.rchunks(NULS.len()).take_while(|piece| **piece == NULS[..piece.len()]).map(<[u8]>::len).sum();
    bytes[..bytes.len() - nuls].iter().rposition(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_counted_from_the_last_byte() {
        for (length, last) in
            [(0, None), (1, None), (1, Some(0)), (9000, Some(0)), (9000, Some(808)), (9000, Some(8999)), (8192, Some(4096))]
        {
            let mut bytes = vec![0; length];
            if let Some(last) = last {
                bytes[last] = 1;
            }
            assert_eq!(last_byte(&bytes), last, "{length}");
        }
    }
}
