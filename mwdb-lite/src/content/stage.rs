//! A file on its way in. A small one is held in memory until it is complete; a larger one is written to the
//! staging folder and hashed by a thread of its own while it arrives.
//!
//! Whatever ends an upload early, the staged file is gone with the value that stands for it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{
    Store, StoreError,
    digests::{Digests, Hasher},
};

/// A file up to this size is small: bounds what its upload holds in memory, and what is written a second
/// time into the [database](super::fresh).
const SMALL: usize = 128 * 1024;
/// Pieces of a larger one on their way to the thread: bounds what its upload holds in memory.
const PIECES: usize = 8;
/// How long a larger one waits until it may come, when too many do.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// An upload in progress.
pub(crate) struct Staging {
    folder: PathBuf,
    ssdeep: bool,
    large: Arc<Semaphore>,
    state: State,
}

enum State {
    Small(Vec<u8>),
    Large(Worker),
}

/// The thread of a larger one.
struct Worker {
    pieces: mpsc::Sender<Piece>,
    outcome: oneshot::Receiver<io::Result<Option<OnDisk>>>,
    folder: PathBuf,
}

enum Piece {
    Data(Bytes),
    /// The upload is complete; a channel that closes without it is one that broke off.
    End,
}

/// A complete upload, not yet in its place.
pub(crate) struct Staged(Complete);

enum Complete {
    Small { bytes: Vec<u8>, ssdeep: bool },
    Large(OnDisk),
}

/// A complete upload in the staging folder, of which a small one is not hashed yet.
pub(super) enum Written {
    Small { path: TempPath, bytes: Vec<u8>, ssdeep: bool },
    Hashed(OnDisk),
}

/// A complete upload in the staging folder.
pub(super) struct OnDisk {
    pub(super) path: TempPath,
    pub(super) size: u64,
    pub(super) digests: Digests,
    /// The bytes again, of a small one.
    pub(super) small: Option<Vec<u8>>,
}

impl Staging {
    /// Begins with nothing.
    pub(crate) fn start(store: &Store, ssdeep: bool) -> Self {
        let (folder, large) = (store.staging_folder().to_owned(), Arc::clone(&store.large));
        Self { folder, ssdeep, large, state: State::Small(Vec::new()) }
    }

    /// Adds bytes; waits when the disk is slower than the client.
    pub(crate) async fn push(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if let State::Small(held) = &mut self.state {
            if held.len() + bytes.len() <= SMALL {
                held.extend_from_slice(&bytes);
                return Ok(());
            }
            let mut worker = Worker::start(&self.large, self.folder.clone(), self.ssdeep).await?;
            worker.send(Piece::Data(std::mem::take(held).into())).await?;
            self.state = State::Large(worker);
        }
        match &mut self.state {
            State::Large(worker) => worker.send(Piece::Data(bytes)).await,
            State::Small(_) => Ok(()),
        }
    }

    /// Ends the upload. The disk has it once it is in its place.
    pub(crate) async fn finish(self) -> Result<Staged, StoreError> {
        Ok(Staged(match self.state {
            State::Small(bytes) => Complete::Small { bytes, ssdeep: self.ssdeep },
            State::Large(worker) => Complete::Large(worker.finish().await?),
        }))
    }
}

impl Staged {
    /// Of bytes that are at hand.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self(Complete::Small { bytes, ssdeep: false })
    }

    pub(crate) fn is_empty(&self) -> bool {
        match &self.0 {
            Complete::Small { bytes, .. } => bytes.is_empty(),
            Complete::Large(on_disk) => on_disk.size == 0,
        }
    }

    /// As if it were a large one: [`Store::keep`] then waits until the disk has it.
    pub(crate) async fn spooled(self, store: &Store) -> io::Result<Self> {
        let folder = store.staging_folder().to_owned();
        let on_disk =
            tokio::task::spawn_blocking(move || Ok::<_, io::Error>(self.written(&folder)?.hashed())).await.map_err(io::Error::other)??;
        Ok(Self(Complete::Large(OnDisk { small: None, ..on_disk })))
    }

    /// The hash; of a small one only when it is [spooled](Self::spooled).
    pub(crate) fn sha256(&self) -> Option<&str> {
        match &self.0 {
            Complete::Small { .. } => None,
            Complete::Large(on_disk) => Some(&on_disk.digests.sha256),
        }
    }

    /// Writes what is in memory still. Blocks.
    pub(super) fn written(self, folder: &Path) -> io::Result<Written> {
        match self.0 {
            Complete::Large(on_disk) => Ok(Written::Hashed(on_disk)),
            Complete::Small { bytes, ssdeep } => {
                let mut file = NamedTempFile::new_in(folder)?;
                file.write_all(&bytes)?;
                Ok(Written::Small { path: file.into_temp_path(), bytes, ssdeep })
            }
        }
    }
}

impl Written {
    /// Hashes what is not hashed. Takes a while.
    pub(super) fn hashed(self) -> OnDisk {
        match self {
            Self::Hashed(on_disk) => on_disk,
            Self::Small { path, bytes, ssdeep } => {
                let mut hasher = Hasher::new(ssdeep);
                hasher.update(&bytes);
                OnDisk { path, size: hasher.size(), digests: hasher.finish(), small: Some(bytes) }
            }
        }
    }
}

impl Worker {
    /// A thread of its own: those of the runtime are needed for the database.
    async fn start(large: &Arc<Semaphore>, folder: PathBuf, ssdeep: bool) -> Result<Self, StoreError> {
        let turn = tokio::time::timeout(LONGEST_WAIT, Arc::clone(large).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(StoreError::Busy)?;
        let (pieces, inbox) = mpsc::channel(PIECES);
        let (tell, outcome) = oneshot::channel();
        let into = folder.clone();
        let work = move || {
            let staged = stage(&into, ssdeep, inbox);
            drop(turn);
            // Nobody listens when the upload broke off.
            let _ = tell.send(staged);
        };
        let started = std::thread::Builder::new().name("staging".to_owned()).spawn(work);
        started.map_err(|source| StoreError::Disk { action: "start a thread for an upload".to_owned(), source })?;
        Ok(Self { pieces, outcome, folder })
    }

    async fn send(&mut self, piece: Piece) -> Result<(), StoreError> {
        match self.pieces.send(piece).await {
            Ok(()) => Ok(()),
            Err(_) => self.staged().await.and(Err(self.failed(io::Error::other("the staging thread has stopped early")))),
        }
    }

    async fn finish(mut self) -> Result<OnDisk, StoreError> {
        self.send(Piece::End).await?;
        let staged = self.staged().await?;
        staged.ok_or_else(|| self.failed(io::Error::other("the staging thread was told of no end")))
    }

    /// What the thread has come to: its own error, such as a full disk.
    async fn staged(&mut self) -> Result<Option<OnDisk>, StoreError> {
        let outcome = (&mut self.outcome).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        outcome.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> StoreError {
        StoreError::disk("write into the folder", &self.folder)(error)
    }
}

/// Writes and hashes what comes; gives nothing when it breaks off.
fn stage(folder: &Path, ssdeep: bool, mut inbox: mpsc::Receiver<Piece>) -> io::Result<Option<OnDisk>> {
    let mut file = NamedTempFile::new_in(folder)?;
    let mut hasher = Hasher::new(ssdeep);
    loop {
        match inbox.blocking_recv() {
            Some(Piece::Data(bytes)) => {
                hasher.update(&bytes);
                file.write_all(&bytes)?;
            }
            Some(Piece::End) => break,
            None => return Ok(None),
        }
    }
    Ok(Some(OnDisk { size: hasher.size(), digests: hasher.finish(), path: file.into_temp_path(), small: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_upload_that_cannot_be_written_says_why() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let config = crate::Config { uploads_folder: folder.path().join("uploads"), ..crate::Config::default() };
        let store = Store::open(&config).await?;
        std::fs::remove_dir_all(store.staging_folder())?;
        let mut staging = Staging::start(&store, false);
        staging.push(Bytes::from_static(b"small")).await?;
        let error = staging.finish().await?.written(store.staging_folder()).err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::NotFound));
        let mut staging = Staging::start(&store, false);
        // The first pieces of a larger one may fit into the channel before the thread has noticed.
        let error = loop {
            if let Err(error) = staging.push(vec![0; SMALL].into()).await {
                break error;
            }
        };
        let StoreError::Disk { source, .. } = error else { panic!("{error}") };
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
        Ok(())
    }
}
