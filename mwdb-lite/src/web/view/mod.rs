//! What the pages show, as plain data, and the templates that show it.
//!
//! The one rule: a view model knows neither the database nor a request, and text from outside is in it
//! only as [`text::Text`] or [`text::Block`]. So a page can be rendered, and tested, from made-up data.

pub(crate) mod account;
pub(crate) mod diff;
pub(crate) mod frame;
#[cfg(test)]
mod gallery;
pub(crate) mod graph;
pub(crate) mod help_api;
pub(crate) mod links;
pub(crate) mod object;
pub(crate) mod parts;
pub(crate) mod preview;
pub(crate) mod recent;
pub(crate) mod rich;
pub(crate) mod search_help;
pub(crate) mod settings;
pub(crate) mod simple;
pub(crate) mod stats;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod upload;
