//! The database as a whole: copying it, looking for damage, going over its rows.
//!
//! For commands that work beside a server or without one, on a connection of their own. The one rule:
//! nothing here keeps a snapshot open for longer than it needs one, but for the copy.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Result, Row,
    backup::{Backup, StepResult},
    params,
};

use super::objects::FileRow;
use crate::{content::Digests, objects::Kind};

/// Pages that are copied between two looks at the progress.
const PAGES: i32 = 1024;
/// The pause when somebody else has the source for himself.
const BUSY: Duration = Duration::from_millis(50);

/// Opens a database that must be there, for reading or for repairs. The schema is left as it is.
pub(crate) fn open(path: &Path, write: bool) -> anyhow::Result<Connection> {
    let access = if write { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let action = || format!("open the database `{}` ([mwdb] sqlite_path)", path.display());
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).with_context(action)?;
    super::prepare(&connection).with_context(action)?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).with_context(action)?;
    anyhow::ensure!(version > 0, "`{}` is no database of mwdb-lite", path.display());
    Ok(connection)
}

/// Copies one snapshot into a new file that needs no companions. The source may be in use.
pub(crate) fn copy(source: &Connection, target: &Path, mut progress: impl FnMut(u64, u64)) -> anyhow::Result<()> {
    // As long as this transaction is open, what others write does not start the copy over.
    let snapshot = source.unchecked_transaction()?;
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let mut copy = Connection::open(target)?;
    {
        let backup = Backup::new(&snapshot, &mut copy)?;
        loop {
            let step = backup.step(PAGES)?;
            let state = backup.progress();
            let pages = |count: i32| u64::try_from(count).unwrap_or(0);
            progress(pages(state.pagecount - state.remaining), pages(state.pagecount));
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(BUSY),
            }
        }
    }
    copy.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
    Ok(())
}

/// What `SQLite` itself finds damaged.
pub(crate) fn damage(c: &Connection) -> Result<Vec<String>> {
    let lines = c.prepare("PRAGMA integrity_check")?.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Makes all indexes anew.
pub(crate) fn reindex(c: &Connection) -> Result<()> {
    c.execute_batch("REINDEX")
}

/// Rows that name a row that does not exist.
#[derive(Debug, Clone)]
pub(crate) struct Dangling {
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) target: String,
    pub(crate) count: u64,
    key: String,
    /// The reference may be empty: then it is emptied rather than the row removed.
    pub(crate) optional: bool,
}

impl Dangling {
    fn condition(&self) -> String {
        let Self { table, column, target, key, .. } = self;
        format!(
            "\"{table}\".\"{column}\" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \"{target}\" t WHERE t.\"{key}\" = \"{table}\".\"{column}\")"
        )
    }
}

/// All of them, by the references that the schema declares.
pub(crate) fn dangling(c: &Connection) -> Result<Vec<Dangling>> {
    let declared = c
        .prepare(
            "SELECT m.name, f.\"from\", f.\"table\", f.\"to\", f.on_delete = 'SET NULL' FROM sqlite_schema m, pragma_foreign_key_list(m.name) f \
             WHERE m.type = 'table' ORDER BY m.name, f.id",
        )?
        .query_map([], |row| {
            Ok(Dangling { table: row.get(0)?, column: row.get(1)?, target: row.get(2)?, key: row.get(3)?, optional: row.get(4)?, count: 0 })
        })?
        .collect::<Result<Vec<_>>>()?;
    let mut found = Vec::new();
    for mut reference in declared {
        reference.count =
            c.query_row(&format!("SELECT count(*) FROM \"{}\" WHERE {}", reference.table, reference.condition()), [], |row| row.get(0))?;
        if reference.count > 0 {
            found.push(reference);
        }
    }
    Ok(found)
}

/// Removes rows that name nothing, or empties the reference.
pub(crate) fn mend(c: &Connection, dangling: &Dangling) -> Result<usize> {
    let Dangling { table, column, .. } = dangling;
    let what = if dangling.optional { format!("UPDATE \"{table}\" SET \"{column}\" = NULL") } else { format!("DELETE FROM \"{table}\"") };
    c.execute(&format!("{what} WHERE {}", dangling.condition()), [])
}

/// Identity of an object.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: i64,
    pub(crate) dhash: String,
}

fn known(row: &Row<'_>) -> Result<Known> {
    Ok(Known { id: row.get(0)?, dhash: row.get(1)? })
}

/// The table with the rest of an object.
fn table(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Config => "config",
        Kind::Blob => "blob",
    }
}

/// How many objects there are of a type.
pub(crate) fn count(c: &Connection, kind: Kind) -> Result<u64> {
    c.query_row("SELECT count(*) FROM object WHERE type = ?", [kind], |row| row.get(0))
}

/// Objects of a type that have all their rows, by ascending id.
pub(crate) fn objects(c: &Connection, kind: Kind, after: i64, limit: u32) -> Result<Vec<Known>> {
    c.prepare_cached(&format!(
        "SELECT o.id, o.dhash FROM object o JOIN {} d ON d.object_id = o.id WHERE o.type = ? AND o.id > ? ORDER BY o.id LIMIT ?",
        table(kind)
    ))?
    .query_map(params![kind, after, limit], known)?
    .collect()
}

/// Objects whose type says that there is a row which is not there.
pub(crate) fn halves(c: &Connection, kind: Kind) -> Result<Vec<Known>> {
    c.prepare(&format!(
        "SELECT o.id, o.dhash FROM object o WHERE o.type = ? AND NOT EXISTS (SELECT 1 FROM {} d WHERE d.object_id = o.id) ORDER BY o.id",
        table(kind)
    ))?
    .query_map([kind], known)?
    .collect()
}

/// Whether a file with this content is known.
pub(crate) fn is_file(c: &Connection, sha256: &str) -> Result<bool> {
    let found = c.prepare_cached("SELECT 1 FROM object WHERE dhash = ? AND type = ?")?.query_row(params![sha256, Kind::File], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// Corrects what the database says of a file.
pub(crate) fn correct_file(c: &Connection, id: i64, row: &FileRow, size: u64, digests: &Digests) -> Result<()> {
    // A fuzzy hash that was never taken stays that way.
    let ssdeep = row.ssdeep.as_ref().and(digests.ssdeep.as_ref());
    c.execute(
        "UPDATE file SET file_size = ?, md5 = ?, sha1 = ?, sha512 = ?, crc32 = ?, ssdeep = ? WHERE object_id = ?",
        params![size, digests.md5, digests.sha1, digests.sha512, digests.crc32, ssdeep, id],
    )?;
    Ok(())
}

/// Corrects what the database says of a text.
pub(crate) fn correct_blob_size(c: &Connection, id: i64, size: u64) -> Result<()> {
    c.execute("UPDATE blob SET blob_size = ? WHERE object_id = ?", params![size, id])?;
    Ok(())
}

/// A group that sees an object.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) group: String,
    /// The group of somebody who uploaded it.
    pub(crate) uploader: bool,
}

/// The groups that see an object, the first uploader first.
pub(crate) fn viewers(c: &Connection, object_id: i64) -> Result<Vec<Viewer>> {
    c.prepare_cached(
        "SELECT g.name, p.reason_type = 'added' AND p.related_object_id IS p.object_id AND g.private AS uploader \
         FROM permission p JOIN groups g ON g.id = p.group_id WHERE p.object_id = ? ORDER BY uploader DESC, p.access_time, g.name",
    )?
    .query_map([object_id], |row| Ok(Viewer { group: row.get(0)?, uploader: row.get(1)? }))?
    .collect()
}

/// All values of an object, hidden ones too.
pub(crate) fn attributes(c: &Connection, object_id: i64) -> Result<Vec<(String, String)>> {
    c.prepare_cached("SELECT key, value FROM attribute WHERE object_id = ? ORDER BY id")?
        .query_map([object_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// A relation.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) id: i64,
    pub(crate) parent: String,
    pub(crate) child: String,
}

/// Relations by ascending id.
pub(crate) fn links(c: &Connection, after: i64, limit: u32) -> Result<Vec<Link>> {
    c.prepare_cached(
        "SELECT r.id, p.dhash, k.dhash FROM relation r JOIN object p ON p.id = r.parent_id JOIN object k ON k.id = r.child_id \
         WHERE r.id > ? ORDER BY r.id LIMIT ?",
    )?
    .query_map(params![after, limit], |row| Ok(Link { id: row.get(0)?, parent: row.get(1)?, child: row.get(2)? }))?
    .collect()
}

/// Whether one object is the parent of another.
pub(crate) fn are_related(c: &Connection, parent: &str, child: &str) -> Result<bool> {
    c.prepare_cached(
        "SELECT 1 FROM relation r JOIN object p ON p.id = r.parent_id JOIN object k ON k.id = r.child_id WHERE p.dhash = ? AND k.dhash = ?",
    )?
    .exists([parent, child])
}

/// How many relations there are.
pub(crate) fn count_links(c: &Connection) -> Result<u64> {
    c.query_row("SELECT count(*) FROM relation", [], |row| row.get(0))
}
