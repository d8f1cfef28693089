//! Which trigrams a text must hold to match, in the language of FTS5.
//!
//! The index knows three consecutive characters at a time; what it finds is put to the real test.

use std::collections::BTreeSet;

/// More say little that is new, and each of them is looked up: the rarest few name nearly as little.
const MOST: usize = 4;
/// What English, paths and JSON are full of.
const FREQUENT: &str = "etaoinsrhl \":/.,{}[]_";

/// Trigrams that a text holds, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grams(Vec<String>);

/// All trigrams of these texts; nothing when all are too short to have one.
pub(super) fn of<'a>(runs: impl IntoIterator<Item = &'a str>) -> Option<Grams> {
    let mut grams = BTreeSet::new();
    // NUL is skipped by the tokenizer: what stands on both sides of it is not together.
    for piece in runs.into_iter().flat_map(|run| run.split('\0')) {
        let characters: Vec<char> = piece.chars().collect();
        grams.extend(characters.windows(3).map(|three| three.iter().collect::<String>()));
    }
    if grams.is_empty() {
        return None;
    }
    let mut grams: Vec<String> = grams.into_iter().collect();
    grams.sort_by_cached_key(|gram| std::cmp::Reverse(gram.chars().map(rarity).sum::<usize>()));
    grams.truncate(MOST);
    Some(Grams(grams))
}

/// A guess; a wrong one costs time only.
fn rarity(character: char) -> usize {
    match character {
        frequent if FREQUENT.contains(frequent) => 0,
        'a'..='z' => 1,
        _ => 2,
    }
}

impl Grams {
    /// The expression for a column of an index.
    pub(super) fn expression(&self, column: &str) -> String {
        let quoted: Vec<String> = self.0.iter().map(|gram| format!("\"{}\"", gram.replace('"', "\"\""))).collect();
        format!("{{{column}}} : ({})", quoted.join(" AND "))
    }

    /// These, and those of another text if it has any.
    pub(super) fn and(mut self, other: Option<Self>) -> Self {
        self.0.extend(other.into_iter().flat_map(|other| other.0));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_have_no_trigrams() {
        assert_eq!(of(["ab", "", "ą\0ć"]), None);
        assert_eq!(
            of(["abcd", "xy\"z"]).map(|grams| grams.expression("name")),
            Some(r#"{name} : ("bcd" AND "abc" AND "xy""" AND "y""z")"#.to_owned())
        );
    }

    #[test]
    fn the_rarest_trigrams_are_asked_for() {
        let Some(Grams(grams)) = of([r#""host75.example""#]) else { panic!("it has trigrams") };
        assert_eq!(grams, ["75.", "t75", "5.e", "amp"]);
    }

    #[test]
    fn long_texts_ask_for_few() {
        let text: String = (0..1000_u32).filter_map(|number| char::from_u32(0x4e00 + number)).collect();
        let Some(Grams(grams)) = of([text.as_str()]) else { panic!("it has trigrams") };
        assert_eq!(grams.len(), MOST);
    }
}
