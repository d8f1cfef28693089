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
        json_text,
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

/// Marks a number in the index: only as a whole it is the number that was asked for.
pub(super) const NUMBER: char = '\u{1}';

/// What the index holds of a JSON document: its text, and its numbers in one spelling.
fn indexed(json: &str) -> String {
    let mut out = String::new();
    if let Ok(document) = Value::parse(json) {
        json_text::write(&mut out, &document);
        numbers(&mut out, &document);
    }
    out
}

fn numbers(out: &mut String, value: &Value) {
    match value {
        Value::Number(_) => out.push_str(&framed(value)),
        Value::Array(items) => items.iter().for_each(|item| numbers(out, item)),
        Value::Object(map) => map.values().for_each(|member| numbers(out, member)),
        _ => {}
    }
}

/// A number between marks. Equal numbers are spelled alike: `1.0` as `1`.
pub(super) fn framed(value: &Value) -> String {
    let mut digits = String::new();
    json_text::write(&mut digits, value);
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits.as_str() };
    format!("{NUMBER}{digits}{NUMBER}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_indexed_alike() {
        let number = |literal: &str| framed(&Value::parse(literal).expect("a number"));
        assert_eq!(number("1.0"), number("1"));
        assert_eq!(number("1e5"), number("100000"));
        assert_eq!(number("-0.0"), number("0"));
        assert_ne!(number("10"), number("1"));
        assert_eq!(
            indexed(r#"{"a": [1.0, {"b": -2.5}], "c": "3"}"#),
            "{\"a\": [1.0, {\"b\": -2.5}], \"c\": \"3\"}\u{1}1\u{1}\u{1}-2.5\u{1}"
        );
    }
}
