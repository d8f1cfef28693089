//! The folders of a run.
//!
//! The one rule: **nothing is removed before the end**. ext4 without a journal looks past every inode that was freed in
//! the last minutes when it makes a file, so that what is measured next would pay for what was measured before.

use std::{fs::Permissions, io, os::unix::fs::PermissionsExt as _, path::PathBuf, sync::OnceLock};

use tempfile::TempDir;

static RUN: OnceLock<PathBuf> = OnceLock::new();

/// The folder that all others of this run are made in, while this lives.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn of_run() -> io::Result<TempDir> {
    // PostgreSQL, as a user of its own, passes through it.
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o711)).tempdir()?;
    RUN.get_or_init(|| folder.path().to_owned());
    Ok(folder)
}

/// An empty folder.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn empty() -> io::Result<PathBuf> {
    let within = RUN.get().cloned().unwrap_or_else(std::env::temp_dir);
    Ok(tempfile::tempdir_in(within)?.keep())
}
