//! Attribute definitions, rights and values in SQL.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::auth::{Caller, Capability};

#[derive(Debug, Clone)]
pub(crate) struct DefinitionRow {
    pub(crate) key: String,
    pub(crate) label: String,
    pub(crate) description: String,
    pub(crate) url_template: String,
    pub(crate) rich_template: String,
    pub(crate) example_value: String,
    pub(crate) hidden: bool,
}

const DEFINITION: &str =
    "SELECT d.key, d.label, d.description, d.url_template, d.rich_template, d.example_value, d.hidden FROM attribute_definition d";

fn definition_row(row: &Row<'_>) -> Result<DefinitionRow> {
    Ok(DefinitionRow {
        key: row.get(0)?,
        label: row.get(1)?,
        description: row.get(2)?,
        url_template: row.get(3)?,
        rich_template: row.get(4)?,
        example_value: row.get(5)?,
        hidden: row.get(6)?,
    })
}

/// What the caller may do with a key.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Right {
    Read,
    Set,
}

/// The condition that the caller has a right on the key named by the expression `key`.
pub(crate) fn has_right(caller: &Caller, right: Right, key: &str) -> String {
    let (all, column) = match right {
        Right::Read => (Capability::ReadingAllAttributes, "can_read"),
        Right::Set => (Capability::AddingAllAttributes, "can_set"),
    };
    if caller.has(all) {
        return "1".to_owned();
    }
    format!(
        "EXISTS (SELECT 1 FROM attribute_permission a JOIN member m ON m.group_id = a.group_id \
         WHERE a.key = {key} AND a.{column} AND m.user_id = {})",
        caller.id
    )
}

pub(crate) fn definition(c: &Connection, key: &str) -> Result<Option<DefinitionRow>> {
    c.prepare_cached(&format!("{DEFINITION} WHERE d.key = ?"))?.query_row([key], definition_row).optional()
}

pub(crate) fn definitions(c: &Connection) -> Result<Vec<DefinitionRow>> {
    c.prepare_cached(&format!("{DEFINITION} ORDER BY d.key"))?.query_map([], definition_row)?.collect()
}

/// The keys the caller has a right on, sorted.
pub(crate) fn definitions_for(c: &Connection, caller: &Caller, right: Right, hidden: bool) -> Result<Vec<DefinitionRow>> {
    c.prepare_cached(&format!("{DEFINITION} WHERE (NOT d.hidden OR ?) AND {} ORDER BY d.key", has_right(caller, right, "d.key")))?
        .query_map([hidden], definition_row)?
        .collect()
}

pub(crate) fn put_definition(c: &Connection, row: &DefinitionRow) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO attribute_definition (key, label, description, url_template, rich_template, example_value, hidden) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (key) DO UPDATE SET label = ?2, description = ?3, url_template = ?4, \
         rich_template = ?5, example_value = ?6, hidden = ?7",
    )?
    .execute(params![row.key, row.label, row.description, row.url_template, row.rich_template, row.example_value, row.hidden])?;
    Ok(())
}

/// Removes a key with the rights and values that it still has.
pub(crate) fn delete_definition(c: &Connection, key: &str) -> Result<()> {
    c.prepare_cached("DELETE FROM attribute_definition WHERE key = ?")?.execute([key])?;
    Ok(())
}

/// Removes at most so many values of a key; tells how many.
pub(crate) fn delete_values(c: &Connection, key: &str, most: usize) -> Result<usize> {
    c.prepare_cached("DELETE FROM attribute WHERE id IN (SELECT id FROM attribute WHERE key = ? LIMIT ?)")?
        .execute(params![key, i64::try_from(most).unwrap_or(i64::MAX)])
}

/// Removes everybody's rights on a key.
pub(crate) fn delete_rights(c: &Connection, key: &str) -> Result<()> {
    c.prepare_cached("DELETE FROM attribute_permission WHERE key = ?")?.execute([key])?;
    Ok(())
}

#[derive(Debug, Clone)]
pub(crate) struct RightRow {
    pub(crate) group_name: String,
    pub(crate) can_read: bool,
    pub(crate) can_set: bool,
}

pub(crate) fn rights(c: &Connection, key: &str) -> Result<Vec<RightRow>> {
    c.prepare_cached(
        "SELECT g.name, a.can_read, a.can_set FROM attribute_permission a JOIN groups g ON g.id = a.group_id WHERE a.key = ? ORDER BY g.name",
    )?
    .query_map([key], |row| Ok(RightRow { group_name: row.get(0)?, can_read: row.get(1)?, can_set: row.get(2)? }))?
    .collect()
}

pub(crate) fn put_right(c: &Connection, key: &str, group_id: i64, can_read: bool, can_set: bool) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO attribute_permission (key, group_id, can_read, can_set) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (key, group_id) DO UPDATE SET can_read = ?3, can_set = ?4",
    )?
    .execute(params![key, group_id, can_read, can_set])?;
    Ok(())
}

pub(crate) fn delete_right(c: &Connection, key: &str, group_id: i64) -> Result<bool> {
    Ok(c.prepare_cached("DELETE FROM attribute_permission WHERE key = ? AND group_id = ?")?.execute(params![key, group_id])? > 0)
}

pub(crate) fn has(c: &Connection, caller: &Caller, right: Right, key: &str) -> Result<bool> {
    c.prepare_cached(&format!("SELECT 1 FROM attribute_definition d WHERE d.key = ? AND {}", has_right(caller, right, "d.key")))?
        .query_row([key], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

#[derive(Debug, Clone)]
pub(crate) struct ValueRow {
    pub(crate) id: i64,
    pub(crate) key: String,
    /// JSON text
    pub(crate) value: String,
}

fn value_row(row: &Row<'_>) -> Result<ValueRow> {
    Ok(ValueRow { id: row.get(0)?, key: row.get(1)?, value: row.get(2)? })
}

/// The values of an object that the caller may read.
pub(crate) fn values(c: &Connection, caller: &Caller, object_id: i64, hidden: bool) -> Result<Vec<ValueRow>> {
    c.prepare_cached(&format!(
        "SELECT v.id, v.key, v.value FROM attribute v JOIN attribute_definition d ON d.key = v.key \
         WHERE v.object_id = ? AND (NOT d.hidden OR ?) AND {} ORDER BY v.id",
        has_right(caller, Right::Read, "v.key")
    ))?
    .query_map(params![object_id, hidden], value_row)?
    .collect()
}

/// All values of an object but the hidden ones, whoever may read them: for Karton.
pub(crate) fn open_values(c: &Connection, object_id: i64) -> Result<Vec<ValueRow>> {
    c.prepare_cached(
        "SELECT v.id, v.key, v.value FROM attribute v JOIN attribute_definition d ON d.key = v.key \
         WHERE v.object_id = ? AND NOT d.hidden ORDER BY v.id",
    )?
    .query_map([object_id], value_row)?
    .collect()
}

pub(crate) fn values_of_key(c: &Connection, object_id: i64, key: &str) -> Result<Vec<ValueRow>> {
    c.prepare_cached("SELECT id, key, value FROM attribute WHERE object_id = ? AND key = ? ORDER BY id")?
        .query_map(params![object_id, key], value_row)?
        .collect()
}

/// How many values an object has, of all keys.
pub(crate) fn values_held(c: &Connection, object_id: i64) -> Result<u64> {
    c.prepare_cached("SELECT count(*) FROM attribute WHERE object_id = ?")?.query_row([object_id], |row| row.get(0))
}

/// Adds a value unless the object has an equal one under this key; tells whether it had none.
pub(crate) fn insert_value(c: &Connection, object_id: i64, key: &str, value: &str, digest: &[u8]) -> Result<bool> {
    c.prepare_cached("INSERT OR IGNORE INTO attribute (object_id, key, value, digest) VALUES (?, ?, ?, ?)")?
        .execute(params![object_id, key, value, digest])
        .map(|added| added > 0)
}

/// The key of a value of this object.
pub(crate) fn value_key(c: &Connection, object_id: i64, id: i64) -> Result<Option<String>> {
    c.prepare_cached("SELECT key FROM attribute WHERE id = ? AND object_id = ?")?.query_row([id, object_id], |row| row.get(0)).optional()
}

pub(crate) fn delete_value(c: &Connection, id: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM attribute WHERE id = ?")?.execute([id])?;
    Ok(())
}
