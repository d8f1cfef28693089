//! Folders as resources: a zip on the way out, files on the way in. See Karton protocol §5.2.
//!
//! The one rule: what is unpacked stays below the folder it is unpacked to, and below the size that the
//! caller allows. All of this blocks.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::Path;

use tokio_util::sync::CancellationToken;
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

/// From this size on an entry needs the long form of its sizes.
const LARGE: u64 = u32::MAX as u64;
/// Folders that lie deeper are no samples but a trap.
const DEEPEST: usize = 256;
/// How many files a zip may unpack to.
const MOST_FILES: usize = 1_000_000;

/// Packs all files below `folder` into a temporary zip; links to files are followed, those to folders
/// are not, and empty folders are lost, as in the reference. Ends early, and leaves nothing behind, when
/// nobody wants the zip any more.
pub(crate) fn pack(folder: &Path, unwanted: &CancellationToken) -> io::Result<tempfile::TempPath> {
    let target = tempfile::NamedTempFile::new()?;
    let mut archive = ZipWriter::new(BufWriter::new(target.as_file()));
    add(&mut archive, folder, "", 0, unwanted)?;
    archive.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(target.into_temp_path())
}

fn add(
    archive: &mut ZipWriter<BufWriter<&File>>,
    folder: &Path,
    prefix: &str,
    depth: usize,
    unwanted: &CancellationToken,
) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other(format!("{} lies too deep", folder.display())));
    }
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            add(archive, &entry.path(), &format!("{name}/"), depth + 1, unwanted)?;
        } else if entry.path().is_file() {
            let file = File::open(entry.path())?;
            let large = file.metadata()?.len() >= LARGE;
            archive.start_file(name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(large))?;
            io::copy(&mut While { file, unwanted }, archive)?;
        }
    }
    Ok(())
}

/// A file that cannot be read any more once nobody wants it.
struct While<'a> {
    file: File,
    unwanted: &'a CancellationToken,
}

impl Read for While<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unwanted.is_cancelled() {
            return Err(io::Error::other("nobody wants the zip any more"));
        }
        self.file.read(buffer)
    }
}

/// Unpacks a zip below `folder`, up to `limit` bytes in all. Entries whose names lead elsewhere and
/// links are left out.
pub(crate) fn unpack(archive: File, folder: &Path, limit: u64) -> io::Result<()> {
    let mut archive = ZipArchive::new(archive)?;
    if archive.len() > MOST_FILES {
        return Err(io::Error::other(format!("the zip has more than {MOST_FILES} entries")));
    }
    let mut left = limit;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let Some(path) = entry.enclosed_name().filter(|_| !entry.is_symlink()).map(|name| folder.join(name)) else { continue };
        if entry.is_dir() {
            std::fs::create_dir_all(path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // One byte more than may come tells that it is too much, whatever the entry says of itself.
        let written = io::copy(&mut entry.by_ref().take(left.saturating_add(1)), &mut File::create(&path)?)?;
        left = left.checked_sub(written).ok_or_else(|| io::Error::other(format!("the zip holds more than {limit} bytes")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_comes_back_as_it_was_without_what_is_empty() -> io::Result<()> {
        let (from, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
        std::fs::create_dir_all(from.path().join("a/b"))?;
        std::fs::create_dir(from.path().join("empty"))?;
        std::fs::write(from.path().join("a/b/c.txt"), "deep")?;
        std::fs::write(from.path().join("top"), "")?;
        std::os::unix::fs::symlink(from.path().join("top"), from.path().join("link"))?;
        std::os::unix::fs::symlink("/", from.path().join("root"))?;
        unpack(File::open(pack(from.path(), &CancellationToken::new())?)?, to.path(), 4)?;
        assert_eq!(std::fs::read_to_string(to.path().join("a/b/c.txt"))?, "deep");
        let mut names: Vec<_> =
            std::fs::read_dir(to.path())?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?;
        names.sort();
        assert_eq!(names, ["a", "link", "top"]);
        Ok(())
    }

    #[test]
    fn a_zip_that_nobody_wants_is_not_made() -> io::Result<()> {
        let from = tempfile::tempdir()?;
        std::fs::write(from.path().join("file"), "content")?;
        let unwanted = CancellationToken::new();
        unwanted.cancel();
        assert!(pack(from.path(), &unwanted).is_err());
        Ok(())
    }

    fn zip_of(entries: &[(&str, &[u8])]) -> io::Result<File> {
        let file = tempfile::tempfile()?;
        let mut archive = ZipWriter::new(&file);
        for (name, content) in entries {
            archive.start_file(*name, SimpleFileOptions::default())?;
            io::Write::write_all(&mut archive, content)?;
        }
        archive.finish()?;
        Ok(file)
    }

    #[test]
    fn nothing_is_written_outside_or_beyond_the_limit() -> io::Result<()> {
        let outside = tempfile::tempdir()?;
        let folder = outside.path().join("in");
        unpack(zip_of(&[("../evil", b"x"), ("/abs", b"x"), ("good", b"x")])?, &folder, 10)?;
        assert!(folder.join("good").exists() && !outside.path().join("evil").exists() && !Path::new("/abs").exists());
        let error = unpack(zip_of(&[("bomb", &[0; 1000])])?, &folder, 999).expect_err("an error");
        assert_eq!(error.to_string(), "the zip holds more than 999 bytes");
        assert!(unpack(tempfile::tempfile()?, &folder, 1).is_err());
        Ok(())
    }
}
