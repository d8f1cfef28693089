//! File names of objects.
//!
//! The rule: a name is one path component whatever the key holds, so no key can leave its bucket's
//! folder; and the key can be read back from the name, except where it would be too long for one.

use sha2::{Digest as _, Sha256};

/// Longest key S3 knows.
const MAX_KEY: usize = 1024;
/// What file systems take as one component is 255 bytes.
const MAX_NAME: usize = 240;
const LONG: char = '~';

/// Why a key is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadKey {
    TooLong,
    Invalid,
}

/// Refuses keys that clients and proxies would understand as another path, and control characters,
/// which no listing can carry.
pub(crate) fn check_key(key: &str) -> Result<(), BadKey> {
    if key.len() > MAX_KEY {
        return Err(BadKey::TooLong);
    }
    let dots = key.split(['/', '\\']).any(|part| part == ".." || part == ".");
    if key.is_empty() || dots || key.chars().any(char::is_control) {
        return Err(BadKey::Invalid);
    }
    Ok(())
}

/// The name of the file that holds the object `key`.
pub(crate) fn file_name(key: &str) -> String {
    let name = percent_encode(key, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    // A leading dot would hide the file and could spell `..`.
    let name = name.strip_prefix('.').map_or_else(|| name.clone(), |rest| format!("%2E{rest}"));
    if name.len() <= MAX_NAME { name } else { format!("{LONG}{}", super::hex(&Sha256::digest(key.as_bytes()))) }
}

/// Reads the key back.
pub(crate) fn key_of(name: &str) -> KeyOf {
    if name.starts_with(LONG) {
        return KeyOf::InFile;
    }
    match percent_decode(name) {
        Some(key) if file_name(&key) == name => KeyOf::Name(key),
        _ => KeyOf::Foreign,
    }
}

/// Where the key of an object file is found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum KeyOf {
    Name(String),
    /// Too long for a name: only the file's own record has it.
    InFile,
    /// Not one of ours.
    Foreign,
}

/// Percent-encodes all bytes that `plain` does not accept.
pub(crate) fn percent_encode(text: &str, plain: impl Fn(u8) -> bool) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    out
}

fn percent_decode(name: &str) -> Option<String> {
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            out.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_way_through_a_file_name() {
        for key in ["abc", "a/b/c", ".hidden", "a b+c%20", "zażółć", "~tilde", "a:b|c*?"] {
            let name = file_name(key);
            assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
            assert_eq!(key_of(&name), KeyOf::Name(key.to_owned()));
        }
    }

    #[test]
    fn long_keys_have_a_fixed_name() {
        let name = file_name(&"k/".repeat(512));
        assert_eq!(name.len(), 65);
        assert_eq!(key_of(&name), KeyOf::InFile);
    }

    #[test]
    fn foreign_files_are_told_apart() {
        for name in ["a b", "%zz", "%41", "x%"] {
            assert_eq!(key_of(name), KeyOf::Foreign, "{name}");
        }
    }

    #[test]
    fn escaping_keys_are_refused() {
        for key in ["..", "../x", "a/../b", "a/..", ".", "a/./b", "a\\..\\b", "", "a\0b", "a\nb"] {
            assert_eq!(check_key(key), Err(BadKey::Invalid), "{key:?}");
        }
        assert_eq!(check_key(&"k".repeat(1025)), Err(BadKey::TooLong));
        for key in ["a", "a..b", "...", "a//b", "/a", "a/"] {
            assert_eq!(check_key(key), Ok(()), "{key:?}");
        }
    }
}
