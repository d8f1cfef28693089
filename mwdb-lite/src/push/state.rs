//! How far a push has come, in a file.
//!
//! The file is replaced as a whole, now and then: what a crash loses is sent again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::objects::Kind;

/// How old the file may be while the push goes on.
const AGE: Duration = Duration::from_millis(500);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// Address of the other MWDB.
    target: String,
    files: i64,
    blobs: i64,
    configs: i64,
    relations: i64,
    /// Hash, or hashes of parent and child, with the reason.
    failed: BTreeMap<String, String>,
}

/// The positions of a push, and what could not be sent.
pub(super) struct State {
    path: PathBuf,
    saved: Saved,
    written: Instant,
}

impl State {
    /// Reads the file, or starts from nothing.
    pub(super) fn load(path: &Path, target: &str, restart: bool) -> anyhow::Result<Self> {
        let saved = match std::fs::read(path) {
            _ if restart => Saved::default(),
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("the state file `{}` cannot be read: remove it to send everything again", path.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Saved::default(),
            Err(error) => return Err(error).with_context(|| format!("read the state file `{}`", path.display())),
        };
        ensure!(
            saved.target.is_empty() || saved.target == target,
            "the state file `{}` belongs to a push to {}: name another one with --state",
            path.display(),
            saved.target
        );
        Ok(Self { path: path.to_owned(), saved: Saved { target: target.to_owned(), ..saved }, written: Instant::now() })
    }

    pub(super) fn after(&self, kind: Kind) -> i64 {
        match kind {
            Kind::File => self.saved.files,
            Kind::Blob => self.saved.blobs,
            Kind::Config => self.saved.configs,
        }
    }

    pub(super) fn relations(&self) -> i64 {
        self.saved.relations
    }

    pub(super) fn failed(&self) -> Vec<String> {
        self.saved.failed.keys().cloned().collect()
    }

    pub(super) fn failure(&mut self, subject: &str, reason: &str) {
        self.saved.failed.insert(subject.to_owned(), reason.to_owned());
    }

    pub(super) fn succeeded(&mut self, subject: &str) {
        self.saved.failed.remove(subject);
    }

    pub(super) fn came_to(&mut self, kind: Kind, id: i64) -> anyhow::Result<()> {
        match kind {
            Kind::File => self.saved.files = id,
            Kind::Blob => self.saved.blobs = id,
            Kind::Config => self.saved.configs = id,
        }
        self.save_sometimes()
    }

    pub(super) fn relation(&mut self, id: i64) -> anyhow::Result<()> {
        self.saved.relations = id;
        self.save_sometimes()
    }

    fn save_sometimes(&mut self) -> anyhow::Result<()> {
        if self.written.elapsed() > AGE { self.save() } else { Ok(()) }
    }

    /// Writes the file.
    pub(super) fn save(&mut self) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&mut file, &self.saved)?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().with_context(|| format!("write the state file `{}`", self.path.display()))?;
        self.written = Instant::now();
        Ok(())
    }
}
