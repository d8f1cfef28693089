//! The lists of objects, newest first.

use askama::Template;

use super::{
    frame::{Frame, Section},
    parts::{Hash, Kind, Tag},
    text::{Size, Text},
    time::Moment,
};
use crate::web::assets;

/// One page of a list.
#[derive(Debug, Template)]
#[template(path = "recent.html")]
pub(crate) struct RecentPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<Row>,
    /// The page on show.
    pub(crate) at: Place,
    /// The next page, when there is one.
    pub(crate) older: Option<Place>,
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
    pub(crate) uploaded: Moment,
    pub(crate) last_seen: Option<Moment>,
}

impl Row {
    pub(crate) fn href(&self) -> String {
        format!("/{}/{}", self.kind.word(), self.id)
    }

    pub(crate) fn hash(&self) -> Hash {
        Hash::short(&self.id)
    }

    pub(crate) fn md5_hash(&self) -> Option<Hash> {
        self.md5.as_ref().map(Hash::short)
    }
}

impl RecentPage {
    fn heading(&self) -> &'static str {
        match self.frame.section {
            Section::Configs => "Configs",
            Section::Blobs => "Blobs",
            Section::All => "All objects",
            _ => "Files",
        }
    }

    /// Address of a page of this list.
    fn page(&self, place: &Place) -> String {
        Self::link(self.frame.section, place)
    }

    fn top(&self) -> String {
        self.page(&Place::Top)
    }

    fn link(section: Section, place: &Place) -> String {
        let path = match section {
            Section::Configs => "/configs",
            Section::Blobs => "/blobs",
            Section::All => "/objects",
            _ => "/",
        };
        match place {
            Place::Top => path.to_owned(),
            Place::After { after, page: 0 } => format!("{path}?older={after}"),
            Place::After { after, page } => format!("{path}?older={after}&page={page}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
