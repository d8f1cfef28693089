//! Where content lives: a folder or a bucket, behind one door.
//!
//! Whatever may end in content that no row names first leaves a *doubt*: a file beside the staged
//! ones, named by the hash. [`super::settle`] asks the database and removes content or doubt, at
//! once or, after a crash or an outage, later. So nothing is orphaned, and an upload that the
//! database has acknowledged never loses its content: both sides hold the lock of the hash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempPath;
use tokio::{
    io::AsyncRead,
    sync::{Notify, Semaphore},
};

use super::{
    Digests, Layout, Staged, StoreError,
    disk::{self, Disk, Placed},
    locks::{Held, Locks},
    s3::Bucket,
    stage::{OnDisk, Written},
};
use crate::{
    claim::Claim,
    config::{Config, Storage},
};

/// Below the uploads folder, so that a rename brings a file to its place.
const STAGING: &str = ".staging";
/// Ending of a doubt.
const DOUBT: &str = ".doubt";
/// Large uploads at once: each has a thread as long as its client takes.
const LARGE_AT_ONCE: usize = 128;
/// How much of a file is read at once.
const PIECE: usize = 256 * 1024;

/// The bytes of content, as they come.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// The store of content.
pub(crate) struct Store {
    staging: PathBuf,
    pub(super) place: Place,
    pub(super) layout: Layout,
    pub(super) locks: Arc<Locks>,
    /// The right to stage a large upload.
    pub(super) large: Arc<Semaphore>,
    /// There may be [fresh](super::fresh) content.
    pub(super) fresh: Notify,
}

#[derive(Clone)]
pub(super) enum Place {
    Disk(Disk),
    S3(Bucket),
}

/// Content that is not removed as long as this lives, and neither is a doubt about it.
pub(crate) struct Kept(#[expect(dead_code, reason = "held, not read")] Held);

/// An upload in its place.
pub(crate) struct Upload {
    pub(crate) kept: Kept,
    pub(crate) size: u64,
    pub(crate) digests: Digests,
    /// The bytes, where the disk may not have them yet: the database takes them as well.
    pub(crate) fresh: Option<Vec<u8>>,
}

/// What was done for an upload while its hash was locked.
enum Begun {
    /// It is in its place in the folder, of which the disk may not know yet.
    Placed(Placed),
    /// The bucket is still to take it.
    Staged { bucket: Bucket, path: TempPath, doubtful: bool },
}

/// Content that was found.
pub(crate) struct Content {
    pub(crate) size: u64,
    source: Source,
}

enum Source {
    File(tokio::fs::File),
    Object(Bucket, String),
}

/// Content as a file, for those who need one.
pub(crate) struct Lent {
    pub(crate) path: PathBuf,
    _copy: Option<TempPath>,
}

/// How far a look at the bytes of an upload has come.
enum Look<T, F, L> {
    Later(L),
    Begun(F),
    Ended(T),
}

impl<T, F: Future<Output = T>, L: FnOnce(PathBuf) -> F> Look<T, F, L> {
    /// Ends it, if it has begun.
    async fn ended(self) -> Self {
        match self {
            Self::Begun(seen) => Self::Ended(seen.await),
            look => look,
        }
    }

    /// What is seen, of a file that is now at `path`.
    async fn at(self, path: PathBuf) -> T {
        match self {
            Self::Later(look) => look(path).await,
            Self::Begun(seen) => seen.await,
            Self::Ended(seen) => seen,
        }
    }
}

impl Store {
    /// Makes the folders. A bucket is not asked for yet, see [`Self::check`].
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub(crate) async fn open(config: &Config) -> Result<Self, StoreError> {
        let folder = config.uploads_folder.clone();
        let staging = folder.join(STAGING);
        fs::create_dir_all(&staging).map_err(StoreError::disk("make the folder", &staging))?;
        let layout = Layout { hash_pathing: config.hash_pathing, fallback: config.hash_pathing_fallback };
        let place = match &config.storage {
            Storage::Disk => Place::Disk(Disk::new(folder, layout)),
            Storage::S3(settings) => Place::S3(Bucket::new(settings, layout).await),
        };
        Ok(Self { staging, place, layout, locks: Arc::default(), large: Arc::new(Semaphore::new(LARGE_AT_ONCE)), fresh: Notify::new() })
    }

    /// Whether content can be kept: that the bucket exists and may be used.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::Disk(_) => Ok(()),
            Place::S3(bucket) => bucket.check().await,
        }
    }

    /// Whether uploads can be written, by writing: rights do not tell of a disk that is mounted to be read.
    ///
    /// # Errors
    /// When one of the folders takes no file.
    pub(crate) fn try_writing(&self) -> Result<(), StoreError> {
        let content = match &self.place {
            Place::Disk(disk) => Some(disk.folder()),
            Place::S3(_) => None,
        };
        for folder in content.into_iter().chain([self.staging.as_path()]) {
            // Its name begins with a dot, like all that is no content.
            tempfile::Builder::new().prefix(".try-").tempfile_in(folder).map_err(StoreError::disk("write to the folder", folder))?;
        }
        Ok(())
    }

    /// Claims the staging folder for this process, as long as the value lives; nothing when another
    /// process has it.
    pub(crate) fn claim(&self) -> Result<Option<Claim>, StoreError> {
        let folder = fs::File::open(&self.staging).map_err(StoreError::disk("open the folder", &self.staging))?;
        Ok(Claim::on(folder, &self.staging))
    }

    /// What lies in the staging folder: leftovers of a crash when no server runs, doubts left out.
    pub(crate) fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = self.staged().map_err(StoreError::disk("read the folder", &self.staging))?;
        files.retain(|path| hash_of_doubt(path).is_none());
        Ok(files)
    }

    /// Empties the staging folder of what a crash left there. Only for who has claimed it.
    pub(crate) fn sweep(&self) -> Result<(), StoreError> {
        self.leftovers()?.iter().try_for_each(|path| fs::remove_file(path).map_err(StoreError::disk("remove", path)))
    }

    fn staged(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(&self.staging)?.map(|entry| Ok(entry?.path())).collect()
    }

    pub(super) fn staging_folder(&self) -> &Path {
        &self.staging
    }

    fn doubt_path(&self, sha256: &str) -> PathBuf {
        self.staging.join(format!("{sha256}{DOUBT}"))
    }

    /// Notes that content may be left without a row, before it can come to that. Tells whether that was
    /// noted already: somebody else is at it, or a crash has left who knows what.
    pub(crate) fn doubt(&self, sha256: &str) -> Result<bool, StoreError> {
        let path = self.doubt_path(sha256);
        match fs::File::create_new(&path) {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
            Err(error) => Err(StoreError::disk("make", &path)(error)),
        }
    }

    /// Like [`Self::doubt`]: a second name of the staged file. That makes no file to be removed again, which some
    /// file systems are slow at.
    fn doubt_staged(&self, staged: &Path, sha256: &str) -> Result<bool, StoreError> {
        match fs::hard_link(staged, self.doubt_path(sha256)) {
            Ok(()) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
            // Not every file system knows second names.
            Err(_) => self.doubt(sha256),
        }
    }

    /// Like [`Self::doubt`], and on disk, for who [holds](Self::hold) the content: a deletion that was
    /// acknowledged is completed even after a power cut. An upload needs no more than the other: what
    /// would be left over is content without a row, which `mwdb-lite check` finds.
    pub(crate) fn doubt_durably(&self, sha256: &str) -> Result<(), StoreError> {
        self.doubt(sha256)?;
        let path = self.doubt_path(sha256);
        disk::sync(&path).and_then(|()| disk::sync(&self.staging)).map_err(StoreError::disk("write to the disk", &path))
    }

    pub(crate) fn is_in_doubt(&self, sha256: &str) -> bool {
        self.doubt_path(sha256).exists()
    }

    pub(crate) fn no_doubt(&self, sha256: &str) -> Result<(), StoreError> {
        let path = self.doubt_path(sha256);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::disk("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// The hashes of all doubts.
    pub(crate) fn doubts(&self) -> Result<Vec<String>, StoreError> {
        let staged = self.staged().map_err(StoreError::disk("read the folder", &self.staging))?;
        Ok(staged.iter().filter_map(|path| hash_of_doubt(path)).collect())
    }

    /// Waits until nobody settles whether content is needed, and keeps it so.
    pub(crate) async fn hold(&self, sha256: &str) -> Kept {
        Kept(self.locks.shared(sha256).await)
    }

    /// Brings an upload to its place. `look` is given a file with its bytes, and what it gives is waited for: while a
    /// small one is hashed, or while the disk or the bucket takes a larger one.
    pub(crate) async fn keep<T, F, L>(self: &Arc<Self>, staged: Staged, look: L) -> Result<(Upload, T), StoreError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        L: FnOnce(PathBuf) -> F + Send + 'static,
    {
        let store = Arc::clone(self);
        let (OnDisk { path, size, digests, small }, look) = blocking(move || {
            let written = staged.written(&store.staging).map_err(StoreError::disk("write into the folder", &store.staging))?;
            let look = match &written {
                Written::Small { path, .. } => Look::Begun(look(path.to_path_buf())),
                Written::Hashed(_) => Look::Later(look),
            };
            Ok((written.hashed(), look))
        })
        .await?;
        // It goes to its place from under whoever looks at it.
        let look = if matches!(self.place, Place::Disk(_)) { look.ended().await } else { look };
        let held = self.locks.shared(&digests.sha256).await;
        let (store, sha256) = (Arc::clone(self), digests.sha256.clone());
        // The lock goes along: who gives the upload up meanwhile does not give up this.
        let (held, begun) = blocking(move || store.begin(path, size, &sha256).map(|begun| (held, begun))).await?;
        let (fresh, seen) = match begun {
            Begun::Placed(placed) => {
                let path = placed.path.clone();
                let fresh = small.filter(|_| placed.is_new());
                // The database takes small ones to the disk, all at once.
                if fresh.is_some() {
                    (fresh, look.at(path).await)
                } else {
                    let (secured, seen) = tokio::join!(blocking(move || placed.secure()), look.at(path));
                    (secured.map(|()| None)?, seen)
                }
            }
            Begun::Staged { bucket, path, doubtful } => {
                let (put, seen) = tokio::join!(bucket.put(&path, size, &digests, doubtful), look.at(path.to_path_buf()));
                (put.map(|()| None)?, seen)
            }
        };
        Ok((Upload { kept: Kept(held), size, digests, fresh }, seen))
    }

    /// Notes a doubt, and brings a staged file to its place in the folder. Blocks.
    fn begin(&self, path: TempPath, size: u64, sha256: &str) -> Result<Begun, StoreError> {
        let doubtful = self.doubt_staged(&path, sha256)?;
        Ok(match &self.place {
            Place::Disk(disk) => Begun::Placed(disk.put(path, size, sha256, doubtful)?),
            Place::S3(bucket) => Begun::Staged { bucket: bucket.clone(), path, doubtful },
        })
    }

    /// Looks content up; nothing when it is missing.
    pub(crate) async fn find(&self, sha256: &str) -> Result<Option<Content>, StoreError> {
        Ok(match &self.place {
            Place::Disk(disk) => disk.open(sha256).await?.map(|(file, size)| Content { size, source: Source::File(file) }),
            Place::S3(bucket) => {
                let found = bucket.find(sha256).await?;
                found.map(|(key, size)| Content { size, source: Source::Object(bucket.clone(), key) })
            }
        })
    }

    /// Looks up content that must be there.
    pub(crate) async fn open_content(&self, sha256: &str) -> Result<Content, StoreError> {
        self.find(sha256).await?.ok_or_else(|| StoreError::Missing(sha256.to_owned()))
    }

    /// Content as a file: the stored one, or a copy that goes with the value.
    pub(crate) async fn lend(&self, sha256: &str) -> Result<Lent, StoreError> {
        if let Place::Disk(disk) = &self.place {
            return Ok(Lent { path: disk.path(sha256), _copy: None });
        }
        let mut reader = self.open_content(sha256).await?.whole().await?;
        let failed = |error| StoreError::disk("copy content into", &self.staging)(error);
        let (file, path) = tempfile::NamedTempFile::new_in(&self.staging).map_err(failed)?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        tokio::io::copy(&mut reader, &mut file).await.map_err(|error| StoreError::Away(format!("read {sha256}: {error}")))?;
        tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(failed)?;
        Ok(Lent { path: path.to_path_buf(), _copy: Some(path) })
    }
}

impl Content {
    /// Reads `length` bytes from `start`.
    pub(crate) async fn read(self, start: u64, length: u64) -> Result<Reader, StoreError> {
        use tokio::io::{AsyncReadExt, AsyncSeekExt};
        match self.source {
            Source::File(mut file) => {
                file.seek(io::SeekFrom::Start(start)).await.map_err(|source| StoreError::Disk { action: "seek".to_owned(), source })?;
                file.set_max_buf_size(PIECE);
                Ok(Box::new(file.take(length)))
            }
            // A range of no bytes cannot be asked for.
            Source::Object(..) if length == 0 => Ok(Box::new(tokio::io::empty())),
            Source::Object(bucket, key) => Ok(Box::new(bucket.read(&key, start, length).await?)),
        }
    }

    /// Reads all of it.
    pub(crate) async fn whole(self) -> Result<Reader, StoreError> {
        let size = self.size;
        self.read(0, size).await
    }
}

/// Runs what waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
    let failed = |error| StoreError::Refused(format!("putting content into its place: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

fn hash_of_doubt(path: &Path) -> Option<String> {
    path.file_name()?.to_str()?.strip_suffix(DOUBT).map(str::to_owned)
}
