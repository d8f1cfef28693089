//! Brings the database file to the schema of this program.
//!
//! Migrations are numbered in `PRAGMA user_version`, each runs in its own transaction, and none is
//! edited once it has landed: a change is a new file.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use rusqlite::{Connection, OpenFlags};

/// In order; the first brings a new file to version 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_init.sql"),
    include_str!("../../migrations/0002_search.sql"),
    include_str!("../../migrations/0003_leaves.sql"),
    include_str!("../../migrations/0004_fresh_content.sql"),
];

/// Whether a database has the schema of this program; a missing one has not.
pub(super) fn is_current(path: &Path) -> anyhow::Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(version >= MIGRATIONS.len())
}

pub(super) fn migrate(connection: &mut Connection) -> anyhow::Result<()> {
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).context("read the schema version")?;
    if version > MIGRATIONS.len() {
        bail!("the database has schema version {version}, this program knows {} at most: use a newer mwdb-lite", MIGRATIONS.len());
    }
    for (index, script) in MIGRATIONS.iter().enumerate().skip(version) {
        let number = index + 1;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(script).with_context(|| format!("schema migration {number}"))?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit().with_context(|| format!("commit schema migration {number}"))?;
        tracing::info!("database schema is now version {number}");
    }
    Ok(())
}
