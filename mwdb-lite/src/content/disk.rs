//! Content in a folder, one file per SHA-256.
//!
//! `hash_pathing` spreads files as `a/b/c/d/<sha256>` by the first four digits, as MWDB Core does, so
//! its folder can be taken over. With the fallback, what lies under the other scheme is found too.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::{Layout, STRAYS, StoreError};

/// How much of a file is compared at once.
const PIECE: usize = 64 * 1024;

/// A folder of content.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    folder: PathBuf,
    layout: Layout,
}

impl Disk {
    pub(super) fn new(folder: PathBuf, layout: Layout) -> Self {
        Self { folder, layout }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the content of a file is, or would be put.
    pub(super) fn path(&self, sha256: &str) -> PathBuf {
        let mut paths = self.layout.keys(sha256).map(|key| self.folder.join(key));
        let first = paths.next().unwrap_or_else(|| self.folder.join(sha256));
        if first.exists() { first } else { paths.find(|path| path.exists()).unwrap_or(first) }
    }

    /// Brings a staged file to its place. Blocks. What is there already stays if it is the same bytes, unless that is
    /// `doubtful`.
    pub(super) fn put(&self, staged: TempPath, size: u64, sha256: &str, doubtful: bool) -> Result<Placed, StoreError> {
        let path = self.path(sha256);
        // A crash may have cut it short, a disk may have lost some of it: an upload brings it back. What cannot be
        // read is not the same.
        if !doubtful && is_same(&path, &staged, size).unwrap_or(false) {
            return Ok(Placed { path, changed: None });
        }
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(StoreError::disk("make the folder", folder))?;
        // All of them: another upload may have made some just now, and the disk not know of them.
        let changed = Some(self.folders_of(&path).map(Path::to_owned).collect());
        // An empty place is taken first: then the disk gets bytes and folders at once. What others may
        // rely on is replaced only by what the disk has.
        if let Err(taken) = staged.persist_noclobber(&path) {
            sync(&taken.path).map_err(StoreError::disk("write", &taken.path))?;
            taken.path.persist(&path).map_err(|error| StoreError::disk("put content into", &path)(error.error))?;
        }
        Ok(Placed { path, changed })
    }

    /// Opens content; nothing when it is missing.
    pub(super) async fn open(&self, sha256: &str) -> Result<Option<(tokio::fs::File, u64)>, StoreError> {
        let path = self.path(sha256);
        let file = match tokio::fs::File::open(&path).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::disk("open", &path)(error)),
        };
        let size = file.metadata().await.map_err(StoreError::disk("look at", &path))?.len();
        Ok(Some((file, size)))
    }

    /// The key under which content is; nothing when it is missing.
    pub(super) fn key_of(&self, sha256: &str) -> Option<String> {
        self.layout.keys(sha256).find(|key| self.folder.join(key).exists())
    }

    /// Makes the disk take all that it has not taken yet, where the system can. That it is done says nothing: some
    /// file systems do nothing, or nothing any more. Blocks.
    pub(super) fn hurry(&self) {
        if let Ok(folder) = fs::File::open(&self.folder)
            && let Err(error) = rustix::fs::syncfs(folder)
        {
            tracing::debug!("syncfs `{}`: {error}", self.folder.display());
        }
    }

    /// Waits until the disk has content, and the folders that lead to it; gives the numbers of which it has, and
    /// those of which it has not, with the reason. Blocks.
    pub(super) fn secure(&self, contents: Vec<(i64, String)>) -> (Vec<i64>, Vec<(i64, StoreError)>) {
        let mut folders: HashSet<PathBuf> = HashSet::new();
        let (mut secured, mut refused) = (Vec::new(), Vec::new());
        for (id, sha256) in contents {
            let path = self.path(&sha256);
            let outcome = sync(&path).and_then(|()| {
                for folder in self.folders_of(&path) {
                    if !folders.contains(folder) {
                        sync(folder)?;
                        folders.insert(folder.to_owned());
                    }
                }
                Ok(())
            });
            match outcome.map_err(StoreError::disk("write to the disk", &path)) {
                Ok(()) => secured.push(id),
                Err(error) => refused.push((id, error)),
            }
        }
        (secured, refused)
    }

    /// The folders that lead to content, from the one that lists it up to that of all.
    fn folders_of<'a>(&'a self, path: &'a Path) -> impl Iterator<Item = &'a Path> {
        path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.folder))
    }

    /// Removes content, under both schemes where both are read.
    pub(super) fn remove(&self, sha256: &str) -> Result<(), StoreError> {
        self.layout.keys(sha256).map(|key| self.folder.join(key)).try_for_each(|path| match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::disk("remove", &path)(error)),
            _ => Ok(()),
        })
    }

    /// The files of the folder with their sizes, each by its path below the folder. Blocks.
    pub(super) fn list(&self, mut each: impl FnMut(String, u64) -> bool) -> Result<(), StoreError> {
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder).map_err(StoreError::disk("read the folder", &folder))?;
            for entry in entries {
                let entry = entry.map_err(StoreError::disk("read the folder", &folder))?;
                let path = entry.path();
                let kind = entry.file_type().map_err(StoreError::disk("look at", &path))?;
                // What is ours but no content starts with a dot.
                let hidden = folder == self.folder && entry.file_name().as_encoded_bytes().starts_with(b".");
                if kind.is_dir() && !hidden {
                    folders.push(path);
                } else if kind.is_file() && !hidden {
                    let size = match entry.metadata() {
                        Ok(metadata) => metadata.len(),
                        // Removed meanwhile.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        Err(error) => return Err(StoreError::disk("look at", &path)(error)),
                    };
                    let key = path.strip_prefix(&self.folder).unwrap_or(&path).to_string_lossy().into_owned();
                    if !each(key, size) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Moves a file out of the way, and tells where to.
    pub(super) fn set_aside(&self, key: &str) -> Result<String, StoreError> {
        let from = self.folder.join(key);
        let target = self.folder.join(STRAYS).join(key.replace('/', "_"));
        let folder = target.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(StoreError::disk("make the folder", folder))?;
        fs::rename(&from, &target).map_err(StoreError::disk("move away", &from))?;
        sync(folder).map_err(StoreError::disk("write the folder", folder))?;
        Ok(target.display().to_string())
    }
}

/// Content in its place, of which the disk may not know yet.
pub(super) struct Placed {
    pub(super) path: PathBuf,
    /// Folders that list something new; nothing when the content was there before.
    changed: Option<Vec<PathBuf>>,
}

impl Placed {
    /// Whether the content was not there before.
    pub(super) fn is_new(&self) -> bool {
        self.changed.is_some()
    }

    /// Waits until the disk has it. Blocks.
    pub(super) fn secure(self) -> Result<(), StoreError> {
        let Self { path, changed } = self;
        changed.map_or(Ok(()), |changed| sync_together(&path, &changed).map_err(StoreError::disk("write", &path)))
    }
}

/// Whether one file holds what another one of `size` bytes does.
fn is_same(one: &Path, other: &Path, size: u64) -> io::Result<bool> {
    let (mut one, mut other) = (fs::File::open(one)?, fs::File::open(other)?);
    if one.metadata()?.len() != size {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; PIECE], vec![0; PIECE]);
    let mut compared = 0;
    while compared < size {
        let length = usize::try_from(size - compared).unwrap_or(PIECE).min(PIECE);
        one.read_exact(&mut left[..length])?;
        other.read_exact(&mut right[..length])?;
        if left[..length] != right[..length] {
            return Ok(false);
        }
        compared += length as u64;
    }
    Ok(true)
}

/// Makes durable what a folder lists, or what a file holds.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Makes a file and folders durable: all waits for the disk at the same time.
fn sync_together(file: &Path, folders: &[PathBuf]) -> io::Result<()> {
    std::thread::scope(|scope| {
        let waits: Vec<_> = folders.iter().map(|folder| scope.spawn(move || sync(folder))).collect();
        let panicked = |_| Err(io::Error::other("waiting for the disk panicked"));
        waits.into_iter().fold(sync(file), |outcome, wait| outcome.and(wait.join().unwrap_or_else(panicked)))
    })
}
