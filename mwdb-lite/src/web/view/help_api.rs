//! What the API can do.

use askama::Template;

use super::{
    frame::{Frame, Section},
    text::Text,
};
use crate::web::assets;

/// All requests, by what they are about.
#[derive(Debug, Template)]
#[template(path = "help_api.html")]
pub(crate) struct HelpApiPage {
    pub(crate) frame: Frame,
    /// Version of MWDB whose API this is.
    pub(crate) version: &'static str,
    pub(crate) groups: Vec<Group>,
}

/// Requests about one thing.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) title: Text,
    pub(crate) requests: Vec<Request>,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) summary: Text,
    pub(crate) description: Text,
}
