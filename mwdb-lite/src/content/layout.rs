//! Under which keys content lies, on disk and in a bucket. See MWDB API §A3.2.

/// Length of a SHA-256 in digits.
const DIGITS: usize = 64;

/// The schemes that are written and read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) hash_pathing: bool,
    pub(crate) fallback: bool,
}

impl Layout {
    /// The key that new content gets.
    pub(crate) fn key(self, sha256: &str) -> String {
        key_by(self.hash_pathing, sha256)
    }

    /// Every key that is looked at, the one of new content first.
    pub(super) fn keys(self, sha256: &str) -> impl Iterator<Item = String> {
        let other = self.fallback.then(|| key_by(!self.hash_pathing, sha256));
        [self.key(sha256)].into_iter().chain(other)
    }

    /// Whether content is looked for under a key.
    pub(super) fn looks_at(self, key: &str, sha256: &str) -> bool {
        self.keys(sha256).any(|known| known == key)
    }
}

/// The hash that the last part of a key spells; nothing when it is something else.
pub(super) fn hash_in(key: &str) -> Option<&str> {
    let name = key.rsplit('/').next().unwrap_or(key);
    let is_hash = name.len() == DIGITS && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then_some(name)
}

fn key_by(hash_pathing: bool, sha256: &str) -> String {
    let mut key = String::with_capacity(sha256.len() + 8);
    if hash_pathing {
        for digit in sha256.chars().take(4) {
            key.push(digit);
            key.push('/');
        }
    }
    key.push_str(sha256);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_scheme_and_lead_back_to_the_hash() {
        let hash = "0123456789abcdef".repeat(4);
        let spread = format!("0/1/2/3/{hash}");
        let only = Layout { hash_pathing: true, fallback: false };
        assert_eq!(only.keys(&hash).collect::<Vec<_>>(), std::slice::from_ref(&spread));
        assert!(only.looks_at(&spread, &hash));
        for elsewhere in [hash.as_str(), &format!("0/1/2/4/{hash}")] {
            assert_eq!(hash_in(elsewhere), Some(hash.as_str()));
            assert!(!only.looks_at(elsewhere, &hash), "{elsewhere}");
        }
        for foreign in ["0/1/2/3/short", "mwdb.sqlite", &spread.to_uppercase()] {
            assert_eq!(hash_in(foreign), None, "{foreign}");
        }
        let both = Layout { hash_pathing: false, fallback: true };
        assert_eq!(both.keys(&hash).collect::<Vec<_>>(), [hash.clone(), spread.clone()]);
        assert!(both.looks_at(&hash, &hash) && both.looks_at(&spread, &hash));
    }
}
