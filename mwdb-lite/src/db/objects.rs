//! Objects and their contents in SQL: finding, listing, inserting, removing.

use rusqlite::{Connection, OptionalExtension, Result, Row, params, params_from_iter, types::Value};

use crate::{
    auth::{Caller, Capability},
    objects::Kind,
    timestamp::Timestamp,
};

#[derive(Debug, Clone)]
pub(crate) struct ObjectRow {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    pub(crate) dhash: String,
    pub(crate) upload_time: Timestamp,
    pub(crate) share_3rd_party: bool,
}

const COLUMNS: &str = "o.id, o.type, o.dhash, o.upload_time, o.share_3rd_party";

pub(super) fn object_row(row: &Row<'_>) -> Result<ObjectRow> {
    Ok(ObjectRow { id: row.get(0)?, kind: row.get(1)?, dhash: row.get(2)?, upload_time: row.get(3)?, share_3rd_party: row.get(4)? })
}

/// The condition that the caller sees the object whose id is the expression `object`. The id of the
/// caller is written into the text: it is a number from our own table.
pub(crate) fn visible(caller: &Caller, object: &str) -> String {
    if caller.has(Capability::AccessAllObjects) {
        return "1".to_owned();
    }
    format!(
        "EXISTS (SELECT 1 FROM permission p WHERE p.object_id = {object} AND p.group_id IN (SELECT m.group_id FROM member m WHERE m.user_id = {}))",
        caller.id
    )
}

pub(crate) fn is_visible(c: &Connection, caller: &Caller, id: i64) -> Result<bool> {
    c.prepare_cached(&format!("SELECT {}", visible(caller, "?")))?.query_row(
        // Without a parameter when the caller sees everything.
        params_from_iter((!caller.has(Capability::AccessAllObjects)).then_some(id)),
        |row| row.get(0),
    )
}

pub(crate) fn by_id(c: &Connection, id: i64) -> Result<Option<ObjectRow>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM object o WHERE o.id = ?"))?.query_row([id], object_row).optional()
}

pub(crate) fn by_dhash(c: &Connection, dhash: &str) -> Result<Option<ObjectRow>> {
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM object o WHERE o.dhash = ?"))?.query_row([dhash], object_row).optional()
}

/// Objects with this hash: by dhash, and for files by their other hashes too.
pub(crate) fn by_identifier(c: &Connection, kind: Option<Kind>, hash: &str) -> Result<Vec<ObjectRow>> {
    let found = by_dhash(c, hash)?.filter(|row| kind.is_none_or(|kind| row.kind == kind));
    let column = match (found.is_none() && kind == Some(Kind::File), hash.len()) {
        (true, 32) => "md5",
        (true, 40) => "sha1",
        (true, 128) => "sha512",
        _ => return Ok(found.into_iter().collect()),
    };
    c.prepare_cached(&format!("SELECT {COLUMNS} FROM file f JOIN object o ON o.id = f.object_id WHERE f.{column} = ? ORDER BY o.id"))?
        .query_map([hash], object_row)?
        .collect()
}

/// Adds an object. Its time is never before that of an older one, so that ids and times agree.
pub(crate) fn insert(c: &Connection, kind: Kind, dhash: &str, share_3rd_party: bool) -> Result<i64> {
    let newest: Option<Timestamp> =
        c.prepare_cached("SELECT upload_time FROM object ORDER BY id DESC LIMIT 1")?.query_row([], |row| row.get(0)).optional()?;
    let now = newest.map_or(Timestamp::now(), |newest| newest.max(Timestamp::now()));
    c.prepare_cached("INSERT INTO object (type, dhash, upload_time, share_3rd_party) VALUES (?, ?, ?, ?)")?.insert(params![
        kind,
        dhash,
        now,
        share_3rd_party
    ])
}

pub(crate) fn allow_3rd_party(c: &Connection, id: i64) -> Result<()> {
    c.prepare_cached("UPDATE object SET share_3rd_party = 1 WHERE id = ? AND NOT share_3rd_party")?.execute([id])?;
    Ok(())
}

pub(crate) fn delete(c: &Connection, id: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM object WHERE id = ?")?.execute([id])?;
    Ok(())
}

#[derive(Debug, Clone)]
pub(crate) struct FileRow {
    pub(crate) file_name: String,
    pub(crate) file_size: u64,
    pub(crate) file_type: String,
    pub(crate) md5: String,
    pub(crate) sha1: String,
    pub(crate) sha512: String,
    pub(crate) crc32: String,
    pub(crate) ssdeep: Option<String>,
}

pub(crate) fn file(c: &Connection, id: i64) -> Result<FileRow> {
    c.prepare_cached("SELECT file_name, file_size, file_type, md5, sha1, sha512, crc32, ssdeep FROM file WHERE object_id = ?")?.query_row(
        [id],
        |row| {
            Ok(FileRow {
                file_name: row.get(0)?,
                file_size: row.get(1)?,
                file_type: row.get(2)?,
                md5: row.get(3)?,
                sha1: row.get(4)?,
                sha512: row.get(5)?,
                crc32: row.get(6)?,
                ssdeep: row.get(7)?,
            })
        },
    )
}

pub(crate) fn insert_file(c: &Connection, id: i64, file: &FileRow) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO file (object_id, file_name, file_size, file_type, md5, sha1, sha512, crc32, ssdeep) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        id,
        file.file_name,
        file.file_size,
        file.file_type,
        file.md5,
        file.sha1,
        file.sha512,
        file.crc32,
        file.ssdeep
    ])?;
    Ok(())
}

/// Notes a name the file was uploaded under.
pub(crate) fn add_file_name(c: &Connection, id: i64, name: &str) -> Result<()> {
    c.prepare_cached("INSERT OR IGNORE INTO file_name (object_id, name) VALUES (?, ?)")?.execute(params![id, name])?;
    Ok(())
}

/// The names of a file other than its first.
pub(crate) fn alt_names(c: &Connection, id: i64) -> Result<Vec<String>> {
    c.prepare_cached(
        "SELECT n.name FROM file_name n JOIN file f ON f.object_id = n.object_id WHERE n.object_id = ? AND n.name <> f.file_name ORDER BY n.id",
    )?
    .query_map([id], |row| row.get(0))?
    .collect()
}

#[derive(Debug, Clone)]
pub(crate) struct ConfigRow {
    pub(crate) family: String,
    pub(crate) config_type: String,
}

pub(crate) fn config(c: &Connection, id: i64) -> Result<ConfigRow> {
    c.prepare_cached("SELECT family, config_type FROM config WHERE object_id = ?")?
        .query_row([id], |row| Ok(ConfigRow { family: row.get(0)?, config_type: row.get(1)? }))
}

/// The JSON text of a config, which may be long.
pub(crate) fn config_cfg(c: &Connection, id: i64) -> Result<String> {
    c.prepare_cached("SELECT cfg FROM config WHERE object_id = ?")?.query_row([id], |row| row.get(0))
}

pub(crate) fn insert_config(c: &Connection, id: i64, config: &ConfigRow, cfg: &str) -> Result<()> {
    c.prepare_cached("INSERT INTO config (object_id, family, config_type, cfg) VALUES (?, ?, ?, ?)")?.execute(params![
        id,
        config.family,
        config.config_type,
        cfg
    ])?;
    Ok(())
}

/// Family, time of the newest config and how many, of the configs uploaded since.
pub(crate) fn config_families(c: &Connection, since: Option<Timestamp>) -> Result<Vec<(String, Timestamp, u64)>> {
    let since = since.map_or(Value::Integer(i64::MIN), |since| Value::Integer(since.micros()));
    c.prepare_cached(
        "SELECT k.family, max(o.upload_time), count(*) FROM config k JOIN object o ON o.id = k.object_id WHERE o.upload_time >= ? \
         GROUP BY k.family ORDER BY k.family",
    )?
    .query_map([since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
    .collect()
}

#[derive(Debug, Clone)]
pub(crate) struct BlobRow {
    pub(crate) blob_name: String,
    pub(crate) blob_type: String,
    pub(crate) blob_size: u64,
    pub(crate) last_seen: Timestamp,
}

pub(crate) fn blob(c: &Connection, id: i64) -> Result<BlobRow> {
    c.prepare_cached("SELECT blob_name, blob_type, blob_size, last_seen FROM blob WHERE object_id = ?")?.query_row([id], |row| {
        Ok(BlobRow { blob_name: row.get(0)?, blob_type: row.get(1)?, blob_size: row.get(2)?, last_seen: row.get(3)? })
    })
}

pub(crate) fn blob_content(c: &Connection, id: i64) -> Result<String> {
    c.prepare_cached("SELECT content FROM blob WHERE object_id = ?")?.query_row([id], |row| row.get(0))
}

/// Bytes of the content of a blob, which is not read for that.
pub(crate) fn blob_bytes(c: &Connection, id: i64) -> Result<u64> {
    c.prepare_cached("SELECT octet_length(content) FROM blob WHERE object_id = ?")?.query_row([id], |row| row.get(0))
}

pub(crate) fn insert_blob(c: &Connection, id: i64, blob: &BlobRow, content: &str) -> Result<()> {
    c.prepare_cached("INSERT INTO blob (object_id, blob_name, blob_type, blob_size, last_seen, content) VALUES (?, ?, ?, ?, ?, ?)")?
        .execute(params![id, blob.blob_name, blob.blob_type, blob.blob_size, blob.last_seen, content])?;
    Ok(())
}

pub(crate) fn see_blob(c: &Connection, id: i64) -> Result<()> {
    c.prepare_cached("UPDATE blob SET last_seen = max(last_seen, ?) WHERE object_id = ?")?.execute(params![Timestamp::now(), id])?;
    Ok(())
}
