//! What travels with an upload. See MWDB API §O1.1.

use karton_rs::json::{Map, Value};

use super::content::Content;

/// A file to upload.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct FileUpload<'a> {
    /// Name that MWDB shows.
    pub name: &'a str,
    /// The content; all of it is sent.
    pub content: &'a dyn Content,
}

impl<'a> FileUpload<'a> {
    /// A file of this content.
    pub fn new(name: &'a str, content: &'a dyn Content) -> Self {
        Self { name, content }
    }
}

/// Relations and metadata of an upload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UploadOptions {
    /// Id of the parent.
    pub parent: Option<String>,
    /// Whom the upload is shared with; none: all groups of the account.
    pub upload_as: Option<String>,
    /// Whether others may get it from MWDB; none: what the server takes for granted.
    pub share_3rd_party: Option<bool>,
    /// Tags.
    pub tags: Vec<String>,
    /// Keys with one value each; a key may stand several times.
    pub attributes: Vec<(String, Value)>,
    /// Analysis that the object belongs to, for servers from 2.6.
    pub karton_id: Option<String>,
    /// Keys with text values, for servers before 2.6.
    pub metakeys: Vec<(String, String)>,
}

impl UploadOptions {
    /// The JSON members, to which a config or blob adds its own.
    pub(crate) fn to_map(&self) -> Map {
        let mut map = Map::new();
        map.insert("parent".to_owned(), self.parent.clone().into());
        map.insert("upload_as".to_owned(), self.upload_as.as_deref().unwrap_or("*").into());
        if let Some(share) = self.share_3rd_party {
            map.insert("share_3rd_party".to_owned(), share.into());
        }
        if !self.tags.is_empty() {
            let tags: Vec<Value> = self.tags.iter().map(|tag| object([("tag", tag.into())])).collect();
            map.insert("tags".to_owned(), tags.into());
        }
        if !self.attributes.is_empty() {
            let pairs = self.attributes.iter().map(|(key, value)| object([("key", key.into()), ("value", value.clone())]));
            map.insert("attributes".to_owned(), pairs.collect::<Vec<_>>().into());
        }
        if let Some(karton_id) = &self.karton_id {
            map.insert("karton_id".to_owned(), karton_id.into());
        }
        if !self.metakeys.is_empty() {
            let pairs = self.metakeys.iter().map(|(key, value)| object([("key", key.into()), ("value", value.into())]));
            map.insert("metakeys".to_owned(), pairs.collect::<Vec<_>>().into());
        }
        map
    }
}

/// A JSON object of few members.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
