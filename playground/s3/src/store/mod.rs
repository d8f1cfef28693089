//! Buckets and objects on disk, and the list of them in memory.
//!
//! Every call blocks: it belongs on a blocking thread. The rule: an object appears or goes
//! (file and list) under the write lock, so listing, conditions and content always agree.

mod names;
mod object;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use s3s::{S3Error, S3Result, s3_error};
use tempfile::NamedTempFile;

pub(crate) use names::percent_encode;
use names::{BadKey, KeyOf, check_key, file_name, key_of};
pub(crate) use object::{Checksums, Headers, Object, Record};
pub(crate) use uploads::Upload;

use crate::conditions::WriteConditions;
use crate::list::{self, Page, Query};

/// Temporary files: same file system as the buckets, so that a rename is enough.
const TEMPORARY: &str = ".tmp";
const UPLOADS: &str = ".uploads";
const LOCK: &str = ".lock";

#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    buckets: RwLock<BTreeMap<String, Bucket>>,
    /// Held as long as the store: two servers on one folder would not see each other's writes.
    _lock: File,
}

#[derive(Debug)]
struct Bucket {
    keys: BTreeSet<String>,
    created: SystemTime,
}

impl Store {
    /// Opens the folder, makes it when missing, and reads which objects there are.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        let lock = File::create(root.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "another S3 server uses this folder"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // What an ended process left half written was never acknowledged.
        match fs::remove_dir_all(root.join(TEMPORARY)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(root.join(TEMPORARY))?,
        }
        fs::create_dir_all(root.join(UPLOADS))?;
        uploads::remove_abandoned(&root.join(UPLOADS));
        let mut buckets = BTreeMap::new();
        for entry in fs::read_dir(&root)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if s3s::path::check_bucket_name(&name) && entry.file_type()?.is_dir() {
                buckets.insert(name, Bucket::read(&entry.path())?);
            }
        }
        Ok(Self { root, buckets: RwLock::new(buckets), _lock: lock })
    }

    pub(crate) fn temporary_folder(&self) -> PathBuf {
        self.root.join(TEMPORARY)
    }

    /// Names of all buckets, with the time each was made.
    pub(crate) fn buckets(&self) -> Vec<(String, SystemTime)> {
        self.read().iter().map(|(name, bucket)| (name.clone(), bucket.created)).collect()
    }

    pub(crate) fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if self.read().contains_key(bucket) { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    /// Whether an object of this name may be put there: asked before its body is taken in.
    pub(crate) fn check_target(&self, bucket: &str, key: &str) -> S3Result<()> {
        self.object_path(bucket, key)?;
        self.check_bucket(bucket)
    }

    /// Makes the bucket; false when it was there.
    pub(crate) fn ensure_bucket(&self, bucket: &str) -> io::Result<bool> {
        let mut buckets = self.write();
        if buckets.contains_key(bucket) {
            return Ok(false);
        }
        fs::create_dir_all(self.root.join(bucket))?;
        buckets.insert(bucket.to_owned(), Bucket { keys: BTreeSet::new(), created: SystemTime::now() });
        Ok(true)
    }

    /// Removes an empty bucket.
    pub(crate) fn delete_bucket(&self, bucket: &str) -> S3Result<()> {
        let mut buckets = self.write();
        let found = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        if !found.keys.is_empty() {
            return Err(s3_error!(BucketNotEmpty));
        }
        fs::remove_dir(self.root.join(bucket)).map_err(internal)?;
        buckets.remove(bucket);
        Ok(())
    }

    /// One page of the bucket's listing.
    pub(crate) fn list(&self, bucket: &str, query: Query<'_>) -> S3Result<Page> {
        let buckets = self.read();
        let found = buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        Ok(list::page(&found.keys, query))
    }

    /// Opens an object for reading. A reader keeps what it opened, even if it is replaced meanwhile.
    pub(crate) fn open_object(&self, bucket: &str, key: &str) -> S3Result<Object> {
        let path = self.object_path(bucket, key)?;
        let known = self.read().get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?.keys.contains(key);
        if !known {
            return Err(s3_error!(NoSuchKey));
        }
        Object::open(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return s3_error!(NoSuchKey);
            }
            tracing::error!(bucket, key, %error, "cannot read an object");
            s3_error!(error, InternalError)
        })
    }

    /// Makes the content of `temporary` the object that `record` describes, in place of what was there.
    pub(crate) fn commit(&self, bucket: &str, mut temporary: NamedTempFile, record: &Record, conditions: &WriteConditions) -> S3Result<()> {
        let path = self.object_path(bucket, &record.key)?;
        object::seal(temporary.as_file_mut(), record).map_err(internal)?;
        let mut buckets = self.write();
        let found = buckets.get_mut(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        if !conditions.is_empty() {
            let present = found.keys.contains(&record.key).then(|| Object::open(&path)).transpose().map_err(internal)?;
            conditions.check(present.as_ref().map(|object| object.record.etag.as_str()))?;
        }
        temporary.persist(&path).map_err(|error| internal(error.error))?;
        found.keys.insert(record.key.clone());
        Ok(())
    }

    /// Removes an object; one that is not there is no error.
    pub(crate) fn delete(&self, bucket: &str, key: &str) -> S3Result<()> {
        let path = self.object_path(bucket, key)?;
        let mut buckets = self.write();
        let found = buckets.get_mut(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(internal(error)),
            _ => found.keys.remove(key),
        };
        Ok(())
    }

    fn object_path(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        // The service has checked the name in the address, but not the one in a copy's source.
        if !s3s::path::check_bucket_name(bucket) {
            return Err(s3_error!(InvalidBucketName));
        }
        check_key(key).map_err(|reason| match reason {
            BadKey::TooLong => s3_error!(KeyTooLongError),
            BadKey::Invalid => s3_error!(InvalidArgument, "this key is not allowed"),
        })?;
        Ok(self.root.join(bucket).join(file_name(key)))
    }

    // A panic while the lock was held cannot have left a half-made change: each is one insertion or removal.
    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn read(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let mut keys = BTreeSet::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let key = entry.file_name().into_string().map_or(KeyOf::Foreign, |name| key_of(&name));
            match key {
                KeyOf::Name(key) => {
                    keys.insert(key);
                }
                KeyOf::InFile => match Object::open(&entry.path()) {
                    Ok(object) => {
                        keys.insert(object.record.key);
                    }
                    Err(error) => tracing::warn!(path = %entry.path().display(), %error, "ignoring an unreadable object"),
                },
                KeyOf::Foreign => tracing::warn!(path = %entry.path().display(), "ignoring a file that is not an object"),
            }
        }
        Ok(Self { keys, created: metadata.created().or_else(|_| metadata.modified())? })
    }
}

/// An error of the disk: logged, and told to the client without its details.
pub(crate) fn internal(error: io::Error) -> S3Error {
    tracing::error!(%error, "the S3 folder cannot be used");
    s3_error!(error, InternalError)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
