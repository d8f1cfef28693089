//! Recognises programs cut out of memory, which libmagic does not know.
//!
//! The one rule: tests and offsets work on the **sampled part** (first and last 2,048 bytes put together),
//! not on the file; a short file is therefore seen twice.

/// Bytes taken from each end.
const END_LENGTH: usize = 2048;

/// The first and the last 2,048 bytes, one after the other, overlapping in a short file.
pub(crate) fn sampled_part(content: &[u8]) -> Vec<u8> {
    let head = &content[..content.len().min(END_LENGTH)];
    let tail = &content[content.len().saturating_sub(END_LENGTH)..];
    [head, tail].concat()
}

/// A traced feature of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dump {
    /// The name of the code section and the message of the DOS stub.
    Text,
    /// The DOS header points to the mark of a PE header.
    Pe,
    /// The mark of a DOS header.
    Mz,
}

impl Dump {
    /// Whether the sampled part has the feature.
    pub(crate) fn is_in(self, part: &[u8]) -> bool {
        match self {
            Self::Text => contains(part, b".text") && contains(part, b"This program cannot be run"),
            Self::Pe => {
                part.len() > 64 && {
                    let offset = usize::from(u16::from_le_bytes([part[60], part[61]]));
                    part.get(offset..).is_some_and(|header| header.starts_with(b"PE"))
                }
            }
            Self::Mz => part.starts_with(b"MZ"),
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_files_are_seen_twice() {
        assert_eq!(sampled_part(b"abc"), b"abcabc");
        assert_eq!(sampled_part(b""), b"");
        let long: Vec<u8> = (0..=u8::MAX).cycle().take(3000).collect();
        let part = sampled_part(&long);
        assert_eq!(part.len(), 4096);
        assert_eq!(part[2048..], long[952..]);
    }

    #[test]
    fn the_offset_of_a_pe_header_counts_in_the_sampled_part() {
        let mut file = vec![0; 33];
        file[60 - 33] = 31;
        file[31] = b'P';
        file[32] = b'E';
        assert!(Dump::Pe.is_in(&sampled_part(&file)));
        assert!(!Dump::Pe.is_in(&sampled_part(&file[..32])));
    }
}
