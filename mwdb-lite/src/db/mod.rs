//! The database: one writer, a few readers, all off the async threads.
//!
//! Only this folder (and the search language) spells SQL. A request is one transaction: [`Db::read`]
//! sees one snapshot, [`Db::write`] commits all of its work or nothing. Every read has a deadline.

pub(crate) mod accounts;
pub(crate) mod analyses;
pub(crate) mod attributes;
pub(crate) mod deadline;
pub(crate) mod filling;
pub(crate) mod fresh;
pub(crate) mod metadata;
mod migrate;
pub(crate) mod objects;
pub(crate) mod permissions;
pub(crate) mod relations;
pub(crate) mod search_index;
pub(crate) mod sql;
pub(crate) mod upkeep;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use tokio::sync::Semaphore;

use crate::error::{ApiError, ApiResult};

pub(crate) use sql::Sql;

/// Concurrent reads. `SQLite` readers are bound by the processor, more threads than this only queue.
const READERS: u32 = 8;
/// How long a request waits for a free reader before it is answered 503.
const WAIT_FOR_READER: Duration = Duration::from_secs(5);
/// The deadline of a read when `statement_timeout` is not set.
const LONGEST_READ: Duration = Duration::from_secs(20);
/// Searches at a time: the other readers are for requests that are quick.
const SEARCHES: usize = 4;
/// The deadline of a search, unless `statement_timeout` is shorter.
const LONGEST_SEARCH: Duration = Duration::from_secs(10);

/// Pages of 4 KiB that the log holds as a rule before they are brought to their place: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4_000;

/// Access to the database file; cheap to clone.
#[derive(Clone)]
pub(crate) struct Db {
    writer: Arc<writer::Writer>,
    readers: r2d2::Pool<Readers>,
    longest_read: Duration,
    searches: Arc<Semaphore>,
}

impl Db {
    /// Opens the file, making or migrating it as needed.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub(crate) fn open(path: &Path, statement_timeout: Option<Duration>) -> anyhow::Result<Self> {
        Self::open_file(path, statement_timeout).map_err(who_may_write)
    }

    fn open_file(path: &Path, statement_timeout: Option<Duration>) -> anyhow::Result<Self> {
        may_write(path).with_context(|| format!("open the database `{}`", path.display()))?;
        let mut connection = Connection::open(path).with_context(|| format!("open the database `{}`", path.display()))?;
        prepare(&connection).with_context(|| format!("open the database `{}`", path.display()))?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        // What a statement could take back is a chain in memory otherwise, which is gone through from its start for each
        // further statement: ten thousand long tags took minutes, and everybody waited.
        connection.pragma_update(None, "temp_store", "default")?;
        // A page that many commits change is brought to its place once for more of them.
        connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
        // A commit is acknowledged once it is on disk.
        connection.pragma_update(None, "synchronous", "full")?;
        migrate::migrate(&mut connection).with_context(|| format!("migrate the database `{}`", path.display()))?;
        let readers = r2d2::Pool::builder()
            .max_size(READERS)
            .min_idle(Some(1))
            .connection_timeout(WAIT_FOR_READER)
            .build(Readers(path.to_owned()))?;
        let writer = Arc::new(writer::Writer::start(connection)?);
        Ok(Self { writer, readers, longest_read: statement_timeout.unwrap_or(LONGEST_READ), searches: Arc::new(Semaphore::new(SEARCHES)) })
    }

    /// Whether opening the file would leave it as it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn is_current(path: &Path) -> anyhow::Result<bool> {
        let current = may_write(path).and_then(|()| migrate::is_current(path));
        current.with_context(|| format!("open the database `{}`", path.display())).map_err(who_may_write)
    }

    /// Runs `work` on a snapshot. It is interrupted at the deadline and then answered 503.
    ///
    /// # Errors
    /// What `work` gives, or 503 when no reader comes free.
    pub(crate) async fn read<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        self.read_for(self.longest_read, work).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub(crate) async fn ping(&self) -> ApiResult<()> {
        self.read(|c| Ok(c.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }

    /// Like [`Db::read`], for work that users can make slow: few at a time, and with a shorter deadline.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub(crate) async fn search<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        let busy = || ApiError::Unavailable("Too many searches are running".to_owned());
        let turn = tokio::time::timeout(WAIT_FOR_READER, self.searches.acquire()).await.map_err(|_| busy())?;
        let _turn = turn.map_err(|_| busy())?;
        self.read_for(self.longest_read.min(LONGEST_SEARCH), work).await
    }

    /// Like [`Db::read`], for lists that nobody narrows: with the deadline of a search, and without its turn.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub(crate) async fn list<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        self.read_for(self.longest_read.min(LONGEST_SEARCH), work).await
    }

    async fn read_for<T, F>(&self, longest: Duration, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        let readers = self.readers.clone();
        tokio::task::spawn_blocking(move || {
            let mut connection = readers.get().map_err(|_| ApiError::Unavailable("The database is too busy".to_owned()))?;
            let _deadline = deadline::set(Instant::now() + longest);
            connection.progress_handler(deadline::STEPS, Some(deadline::interrupts))?;
            // Dropped without commit: there is nothing to keep.
            let snapshot = connection.unchecked_transaction()?;
            work(&snapshot)
        })
        .await
        .map_err(|error| ApiError::from(anyhow::Error::from(error)))?
    }

    /// Runs `work` in one transaction, which is kept when it gives `Ok`.
    ///
    /// # Errors
    /// What `work` gives, or an internal error when the commit fails.
    pub(crate) async fn write<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        self.writer.run(work).await
    }

    /// Like [`Db::write`], without waiting for the disk: for what the next start finds out again when a
    /// power cut takes it away.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub(crate) async fn write_lazily<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        self.writer.run_lazily(work).await
    }
}

/// Adds what helps to a refusal of the file system.
fn who_may_write(error: anyhow::Error) -> anyhow::Error {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>()?.sqlite_error_code());
    match code {
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            error.context("[mwdb] sqlite_path and its folder must be writable for the account of mwdb-lite")
        }
        _ => error,
    }
}

/// Whether the file, if it is there, may be written. `SQLite` opens one that may not for reading alone, which nobody would
/// see before the first login; and it makes its log like the file, so that nobody could write that later either.
fn may_write(path: &Path) -> anyhow::Result<()> {
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(_) => Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY), None).into()),
    }
}

/// What every connection needs before its first statement.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(256);
    // Otherwise the planner looks at bound values, and a statement is prepared again for each of them: that was a
    // tenth of an upload. No statement needs it: none has a LIKE or a GLOB, or an index that a value decides about.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA case_sensitive_like = ON; PRAGMA temp_store = memory; PRAGMA cache_size = -16000; \
         PRAGMA trusted_schema = OFF;",
    )?;
    crate::search::register(connection)
}

/// Opens connections that cannot write.
struct Readers(PathBuf);

impl r2d2::ManageConnection for Readers {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open_with_flags(&self.0, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        prepare(&connection)?;
        Ok(connection)
    }

    fn is_valid(&self, _: &mut Connection) -> Result<(), rusqlite::Error> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        // A transaction left open would pin an old snapshot.
        !connection.is_autocommit()
    }
}

/// A connection to a database of its own, as the server opens it.
#[cfg(test)]
pub(crate) fn scratch() -> Connection {
    let mut connection = Connection::open_in_memory().expect("a database in memory");
    prepare(&connection).expect("a prepared connection");
    connection.progress_handler(deadline::STEPS, Some(deadline::interrupts)).expect("a handler");
    migrate::migrate(&mut connection).expect("a migrated database");
    connection
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    #[test]
    fn a_statement_is_not_prepared_again_for_other_values() -> rusqlite::Result<()> {
        let connection = super::scratch();
        let mut statement = connection.prepare("SELECT id FROM object WHERE type = ? ORDER BY id DESC LIMIT ?")?;
        for limit in 1..4 {
            statement.query_map(("file", limit), |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        Ok(())
    }
}
