//! Tags, comments and favourites in SQL.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::objects::visible;
use crate::{auth::Caller, timestamp::Timestamp};

/// The tags of an object, in the order in which they were added.
pub(crate) fn tags(c: &Connection, object_id: i64) -> Result<Vec<String>> {
    c.prepare_cached("SELECT t.tag FROM object_tag x JOIN tag t ON t.id = x.tag_id WHERE x.object_id = ? ORDER BY x.id")?
        .query_map([object_id], |row| row.get(0))?
        .collect()
}

/// How many tags an object has, and their bytes.
pub(crate) fn tags_held(c: &Connection, object_id: i64) -> Result<(u64, u64)> {
    c.prepare_cached(
        "SELECT count(*), ifnull(sum(octet_length(t.tag)), 0) FROM object_tag x JOIN tag t ON t.id = x.tag_id WHERE x.object_id = ?",
    )?
    .query_row([object_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Whether the object had no such tag.
pub(crate) fn add_tag(c: &Connection, object_id: i64, tag: &str) -> Result<bool> {
    c.prepare_cached("INSERT OR IGNORE INTO tag (tag) VALUES (?)")?.execute([tag])?;
    c.prepare_cached("INSERT OR IGNORE INTO object_tag (object_id, tag_id) SELECT ?, id FROM tag WHERE tag = ?")?
        .execute(params![object_id, tag])
        .map(|added| added > 0)
}

pub(crate) fn remove_tag(c: &Connection, object_id: i64, tag: &str) -> Result<()> {
    c.prepare_cached("DELETE FROM object_tag WHERE object_id = ? AND tag_id = (SELECT id FROM tag WHERE tag = ?)")?
        .execute(params![object_id, tag])?;
    Ok(())
}

/// Tags with a prefix, of objects the caller sees.
pub(crate) fn tags_with_prefix(c: &Connection, caller: &Caller, prefix: &str, limit: Option<u64>) -> Result<Vec<String>> {
    // Every text that starts with the prefix is below the prefix followed by the last character there is.
    c.prepare_cached(&format!(
        "SELECT t.tag FROM tag t WHERE t.tag >= ?1 AND t.tag < ?1 || char(1114111) AND substr(t.tag, 1, length(?1)) = ?1 \
         AND EXISTS (SELECT 1 FROM object_tag x WHERE x.tag_id = t.id AND {}) ORDER BY t.tag LIMIT ?2",
        visible(caller, "x.object_id")
    ))?
    .query_map(params![prefix, limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1)], |row| row.get(0))?
    .collect()
}

#[derive(Debug, Clone)]
pub(crate) struct CommentRow {
    pub(crate) id: i64,
    pub(crate) author: Option<String>,
    pub(crate) comment: String,
    pub(crate) timestamp: Timestamp,
}

pub(crate) fn comments(c: &Connection, object_id: i64) -> Result<Vec<CommentRow>> {
    c.prepare_cached(
        "SELECT k.id, u.login, k.comment, k.timestamp FROM comment k LEFT JOIN users u ON u.id = k.user_id WHERE k.object_id = ? ORDER BY k.id",
    )?
    .query_map([object_id], |row| Ok(CommentRow { id: row.get(0)?, author: row.get(1)?, comment: row.get(2)?, timestamp: row.get(3)? }))?
    .collect()
}

/// How many comments an object has, and their bytes.
pub(crate) fn comments_held(c: &Connection, object_id: i64) -> Result<(u64, u64)> {
    c.prepare_cached("SELECT count(*), ifnull(sum(octet_length(comment)), 0) FROM comment WHERE object_id = ?")?
        .query_row([object_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

pub(crate) fn insert_comment(c: &Connection, object_id: i64, user_id: i64, comment: &str, timestamp: Timestamp) -> Result<i64> {
    c.prepare_cached("INSERT INTO comment (object_id, user_id, comment, timestamp) VALUES (?, ?, ?, ?)")?
        .insert(params![object_id, user_id, comment, timestamp])
}

/// Removes a comment of this object; false when there is none.
pub(crate) fn delete_comment(c: &Connection, object_id: i64, id: i64) -> Result<bool> {
    Ok(c.prepare_cached("DELETE FROM comment WHERE id = ? AND object_id = ?")?.execute([id, object_id])? > 0)
}

pub(crate) fn is_favorite(c: &Connection, user_id: i64, object_id: i64) -> Result<bool> {
    c.prepare_cached("SELECT 1 FROM favorite WHERE user_id = ? AND object_id = ?")?
        .query_row([user_id, object_id], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

pub(crate) fn set_favorite(c: &Connection, user_id: i64, object_id: i64, favorite: bool) -> Result<()> {
    let text = if favorite {
        "INSERT OR IGNORE INTO favorite (user_id, object_id) VALUES (?, ?)"
    } else {
        "DELETE FROM favorite WHERE user_id = ? AND object_id = ?"
    };
    c.prepare_cached(text)?.execute([user_id, object_id])?;
    Ok(())
}
