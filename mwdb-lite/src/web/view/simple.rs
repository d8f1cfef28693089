//! Pages with little to say: errors, about.

use askama::Template;

use super::{
    frame::{Frame, Section},
    text::Text,
};
use crate::web::assets;

/// A request that failed.
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    pub(crate) frame: Frame,
    pub(crate) status: u16,
    pub(crate) heading: String,
    pub(crate) message: Text,
    /// The page of the form that was refused.
    pub(crate) back: Option<String>,
}

/// What runs here.
#[derive(Debug, Template)]
#[template(path = "about.html")]
pub(crate) struct AboutPage {
    pub(crate) frame: Frame,
    pub(crate) version: &'static str,
    /// Version of MWDB whose API this server speaks.
    pub(crate) api_version: String,
    pub(crate) karton_enabled: bool,
    pub(crate) base_url: Text,
}
