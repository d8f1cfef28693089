//! The one connection that writes, on a thread of its own.
//!
//! Requests that arrive while a commit is running are committed together by the next one, all but the first in a
//! savepoint: one that fails takes nothing with it. The one rule: **nobody hears of success before
//! the commit**, and a commit is on disk, power cut or not. Only what the next start would find out
//! again anyway may be lost with the power: see [`Writer::run_lazily`].

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::anyhow;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::{ApiError, ApiResult};

/// How many requests one commit takes at most: bounds how long the first of them waits.
const LARGEST_BATCH: usize = 64;

/// How long the last checkpoint waits for others.
const LAST_WAIT: Duration = Duration::from_millis(200);

/// When it is dropped, what the log of the database holds is brought to its place: whoever copies the file alone then has
/// all of it.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // A job that had the last of it ends on the thread itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id()) {
            // A panic of the thread is one of a job, which was told.
            let _ = thread.join();
        }
    }
}

trait Job: Send {
    /// Whether its commit must be on disk.
    fn is_durable(&self) -> bool;
    /// Does the work. `alone`: nothing else is in the transaction, which a failure may end.
    fn run(&mut self, connection: &Connection, alone: bool);
    /// Whether the work was done, and is to be kept.
    fn is_done(&self) -> bool;
    /// Takes the work back: the transaction it was part of is gone, for a reason of the database or of ours.
    fn lose(&mut self, reason: Result<&rusqlite::Error, &str>);
    fn answer(self: Box<Self>);
}

struct Work<F, T> {
    durable: bool,
    work: Option<F>,
    outcome: Option<ApiResult<T>>,
    reply: oneshot::Sender<ApiResult<T>>,
}

impl<F, T> Job for Work<F, T>
where
    F: FnOnce(&Connection) -> ApiResult<T> + Send,
    T: Send,
{
    fn is_durable(&self) -> bool {
        self.durable
    }

    fn run(&mut self, connection: &Connection, alone: bool) {
        if let Some(work) = self.work.take() {
            self.outcome = Some(if alone { in_transaction(connection, work) } else { in_savepoint(connection, work) });
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.outcome, Some(Ok(_)))
    }

    fn lose(&mut self, reason: Result<&rusqlite::Error, &str>) {
        // An error that the work found out itself stays: it changed nothing anyway.
        if !matches!(self.outcome, Some(Err(_))) {
            let outage = reason.ok().and_then(ApiError::of_database);
            let text = reason.map_or_else(str::to_owned, ToString::to_string);
            self.outcome = Some(Err(outage.unwrap_or_else(|| anyhow!("the transaction was rolled back: {text}").into())));
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // Nobody listens when the client is gone.
            let _ = self.reply.send(outcome);
        }
    }
}

fn guarded<T>(connection: &Connection, work: impl FnOnce(&Connection) -> ApiResult<T>) -> ApiResult<T> {
    catch_unwind(AssertUnwindSafe(|| work(connection))).unwrap_or_else(|_| Err(anyhow!("a database request panicked").into()))
}

/// Takes the transaction back when the work fails. A savepoint would do the same, and keep a copy of each page that is
/// changed, in a file made for it: 28 pages beside the 44 that the commit of an upload writes.
fn in_transaction<T>(connection: &Connection, work: impl FnOnce(&Connection) -> ApiResult<T>) -> ApiResult<T> {
    let outcome = guarded(connection, work);
    if outcome.is_err() && !connection.is_autocommit() {
        connection.prepare_cached("ROLLBACK")?.execute([])?;
    }
    outcome
}

fn in_savepoint<T>(connection: &Connection, work: impl FnOnce(&Connection) -> ApiResult<T>) -> ApiResult<T> {
    connection.prepare_cached("SAVEPOINT request")?.execute([])?;
    let outcome = guarded(connection, work);
    // SQLite may have rolled everything back itself (disk full): then there is no savepoint any more.
    if !connection.is_autocommit() {
        if outcome.is_err() {
            connection.prepare_cached("ROLLBACK TO request")?.execute([])?;
        }
        connection.prepare_cached("RELEASE request")?.execute([])?;
    }
    outcome
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Box<dyn Job>>();
        let thread = std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || {
            let mut synchronous = Synchronous::Full;
            while let Ok(first) = inbox.recv() {
                run_batch(&connection, first, &inbox, &mut synchronous);
            }
            // Another process may be at work on it: then it is done later.
            let settled =
                connection.busy_timeout(LAST_WAIT).and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
            if let Err(error) = settled {
                tracing::debug!("the log of the database stays for the next start: {error}");
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) async fn run<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        self.put(work, true).await
    }

    /// Does not wait for the disk, unless others in its batch do. A crash of the server loses nothing
    /// of it either; a power cut may lose the newest.
    pub(super) async fn run_lazily<T, F>(&self, work: F) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        self.put(work, false).await
    }

    async fn put<T, F>(&self, work: F, durable: bool) -> ApiResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> ApiResult<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { durable, work: Some(work), outcome: None, reply });
        let gone = || ApiError::from(anyhow!("the database writer has stopped"));
        self.jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// What the connection was told to do at a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synchronous {
    Normal,
    Full,
}

impl Synchronous {
    /// Takes effect at the next transaction.
    fn set(&mut self, connection: &Connection, wanted: Self) -> rusqlite::Result<()> {
        if *self != wanted {
            let name = if wanted == Self::Full { "full" } else { "normal" };
            connection.pragma_update(None, "synchronous", name)?;
            *self = wanted;
        }
        Ok(())
    }
}

fn run_batch(connection: &Connection, first: Box<dyn Job>, inbox: &mpsc::Receiver<Box<dyn Job>>, synchronous: &mut Synchronous) {
    let mut waiting: VecDeque<Box<dyn Job>> = std::iter::once(first).chain(inbox.try_iter().take(LARGEST_BATCH - 1)).collect();
    let durable = waiting.iter().any(|job| job.is_durable());
    let wanted = if durable { Synchronous::Full } else { Synchronous::Normal };
    let mut batch: Vec<Box<dyn Job>> = Vec::new();
    let mut begun = synchronous.set(connection, wanted).and_then(|()| connection.execute_batch("BEGIN IMMEDIATE"));
    while let Some(mut job) = waiting.pop_front() {
        match &begun {
            Ok(()) => job.run(connection, !batch.iter().any(|earlier| earlier.is_done())),
            Err(error) => job.lose(Ok(error)),
        }
        if begun.is_ok() && connection.is_autocommit() {
            batch.iter_mut().for_each(|earlier| earlier.lose(Err("another request of the batch ended it")));
            job.lose(Err("SQLite ended the transaction"));
            begun = connection.execute_batch("BEGIN IMMEDIATE");
        }
        batch.push(job);
        // What came meanwhile; a commit that does not wait for the disk takes none that must.
        if waiting.is_empty() && durable && batch.len() < LARGEST_BATCH {
            waiting.extend(inbox.try_recv());
        }
    }
    if begun.is_ok()
        && let Err(error) = connection.execute_batch("COMMIT")
    {
        batch.iter_mut().for_each(|job| job.lose(Ok(&error)));
        // Leave no half-open transaction to the next batch; an error says that there is none.
        let _ = connection.execute_batch("ROLLBACK");
    }
    batch.into_iter().for_each(Job::answer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_told_as_one_and_is_over_when_there_is_room() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let db = crate::db::Db::open(&folder.path().join("mwdb.sqlite"), None)?;
        let fill = || db.write(|c| Ok(c.execute("INSERT INTO fresh_content (sha256, content) VALUES ('', zeroblob(4000000))", [])?));
        let limit = |pages: u32| db.write(move |c| Ok(c.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?));
        limit(1).await.map_err(|error| anyhow!(error.cause()))?;
        assert!(matches!(fill().await, Err(ApiError::Unavailable(_))));
        limit(1_000_000).await.map_err(|error| anyhow!(error.cause()))?;
        assert!(matches!(fill().await, Ok(1)));
        Ok(())
    }

    #[test]
    fn requests_of_a_batch_that_fail_take_nothing_with_them() -> anyhow::Result<()> {
        let connection = crate::db::scratch();
        let (jobs, inbox) = mpsc::channel::<Box<dyn Job>>();
        let add = |hash: &'static str, fails: bool| -> anyhow::Result<_> {
            let (reply, answer) = oneshot::channel();
            let work = move |c: &Connection| {
                c.execute("INSERT INTO fresh_content (sha256, content) VALUES (?, '')", [hash])?;
                if fails { Err(ApiError::Conflict(hash.to_owned())) } else { Ok(hash) }
            };
            let job = Box::new(Work { durable: true, work: Some(work), outcome: None, reply });
            jobs.send(job).map_err(|_| anyhow!("nobody takes it"))?;
            Ok(answer)
        };
        let answers = [add("a", true)?, add("b", true)?, add("c", false)?, add("d", true)?, add("e", false)?];
        run_batch(&connection, inbox.recv()?, &inbox, &mut Synchronous::Normal);
        let told = answers.map(|mut answer| match answer.try_recv() {
            Ok(Ok(hash)) => format!("{hash} kept"),
            Ok(Err(ApiError::Conflict(hash))) => format!("{hash} refused"),
            other => format!("{:?}", other.map(|answer| answer.map_err(|error| error.cause()))),
        });
        assert_eq!(told, ["a refused", "b refused", "c kept", "d refused", "e kept"]);
        let kept: String = connection.query_row("SELECT group_concat(sha256, '') FROM fresh_content", [], |row| row.get(0))?;
        assert_eq!((kept.as_str(), connection.is_autocommit()), ("ce", true));
        Ok(())
    }

    #[tokio::test]
    async fn what_a_statement_may_take_back_is_no_chain_in_memory() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let db = crate::db::Db::open(&folder.path().join("mwdb.sqlite"), None)?;
        let place = db.write(|c| Ok(c.query_row("PRAGMA temp_store", [], |row| row.get::<_, i64>(0))?)).await;
        assert_eq!(place.map_err(|error| anyhow!(error.cause()))?, 0);
        Ok(())
    }
}
