//! A file on its way in: written to the staging folder and hashed by a thread of its own.
//!
//! Whatever ends an upload early, the staged file is gone with the value that stands for it.

use std::io::Write;

use bytes::Bytes;
use tempfile::TempPath;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    Store,
    digests::{Digests, Hasher},
};

/// Pieces on their way to the thread: bounds what an upload holds in memory.
const PIECES: usize = 8;

enum Piece {
    Data(Bytes),
    /// The upload is complete; a channel that closes without it is one that broke off.
    End,
}

/// An upload in progress.
pub(crate) struct Staging {
    pieces: mpsc::Sender<Piece>,
    worker: JoinHandle<std::io::Result<Option<Staged>>>,
}

/// A complete upload, not yet in its place.
pub(crate) struct Staged {
    pub(super) path: TempPath,
    pub(crate) size: u64,
    pub(crate) digests: Digests,
}

impl Staging {
    /// Opens a file in the staging folder.
    pub(crate) fn start(store: &Store, ssdeep: bool) -> Self {
        let folder = store.staging_folder().to_owned();
        let (pieces, mut inbox) = mpsc::channel(PIECES);
        let worker = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
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
            Ok(Some(Staged { size: hasher.size(), digests: hasher.finish(), path: file.into_temp_path() }))
        });
        Self { pieces, worker }
    }

    /// Adds bytes; waits when the disk is slower than the client.
    pub(crate) async fn push(&mut self, bytes: Bytes) -> std::io::Result<()> {
        match self.pieces.send(Piece::Data(bytes)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Ends the upload: the bytes are written. The disk has them once they are in their place.
    pub(crate) async fn finish(mut self) -> std::io::Result<Staged> {
        if self.pieces.send(Piece::End).await.is_err() {
            return Err(self.failure().await);
        }
        let outcome = self.worker.await.map_err(std::io::Error::other)??;
        outcome.ok_or_else(|| std::io::Error::other("the staging thread was told of no end"))
    }

    /// Why the thread has stopped before the end: its own error, such as a full disk.
    async fn failure(&mut self) -> std::io::Error {
        match (&mut self.worker).await {
            Ok(Err(error)) => error,
            Ok(Ok(_)) => std::io::Error::other("the staging thread has stopped early"),
            Err(error) => std::io::Error::other(error),
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
        // The first pieces may fit into the channel before the thread has noticed.
        let error = loop {
            if let Err(error) = staging.push(Bytes::from_static(b"piece")).await {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        Ok(())
    }
}
