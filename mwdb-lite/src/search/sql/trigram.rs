//! Which trigrams a text must hold to match, in the language of FTS5.
//!
//! The index knows three consecutive characters at a time; what it finds is put to the real test.

use std::collections::BTreeSet;

/// More say nothing new and cost a lookup each.
const MOST: usize = 24;

/// A condition on the trigrams of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grams {
    /// It holds all of these.
    All(Vec<String>),
    Any(Vec<Self>),
    Both(Vec<Self>),
}

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
    // Spread over all of the text: neighbours say nearly the same.
    let step = grams.len().div_ceil(MOST);
    Some(Grams::All(grams.into_iter().step_by(step).collect()))
}

impl Grams {
    /// The expression for a column of an index.
    pub(super) fn expression(&self, column: &str) -> String {
        format!("{{{column}}} : ({})", self.text())
    }

    fn text(&self) -> String {
        let list = |parts: &[Self], operator: &str| format!("({})", parts.iter().map(Self::text).collect::<Vec<_>>().join(operator));
        match self {
            Self::All(grams) => grams.iter().map(|gram| format!("\"{}\"", gram.replace('"', "\"\""))).collect::<Vec<_>>().join(" AND "),
            Self::Any(parts) => list(parts, " OR "),
            Self::Both(parts) => list(parts, " AND "),
        }
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
            Some(r#"{name} : ("abc" AND "bcd" AND "xy""" AND "y""z")"#.to_owned())
        );
    }

    #[test]
    fn long_texts_are_sampled() {
        let text: String = (0..1000_u32).filter_map(|number| char::from_u32(0x4e00 + number)).collect();
        let Some(Grams::All(grams)) = of([text.as_str()]) else { panic!("it has trigrams") };
        assert!(grams.len() <= MOST && grams.len() > MOST / 2, "{}", grams.len());
    }
}
