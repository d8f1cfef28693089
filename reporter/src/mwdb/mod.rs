//! A client of the MWDB API: what a service needs to put objects into MWDB.
//!
//! [`Client`] sends one request a call, as itself or not at all: it logs in, waits while MWDB is away
//! or asks for patience, and gives typed answers. The one rule: every wait ends when the token given
//! to [`Client::new`] is cancelled, with [`Problem::Stopped`]. See MWDB API §A1 and §O1-§O9.

mod answer;
mod client;
mod content;
mod error;
mod object;
mod retry;
mod session;
mod settings;
mod transport;
mod upload;

pub use client::Client;
pub(crate) use client::metakey_text;
pub use content::{Content, ContentError, Reader};
pub use error::{Error, Problem};
pub use object::{Object, ObjectType, Version};
pub use retry::{Interrupted, Patience, Waiter};
pub use settings::{Credentials, DEFAULT_API_URL, Limits, Secret, Settings, SettingsError};
pub use upload::{FileUpload, UploadOptions};
