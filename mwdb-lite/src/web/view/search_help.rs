//! The help page of the query language.

use askama::Template;

use super::{
    frame::{Frame, Section},
    text::encode_field,
};
use crate::web::assets;

/// All fields, by type.
#[derive(Debug, Template)]
#[template(path = "search_help.html")]
pub(crate) struct HelpPage {
    pub(crate) frame: Frame,
    pub(crate) groups: Vec<HelpGroup>,
}

/// The fields of a type.
#[derive(Debug)]
pub(crate) struct HelpGroup {
    pub(crate) title: &'static str,
    pub(crate) fields: Vec<HelpField>,
}

/// A field as people read of it.
#[derive(Debug)]
pub(crate) struct HelpField {
    /// As it is written on the list of all objects.
    pub(crate) name: String,
    pub(crate) alias: Option<&'static str>,
    pub(crate) about: &'static str,
    pub(crate) values: &'static str,
    pub(crate) examples: &'static [&'static str],
}

impl HelpField {
    /// Where an example leads.
    pub(crate) fn link(example: &str) -> String {
        format!("/objects?query={}", encode_field(example))
    }
}
