//! Content in a zip that scanners on the way leave alone: one entry, encrypted with a known password.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use zip::{AesMode, CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::Store;

/// From this size on the entry needs the long form of its sizes.
const LARGE: u64 = u32::MAX as u64;

/// Packs a file into a nameless temporary file, read from its start. Blocks.
pub(crate) fn pack(store: &Store, content: &Path, name: &str, password: &str) -> io::Result<File> {
    let mut source = File::open(content)?;
    let target = tempfile::tempfile_in(store.staging_folder())?;
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .large_file(source.metadata()?.len() >= LARGE)
        .with_aes_encryption(AesMode::Aes256, password);
    let mut archive = ZipWriter::new(io::BufWriter::new(target));
    archive.start_file(name, options)?;
    io::copy(&mut source, &mut archive)?;
    let mut target = archive.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    target.rewind()?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_zip_opens_with_its_password_and_holds_the_content() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let config = crate::Config { uploads_folder: folder.path().join("uploads"), ..crate::Config::default() };
        let store = Store::open(&config)?;
        let content = folder.path().join("content");
        let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&content, &bytes)?;
        let mut archive = zip::ZipArchive::new(pack(&store, &content, "sample.bin", "infected")?)?;
        let mut read = Vec::new();
        let mut entry = archive.by_name_decrypt("sample.bin", b"infected")?;
        assert_eq!(entry.compression(), CompressionMethod::Deflated);
        entry.read_to_end(&mut read)?;
        drop(entry);
        assert!(read == bytes);
        assert!(archive.by_name_decrypt("sample.bin", b"wrong").is_err());
        Ok(())
    }
}
