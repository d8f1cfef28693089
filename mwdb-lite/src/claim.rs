//! What one server has for itself: the staging folder, and the database.
//!
//! A claim is a lock on an open file. It goes with the process that holds it, however that ends, so
//! there is nothing to clean up. The one rule: two servers never look after the same rows, since each
//! would settle the other's doubts about content.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Ending of the file beside a database that stands for it: `SQLite` locks the database itself.
const LOCK: &str = ".lock";

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Claim(#[expect(dead_code, reason = "held, not read")] File);

impl Claim {
    /// Claims what an open file or folder stands for; nothing when another process has it.
    pub(crate) fn on(file: File, path: &Path) -> Option<Self> {
        match file.try_lock() {
            Ok(()) => Some(Self(file)),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Error(error)) => {
                // Some network folders know no locks. Then nothing but care protects them.
                tracing::warn!("`{}` cannot be locked against a second server: {error}", path.display());
                Some(Self(file))
            }
        }
    }

    /// Claims a database, which need not exist yet.
    ///
    /// # Errors
    /// When another server has it.
    pub(crate) fn database(path: &Path) -> anyhow::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make the folder `{}` ([mwdb] sqlite_path)", folder.display()))?;
        }
        let lock = lock_of(path);
        let file = File::options()
            .create(true)
            .append(true)
            .open(&lock)
            .with_context(|| format!("open `{}` ([mwdb] sqlite_path)", lock.display()))?;
        Self::on(file, &lock)
            .with_context(|| format!("another mwdb-lite serves the database `{}`: stop it, or set [mwdb] sqlite_path", path.display()))
    }
}

/// One file for one database, by whatever path it is named.
fn lock_of(path: &Path) -> PathBuf {
    let mut lock = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    lock.push(LOCK);
    lock.into()
}
