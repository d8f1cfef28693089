//! The small pieces that pages are made of: hashes, tags, links to objects.

use std::sync::Arc;

use askama::{Template, filters::HtmlSafe};

use super::{links, text::Text, time::Moment};

/// A digest, or any other text that people copy: monospace, with a copy button where scripts run.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<code class=hash data-copy="{{ full }}"{% if shown.len() < full.len() %} title="{{ full }}"{% endif %}>{{ shown }}{% if shown.len() < full.len() %}…{% endif %}</code>"#
)]
pub(crate) struct Hash {
    full: String,
    shown: String,
}

impl HtmlSafe for Hash {}

impl Hash {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let full = text.into();
        Self { shown: full.clone(), full }
    }

    /// For tables: the first digits are shown, all are copied.
    pub(crate) fn short(text: impl Into<String>) -> Self {
        let full = text.into();
        let shown = full.chars().take(16).collect();
        Self { full, shown }
    }
}

/// What kind of object; the words are those of the paths and of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Config,
    Blob,
}

impl Kind {
    /// As it stands in paths.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Config => "config",
            Self::Blob => "blob",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Config => "Config",
            Self::Blob => "Blob",
        }
    }

    /// Where objects of this kind are uploaded.
    pub(crate) fn upload(self) -> &'static str {
        match self {
            Self::File => "/upload",
            Self::Config => "/upload/config",
            Self::Blob => "/upload/blob",
        }
    }

    /// The list of this kind.
    pub(crate) fn list(self) -> &'static str {
        match self {
            Self::File => "/",
            Self::Config => "/configs",
            Self::Blob => "/blobs",
        }
    }
}

/// A tag in its colour, as a link to what else has it.
#[derive(Clone, Debug, Template)]
#[template(ext = "html", source = r#"<a class="tag {{ self.colour() }}" href="{{ self.href() }}"><bdi>{{ text.short() }}</bdi></a>"#)]
pub(crate) struct Tag {
    pub(crate) text: Text,
    /// The list to search, and the query whose results are narrowed by it; empty for none.
    list: &'static str,
    query: Arc<str>,
}

impl HtmlSafe for Tag {}

impl Tag {
    pub(crate) fn new(tag: impl Into<String>, list: &'static str) -> Self {
        Self { text: Text::new(tag), list, query: Arc::default() }
    }

    /// In a list of what `query` finds.
    pub(crate) fn within(self, query: &Arc<str>) -> Self {
        Self { query: Arc::clone(query), ..self }
    }

    fn href(&self) -> String {
        links::narrow(self.list, &self.query, "tag", self.text.raw())
    }

    /// The colour rule of MWDB API §A4.
    pub(crate) fn colour(&self) -> &'static str {
        const RULES: [(&str, &[&str]); 4] = [
            ("blue", &["spam", "src:", "uploader:", "feed:"]),
            ("yellow", &["ripped:", "contains:", "matches:", "maybe:"]),
            ("green", &["static:", "dynamic:"]),
            ("grey", &["runnable:", "archive:", "dump:", "script:", "document:", "archive", "dump", "misc:"]),
        ];
        let tag = self.text.raw();
        let rule = RULES.into_iter().find(|(_, starts)| starts.iter().any(|start| tag.starts_with(start)));
        match rule {
            Some((colour, _)) => colour,
            None if tag.contains(':') => "cyan",
            None => "red",
        }
    }
}

/// Another object, as a line with a link.
#[derive(Clone, Debug)]
pub(crate) struct ObjectRef {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) tags: Vec<Tag>,
    /// Tags that are left out.
    pub(crate) more_tags: u64,
    pub(crate) uploaded: Moment,
}

impl ObjectRef {
    pub(crate) fn href(&self) -> String {
        format!("/{}/{}", self.kind.word(), self.id)
    }

    pub(crate) fn hash(&self) -> Hash {
        Hash::short(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_the_colours_of_the_rule() {
        let cases = [
            ("spam", "blue"),
            ("src:mail", "blue"),
            ("feed:x", "blue"),
            ("ripped:emotet", "yellow"),
            ("maybe:x", "yellow"),
            ("static:y", "green"),
            ("dynamic:y", "green"),
            ("runnable:win32:exe", "grey"),
            ("archive", "grey"),
            ("dump:1", "grey"),
            ("yara:x", "cyan"),
            ("emotet", "red"),
        ];
        for (tag, colour) in cases {
            assert_eq!(Tag::new(tag, "/").colour(), colour, "{tag}");
        }
    }

    #[test]
    fn a_tag_leads_to_what_else_has_it() {
        let html = Tag::new("feed:a\"*", "/blobs").to_string();
        assert!(html.starts_with("<a class=\"tag blue\" href=\"/blobs?query=tag%3A%22feed%3Aa%5C%22%5C%2A%22\">"), "{html}");
    }

    #[test]
    fn a_short_hash_copies_all_of_it() {
        let html = Hash::short("a".repeat(64)).to_string();
        assert!(html.contains(&format!("data-copy=\"{}\"", "a".repeat(64))), "{html}");
        assert!(html.ends_with(&format!("{}…</code>", "a".repeat(16))), "{html}");
    }
}
