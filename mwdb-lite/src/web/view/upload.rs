//! The upload form.

use askama::Template;

use super::{
    frame::{Frame, Section},
    parts::Hash,
    text::{Size, Text},
};
use crate::web::assets;

/// The form, empty or with what was refused.
#[derive(Debug, Template)]
#[template(path = "upload.html")]
pub(crate) struct UploadPage {
    pub(crate) frame: Frame,
    pub(crate) error: Option<Text>,
    /// Id of the object the upload becomes a child of.
    pub(crate) parent: Option<String>,
    pub(crate) can_set_parent: bool,
    /// Groups of the viewer, besides the private one and `public`.
    pub(crate) groups: Vec<String>,
    pub(crate) tags: Text,
    pub(crate) limit: Option<Size>,
    pub(crate) karton_enabled: bool,
}

impl UploadPage {
    fn parent_hash(id: &str) -> Hash {
        Hash::short(id)
    }
}
