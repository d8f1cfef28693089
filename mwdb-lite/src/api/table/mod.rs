//! The table of all routes: what each is called, needs, takes and gives. See MWDB API §A2.
//!
//! The one rule: a route that is mounted has an entry and the other way round, which a test holds.
//! `/docs` is written from the table, and limits, metrics and the refusal of what is deprecated ask
//! it what a request is. Shapes are short texts, `name:type`, with `!` for what must be there and `?`
//! for what may be `null`.

mod routes;
pub(super) mod shapes;

use rocket::{Route, http::Method};

pub(crate) use routes::TABLE;

pub(crate) use crate::deprecated::Feature;

use crate::auth::Capability;

/// One route.
pub(crate) struct Entry {
    pub(crate) method: Method,
    /// As it is mounted below `/api`, query parameters included.
    pub(crate) path: &'static str,
    /// What limits and metrics call it: the reference's name of the handler. `*` is the type of the path.
    resource: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    /// Set for what MWDB calls deprecated.
    pub(crate) feature: Option<Feature>,
    pub(crate) takes: Takes,
    pub(crate) gives: Gives,
    /// Beside those that every route may give.
    pub(crate) refuses: &'static [u16],
}

/// Who may call a route.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Anyone,
    /// A token of the route's own: in the path, the query or the body.
    Token,
    Login,
    Needs(Capability),
    /// The right depends on what is asked for; the text says how.
    Depends(&'static str),
}

/// What a request brings in its body.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Takes {
    Nothing,
    Json(&'static str),
    /// A body may be left out.
    MaybeJson(&'static str),
    /// Parts of a multipart form.
    Form(&'static str),
    /// JSON or a form.
    Either(&'static str),
}

/// What a success answers with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gives {
    /// The JSON `null`.
    Null,
    /// A named shape.
    Item(&'static str),
    /// A list of a named shape.
    List(&'static str),
    /// A list of a named shape, under a key.
    Keyed(&'static str, &'static str),
    /// Fields of its own.
    Fields(&'static str),
    Bytes,
    Text,
}

impl Entry {
    /// The entry of a mounted route.
    pub(crate) fn of(route: &Route) -> Option<&'static Self> {
        let mounted = route.uri.to_string();
        let path = mounted.strip_prefix("/api").filter(|rest| rest.starts_with('/')).unwrap_or(&mounted);
        TABLE.iter().find(|entry| entry.method == route.method && entry.path == path)
    }

    /// Whether a request to this route may be called that.
    pub(crate) fn is_called(&self, resource: &str) -> bool {
        ["file", "config", "blob", "object"].iter().any(|kind| self.resource(&format!("/api/{kind}")) == resource)
    }

    /// What limits and metrics call a request to this route.
    pub(crate) fn resource(&self, path: &str) -> String {
        let kind = match path.strip_prefix("/api/").and_then(|path| path.split(['/', '?']).next()) {
            Some("blob") => "textblob",
            Some(kind @ ("file" | "config")) => kind,
            _ => "object",
        };
        self.resource.replace('*', kind)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn entries_are_told_apart() {
        let all: BTreeSet<_> = TABLE.iter().map(|entry| (entry.method.as_str(), entry.path)).collect();
        assert_eq!(all.len(), TABLE.len());
        for entry in TABLE {
            assert!(!entry.summary.is_empty() && entry.path.starts_with('/'), "{}", entry.path);
            assert!(entry.resource.ends_with("resource"), "{}", entry.path);
        }
    }

    #[test]
    fn a_request_is_called_by_its_type() {
        let list = TABLE.iter().find(|entry| entry.path.starts_with("/<kind>?")).expect("the list");
        assert_eq!(list.resource("/api/blob"), "textblobresource");
        assert_eq!(list.resource("/api/file?x"), "fileresource");
        assert_eq!(list.resource("/api/object"), "objectresource");
    }
}
