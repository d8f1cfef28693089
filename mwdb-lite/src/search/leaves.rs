//! Whole values inside JSON as numbers, to look documents up by.
//!
//! Pure. Each string, number, `true`, `false` and `null` of a document is a leaf; its hash says what
//! it is and through which members it is reached, arrays left out. The one rule: **what a
//! [`Test::Equals`](super::json::Test::Equals) takes for equal has equal hashes**, so that no match is missed; what else has
//! them is told by the test. The hashes are stored: another way to make them needs a migration.

use karton_rs::json::{Value, lossy_text};
use sha2::{Digest, Sha256};

use super::json_text;

/// A document with more leaves than this is [`unlisted`]: each is a row that the one writer writes.
const MOST: usize = 10_000;

/// The hashes of all leaves, each once, or that of an unlisted document. `scope` keeps the values of one
/// attribute key from those of others.
pub(crate) fn hashes(scope: &str, document: &Value) -> Vec<i64> {
    let mut found = Vec::new();
    collect(&path_of(scope), document, &mut found);
    found.sort_unstable();
    found.dedup();
    if found.len() > MOST { vec![unlisted(scope)] } else { found }
}

/// Stands for a document whose leaves are not listed: it may hold any.
pub(crate) fn unlisted(scope: &str) -> i64 {
    head(path_of(scope))
}

/// The hash of a leaf behind these members; nothing for an array or object.
pub(crate) fn hash<'a>(scope: &str, members: impl IntoIterator<Item = &'a str>, leaf: &Value) -> Option<i64> {
    let mut path = path_of(scope);
    members.into_iter().for_each(|name| step(&mut path, name));
    finish(&path, leaf)
}

fn path_of(scope: &str) -> Sha256 {
    let mut path = Sha256::new();
    step(&mut path, scope);
    path
}

/// Lengths first: no two paths are spelled alike.
fn step(path: &mut Sha256, name: &str) {
    path.update((name.len() as u64).to_le_bytes());
    path.update(name);
}

fn collect(path: &Sha256, value: &Value, found: &mut Vec<i64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(path, item, found)),
        Value::Object(map) => {
            for (name, member) in map {
                let mut path = path.clone();
                step(&mut path, name.spelled());
                collect(&path, member, found);
            }
        }
        leaf => found.extend(finish(path, leaf)),
    }
}

fn finish(path: &Sha256, leaf: &Value) -> Option<i64> {
    let (kind, text) = match leaf {
        Value::Null => ('n', String::new()),
        Value::Bool(value) => ('b', value.to_string()),
        Value::Number(_) => ('d', digits(leaf)),
        Value::String(text) => ('s', text.clone()),
        Value::Unpaired(json) => ('s', lossy_text(json)),
        Value::Array(_) | Value::Object(_) => return None,
    };
    let mut path = path.clone();
    // Longer than any name, so that no leaf is spelled like a member.
    path.update(u64::MAX.to_le_bytes());
    path.update([kind as u8]);
    path.update(text);
    Some(head(path))
}

fn head(path: Sha256) -> i64 {
    path.finalize().first_chunk().map_or(0, |head| i64::from_le_bytes(*head))
}

/// Equal numbers are spelled alike: `1.0` as `1`.
fn digits(number: &Value) -> String {
    let mut digits = String::new();
    json_text::write(&mut digits, number);
    if digits.contains('.') {
        digits.truncate(digits.trim_end_matches('0').trim_end_matches('.').len());
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::parse(json).expect("JSON")
    }

    fn leaf(members: &[&str], json: &str) -> i64 {
        hash("key", members.iter().copied(), &value(json)).expect("a leaf")
    }

    #[test]
    fn equal_numbers_have_one_hash() {
        let same = [("1", "1.0"), ("100000", "1e5"), ("0", "-0.0"), ("-2.5", "-2.50"), ("100000000000000000000000", "1e23"), ("0", "-0")];
        for (one, other) in same {
            assert_eq!(leaf(&[], one), leaf(&[], other), "{one} {other}");
        }
        for (one, other) in [("1", "10"), ("1", "\"1\""), ("true", "\"true\""), ("null", "\"\""), ("0", "false"), ("1.5", "15")] {
            assert_ne!(leaf(&[], one), leaf(&[], other), "{one} {other}");
        }
    }

    #[test]
    fn a_leaf_is_found_by_its_members_whatever_arrays_are_between() {
        let mut expected = vec![leaf(&["a", "b"], "1"), leaf(&["a", "b"], "2"), leaf(&["a"], "\"x\""), leaf(&[], "null")];
        expected.sort_unstable();
        assert_eq!(hashes("key", &value(r#"[{"a": ["x", [{"b": [1, [2.0, 1]]}]]}, null, null]"#)), expected);
        assert_ne!(hash("key", ["a"], &value("1")), hash("keya", [], &value("1")));
        assert_ne!(leaf(&["ab"], "1"), leaf(&["a", "b"], "1"));
        assert_eq!(hash("key", [], &value("[1]")), None);
    }

    #[test]
    fn a_document_with_very_many_leaves_has_one_hash() {
        let list = |count: usize| Value::Array((0..count).map(|number| Value::from(number as u64)).collect());
        assert_eq!(hashes("key", &list(MOST)).len(), MOST);
        assert_eq!(hashes("key", &list(MOST + 1)), [unlisted("key")]);
        assert_ne!(unlisted("key"), unlisted("other"));
    }

    #[test]
    fn lone_surrogates_are_what_queries_can_write() {
        assert_eq!(leaf(&[], r#""a\ud800""#), leaf(&[], "\"a\u{fffd}\""));
    }
}
