//! The lists of objects, newest first.

use std::sync::Arc;

use askama::Template;

use super::{
    frame::{Frame, Section},
    links,
    parts::{Hash, Kind, Tag},
    text::{Size, Text, encode_field},
    time::Moment,
};
use crate::{
    objects,
    search::{Span, fields},
    web::assets,
};

/// One page of a list.
#[derive(Debug, Template)]
#[template(path = "recent.html")]
pub(crate) struct RecentPage {
    pub(crate) frame: Frame,
    /// The query, as it was typed; empty for all objects.
    pub(crate) query: String,
    /// Searches to choose from: those that everybody has, then the viewer's own.
    pub(crate) saved: Vec<SavedQuery>,
    /// The viewer may save the query, and remove what is saved.
    pub(crate) can_save: bool,
    /// Why there is no answer to it.
    pub(crate) problem: Option<Problem>,
    /// What it found.
    pub(crate) found: Option<Found>,
    pub(crate) rows: Vec<Row>,
    /// The page on show.
    pub(crate) at: Place,
    /// The next page, when there is one.
    pub(crate) older: Option<Place>,
}

/// A search under a name.
#[derive(Debug)]
pub(crate) struct SavedQuery {
    /// What is removed by; the searches that everybody has stay.
    pub(crate) id: Option<i64>,
    pub(crate) name: Text,
    pub(crate) query: String,
}

impl SavedQuery {
    /// What it asks, with nothing in it that hides or reorders.
    fn title(&self) -> String {
        Text::new(&self.query).plain()
    }
}

/// The lists: entry of the navigation, word of the API, address, heading.
const LISTS: [(Section, &str, &str, &str); 4] = [
    (Section::Files, "file", "/", "Files"),
    (Section::Configs, "config", "/configs", "Configs"),
    (Section::Blobs, "blob", "/blobs", "Blobs"),
    (Section::All, "object", "/objects", "All objects"),
];

/// Word of the API and address of the list that belongs to `word`.
pub(crate) fn list_of(word: &str) -> Option<(&'static str, &'static str)> {
    LISTS.iter().find(|list| list.1 == word).map(|list| (list.1, list.2))
}

/// Address of the list at `path` with what `query` finds.
pub(crate) fn results(path: &str, query: &str) -> String {
    address(path, query, &Place::Top)
}

/// How many objects a query found, or at least found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) count: u64,
    pub(crate) exact: bool,
}

/// What is wrong with a query: the place is marked in what is around it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) message: Text,
    pub(crate) before: Text,
    pub(crate) marked: Text,
    pub(crate) after: Text,
}

impl Problem {
    pub(crate) fn new(query: &str, message: &str, span: Span) -> Self {
        /// Characters shown of each part.
        const AROUND: usize = 60;
        let characters: Vec<char> = query.chars().collect();
        let start = span.start.min(characters.len());
        let end = span.end.clamp(start, characters.len());
        let text = |characters: &[char]| Text::new(characters.iter().collect::<String>());
        let marked = &characters[start..end];
        Self {
            message: message.into(),
            before: text(&characters[start.saturating_sub(AROUND)..start]),
            // Something is missing: the mark shows where.
            marked: if marked.is_empty() { " ".into() } else { text(&marked[..marked.len().min(AROUND)]) },
            after: text(&characters[end..(end + AROUND).min(characters.len())]),
        }
    }
}

/// A page of a list: pages are counted from an object, so that uploads meanwhile do not move them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The newest objects.
    Top,
    /// `page` pages after the one that follows the object `after`.
    After { after: String, page: u32 },
}

/// Pages counted from one object; the next one counts from its own.
const PAGES_FROM_ONE: u32 = 100;

impl Place {
    /// The page after this one, which ends with the object `last`.
    pub(crate) fn next(&self, last: &str) -> Self {
        match self {
            Self::After { after, page } if page + 1 < PAGES_FROM_ONE => Self::After { after: after.clone(), page: page + 1 },
            _ => Self::After { after: last.to_owned(), page: 0 },
        }
    }

    /// The page before this one, as far as it is known.
    fn previous(&self) -> Option<Self> {
        match self {
            Self::After { after, page } if *page > 0 => Some(Self::After { after: after.clone(), page: page - 1 }),
            _ => None,
        }
    }
}

/// One object of a list.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// Name of a file or blob, family of a config. The list of all objects has none.
    pub(crate) name: Option<Text>,
    /// Type of the file, config or blob.
    pub(crate) detail: Option<Text>,
    pub(crate) size: Option<Size>,
    pub(crate) md5: Option<String>,
    pub(crate) tags: Vec<Tag>,
    /// Tags that the list leaves out.
    pub(crate) more_tags: u64,
    pub(crate) uploaded: Moment,
    pub(crate) last_seen: Option<Moment>,
    /// What the list shows the results of; empty for all objects.
    pub(crate) query: Arc<str>,
}

impl Row {
    pub(crate) fn href(&self) -> String {
        format!("/{}/{}", self.kind.word(), self.id)
    }

    /// Objects of the same type, of those in the list.
    pub(crate) fn type_href(&self, detail: &Text) -> String {
        links::narrow(self.kind.list(), &self.query, "type", detail.raw())
    }

    pub(crate) fn hash(&self) -> Hash {
        Hash::short(&self.id)
    }

    pub(crate) fn md5_hash(&self) -> Option<Hash> {
        self.md5.as_ref().map(Hash::short)
    }
}

impl RecentPage {
    fn list(&self) -> (Section, &'static str, &'static str, &'static str) {
        LISTS.into_iter().find(|list| list.0 == self.frame.section).unwrap_or(LISTS[0])
    }

    fn heading(&self) -> &'static str {
        self.list().3
    }

    /// The list without a query, where the form leads.
    fn path(&self) -> &'static str {
        self.list().2
    }

    /// How conditions begin on this list, for the script that suggests. Relatives are of any type.
    fn beginnings(&self, relatives: bool) -> String {
        let kind = match self.frame.section {
            _ if relatives => None,
            Section::All => None,
            Section::Configs => Some(objects::Kind::Config),
            Section::Blobs => Some(objects::Kind::Blob),
            _ => Some(objects::Kind::File),
        };
        beginnings(kind)
    }

    /// The list's word, for forms.
    fn word(&self) -> &'static str {
        self.list().1
    }

    /// Whether the query can be given a name: it has an answer, and no name yet.
    fn offers_saving(&self) -> bool {
        self.can_save && self.problem.is_none() && !self.query.is_empty() && !self.saved.iter().any(|saved| saved.query == self.query)
    }

    /// `aria-current` of a saved search.
    fn current(&self, saved: &SavedQuery) -> &'static str {
        if saved.query == self.query { "page" } else { "false" }
    }

    /// The query in a hidden field.
    fn query_field(&self) -> String {
        encode_field(&self.query)
    }

    /// The same query on another list.
    fn on(&self, path: &str) -> String {
        results(path, &self.query)
    }

    /// A saved search on this list.
    fn of(&self, saved: &SavedQuery) -> String {
        results(self.path(), &saved.query)
    }

    /// Address of a page of this list.
    fn page(&self, place: &Place) -> String {
        address(self.path(), &self.query, place)
    }

    fn top(&self) -> String {
        self.page(&Place::Top)
    }
}

fn beginnings(kind: Option<objects::Kind>) -> String {
    fields::beginnings(kind).collect::<Vec<_>>().join(" ")
}

/// A page of a list of what a query finds.
fn address(path: &str, query: &str, place: &Place) -> String {
    let mut fields = Vec::new();
    if !query.is_empty() {
        fields.push(format!("query={}", encode_field(query)));
    }
    if let Place::After { after, page } = place {
        // From the address of this page: anything may stand there.
        fields.push(format!("older={}", encode_field(after)));
        if *page > 0 {
            fields.push(format!("page={page}"));
        }
    }
    if fields.is_empty() { path.to_owned() } else { format!("{path}?{}", fields.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_carry_the_query_from_page_to_page() {
        let after = Place::After { after: "ab".to_owned(), page: 2 };
        assert_eq!(address("/", "", &Place::Top), "/");
        assert_eq!(address("/blobs", "", &after), "/blobs?older=ab&page=2");
        assert_eq!(address("/", "tag:\"a&b\"", &after), "/?query=tag%3A%22a%26b%22&older=ab&page=2");
    }

    #[test]
    fn the_place_of_a_problem_is_marked() {
        let problem = |start, end| {
            let problem = Problem::new("tag:ąć AND", "no", Span::new(start, end));
            [problem.before, problem.marked, problem.after].map(|text| text.raw().to_owned())
        };
        assert_eq!(problem(4, 6), ["tag:", "ąć", " AND"]);
        assert_eq!(problem(10, 10), ["tag:ąć AND", " ", ""]);
        assert_eq!(problem(90, 99), ["tag:ąć AND", " ", ""]);
    }

    #[test]
    fn pages_are_counted_from_an_object_and_lead_back() {
        let second = Place::Top.next("a");
        assert_eq!(second, Place::After { after: "a".to_owned(), page: 0 });
        assert_eq!(second.previous(), None);
        let third = second.next("b");
        assert_eq!(third, Place::After { after: "a".to_owned(), page: 1 });
        assert_eq!(third.previous(), Some(second));
        let far = Place::After { after: "a".to_owned(), page: PAGES_FROM_ONE - 1 };
        assert_eq!(far.next("z"), Place::After { after: "z".to_owned(), page: 0 });
    }
}
