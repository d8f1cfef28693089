//! The lists of objects, newest first, and the results of a search.

use askama::Template;

use super::{
    frame::{Frame, Section},
    parts::{Hash, Kind, Tag},
    text::{Size, Text, encode_field},
    time::Moment,
};
use crate::web::assets;

/// One page of a list.
#[derive(Debug, Template)]
#[template(path = "recent.html")]
pub(crate) struct RecentPage {
    pub(crate) frame: Frame,
    pub(crate) rows: Vec<Row>,
    /// The query could not be understood; then there are no rows.
    pub(crate) error: Option<Text>,
    pub(crate) newer: Newer,
    /// Id that the next page starts after, when there is one.
    pub(crate) older: Option<String>,
}

/// Where the way back leads.
#[derive(Clone, Debug)]
pub(crate) enum Newer {
    /// These are the newest.
    Here,
    /// To the top of the list.
    Top,
    /// To the page that ends before this id.
    Before(String),
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

    fn searching(&self) -> bool {
        !self.frame.query.is_empty()
    }

    /// A tab keeps the query.
    fn tab(&self, path: &str) -> String {
        self.link(path, None)
    }

    fn older_link(&self, id: &str) -> String {
        self.link(self.frame.search_path(), Some(("older", id)))
    }

    fn newer_link(&self, id: &str) -> String {
        self.link(self.frame.search_path(), Some(("newer", id)))
    }

    fn top_link(&self) -> String {
        self.link(self.frame.search_path(), None)
    }

    fn link(&self, path: &str, at: Option<(&str, &str)>) -> String {
        let mut pairs = Vec::new();
        if self.searching() {
            pairs.push(format!("query={}", encode_field(self.frame.query.raw())));
        }
        if let Some((name, id)) = at {
            pairs.push(format!("{name}={id}"));
        }
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }
}
