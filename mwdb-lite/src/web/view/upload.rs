//! The upload forms.

use askama::Template;

use super::{
    frame::{Frame, Section},
    object::AttributeKey,
    parts::{Hash, Kind},
    text::{Size, Text},
};
use crate::web::assets;

/// A form, empty or with what was refused.
#[derive(Debug, Template)]
#[template(path = "upload.html")]
pub(crate) struct UploadPage {
    pub(crate) frame: Frame,
    /// What this form uploads, and what the viewer may upload at all.
    pub(crate) kind: Kind,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) error: Option<Text>,
    pub(crate) can_set_parent: bool,
    /// Groups of the viewer, besides the private one and `public`.
    pub(crate) groups: Vec<String>,
    /// Keys the viewer may set.
    pub(crate) attribute_keys: Vec<AttributeKey>,
    /// Sharing with third parties needs to be allowed.
    pub(crate) asks_consent: bool,
    pub(crate) limit: Option<Size>,
    pub(crate) karton_enabled: bool,
    pub(crate) typed: Typed,
}

/// What stands in the fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed {
    pub(crate) tags: Text,
    pub(crate) upload_as: String,
    /// Id of the object the upload becomes a child of.
    pub(crate) parent: String,
    pub(crate) consent: bool,
    pub(crate) attributes: Vec<AttributeDraft>,
    pub(crate) family: Text,
    pub(crate) config_type: Text,
    pub(crate) cfg: Text,
    pub(crate) blob_name: Text,
    pub(crate) blob_type: Text,
    pub(crate) content: Text,
}

/// A row of the attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttributeDraft {
    pub(crate) key: Text,
    pub(crate) value: Text,
    pub(crate) json: bool,
}

impl UploadPage {
    fn parent_hash(&self) -> Hash {
        Hash::short(&self.typed.parent)
    }

    /// The forms there are, for the same parent: address, `aria-current`, title.
    fn forms(&self) -> Vec<(String, &'static str, &'static str)> {
        let parent = if self.typed.parent.is_empty() { String::new() } else { format!("?parent={}", self.typed.parent) };
        let current = |kind| if self.kind == kind { "page" } else { "false" };
        self.kinds.iter().map(|kind| (format!("{}{parent}", kind.upload()), current(*kind), kind.title())).collect()
    }

    fn shares_with(&self, group: &str) -> bool {
        self.typed.upload_as == group
    }

    fn has_attributes(&self) -> bool {
        self.typed.attributes.iter().any(|attribute| !attribute.value.is_empty())
    }
}
