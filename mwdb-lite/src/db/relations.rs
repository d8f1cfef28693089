//! Relations in SQL.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::objects::{ObjectRow, object_row, visible};
use crate::{auth::Caller, objects::Kind, timestamp::Timestamp};

/// Which side of its relations an object is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Parents,
    Children,
}

impl Side {
    /// The column of the other end, and that of the object itself.
    fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Parents => ("parent_id", "child_id"),
            Self::Children => ("child_id", "parent_id"),
        }
    }
}

/// How many relatives of one type a reply holds.
const SHOWN: u32 = 100;

/// Adds a relation; tells whether it is new.
pub(crate) fn insert(c: &Connection, parent: i64, child: i64) -> Result<bool> {
    let added = c
        .prepare_cached("INSERT OR IGNORE INTO relation (parent_id, child_id, creation_time) VALUES (?, ?, ?)")?
        .execute(params![parent, child, Timestamp::now()])?;
    Ok(added > 0)
}

pub(crate) fn exists(c: &Connection, parent: i64, child: i64) -> Result<bool> {
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM relation WHERE parent_id = ? AND child_id = ?)")?
        .query_row([parent, child], |row| row.get(0))
}

pub(crate) fn delete(c: &Connection, parent: i64, child: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM relation WHERE parent_id = ? AND child_id = ?")?.execute([parent, child])?;
    Ok(())
}

/// Ids of all relatives, whoever sees them: for the rules of inheritance.
pub(crate) fn ids(c: &Connection, side: Side, object_id: i64) -> Result<Vec<i64>> {
    let (other, own) = side.columns();
    c.prepare_cached(&format!("SELECT {other} FROM relation WHERE {own} = ? ORDER BY id"))?
        .query_map([object_id], |row| row.get(0))?
        .collect()
}

/// The newest relatives of each type that the caller sees.
pub(crate) fn shown(c: &Connection, caller: &Caller, side: Side, object_id: i64) -> Result<Vec<ObjectRow>> {
    let (other, own) = side.columns();
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let mut statement = c.prepare_cached(&format!(
            "SELECT o.id, o.type, o.dhash, o.upload_time, o.share_3rd_party FROM relation r JOIN object o ON o.id = r.{other} \
             WHERE r.{own} = ? AND o.type = ? AND {} ORDER BY r.id DESC LIMIT {SHOWN}",
            visible(caller, "o.id")
        ))?;
        for row in statement.query_map(params![object_id, kind], object_row)? {
            found.push(row?);
        }
    }
    Ok(found)
}

/// The config that became a child last, among those the caller sees.
pub(crate) fn latest_config(c: &Connection, caller: &Caller, object_id: i64) -> Result<Option<ObjectRow>> {
    c.prepare_cached(&format!(
        "SELECT o.id, o.type, o.dhash, o.upload_time, o.share_3rd_party FROM relation r JOIN object o ON o.id = r.child_id \
         WHERE r.parent_id = ? AND o.type = ? AND {} ORDER BY r.id DESC LIMIT 1",
        visible(caller, "o.id")
    ))?
    .query_row(params![object_id, Kind::Config], object_row)
    .optional()
}
