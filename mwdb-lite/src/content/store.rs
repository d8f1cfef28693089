//! Where content lives: a folder, one file per SHA-256.
//!
//! `hash_pathing` spreads files as `a/b/c/d/<sha256>` by the first four digits, as MWDB Core does, so
//! its folder can be taken over. An upload announces its hash before it looks for an old file, and a
//! removal spares announced hashes: so content never vanishes under an upload of the same bytes.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::Staged;
use crate::config::Config;

/// Below the uploads folder, so that a rename brings a file to its place.
const STAGING: &str = ".staging";

/// The store of content.
pub(crate) struct Store {
    folder: PathBuf,
    staging: PathBuf,
    hash_pathing: bool,
    fallback: bool,
    arriving: Mutex<HashMap<String, usize>>,
}

/// Content that is in place. As long as this lives, it is not removed.
pub(crate) struct Kept {
    store: Arc<Store>,
    sha256: String,
}

impl Store {
    /// Makes the folders.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        let folder = config.uploads_folder.clone();
        let staging = folder.join(STAGING);
        fs::create_dir_all(&staging)?;
        Ok(Self {
            folder,
            staging,
            hash_pathing: config.hash_pathing,
            fallback: config.hash_pathing_fallback,
            arriving: Mutex::new(HashMap::new()),
        })
    }

    /// Empties the staging folder of what a crash left there. For the server alone: other commands
    /// may open the store while it takes uploads.
    ///
    /// # Errors
    /// When a leftover cannot be removed.
    pub(crate) fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.staging)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn staging_folder(&self) -> &Path {
        &self.staging
    }

    fn path_by(&self, hash_pathing: bool, sha256: &str) -> PathBuf {
        let mut path = self.folder.clone();
        if hash_pathing {
            path.extend(sha256.chars().take(4).map(String::from));
        }
        path.push(sha256);
        path
    }

    /// Where the content of a file is.
    pub(crate) fn path(&self, sha256: &str) -> PathBuf {
        let path = self.path_by(self.hash_pathing, sha256);
        if self.fallback && !path.exists() {
            let other = self.path_by(!self.hash_pathing, sha256);
            if other.exists() {
                return other;
            }
        }
        path
    }

    /// Brings a staged file to its place. Blocks.
    pub(crate) fn keep(self: &Arc<Self>, staged: Staged) -> io::Result<Kept> {
        let sha256 = staged.digests.sha256.clone();
        *self.arriving().entry(sha256.clone()).or_insert(0) += 1;
        let kept = Kept { store: Arc::clone(self), sha256 };
        let path = self.path(&kept.sha256);
        // The same bytes are there already, unless a full disk or a crash cut them short.
        if fs::metadata(&path).is_ok_and(|there| there.len() == staged.size) {
            return Ok(kept);
        }
        let folder = path.parent().unwrap_or(&self.folder);
        self.make_folders(folder)?;
        staged.path.persist(&path).map_err(|error| error.error)?;
        fs::File::open(folder)?.sync_all()?;
        Ok(kept)
    }

    /// Makes the folders of a path; new ones are on disk before content is put into them.
    fn make_folders(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        for parent in folder.ancestors().skip(1).take_while(|parent| parent.starts_with(&self.folder)) {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    /// Removes content that the database does not name any more, unless it is arriving again. Called
    /// by the database's writer, so that no upload can be recorded meanwhile.
    pub(crate) fn discard(&self, sha256: &str) -> io::Result<()> {
        let arriving = self.arriving();
        if arriving.contains_key(sha256) {
            return Ok(());
        }
        match fs::remove_file(self.path(sha256)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn arriving(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        // The map is consistent between any two statements that hold the lock.
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut arriving = self.store.arriving();
        if let Some(count) = arriving.get_mut(&self.sha256) {
            *count -= 1;
            if *count == 0 {
                arriving.remove(&self.sha256);
            }
        }
    }
}
