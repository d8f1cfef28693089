//! A client of the MWDB API, for services and tools that put objects into MWDB or read them.
//!
//! [`Client`] sends one request a call, as itself or not at all: it logs in, waits while MWDB is away
//! or asks for patience, and gives typed answers. Content is streamed both ways. The one rule: every
//! wait ends when the token given to [`Client::new`] is cancelled, with [`Problem::Stopped`]. See MWDB
//! API §A1 and §O1-§O12.
//!
//! | what | calls |
//! |---|---|
//! | who and where | [`log_in`](Client::log_in), [`account`](Client::account), [`server_version`](Client::server_version) |
//! | objects | [`query`](Client::query), [`upload_file`](Client::upload_file), [`upload_config`](Client::upload_config), [`upload_blob`](Client::upload_blob), [`download`](Client::download), [`remove`](Client::remove) |
//! | listings | [`search`](Client::search), [`count`](Client::count) |
//! | relations | [`relations`](Client::relations), [`add_child`](Client::add_child), [`remove_child`](Client::remove_child) |
//! | tags | [`tags`](Client::tags), [`add_tag`](Client::add_tag), [`remove_tag`](Client::remove_tag) |
//! | attributes | [`attributes`](Client::attributes), [`add_attribute`](Client::add_attribute), [`remove_attribute`](Client::remove_attribute) |
//! | comments | [`comments`](Client::comments), [`ensure_comments`](Client::ensure_comments), [`add_comment`](Client::add_comment), [`remove_comment`](Client::remove_comment) |
//! | shares | [`shares`](Client::shares), [`share_with`](Client::share_with) |
//! | analyses | [`analyses`](Client::analyses), [`assign_analysis`](Client::assign_analysis), [`unassign_analysis`](Client::unassign_analysis), [`reanalyze`](Client::reanalyze) |
//!
//! Servers differ by version: what an older one lacks is done the older way where there is one, and is
//! [`Problem::EndpointNotFound`] where there is none.

mod answer;
mod client;
mod content;
mod error;
mod metadata;
mod object;
mod objects;
mod retry;
mod search;
mod session;
mod settings;
mod transport;
mod upload;
mod version;

pub use client::Client;
pub use content::{Content, ContentError, FileContent, Opened, Reader};
pub use error::{Error, Problem};
pub(crate) use metadata::metakey_text;
pub use object::{Account, Analyses, Analysis, Attribute, Comment, Download, Object, ObjectType, Relations, Share};
pub use retry::{Interrupted, Patience, Waiter};
pub use settings::{Credentials, DEFAULT_API_URL, Limits, Secret, Settings, SettingsError};
pub use upload::{FileUpload, UploadOptions};
pub use version::Version;
