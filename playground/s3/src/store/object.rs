//! One object, one file: its content, then a record of everything else.
//!
//! The rule: content and record become visible in the same rename, so an object is there whole
//! or not at all. Layout: content, record as JSON, length of the record (u32, little endian), magic.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::SystemTime;

use s3s::dto::Checksum;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"S3OBJ-01";
const FOOTER: usize = 12;
const MAX_RECORD: u32 = 1024 * 1024;

/// What S3 knows of an object besides its content, size and time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) key: String,
    pub(crate) etag: String,
    #[serde(default)]
    pub(crate) headers: Headers,
    #[serde(default)]
    pub(crate) checksums: Checksums,
}

/// Headers kept for the reader.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Headers {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Checksums as S3 spells them, in base64.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Checksums {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32c: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc64nvme: Option<String>,
}

impl From<Checksum> for Checksums {
    fn from(checksum: Checksum) -> Self {
        Self {
            crc32: checksum.checksum_crc32,
            crc32c: checksum.checksum_crc32c,
            sha1: checksum.checksum_sha1,
            sha256: checksum.checksum_sha256,
            crc64nvme: checksum.checksum_crc64nvme,
        }
    }
}

/// An object opened for reading, positioned at its first byte.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) file: File,
    pub(crate) record: Record,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

impl Object {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut footer = [0; FOOTER];
        let body = metadata.len().checked_sub(FOOTER as u64).ok_or_else(damaged)?;
        file.seek(SeekFrom::Start(body))?;
        file.read_exact(&mut footer)?;
        let (length, magic) = footer.split_at(4);
        let length = u32::from_le_bytes(length.try_into().map_err(|_| damaged())?);
        if magic != MAGIC || length > MAX_RECORD {
            return Err(damaged());
        }
        let size = body.checked_sub(u64::from(length)).ok_or_else(damaged)?;
        file.seek(SeekFrom::Start(size))?;
        let mut record = vec![0; length as usize];
        file.read_exact(&mut record)?;
        let record = serde_json::from_slice(&record).map_err(|_| damaged())?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, record, size, modified: metadata.modified()? })
    }
}

/// Ends the content that was written to `file` with its record, and brings all of it to the disk.
pub(crate) fn seal(file: &mut File, record: &Record) -> io::Result<()> {
    let mut tail = serde_json::to_vec(record)?;
    let length = u32::try_from(tail.len()).ok().filter(|&length| length <= MAX_RECORD);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "too much metadata"))?;
    tail.extend_from_slice(&length.to_le_bytes());
    tail.extend_from_slice(MAGIC);
    file.seek(SeekFrom::End(0))?;
    file.write_all(&tail)?;
    file.sync_data()
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not an object file, or a damaged one")
}
