//! Reads the central directory of a zip archive, and nothing else: entries are never decompressed.
//!
//! The one rule: **an archive opens exactly when Python's `zipfile` opens it**, because the decision list
//! asks "can it be opened and does it hold X". Hence bytes before and after the archive are fine, and one
//! bad entry makes the whole directory unreadable. Directories beyond [`MAX_DIRECTORY`] or [`MAX_ENTRIES`]
//! count as unreadable too, so that a hostile one costs neither time nor memory.

/// Longest central directory that is looked at, in bytes.
pub const MAX_DIRECTORY: u64 = 32 << 20;
/// Most entries that are looked at.
pub const MAX_ENTRIES: usize = 500_000;

const END_SIGNATURE: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const END64_SIGNATURE: &[u8] = b"PK\x06\x06";
const END64_LENGTH: usize = 56;
const LOCATOR_SIGNATURE: &[u8] = b"PK\x06\x07";
const LOCATOR_LENGTH: usize = 20;
const ENTRY_SIGNATURE: &[u8] = b"PK\x01\x02";
const ENTRY_LENGTH: usize = 46;
const MAX_COMMENT: usize = 1 << 16;

/// Highest "version needed to extract" (6.3) that is understood.
const MAX_VERSION: u8 = 63;
/// Bit 11 of the flags: the name is UTF-8, else it is in code page 437.
const UTF8_NAME: u16 = 1 << 11;
const ZIP64_EXTRA: u16 = 1;

/// Why an archive cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZipError {
    /// There is no end record.
    #[error("no end record")]
    NoEndRecord,
    /// The archive is one part of several.
    #[error("archive spans several disks")]
    SeveralDisks,
    /// The directory would start before the file.
    #[error("directory starts before the file")]
    BadOffset,
    /// Above the bounds of this module.
    #[error("directory is too large")]
    TooLarge,
    /// An entry is cut short or has no signature.
    #[error("damaged directory entry")]
    BadEntry,
    /// An entry needs a newer zip version.
    #[error("entry asks for a newer zip version")]
    BadVersion,
    /// A name that is declared UTF-8 is not.
    #[error("entry name is not UTF-8")]
    BadName,
    /// The extra field of an entry is damaged.
    #[error("damaged extra field")]
    BadExtra,
}

/// Whether the content carries an end record. Nothing else is checked, so a file that only holds the record
/// passes.
pub fn has_end_record(content: &[u8]) -> bool {
    find_end(content).is_ok()
}

/// How many bytes from the end of an archive its directory starts, by the end record in `tail`, the last bytes of
/// it. Nothing when there is no record, or the directory is beyond the bounds of this module.
pub(crate) fn directory_reach(tail: &[u8]) -> Option<u64> {
    let end = find_end(tail).ok().filter(|end| end.directory_length <= MAX_DIRECTORY)?;
    let behind = tail.len() - end.position + if end.zip64 { END64_LENGTH + LOCATOR_LENGTH } else { 0 };
    Some(end.directory_length + behind as u64)
}

/// A central directory all of whose entries were checked.
#[derive(Clone, Copy, Debug)]
pub struct Directory<'a> {
    bytes: &'a [u8],
}

impl<'a> Directory<'a> {
    /// Finds the directory and checks every entry.
    ///
    /// # Errors
    /// When the archive cannot be opened.
    pub fn open(content: &'a [u8]) -> Result<Self, ZipError> {
        let end = find_end(content)?;
        if end.directory_length > MAX_DIRECTORY {
            return Err(ZipError::TooLarge);
        }
        let length = usize::try_from(end.directory_length).map_err(|_| ZipError::TooLarge)?;
        // Offsets in the archive are relative to its own start: the directory ends where the end records
        // begin, whatever the offset says.
        let behind = length + if end.zip64 { END64_LENGTH + LOCATOR_LENGTH } else { 0 };
        let start = end.position.checked_sub(behind).ok_or(ZipError::BadOffset)?;
        let bytes = content.get(start..start + length).ok_or(ZipError::BadOffset)?;
        for (index, entry) in Entries(bytes).enumerate() {
            if index >= MAX_ENTRIES {
                return Err(ZipError::TooLarge);
            }
            entry?;
        }
        Ok(Self { bytes })
    }

    /// Raw entry names, in order, cut at a NUL byte. Both encodings of names are supersets of ASCII, so the
    /// bytes can be compared with ASCII text.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        Entries(self.bytes).map_while(Result::ok)
    }

    /// Whether there is an entry of exactly this name.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|entry| entry == name.as_bytes())
    }

    /// Whether any entry name starts like this.
    pub fn has_prefix(&self, prefix: &str) -> bool {
        self.names().any(|entry| entry.starts_with(prefix.as_bytes()))
    }

    /// Whether the archive holds a macOS application folder.
    pub fn has_mac_app(&self) -> bool {
        const INFO: &[u8] = b".app/contents/info.plist";
        self.names().any(|entry| entry.len().checked_sub(INFO.len()).is_some_and(|start| entry[start..].eq_ignore_ascii_case(INFO)))
    }

    /// Whether this is a bundle of Android packages: a manifest and a package, both at the top.
    pub fn is_xapk(&self) -> bool {
        self.has("manifest.json") && self.names().any(|entry| entry.ends_with(b".apk") && !entry.contains(&b'/'))
    }
}

/// What the end records say.
struct End {
    /// Where the (classic) end record lies.
    position: usize,
    directory_length: u64,
    zip64: bool,
}

fn find_end(content: &[u8]) -> Result<End, ZipError> {
    let position = end_position(content).ok_or(ZipError::NoEndRecord)?;
    let record = content.get(position..position + END_LENGTH).ok_or(ZipError::NoEndRecord)?;
    let classic = End { position, directory_length: u64::from(le32(record, 12)), zip64: false };

    // The zip64 records lie directly before. Positions before the file mean its first byte.
    let locator_position = position.saturating_sub(LOCATOR_LENGTH);
    let Some(locator) = content.get(locator_position..locator_position + LOCATOR_LENGTH) else { return Ok(classic) };
    if !locator.starts_with(LOCATOR_SIGNATURE) {
        return Ok(classic);
    }
    if le32(locator, 4) != 0 || le32(locator, 16) > 1 {
        return Err(ZipError::SeveralDisks);
    }
    let record_position = position.saturating_sub(LOCATOR_LENGTH + END64_LENGTH);
    match content.get(record_position..record_position + END64_LENGTH) {
        Some(record) if record.starts_with(END64_SIGNATURE) => Ok(End { position, directory_length: le64(record, 40), zip64: true }),
        _ => Ok(classic),
    }
}

/// The end record at the very end with an empty comment, else the last signature in the part where a
/// comment could still follow it (the comment may be cut short).
fn end_position(content: &[u8]) -> Option<usize> {
    let last = content.len().checked_sub(END_LENGTH)?;
    let record = &content[last..];
    if record.starts_with(END_SIGNATURE) && record.ends_with(&[0, 0]) {
        return Some(last);
    }
    let from = content.len().saturating_sub(MAX_COMMENT + END_LENGTH);
    let found = content[from..].windows(END_SIGNATURE.len()).rposition(|window| window == END_SIGNATURE)?;
    Some(from + found)
}

/// Walks a directory; yields names and ends after the first error.
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], ZipError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = read_entry(&mut self.0);
        if entry.is_err() {
            self.0 = &[];
        }
        Some(entry)
    }
}

fn read_entry<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ZipError> {
    let header = take(rest, ENTRY_LENGTH);
    if header.len() < ENTRY_LENGTH || !header.starts_with(ENTRY_SIGNATURE) {
        return Err(ZipError::BadEntry);
    }
    // Only the fixed part must be complete: what a last entry announces beyond the directory is ignored.
    let name = take(rest, usize::from(le16(header, 28)));
    let extra = take(rest, usize::from(le16(header, 30)));
    take(rest, usize::from(le16(header, 32)));

    if le16(header, 8) & UTF8_NAME != 0 && std::str::from_utf8(name).is_err() {
        return Err(ZipError::BadName);
    }
    if header[6] > MAX_VERSION {
        return Err(ZipError::BadVersion);
    }
    check_extra(extra, u64::from(le32(header, 24)), u64::from(le32(header, 20)), u64::from(le32(header, 42)))?;
    Ok(name.split(|byte| *byte == 0).next().unwrap_or(name))
}

/// Extra fields must be complete, and a zip64 field must hold every value that the header leaves to it.
fn check_extra(mut extra: &[u8], size: u64, compressed: u64, offset: u64) -> Result<(), ZipError> {
    const LEFT: u64 = 0xFFFF_FFFF;
    // A size may be left out again by the zip64 field itself; of that only a second such field would tell.
    let mut values = [(size, &[LEFT, u64::MAX][..]), (compressed, &[LEFT]), (offset, &[LEFT])];
    while extra.len() >= 4 {
        let (tag, length) = (le16(extra, 0), usize::from(le16(extra, 2)));
        let mut data = extra.get(4..4 + length).ok_or(ZipError::BadExtra)?;
        if tag == ZIP64_EXTRA {
            for (value, left) in &mut values {
                if left.contains(value) {
                    let bytes = data.get(..8).ok_or(ZipError::BadExtra)?;
                    *value = le64(bytes, 0);
                    data = &data[8..];
                }
            }
        }
        extra = &extra[4 + length..];
    }
    Ok(())
}

/// The next `length` bytes, or as many as there are.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(length.min(rest.len()));
    *rest = left;
    taken
}

// The callers have checked the lengths.
fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from(le16(bytes, at)) | u32::from(le16(bytes, at + 2)) << 16
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}
