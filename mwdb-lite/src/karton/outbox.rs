//! Sends announcements to Karton: in the background, until they are there.
//!
//! An announcement keeps its task uid and the uid of its sample over all attempts, and its row goes
//! only after the push. One that an earlier process has left, or that has failed before, may have been
//! made: then Karton is asked first whether it knows the task, or its analysis when the task is collected
//! already. A task that is still `Declared` may have been written without being pushed, so it is pushed
//! again; the broker routes a task once.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use karton_rs::{Task, TaskState};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Connected, spawn};
use crate::{
    db::analyses::{self as db, OutboxRow},
    error::{ApiError, ApiResult},
    state::App,
};

/// How many announcements are under way at once.
const AT_ONCE: usize = 8;
/// How many rows are read at once.
const PAGE: u32 = 64;
/// The pause after a failed attempt, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often an idle server shows that it is there: Karton lists who is connected.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// How long announcements may go on once the server stops.
const LAST_CALL: Duration = Duration::from_secs(2);

/// Which announcements a round tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Those that were never tried. They do not wait for others that have failed.
    New,
}

/// What is known of rows by their ids.
struct Rows {
    /// Those up to this one may have been announced: by an earlier process, or by this one, and it could not be noted.
    doubtful: AtomicI64,
    /// The one after which the next round of all begins.
    turn: i64,
    /// A first attempt has failed, the log was told, and nothing got through since.
    away: AtomicBool,
}

/// How a round went.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    sent: usize,
    failed: usize,
}

/// Announces what the outbox holds until the server stops.
pub(crate) async fn run(app: App, shutdown: CancellationToken) {
    let Some(connected) = app.karton.0.clone() else { return };
    let doubtful = match app.db.read(|c| Ok(db::newest_announcement(c)?)).await {
        Ok(newest) => newest,
        Err(error) => {
            tracing::error!("the outbox cannot be read: {}", error.cause());
            i64::MAX
        }
    };
    let mut which = Which::All;
    let mut rows = Rows { doubtful: doubtful.into(), turn: 0, away: AtomicBool::new(false) };
    let mut pause = FIRST_PAUSE;
    // When to try again what has failed; none: nothing has.
    let mut again: Option<Instant> = None;
    loop {
        let outcome = {
            let round = async {
                if let Err(error) = connected.karton.ping().await {
                    tracing::debug!("Karton does not answer: {error}");
                }
                round(&app, &connected, &shutdown, which, &mut rows).await
            };
            tokio::pin!(round);
            tokio::select! {
                outcome = &mut round => outcome,
                () = shutdown.cancelled() => {
                    // What does not get through now is still in the outbox at the next start.
                    let _ = tokio::time::timeout(LAST_CALL, round).await;
                    return;
                }
            }
        };
        let now = Instant::now();
        if outcome.sent > 0 || outcome.failed == 0 {
            pause = FIRST_PAUSE;
        }
        again = match which {
            Which::All if outcome.failed == 0 => None,
            Which::All => {
                let next = now + pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                Some(next)
            }
            // What is sent now says that an outage is over.
            Which::New if outcome.sent > 0 => again.map(|next| next.min(now + FIRST_PAUSE)),
            Which::New => again,
        };
        which = tokio::select! {
            () = connected.wake.notified() => if again.is_some() { Which::New } else { Which::All },
            () = tokio::time::sleep_until(again.unwrap_or(now + SIGN_OF_LIFE)) => Which::All,
            () = shutdown.cancelled() => return,
        };
    }
}

/// Tries announcements once each: from where the round of all before was given up to the newest, and then the older ones.
async fn round(app: &App, connected: &Connected, shutdown: &CancellationToken, which: Which, known: &mut Rows) -> Outcome {
    let start = if which == Which::All { std::mem::take(&mut known.turn) } else { 0 };
    let mut outcome = Outcome::default();
    for (mut after, end) in [(start, i64::MAX), (0, start)] {
        loop {
            let rows = match app.db.read(move |c| Ok(db::pending(c, (after, end), PAGE, which == Which::New)?)).await {
                Ok(rows) => rows,
                Err(error) => {
                    tracing::error!("the outbox cannot be read: {}", error.cause());
                    return Outcome { failed: outcome.failed + 1, ..outcome };
                }
            };
            let Some(last) = rows.last() else { break };
            after = last.id;
            let tried = rows.len();
            let attempts = stream::iter(rows).map(|row| attempt(app, connected, row, known)).buffer_unordered(AT_ONCE);
            let sent = attempts.filter(|sent| std::future::ready(*sent)).count().await;
            outcome.sent += sent;
            outcome.failed += tried - sent;
            // A whole page that failed looks as if Karton were away, and the rest would only wait in vain. If
            // it is these rows that cannot succeed, the next round goes on after them.
            if shutdown.is_cancelled() || sent == 0 {
                if which == Which::All {
                    known.turn = after;
                }
                return outcome;
            }
        }
    }
    outcome
}

async fn attempt(app: &App, connected: &Connected, row: OutboxRow, known: &Rows) -> bool {
    let id = row.id;
    let may_be_known = row.attempts > 0 || id <= known.doubtful.load(Ordering::Relaxed);
    let outcome = match announce(app, connected, &row, may_be_known).await {
        // A row that comes back after a power cut is for a task that Karton knows.
        Ok(()) => app.db.write_lazily(move |c| Ok(db::announced(c, id)?)).await,
        // Deleted meanwhile, and the announcement with it.
        Err(ApiError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    };
    let Err(error) = outcome else {
        if known.away.swap(false, Ordering::Relaxed) {
            tracing::info!("Karton is told of objects again");
        }
        return true;
    };
    let text = error.cause();
    // Once for all that wait for the same.
    if row.attempts == 0 && !known.away.swap(true, Ordering::Relaxed) {
        tracing::warn!(analysis = row.analysis_id, "Karton cannot be told of an object yet, trying again until it works: {text}");
    } else {
        tracing::debug!(analysis = row.analysis_id, attempts = row.attempts, "{text}");
    }
    if let Err(error) = app.db.write_lazily(move |c| Ok(db::attempt_failed(c, id, &text)?)).await {
        tracing::error!("a failed announcement cannot be noted: {}", error.cause());
        known.doubtful.fetch_max(id, Ordering::Relaxed);
    }
    false
}

async fn announce(app: &App, connected: &Connected, row: &OutboxRow, may_be_known: bool) -> ApiResult<()> {
    let wanted = row.clone();
    let mut announcement = app.db.read(move |c| spawn::announcement(c, &wanted)).await?;
    if is_known(connected, &announcement.task, may_be_known).await.map_err(anyhow::Error::from)? {
        return Ok(());
    }
    let lent = announcement.attach(&app.store).await?;
    // Content from a bucket takes a while, and an earlier attempt may have been routed meanwhile.
    if may_be_known && is_known(connected, &announcement.task, true).await.map_err(anyhow::Error::from)? {
        return Ok(());
    }
    connected.karton.send_task(announcement.task).await.map_err(anyhow::Error::from)?;
    drop(lent);
    Ok(())
}

/// Whether a task was routed; `may_be_gone`: and collected since.
async fn is_known(connected: &Connected, task: &Task, may_be_gone: bool) -> Result<bool, karton_rs::Error> {
    match connected.karton.task(task.uid()).await? {
        Some(task) => Ok(task.status() != TaskState::Declared),
        // A broker of ours remembers the analysis.
        None if may_be_gone => Ok(!connected.inspect.analysis(task.root_uid()).await?.history().is_empty()),
        None => Ok(false),
    }
}
