//! Karton analyses, and what Karton has yet to be told, in SQL.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::timestamp::Timestamp;

#[derive(Debug, Clone)]
pub(crate) struct AnalysisRow {
    pub(crate) id: String,
    /// JSON object
    pub(crate) arguments: String,
    /// Karton knows of it: no announcement is pending.
    pub(crate) announced: bool,
    pub(crate) creation_time: Timestamp,
}

const ANALYSIS: &str = "SELECT a.id, a.arguments, NOT EXISTS (SELECT 1 FROM karton_outbox q WHERE q.analysis_id = a.id), a.creation_time \
    FROM analysis a JOIN analysis_object x ON x.analysis_id = a.id";

fn analysis_row(row: &Row<'_>) -> Result<AnalysisRow> {
    Ok(AnalysisRow { id: row.get(0)?, arguments: row.get(1)?, announced: row.get(2)?, creation_time: row.get(3)? })
}

/// The newest analyses of an object, before `older_than` when given.
pub(crate) fn newest(c: &Connection, object_id: i64, older_than: Option<Timestamp>, limit: u32) -> Result<Vec<AnalysisRow>> {
    c.prepare_cached(&format!("{ANALYSIS} WHERE x.object_id = ? AND a.creation_time < ? ORDER BY a.creation_time DESC, a.id LIMIT ?"))?
        .query_map(params![object_id, older_than.map_or(i64::MAX, Timestamp::micros), limit], analysis_row)?
        .collect()
}

/// Ids of all analyses of an object, oldest first.
pub(crate) fn ids(c: &Connection, object_id: i64) -> Result<Vec<String>> {
    c.prepare_cached(
        "SELECT a.id FROM analysis a JOIN analysis_object x ON x.analysis_id = a.id WHERE x.object_id = ? ORDER BY a.creation_time, a.id",
    )?
    .query_map([object_id], |row| row.get(0))?
    .collect()
}

pub(crate) fn of_object(c: &Connection, object_id: i64, id: &str) -> Result<Option<AnalysisRow>> {
    c.prepare_cached(&format!("{ANALYSIS} WHERE x.object_id = ? AND a.id = ?"))?.query_row(params![object_id, id], analysis_row).optional()
}

pub(crate) fn creation_time(c: &Connection, id: &str) -> Result<Option<Timestamp>> {
    c.prepare_cached("SELECT creation_time FROM analysis WHERE id = ?")?.query_row([id], |row| row.get(0)).optional()
}

/// Records an analysis unless it is known.
pub(crate) fn insert(c: &Connection, id: &str, arguments: &str) -> Result<()> {
    c.prepare_cached("INSERT OR IGNORE INTO analysis (id, creation_time, arguments) VALUES (?, ?, ?)")?.execute(params![
        id,
        Timestamp::now(),
        arguments
    ])?;
    Ok(())
}

pub(crate) fn assign(c: &Connection, id: &str, object_id: i64) -> Result<()> {
    c.prepare_cached("INSERT OR IGNORE INTO analysis_object (analysis_id, object_id) VALUES (?, ?)")?.execute(params![id, object_id])?;
    Ok(())
}

/// Takes an analysis from an object, and forgets it when no object has it any more. False when the object did not have it.
pub(crate) fn unassign(c: &Connection, id: &str, object_id: i64) -> Result<bool> {
    let removed =
        c.prepare_cached("DELETE FROM analysis_object WHERE analysis_id = ? AND object_id = ?")?.execute(params![id, object_id])?;
    c.prepare_cached("DELETE FROM analysis WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM analysis_object WHERE analysis_id = ?1)")?
        .execute([id])?;
    Ok(removed > 0)
}

/// Objects with the JSON texts that they have under an attribute key, in the order in which they were set.
pub(crate) fn values_of_plugin(c: &Connection, key: &str) -> Result<Vec<(i64, String)>> {
    c.prepare_cached("SELECT object_id, value FROM attribute WHERE key = ? ORDER BY id")?
        .query_map([key], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// An analysis that Karton has not been told of.
#[derive(Debug, Clone)]
pub(crate) struct OutboxRow {
    pub(crate) id: i64,
    pub(crate) analysis_id: String,
    pub(crate) object_id: i64,
    pub(crate) quality: String,
    pub(crate) resource_uid: String,
    pub(crate) arguments: String,
    pub(crate) attempts: u32,
}

pub(crate) fn announce_later(c: &Connection, analysis_id: &str, object_id: i64, quality: &str) -> Result<()> {
    c.prepare_cached("INSERT INTO karton_outbox (analysis_id, object_id, quality, resource_uid, created) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![analysis_id, object_id, quality, uuid::Uuid::new_v4().to_string(), Timestamp::now()])?;
    Ok(())
}

/// The oldest announcements after a row up to another: all, or those that were never tried.
pub(crate) fn pending(c: &Connection, (after, last): (i64, i64), limit: u32, only_new: bool) -> Result<Vec<OutboxRow>> {
    c.prepare_cached(
        "SELECT q.id, q.analysis_id, q.object_id, q.quality, q.resource_uid, a.arguments, q.attempts FROM karton_outbox q \
         JOIN analysis a ON a.id = q.analysis_id WHERE q.id > ?1 AND q.id <= ?2 AND (q.attempts = 0 OR NOT ?3) ORDER BY q.id LIMIT ?4",
    )?
    .query_map(params![after, last, only_new, limit], |row| {
        Ok(OutboxRow {
            id: row.get(0)?,
            analysis_id: row.get(1)?,
            object_id: row.get(2)?,
            quality: row.get(3)?,
            resource_uid: row.get(4)?,
            arguments: row.get(5)?,
            attempts: row.get(6)?,
        })
    })?
    .collect()
}

/// The newest announcement that was ever put into the outbox: ids only grow.
pub(crate) fn newest_announcement(c: &Connection) -> Result<i64> {
    c.query_row("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'karton_outbox'", [], |row| row.get(0))
}

pub(crate) fn announced(c: &Connection, id: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM karton_outbox WHERE id = ?")?.execute([id])?;
    Ok(())
}

pub(crate) fn attempt_failed(c: &Connection, id: i64, error: &str) -> Result<()> {
    c.prepare_cached("UPDATE karton_outbox SET attempts = attempts + 1, last_error = ? WHERE id = ?")?.execute(params![error, id])?;
    Ok(())
}
