//! What SQL cannot compare: patterns, and values inside JSON.
//!
//! Every connection has these functions, the writer too: triggers use them to fill the index. They
//! look at the deadline of the read that runs them, because `SQLite` does not while they run.

use karton_rs::json::Value;
use rusqlite::{
    Connection, Error, Result,
    functions::{Context, FunctionFlags},
    types::ValueRef,
};

use crate::{
    db::deadline,
    search::{
        json::{Condition, Matcher},
        json_text, leaves,
        pattern::{Escapes, Glob, OutOfTime, Pattern},
    },
};

/// Texts beyond this many bytes are not indexed: they are looked at whenever their index would be. The
/// schema knows the same number, in the partial indexes of long texts.
pub(super) const LONGEST_INDEXED: usize = 1_000_000;

/// Makes the functions known to a connection.
pub(crate) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("mwdb_like", 2, flags, |context| like(context))?;
    connection.create_scalar_function("mwdb_json", 2, flags, |context| json(context))?;
    connection.create_scalar_function("mwdb_index", 1, flags, |context| {
        Ok(text(context, 0).filter(|text| text.len() <= LONGEST_INDEXED).map(std::borrow::Cow::into_owned))
    })?;
    connection.create_scalar_function("mwdb_index_json", 1, flags, |context| {
        Ok(text(context, 0).filter(|text| text.len() <= LONGEST_INDEXED).map(|text| indexed(&text)))
    })?;
    connection.create_scalar_function("mwdb_leaves", 2, flags, |context| {
        Ok(text(context, 0).zip(text(context, 1)).map(|(scope, document)| leaves(&scope, &document)))
    })
}

/// An argument as text; nothing for NULL.
fn text<'a>(context: &'a Context<'_>, index: usize) -> Option<std::borrow::Cow<'a, str>> {
    match context.get_raw(index) {
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes)),
        _ => None,
    }
}

/// As if `SQLite` itself had noticed the deadline.
fn interrupted(_: OutOfTime) -> Error {
    Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT), None)
}

/// `mwdb_like(pattern, text)`
fn like(context: &Context<'_>) -> Result<bool> {
    let glob = context.get_or_create_aux(0, |pattern| -> Result<Glob, rusqlite::types::FromSqlError> {
        Ok(Glob::new(&Pattern::parse(pattern.as_str()?, Escapes::Plain)))
    })?;
    let Some(text) = text(context, 1) else { return Ok(false) };
    if deadline::spend(100 + text.len() / 16) {
        return Err(interrupted(OutOfTime));
    }
    glob.matches(&text, &deadline::passed).map_err(interrupted)
}

/// `mwdb_json(condition, document)`
fn json(context: &Context<'_>) -> Result<bool> {
    let matcher = context.get_or_create_aux(0, |condition| -> anyhow::Result<Matcher> {
        Ok(Matcher::new(serde_json::from_str::<Condition>(condition.as_str()?)?))
    })?;
    let Some(text) = text(context, 1) else { return Ok(false) };
    if deadline::spend(500 + text.len()) {
        return Err(interrupted(OutOfTime));
    }
    // What is stored was JSON when it was stored.
    let Ok(document) = Value::parse(&text) else { return Ok(false) };
    matcher.matches(&document, &deadline::passed).map_err(interrupted)
}

/// What the index of trigrams holds of a JSON document.
fn indexed(json: &str) -> String {
    let mut out = String::new();
    if let Ok(document) = Value::parse(json) {
        json_text::write(&mut out, &document);
    }
    out
}

/// The hashes of the whole values in a document, as a JSON list.
fn leaves(scope: &str, json: &str) -> String {
    let hashes = match Value::parse(json) {
        _ if json.len() > LONGEST_INDEXED => vec![leaves::unlisted(scope)],
        Ok(document) => leaves::hashes(scope, &document),
        Err(_) => Vec::new(),
    };
    let hashes: Vec<String> = hashes.iter().map(i64::to_string).collect();
    format!("[{}]", hashes.join(","))
}
