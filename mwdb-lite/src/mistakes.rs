//! What is wrong with the values of a request, and where: `{'tags': {0: {'tag': ['Not a valid string.']}}}`.
//!
//! The text is that of the reference's schema library, Python's spelling of dictionaries and lists (MWDB
//! API §A1.4). The one rule: no more than [`MOST`] mistakes are told, however many a request makes.

use std::fmt;

use indexmap::IndexMap;
use karton_rs::json::{Value, python_text};

/// Mistakes that one answer tells of.
const MOST: usize = 100;

/// Mistakes by the places where they are.
#[derive(Debug, Default)]
pub struct Mistakes(IndexMap<Place, Found>);

#[derive(Debug, PartialEq, Eq, Hash)]
enum Place {
    Member(String),
    Item(usize),
}

#[derive(Debug)]
enum Found {
    Reasons(Vec<String>),
    Inside(Mistakes),
}

impl Mistakes {
    /// One mistake in a field.
    pub(crate) fn of(field: &str, reason: &str) -> Self {
        Self(IndexMap::from([(Place::Member(field.to_owned()), Found::Reasons(vec![reason.to_owned()]))]))
    }

    /// One mistake, which an item of the list in `field` is.
    pub(crate) fn of_item(field: &str, index: usize, reason: &str) -> Self {
        Self(IndexMap::from([(Place::Item(index), Found::Reasons(vec![reason.to_owned()]))])).inside(field)
    }

    /// The same mistakes, made in an item of the list in `field`.
    pub(crate) fn in_item(self, field: &str, index: usize) -> Self {
        Self(IndexMap::from([(Place::Item(index), Found::Inside(self))])).inside(field)
    }

    /// The same mistakes, made inside `field`.
    pub(crate) fn inside(self, field: &str) -> Self {
        Self(IndexMap::from([(Place::Member(field.to_owned()), Found::Inside(self))]))
    }

    /// Adds others, as far as there is room for them.
    pub(crate) fn add(&mut self, others: Self) {
        for (place, found) in others.0 {
            if self.is_full() {
                return;
            }
            match (self.0.get_mut(&place), found) {
                (Some(Found::Reasons(reasons)), Found::Reasons(more)) => reasons.extend(more),
                (Some(Found::Inside(inside)), Found::Inside(more)) => inside.add(more),
                // Of a field as a whole and of what is in it, the former says enough.
                (Some(_), _) => {}
                (None, found) => {
                    self.0.insert(place, found);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is room for no more.
    pub(crate) fn is_full(&self) -> bool {
        self.count() >= MOST
    }

    /// The same for people: a sentence for each mistake, which begins with the field that it is made in.
    pub(crate) fn in_words(&self) -> String {
        let mut sentences = Vec::new();
        self.tell("", &mut sentences);
        sentences.join(" ")
    }

    fn tell(&self, outer: &str, sentences: &mut Vec<String>) {
        for (place, found) in &self.0 {
            // An item is told by the list that it is in; `_schema` is no field but what is around it.
            let field = match place {
                Place::Member(name) if name != "_schema" => name.as_str(),
                _ => outer,
            };
            match found {
                Found::Reasons(reasons) => sentences.extend(reasons.iter().map(|reason| sentence(field, reason))),
                Found::Inside(inside) => inside.tell(field, sentences),
            }
        }
    }

    fn count(&self) -> usize {
        let count = |found: &Found| match found {
            Found::Reasons(reasons) => reasons.len(),
            Found::Inside(inside) => inside.count(),
        };
        self.0.values().map(count).sum()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (place, found)) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match place {
                Place::Member(name) => f.write_str(&quoted(name))?,
                Place::Item(index) => write!(f, "{index}")?,
            }
            match found {
                Found::Reasons(reasons) => {
                    let reasons = reasons.iter().map(|reason| reason.as_str().into()).collect();
                    write!(f, ": {}", python_text(&Value::Array(reasons)))?;
                }
                Found::Inside(inside) => write!(f, ": {inside}")?,
            }
        }
        f.write_str("}")
    }
}

fn sentence(field: &str, reason: &str) -> String {
    let reason = match reason {
        "Missing data for required field." | "Field may not be null." => "It is missing",
        other => other.trim_end_matches('.'),
    };
    let field = field.replace('_', " ");
    if field.is_empty() || reason.to_lowercase().starts_with(&field.to_lowercase()) {
        return format!("{reason}.");
    }
    let mut letters = field.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}: {reason}.", letters.as_str())
}

/// A text as Python shows it: an item of a list without the brackets.
fn quoted(text: &str) -> String {
    let mut list = python_text(&Value::Array(vec![text.into()]));
    list.pop();
    list.split_off(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_places_in_the_spelling_of_python() {
        let mut all = Mistakes::of("parent", "Not a valid string.");
        all.add(Mistakes::of("tag", "Field may not be null.").in_item("tags", 1));
        all.add(Mistakes::of("x'y]", "Unknown field.").in_item("tags", 1));
        all.add(Mistakes::of("_schema", "It isn't one.").in_item("tags", 3));
        all.add(Mistakes::of("parent", "Another."));
        let told = r#"{'parent': ['Not a valid string.', 'Another.'], 'tags': {1: {'tag': ['Field may not be null.'], "x'y]": ['Unknown field.']}, 3: {'_schema': ["It isn't one."]}}}"#;
        assert_eq!(all.to_string(), told);
    }

    #[test]
    fn mistakes_are_told_to_people_in_words() {
        let mut all = Mistakes::of("tag", "Tag cannot be empty");
        all.add(Mistakes::of("config_type", "Longer than maximum length 32."));
        all.add(Mistakes::of("tag", "Missing data for required field.").in_item("tags", 1));
        all.add(Mistakes::of_item("groups", 2, "Not a valid string."));
        all.add(Mistakes::of("_schema", "The two do not fit."));
        let told = "Tag cannot be empty. Config type: Longer than maximum length 32. Tag: It is missing. Groups: Not a valid string. \
                    The two do not fit.";
        assert_eq!(all.in_words(), told);
    }

    #[test]
    fn an_answer_does_not_grow_with_the_request() {
        let mut all = Mistakes::default();
        for index in 0..100_000 {
            all.add(Mistakes::of("tag", "Not a valid string.").in_item("tags", index));
        }
        assert!(all.is_full() && all.count() == MOST);
    }
}
