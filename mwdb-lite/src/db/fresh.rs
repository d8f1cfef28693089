//! The bytes of small files that the disk may not have in their place yet.
//!
//! The one rule: a row is committed with the file that it belongs to, and goes only after the disk has
//! taken the uploads folder.

use rusqlite::{Connection, OptionalExtension, Result};

use crate::objects::Kind;

/// One of them.
pub(crate) struct Fresh {
    pub(crate) id: i64,
    pub(crate) sha256: String,
    pub(crate) content: Vec<u8>,
}

/// Keeps the bytes of a file.
pub(crate) fn insert(c: &Connection, sha256: &str, content: &[u8]) -> Result<()> {
    c.prepare_cached("INSERT INTO fresh_content (sha256, content) VALUES (?, ?)")?.execute((sha256, content))?;
    Ok(())
}

/// Whether the bytes of a file are kept; a database of an older program has none.
pub(crate) fn has(c: &Connection, sha256: &str) -> Result<bool> {
    let known = c.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'fresh_content'")?.exists([])?;
    Ok(known && c.prepare_cached("SELECT 1 FROM fresh_content WHERE sha256 = ?")?.exists([sha256])?)
}

/// The newest row, if there is any.
pub(crate) fn newest(c: &Connection) -> Result<Option<i64>> {
    c.prepare_cached("SELECT max(id) FROM fresh_content")?.query_row([], |row| row.get(0))
}

/// The next row whose file is still there.
pub(crate) fn next(c: &Connection, after: i64) -> Result<Option<Fresh>> {
    c.prepare_cached(
        "SELECT n.id, n.sha256, n.content FROM fresh_content n \
         WHERE n.id > ? AND EXISTS (SELECT 1 FROM object o WHERE o.dhash = n.sha256 AND o.type = ?) ORDER BY n.id LIMIT 1",
    )?
    .query_row((after, Kind::File), |row| Ok(Fresh { id: row.get(0)?, sha256: row.get(1)?, content: row.get(2)? }))
    .optional()
}

/// Removes the oldest rows up to one, so many at most; gives how many there were.
pub(crate) fn remove(c: &Connection, until: i64, most: usize) -> Result<usize> {
    c.prepare_cached("DELETE FROM fresh_content WHERE id IN (SELECT id FROM fresh_content WHERE id <= ? ORDER BY id LIMIT ?)")?
        .execute((until, most))
}
