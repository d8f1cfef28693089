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

impl Staged {
    /// Where the bytes are now.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }
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
            file.as_file().sync_data()?;
            Ok(Some(Staged { size: hasher.size(), digests: hasher.finish(), path: file.into_temp_path() }))
        });
        Self { pieces, worker }
    }

    /// Adds bytes; waits when the disk is slower than the client.
    pub(crate) async fn push(&self, bytes: Bytes) -> std::io::Result<()> {
        self.pieces.send(Piece::Data(bytes)).await.map_err(|_| std::io::Error::other("the staging thread has stopped"))
    }

    /// Ends the upload: the bytes are on disk.
    pub(crate) async fn finish(self) -> std::io::Result<Staged> {
        // When the thread has stopped, its own error says why.
        let _ = self.pieces.send(Piece::End).await;
        let outcome = self.worker.await.map_err(std::io::Error::other)??;
        outcome.ok_or_else(|| std::io::Error::other("the staging thread was told of no end"))
    }
}
