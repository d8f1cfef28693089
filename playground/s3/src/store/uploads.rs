//! Multipart uploads in progress: a folder each, with a note of the target and a file per part.
//!
//! The rule: parts are kept until the object they make is in its place, so a completion that fails
//! can be repeated; what nobody completes is removed at a start after a week.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::object::{self, Object};
use super::{Headers, Record, Store, UPLOADS, hex, internal};
use crate::conditions::WriteConditions;

const INFO: &str = "upload.json";
const ABANDONED_AFTER: Duration = Duration::from_hours(7 * 24);
/// Every part but the last has at least this size.
const MIN_PART: u64 = 5 * 1024 * 1024;
const MAX_PARTS: i32 = 10_000;

/// Where an upload goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) headers: Headers,
}

/// An upload in a listing.
#[derive(Debug)]
pub(crate) struct UploadInfo {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) started: SystemTime,
}

/// A part in a listing.
#[derive(Debug)]
pub(crate) struct PartInfo {
    pub(crate) number: i32,
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

impl Store {
    /// Starts an upload and returns its id.
    pub(crate) fn start_upload(&self, upload: &Upload) -> S3Result<String> {
        self.check_target(&upload.bucket, &upload.key)?;
        let id = Uuid::new_v4().to_string();
        let folder = self.root.join(UPLOADS).join(&id);
        fs::create_dir(&folder).map_err(internal)?;
        let note = serde_json::to_vec(upload).map_err(|error| internal(error.into()))?;
        fs::write(folder.join(INFO), note).map_err(internal)?;
        Ok(id)
    }

    /// Keeps a part; a later one with the same number replaces it.
    pub(crate) fn put_part(
        &self,
        target: (&str, &str),
        id: &str,
        number: i32,
        mut temporary: NamedTempFile,
        record: &Record,
    ) -> S3Result<()> {
        if !(1..=MAX_PARTS).contains(&number) {
            return Err(s3_error!(InvalidArgument, "part numbers go from 1 to {MAX_PARTS}"));
        }
        let (folder, _) = self.upload(target, id)?;
        object::seal(temporary.as_file_mut(), record).map_err(internal)?;
        temporary.persist(folder.join(part_name(number))).map_err(|error| internal(error.error))?;
        Ok(())
    }

    /// Parts that arrived, by number.
    pub(crate) fn parts(&self, target: (&str, &str), id: &str) -> S3Result<Vec<PartInfo>> {
        let (folder, _) = self.upload(target, id)?;
        let mut parts = Vec::new();
        for entry in fs::read_dir(&folder).map_err(internal)? {
            let entry = entry.map_err(internal)?;
            let number = entry.file_name().to_str().and_then(|name| name.strip_prefix("part-")?.parse().ok());
            let Some(number) = number else { continue };
            let part = Object::open(&entry.path()).map_err(internal)?;
            parts.push(PartInfo { number, etag: part.record.etag, size: part.size, modified: part.modified });
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// Uploads in progress of a bucket, by key and age.
    pub(crate) fn uploads(&self, bucket: &str) -> S3Result<Vec<UploadInfo>> {
        self.check_bucket(bucket)?;
        let mut uploads = Vec::new();
        for entry in fs::read_dir(self.root.join(UPLOADS)).map_err(internal)? {
            let entry = entry.map_err(internal)?;
            // One that ends while this runs is simply not listed.
            let (Ok(upload), Ok(metadata)) = (read_note(&entry.path()), entry.metadata()) else { continue };
            if upload.bucket == bucket {
                let id = entry.file_name().to_string_lossy().into_owned();
                uploads.push(UploadInfo { id, key: upload.key, started: metadata.modified().map_err(internal)? });
            }
        }
        uploads.sort_by(|a, b| (&a.key, a.started, &a.id).cmp(&(&b.key, b.started, &b.id)));
        Ok(uploads)
    }

    /// Puts the chosen parts together and returns the object's `ETag`.
    pub(crate) fn complete_upload(
        &self,
        target: (&str, &str),
        id: &str,
        chosen: &[(i32, Option<String>)],
        conditions: &WriteConditions,
    ) -> S3Result<String> {
        let (folder, upload) = self.upload(target, id)?;
        if chosen.is_empty() {
            return Err(s3_error!(InvalidRequest, "at least one part is needed"));
        }
        if chosen.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let mut whole = NamedTempFile::new_in(self.temporary_folder()).map_err(internal)?;
        let mut digests = Md5::new();
        for (position, (number, etag)) in chosen.iter().enumerate() {
            let part = Object::open(&folder.join(part_name(*number))).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => s3_error!(InvalidPart, "part {number} was not uploaded"),
                _ => internal(error),
            })?;
            if etag.as_ref().is_some_and(|etag| *etag != part.record.etag) {
                return Err(s3_error!(InvalidPart, "part {number} has another ETag"));
            }
            if part.size < MIN_PART && position + 1 < chosen.len() {
                return Err(s3_error!(EntityTooSmall));
            }
            digests.update(&from_hex(&part.record.etag).ok_or_else(|| s3_error!(InvalidPart))?);
            // Between two files this is done by the kernel where it can.
            let copied = io::copy(&mut part.file.take(part.size), whole.as_file_mut()).map_err(internal)?;
            if copied != part.size {
                return Err(s3_error!(InternalError, "part {number} is shorter than it was"));
            }
        }
        let etag = format!("{}-{}", hex(&digests.finalize()), chosen.len());
        let record = Record { key: upload.key, etag: etag.clone(), headers: upload.headers, ..Record::default() };
        self.commit(&upload.bucket, whole, &record, conditions)?;
        remove(&folder);
        Ok(etag)
    }

    pub(crate) fn abort_upload(&self, target: (&str, &str), id: &str) -> S3Result<()> {
        let (folder, _) = self.upload(target, id)?;
        remove(&folder);
        Ok(())
    }

    /// The folder of an upload that goes to `target`.
    fn upload(&self, (bucket, key): (&str, &str), id: &str) -> S3Result<(PathBuf, Upload)> {
        // Parsed and written anew, so that an id cannot lead to another folder.
        let id = Uuid::parse_str(id).map_err(|error| s3_error!(error, NoSuchUpload))?;
        let folder = self.root.join(UPLOADS).join(id.to_string());
        let upload = read_note(&folder).map_err(|error| s3_error!(error, NoSuchUpload))?;
        if (upload.bucket.as_str(), upload.key.as_str()) == (bucket, key) { Ok((folder, upload)) } else { Err(s3_error!(NoSuchUpload)) }
    }
}

/// Removes what was started long ago and never ended.
pub(super) fn remove_abandoned(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED_AFTER) {
            remove(&entry.path());
        }
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), %error, "cannot remove the parts of an upload");
    }
}

fn read_note(folder: &Path) -> io::Result<Upload> {
    Ok(serde_json::from_reader(io::BufReader::new(File::open(folder.join(INFO))?))?)
}

fn part_name(number: i32) -> String {
    format!("part-{number:05}")
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
