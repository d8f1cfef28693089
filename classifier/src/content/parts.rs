//! The parts of a large sample that are looked at: its start, its end, and the directory of an archive.
//!
//! The one rule: they are put into a file in which **offsets hold from both ends**, with a hole between them. It has
//! the size of the sample up to [`MOST_WHOLE`]. Text readers of libmagic stop at the hole. Contents in which libmagic
//! follows pointers to anywhere are seen whole.

use std::{fs::File, os::unix::fs::FileExt as _};

use anyhow::Context as _;
use karton_rs::{Karton, Resource};
use tempfile::NamedTempFile;

use super::{IN_MEMORY, last_byte};
use crate::zip;

/// Samples up to this size are seen whole. libmagic may make all of one resident: JSON documents, text without lines.
pub(super) const ABOVE: u64 = 48 << 20;
/// Samples above this size are seen in parts, whatever they are, and with a smaller hole: libmagic counts bytes in
/// 32 bits.
const MOST_WHOLE: u64 = 1 << 30;
/// How much of the start is seen. libmagic's own bound for most of what it does is 7 MiB.
const HEAD: u64 = 8 << 20;
/// How much of the end is seen: more than the end records of an archive and their comment.
const TAIL: u64 = 256 << 10;

/// Parts of a sample, in a file of its size.
pub(super) struct Parts {
    pub(super) file: NamedTempFile,
    /// Size of the sample.
    pub(super) size: u64,
    /// Length without most of the NUL bytes at the end.
    pub(super) unpadded: u64,
}

/// Where a part starts, and its bytes.
type Part = (u64, Vec<u8>);

/// The parts of an object in the store; nothing when the sample must be fetched whole.
pub(super) async fn of_object(karton: &Karton, sample: &Resource, size: u64) -> anyhow::Result<Option<Parts>> {
    if size <= ABOVE {
        return Ok(None);
    }
    // A store may not know ranges, and a size may be wrong: the byte behind the end must not come.
    let Ok(head) = karton.read_range(sample, 0, HEAD).await else { return Ok(None) };
    if head.len() as u64 != HEAD || needs_whole(&head, size) {
        return Ok(None);
    }
    let Ok(tail) = karton.read_range(sample, size - TAIL, TAIL + 1).await else { return Ok(None) };
    if tail.len() as u64 != TAIL {
        return Ok(None);
    }
    let mut parts = vec![(0, head.into()), (size - TAIL, tail.into())];
    if let Some((offset, length)) = directory(size, &parts) {
        parts.push((offset, karton.read_range(sample, offset, length).await?.into()));
    }
    tokio::task::spawn_blocking(move || Parts::write(size, &parts))
        .await?
        .context("cannot keep parts of the sample in a temporary file")
        .map(Some)
}

/// The parts of a file; nothing when it must be seen whole.
pub(super) fn of_file(file: &File, size: u64) -> std::io::Result<Option<Parts>> {
    if size <= ABOVE {
        return Ok(None);
    }
    let read = |offset: u64, length: u64| -> std::io::Result<Part> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, offset)?;
        Ok((offset, bytes))
    };
    let head = read(0, HEAD)?;
    if needs_whole(&head.1, size) {
        return Ok(None);
    }
    let mut parts = vec![head, read(size - TAIL, TAIL)?];
    if let Some((offset, length)) = directory(size, &parts) {
        parts.push(read(offset, length)?);
    }
    Parts::write(size, &parts).map(Some)
}

/// Whether libmagic follows pointers in such a content.
fn needs_whole(head: &[u8], size: u64) -> bool {
    // Compound files (sectors in any order), ELF files (section headers at the end), Mach-O files of several programs.
    const SIGNATURES: [&[u8]; 3] = [b"\xD0\xCF\x11\xE0", b"\x7FELF", b"\xCA\xFE\xBA\xBE"];
    size <= MOST_WHOLE && SIGNATURES.iter().any(|signature| head.starts_with(signature))
}

/// Offset and length of what the directory of an archive has before the tail, the second part.
fn directory(size: u64, parts: &[Part]) -> Option<(u64, u64)> {
    let reach = zip::directory_reach(&parts.get(1)?.1).filter(|reach| (TAIL + 1..=size - HEAD).contains(reach))?;
    Some((size - reach, reach - TAIL))
}

impl Parts {
    fn write(size: u64, parts: &[Part]) -> std::io::Result<Self> {
        let file = NamedTempFile::new()?;
        let seen = size.min(MOST_WHOLE);
        file.as_file().set_len(seen)?;
        let mut end = 0;
        for (offset, bytes) in parts {
            let offset = if *offset < HEAD { *offset } else { offset - (size - seen) };
            file.as_file().write_all_at(bytes, offset)?;
            end = end.max(last_byte(bytes).map_or(0, |last| offset + last as u64 + 1));
        }
        Ok(Self { file, size, unpadded: seen.min(end + IN_MEMORY) })
    }
}
