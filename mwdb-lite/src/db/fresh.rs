//! The bytes of small files that the disk may not have in their place yet.
//!
//! The one rule: a row is committed with the file that it belongs to, and goes only after the disk has the
//! file in its place.

use rusqlite::{Connection, OptionalExtension, Result};

/// Keeps the bytes of a file.
pub(crate) fn insert(c: &Connection, sha256: &str, content: &[u8]) -> Result<()> {
    c.prepare_cached("INSERT INTO fresh_content (sha256, content) VALUES (?, ?)")?.execute((sha256, content))?;
    Ok(())
}

/// Whether there are rows; a database of an older program has none.
pub(crate) fn is_any(c: &Connection) -> Result<bool> {
    let known = c.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'fresh_content'")?.exists([])?;
    Ok(known && c.prepare_cached("SELECT 1 FROM fresh_content")?.exists([])?)
}

/// Whether the bytes of a file are kept.
pub(crate) fn has(c: &Connection, sha256: &str) -> Result<bool> {
    Ok(is_any(c)? && c.prepare_cached("SELECT 1 FROM fresh_content WHERE sha256 = ?")?.exists([sha256])?)
}

/// Number and hash of each row.
pub(crate) fn all(c: &Connection) -> Result<Vec<(i64, String)>> {
    c.prepare_cached("SELECT id, sha256 FROM fresh_content ORDER BY id")?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Hash and bytes of a row; nothing when it is gone.
pub(crate) fn get(c: &Connection, id: i64) -> Result<Option<(String, Vec<u8>)>> {
    c.prepare_cached("SELECT sha256, content FROM fresh_content WHERE id = ?")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// Removes rows.
pub(crate) fn remove(c: &Connection, ids: &[i64]) -> Result<()> {
    let mut delete = c.prepare_cached("DELETE FROM fresh_content WHERE id = ?")?;
    ids.iter().try_for_each(|id| delete.execute([id]).map(drop))
}
