//! All digests of a file, in one pass over its bytes.

use karton_rs::hex;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// Beyond this size the fuzzy hash says nothing more, and its implementation counts in 32 bits.
const LARGEST_FUZZY: u64 = 2 << 30;

/// The digests that MWDB shows, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) md5: String,
    pub(crate) sha1: String,
    pub(crate) sha256: String,
    pub(crate) sha512: String,
    pub(crate) crc32: String,
    pub(crate) ssdeep: Option<String>,
}

/// Takes the bytes as they come.
pub(crate) struct Hasher {
    md5: Md5,
    sha1: Sha1,
    sha256: Sha256,
    sha512: Sha512,
    crc32: crc32fast::Hasher,
    fuzzy: Option<Fuzzy>,
    size: u64,
}

impl Hasher {
    pub(crate) fn new(ssdeep: bool) -> Self {
        Self {
            md5: Md5::new(),
            sha1: Sha1::new(),
            sha256: Sha256::new(),
            sha512: Sha512::new(),
            crc32: crc32fast::Hasher::new(),
            fuzzy: ssdeep.then(Fuzzy::default),
            size: 0,
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.md5.update(bytes);
        self.sha1.update(bytes);
        self.sha256.update(bytes);
        self.sha512.update(bytes);
        self.crc32.update(bytes);
        if self.size > LARGEST_FUZZY {
            self.fuzzy = None;
        }
        if let Some(fuzzy) = &mut self.fuzzy {
            fuzzy.update(bytes);
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn finish(self) -> Digests {
        let ssdeep = self.fuzzy.map(Fuzzy::finish);
        Digests {
            md5: hex(&self.md5.finalize()),
            sha1: hex(&self.sha1.finalize()),
            sha256: hex(&self.sha256.finalize()),
            sha512: hex(&self.sha512.finalize()),
            crc32: format!("{:08x}", self.crc32.finalize()),
            ssdeep: ssdeep.filter(|text| !text.is_empty()),
        }
    }
}

/// The fuzzy hash `BLOCKSIZE:HASH:HASH`, the second hash being that of blocks twice as large.
///
/// Where no block of that size ended, both hashes are the one character of what is left at the end.
/// The implementation leaves it out of the second; here it is put back.
#[derive(Default)]
struct Fuzzy {
    hash: fuzzyhash::FuzzyHash,
    /// The last bytes, as many as its rolling checksum sees. When all are 0 nothing counts as left.
    window: [u8; 7],
}

impl Fuzzy {
    fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        let last = &bytes[bytes.len().saturating_sub(self.window.len())..];
        self.window.rotate_left(last.len());
        let start = self.window.len() - last.len();
        self.window[start..].copy_from_slice(last);
    }

    fn finish(mut self) -> String {
        self.hash.finalize();
        let mut text = self.hash.to_string();
        if text.ends_with(':') && self.window != [0; 7] {
            let rest = text.trim_end_matches(':').chars().next_back();
            text.extend(rest);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_do_not_depend_on_how_the_bytes_are_cut() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number * 7 % 251) as u8).collect();
        let mut whole = Hasher::new(true);
        whole.update(&bytes);
        let mut pieces = Hasher::new(true);
        bytes.chunks(977).for_each(|piece| pieces.update(piece));
        assert_eq!(whole.finish(), pieces.finish());
    }

    #[test]
    fn known_content_has_the_known_digests() {
        let mut hasher = Hasher::new(false);
        hasher.update(b"abc");
        let digests = hasher.finish();
        assert_eq!(digests.md5, "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(digests.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(digests.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digests.crc32, "352441c2");
        assert_eq!(digests.ssdeep, None);
    }
}
