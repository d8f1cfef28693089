//! The data folder: what lies where, and that one playground has it at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::settings::Usage;

const LOCK: &str = "playground.lock";
const STATE: &str = "playground.json";

/// A data folder that is ours as long as this value lives.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    _lock: File,
}

/// What other calls of the program know about a running playground.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) pid: u32,
    /// Missing when MWDB was left out.
    pub(crate) mwdb: Option<String>,
    pub(crate) s3: String,
    pub(crate) redis: String,
    pub(crate) karton_ini: PathBuf,
    /// Services that run inside.
    pub(crate) services: Vec<String>,
}

impl DataFolder {
    /// Makes the folder when it is missing, and takes it.
    pub(crate) fn take(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot use the folder `{}`", path.display());
        fs::create_dir_all(path).with_context(context)?;
        let root = path.canonicalize().with_context(context)?;
        let lock = File::create(root.join(LOCK)).with_context(context)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let text = format!("another playground uses `{}`; stop it, or choose another folder with `--data`", path.display());
                Err(Usage(text).into())
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(context),
        }
    }

    pub(crate) fn redis(&self) -> PathBuf {
        self.root.join("redis")
    }

    pub(crate) fn s3(&self) -> PathBuf {
        self.root.join("s3")
    }

    pub(crate) fn mwdb_database(&self) -> PathBuf {
        self.root.join("mwdb/mwdb.sqlite")
    }

    pub(crate) fn mwdb_uploads(&self) -> PathBuf {
        self.root.join("mwdb/uploads")
    }

    pub(crate) fn karton_ini(&self) -> PathBuf {
        self.root.join("karton.ini")
    }

    /// Makes the folders that services expect to find.
    pub(crate) fn prepare(&self) -> anyhow::Result<()> {
        for folder in [self.redis(), self.mwdb_uploads()] {
            fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        }
        Ok(())
    }

    /// Writes the configuration for services. `secret`: only its owner may read it.
    pub(crate) fn write_karton_ini(&self, text: &str, secret: bool) -> anyhow::Result<()> {
        replace(&self.karton_ini(), text.as_bytes(), if secret { 0o600 } else { 0o644 })
    }

    pub(crate) fn write_state(&self, state: &State) -> anyhow::Result<()> {
        replace(&self.root.join(STATE), &serde_json::to_vec_pretty(state)?, 0o600)
    }

    pub(crate) fn remove_state(&self) {
        match fs::remove_file(self.root.join(STATE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => tracing::warn!(%error, "cannot remove `{STATE}`"),
            _ => {}
        }
    }
}

/// The state of the playground that uses the folder now, if one does.
pub(crate) fn running(path: &Path) -> anyhow::Result<Option<State>> {
    // What a killed playground left behind says nothing: the lock does.
    let free = match File::open(path.join(LOCK)) {
        Ok(lock) => lock.try_lock_shared().is_ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(error).with_context(|| format!("cannot read the folder `{}`", path.display())),
    };
    if free {
        return Ok(None);
    }
    let file = path.join(STATE);
    match fs::read(&file) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text).with_context(|| format!("cannot read `{}`", file.display()))?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            anyhow::bail!("the playground in `{}` is just starting or stopping", path.display())
        }
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", file.display())),
    }
}

/// Whole or not at all: others may read the file at any time.
fn replace(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.persist(path)?;
        io::Result::Ok(())
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}
