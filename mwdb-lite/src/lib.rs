//! MWDB in one binary: the REST API of MWDB Core 2.19 on `SQLite` and a folder, announcing uploads to Karton.
//!
//! Read it from the outside in: `api` parses requests and answers, `objects` and `accounts` hold
//! the rules, `db` holds the SQL, `content` the bytes of files, `karton` the announcements. Rules know
//! no HTTP and no SQL; handlers know neither rules nor SQL.

#![allow(clippy::needless_pass_by_value, reason = "Rocket hands guards and parameters over by value")]

mod accounts;
mod admission;
mod api;
pub mod auth;
pub mod backup;
mod captcha;
pub mod check;
mod claim;
pub mod config;
mod content;
mod db;
mod deprecated;
mod drain;
pub mod error;
mod intake;
mod karton;
pub mod limits;
mod mail;
mod metrics;
mod mistakes;
mod numbers;
mod objects;
mod per_account;
mod progress;
pub mod push;
mod search;
mod server;
mod state;
mod timestamp;
mod upload;
mod web;

pub use config::{Config, ConfigError};
pub use search::QueryError;
pub use server::{build, run, serve, set_admin_password, setup};
pub use state::App;

/// Reads a query of the search language as far as that goes without a database: for fuzzing.
#[doc(hidden)]
pub fn fuzz_query(query: &str) {
    search::exercise(query);
}

/// Adds objects to a database that [`setup`] made, without their content: for measurements.
///
/// # Errors
/// When the database cannot be written.
#[doc(hidden)]
pub async fn fill_database(config: &Config, objects: u32) -> anyhow::Result<()> {
    const AT_ONCE: i64 = 50_000;
    let db = db::Db::open(&config.sqlite_path, None)?;
    let login = config.admin_login.clone();
    let owners = db.read(move |c| Ok(db::filling::owners(c, &login)?)).await?;
    for first in (1..=i64::from(objects)).step_by(usize::try_from(AT_ONCE)?) {
        let last = (first + AT_ONCE - 1).min(i64::from(objects));
        db.write(move |c| Ok(db::filling::fill(c, first, last, owners)?)).await?;
    }
    Ok(())
}

/// The SHA-256 of an object that [`fill_database`] has added; most are files.
#[doc(hidden)]
pub fn filled_hash(object: u32) -> String {
    format!("{object:064x}")
}

/// Reads the body of an upload, as it comes in one piece and in many: for fuzzing.
///
/// # Panics
/// When the answer depends on the pieces, or the file holds what the body does not.
#[doc(hidden)]
pub fn fuzz_upload(content_type: &str, body: &[u8]) {
    let [whole, pieces] = upload::exercise(content_type, body);
    assert_eq!(whole, pieces, "the answer depends on how the body was cut");
    if let Some((Some((_, content)), _)) = whole {
        assert!(content.is_empty() || body.windows(content.len()).any(|window| window == content), "the file is not in the body");
    }
}

/// Log directives that silence Rocket's own lines, also those it logs in the name of our handlers: it
/// calls every 404 an error, and every visitor who is not logged in a warning.
pub const QUIET: &str = "rocket=off,mwdb_lite::api=off,mwdb_lite::web=off";
