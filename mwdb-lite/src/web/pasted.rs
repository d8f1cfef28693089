//! Digests that somebody pasted where a query or an id is expected.
//!
//! The one rule: only a text that is nothing but whole digests is taken for them. Such words alone are no
//! query (MWDB search §S1), so no query changes its meaning.

use super::view::links::phrase;
use crate::{objects::Kind, search::fields};

/// How many digits there are of: CRC32, MD5, SHA-1, SHA-256 (or an id), SHA-512.
const LENGTHS: [usize; 5] = [8, 32, 40, 64, 128];

/// Whether a word is a digest.
pub(super) fn is_digest(word: &str) -> bool {
    LENGTHS.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The query for pasted digests on the list of a type, or of all objects; nothing for any other text.
pub(super) fn query(text: &str, kind: Option<Kind>) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.iter().all(|word| is_digest(word)) {
        return None;
    }
    // Digests and ids are stored in lower case. What else a config or a blob holds is text.
    let of = |kind: Kind| {
        let lower = |word: &&str| if kind == Kind::File || word.len() == 64 { word.to_ascii_lowercase() } else { (*word).to_owned() };
        phrase(&words.iter().map(lower).collect::<Vec<_>>().join(" "))
    };
    if let Some(kind) = kind {
        return Some(format!("multi:{}", of(kind)));
    }
    let terms = [Kind::File, Kind::Config, Kind::Blob].map(|kind| format!("{}.multi:{}", fields::word_of(Some(kind)), of(kind)));
    Some(format!("({})", terms.join(" OR ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_digests_are_taken_for_such() {
        let md5 = "900150983CD24FB0d6963f7d28e17f72";
        assert_eq!(query(&format!(" {md5}\n\t352441C2 "), Some(Kind::File)), Some(format!("multi:\"{} 352441c2\"", md5.to_lowercase())));
        assert_eq!(query(md5, Some(Kind::Blob)), Some(format!("multi:\"{md5}\"")));
        assert_eq!(
            query("352441c2", None),
            Some("(file.multi:\"352441c2\" OR config.multi:\"352441c2\" OR blob.multi:\"352441c2\")".to_owned())
        );
        for text in ["", " ", "352441c", "352441c2 AND tag:a", "tag:352441c2", "352441cg", "\"352441c2\""] {
            assert_eq!(query(text, None), None, "{text}");
        }
    }
}
