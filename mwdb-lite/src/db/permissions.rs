//! Permission rows in SQL: who sees an object, and why.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::{
    auth::{Caller, Capability},
    objects::Kind,
    timestamp::Timestamp,
};

/// Why a group sees an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PermissionRow {
    pub(crate) object_id: i64,
    pub(crate) group_id: i64,
    pub(crate) reason: String,
    pub(crate) related_object: Option<i64>,
    pub(crate) related_user: Option<i64>,
}

fn permission_row(row: &Row<'_>) -> Result<PermissionRow> {
    Ok(PermissionRow {
        object_id: row.get(0)?,
        group_id: row.get(1)?,
        reason: row.get(2)?,
        related_object: row.get(3)?,
        related_user: row.get(4)?,
    })
}

const ROW: &str = "SELECT object_id, group_id, reason_type, related_object_id, related_user_id FROM permission";

pub(crate) fn of_object(c: &Connection, object_id: i64) -> Result<Vec<PermissionRow>> {
    c.prepare_cached(&format!("{ROW} WHERE object_id = ? ORDER BY access_time, group_id"))?
        .query_map([object_id], permission_row)?
        .collect()
}

pub(crate) fn of_group(c: &Connection, object_id: i64, group_id: i64) -> Result<Option<PermissionRow>> {
    c.prepare_cached(&format!("{ROW} WHERE object_id = ? AND group_id = ?"))?.query_row([object_id, group_id], permission_row).optional()
}

/// Adds a row unless the group has one; tells whether it was added.
pub(crate) fn insert(c: &Connection, row: &PermissionRow) -> Result<bool> {
    let added = c
        .prepare_cached(
            "INSERT OR IGNORE INTO permission (object_id, group_id, type, reason_type, related_object_id, related_user_id, access_time) \
             SELECT id, ?2, type, ?3, ?4, ?5, ?6 FROM object WHERE id = ?1",
        )?
        .execute(params![row.object_id, row.group_id, row.reason, row.related_object, row.related_user, Timestamp::now()])?;
    Ok(added > 0)
}

pub(crate) fn delete(c: &Connection, object_id: i64, group_id: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM permission WHERE object_id = ? AND group_id = ?")?.execute([object_id, group_id])?;
    Ok(())
}

/// Gives a row the reason of another; who caused it stays.
pub(crate) fn take_reason(c: &Connection, row: &PermissionRow, of: &PermissionRow) -> Result<()> {
    c.prepare_cached("UPDATE permission SET reason_type = ?, related_object_id = ?, access_time = ? WHERE object_id = ? AND group_id = ?")?
        .execute(params![of.reason, of.related_object, Timestamp::now(), row.object_id, row.group_id])?;
    Ok(())
}

#[derive(Debug, Clone)]
pub(crate) struct ShareRow {
    pub(crate) group_name: String,
    pub(crate) reason: String,
    pub(crate) access_time: Timestamp,
    pub(crate) related_dhash: Option<String>,
    pub(crate) related_kind: Option<Kind>,
    pub(crate) related_login: Option<String>,
}

/// The rows of an object that the caller may see: the entries of its uploaders, or all others. Of an upload that is
/// gone only access is left: such a row is no entry.
pub(crate) fn shares(c: &Connection, caller: &Caller, object_id: i64, uploaders: bool) -> Result<Vec<ShareRow>> {
    let everything = caller.has(Capability::SharingWithAll) || (uploaders && caller.has(Capability::AccessUploaderInfo));
    let shown = match (everything, uploaders) {
        (true, _) => "1",
        (false, true) => {
            "(p.related_user_id = ?3 OR p.related_user_id IN (SELECT b.user_id FROM member a JOIN groups w ON w.id = a.group_id \
             JOIN member b ON b.group_id = a.group_id WHERE a.user_id = ?3 AND w.workspace))"
        }
        (false, false) => "p.group_id IN (SELECT a.group_id FROM member a WHERE a.user_id = ?3)",
    };
    c.prepare_cached(&format!(
        "SELECT g.name, p.reason_type, p.access_time, r.dhash, r.type, u.login FROM permission p JOIN groups g ON g.id = p.group_id \
         LEFT JOIN object r ON r.id = p.related_object_id LEFT JOIN users u ON u.id = p.related_user_id \
         WHERE p.object_id = ?1 AND (p.reason_type = 'added' AND p.related_object_id IS ?1) = ?2 AND {shown} AND ?3 = ?3 \
         AND NOT (p.reason_type = 'added' AND p.related_object_id IS NULL) \
         ORDER BY p.access_time, g.name"
    ))?
    .query_map(params![object_id, uploaders, caller.id], |row| {
        Ok(ShareRow {
            group_name: row.get(0)?,
            reason: row.get(1)?,
            access_time: row.get(2)?,
            related_dhash: row.get(3)?,
            related_kind: row.get(4)?,
            related_login: row.get(5)?,
        })
    })?
    .collect()
}
