//! A file on its way in. A small one is held in memory until it is complete; a larger one is written to the
//! staging folder and hashed by a thread of its own while it arrives.
//!
//! Whatever ends an upload early, the staged file is gone with the value that stands for it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Store,
    digests::{Digests, Hasher},
};

/// A file up to this size is small: bounds what its upload holds in memory, and what is written a second
/// time into the [database](super::fresh).
const SMALL: usize = 128 * 1024;
/// Pieces of a larger one on their way to the thread: bounds what its upload holds in memory.
const PIECES: usize = 8;

/// An upload in progress.
pub(crate) struct Staging {
    to: Target,
    state: State,
}

#[derive(Clone)]
struct Target {
    folder: PathBuf,
    ssdeep: bool,
}

enum State {
    Small(Vec<u8>),
    Large(Worker),
}

/// The thread of a larger one.
struct Worker {
    pieces: mpsc::Sender<Piece>,
    outcome: JoinHandle<io::Result<Option<OnDisk>>>,
}

enum Piece {
    Data(Bytes),
    /// The upload is complete; a channel that closes without it is one that broke off.
    End,
}

/// A complete upload, not yet in its place.
pub(crate) struct Staged(Complete);

enum Complete {
    Small(Target, Vec<u8>),
    Large(OnDisk),
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
        Self { to: Target { folder: store.staging_folder().to_owned(), ssdeep }, state: State::Small(Vec::new()) }
    }

    /// Adds bytes; waits when the disk is slower than the client.
    pub(crate) async fn push(&mut self, bytes: Bytes) -> io::Result<()> {
        if let State::Small(held) = &mut self.state {
            if held.len() + bytes.len() <= SMALL {
                held.extend_from_slice(&bytes);
                return Ok(());
            }
            let mut worker = Worker::start(self.to.clone());
            worker.send(Piece::Data(std::mem::take(held).into())).await?;
            self.state = State::Large(worker);
        }
        match &mut self.state {
            State::Large(worker) => worker.send(Piece::Data(bytes)).await,
            State::Small(_) => Ok(()),
        }
    }

    /// Ends the upload. The disk has it once it is in its place.
    pub(crate) async fn finish(self) -> io::Result<Staged> {
        Ok(Staged(match self.state {
            State::Small(bytes) => Complete::Small(self.to, bytes),
            State::Large(worker) => Complete::Large(worker.finish().await?),
        }))
    }
}

impl Staged {
    pub(crate) fn is_empty(&self) -> bool {
        match &self.0 {
            Complete::Small(_, bytes) => bytes.is_empty(),
            Complete::Large(on_disk) => on_disk.size == 0,
        }
    }

    /// As if it were a large one: [`Store::keep`] then waits until the disk has it.
    pub(crate) async fn spooled(self) -> io::Result<Self> {
        let on_disk = tokio::task::spawn_blocking(|| self.on_disk()).await.map_err(io::Error::other)??;
        Ok(Self(Complete::Large(OnDisk { small: None, ..on_disk })))
    }

    /// The hash; of a small one only when it is [spooled](Self::spooled).
    pub(crate) fn sha256(&self) -> Option<&str> {
        match &self.0 {
            Complete::Small(..) => None,
            Complete::Large(on_disk) => Some(&on_disk.digests.sha256),
        }
    }

    /// Writes and hashes what is in memory still. Blocks.
    pub(super) fn on_disk(self) -> io::Result<OnDisk> {
        match self.0 {
            Complete::Large(on_disk) => Ok(on_disk),
            Complete::Small(Target { folder, ssdeep }, bytes) => {
                let mut hasher = Hasher::new(ssdeep);
                hasher.update(&bytes);
                let path = write(&folder, &bytes)?;
                Ok(OnDisk { path, size: hasher.size(), digests: hasher.finish(), small: Some(bytes) })
            }
        }
    }
}

/// Writes a new file into the staging folder. Blocks, but does not wait for the disk.
pub(super) fn write(folder: &Path, bytes: &[u8]) -> io::Result<TempPath> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    Ok(file.into_temp_path())
}

impl Worker {
    fn start(to: Target) -> Self {
        let (pieces, mut inbox) = mpsc::channel(PIECES);
        let outcome = tokio::task::spawn_blocking(move || {
            let mut file = NamedTempFile::new_in(to.folder)?;
            let mut hasher = Hasher::new(to.ssdeep);
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
        });
        Self { pieces, outcome }
    }

    async fn send(&mut self, piece: Piece) -> io::Result<()> {
        match self.pieces.send(piece).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    async fn finish(mut self) -> io::Result<OnDisk> {
        self.send(Piece::End).await?;
        let outcome = self.outcome.await.map_err(io::Error::other)??;
        outcome.ok_or_else(|| io::Error::other("the staging thread was told of no end"))
    }

    /// Why the thread has stopped before the end: its own error, such as a full disk.
    async fn failure(&mut self) -> io::Error {
        match (&mut self.outcome).await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) => io::Error::other("the staging thread has stopped early"),
            Err(error) => io::Error::other(error),
        }
    }
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
        let error = staging.finish().await?.on_disk().err().map(|error| error.kind());
        assert_eq!(error, Some(io::ErrorKind::NotFound));
        let mut staging = Staging::start(&store, false);
        // The first pieces of a larger one may fit into the channel before the thread has noticed.
        let error = loop {
            if let Err(error) = staging.push(Bytes::from_static(&[0; SMALL])).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        Ok(())
    }
}
