//! Sends announcements to Karton: in the background, until they are there.
//!
//! An announcement keeps its task uid and the uid of its sample over all attempts, and its row goes
//! only after the push. A crash between the two makes the next start look first whether the task is
//! known: what was routed is not sent again. A task that is still `Declared` may have been written
//! without being pushed, so it is pushed again; the broker routes a task once.

use std::time::Duration;

use futures::{StreamExt, stream};
use karton_rs::TaskState;
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

/// Announces what the outbox holds until the server stops.
pub(crate) async fn run(app: App, shutdown: CancellationToken) {
    let Some(connected) = app.karton.0.clone() else { return };
    let mut pause: Option<Duration> = None;
    loop {
        if let Err(error) = connected.karton.ping().await {
            tracing::debug!("Karton does not answer: {error}");
        }
        let all_sent = {
            let round = round(&app, &connected, &shutdown);
            tokio::pin!(round);
            tokio::select! {
                all_sent = &mut round => all_sent,
                () = shutdown.cancelled() => {
                    // What does not get through now is still in the outbox at the next start.
                    let _ = tokio::time::timeout(LAST_CALL, round).await;
                    return;
                }
            }
        };
        pause = if all_sent { None } else { Some(pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE))) };
        tokio::select! {
            () = connected.wake.notified(), if pause.is_none() => {}
            () = tokio::time::sleep(SIGN_OF_LIFE), if pause.is_none() => {}
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Tries every announcement once; tells whether all got through.
async fn round(app: &App, connected: &Connected, shutdown: &CancellationToken) -> bool {
    let mut after = 0;
    let mut all_sent = true;
    loop {
        let rows = match app.db.read(move |c| Ok(db::pending(c, after, PAGE)?)).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!("the outbox cannot be read: {}", cause(&error));
                return false;
            }
        };
        let Some(last) = rows.last() else { return all_sent };
        after = last.id;
        let outcomes: Vec<bool> = stream::iter(rows).map(|row| attempt(app, connected, row)).buffer_unordered(AT_ONCE).collect().await;
        all_sent &= outcomes.iter().all(|sent| *sent);
        // A whole page that failed means that Karton is away: the rest would only wait in vain.
        if shutdown.is_cancelled() || !outcomes.iter().any(|sent| *sent) {
            return all_sent;
        }
    }
}

async fn attempt(app: &App, connected: &Connected, row: OutboxRow) -> bool {
    let id = row.id;
    let outcome = match announce(app, connected, &row).await {
        Ok(()) => app.db.write(move |c| Ok(db::announced(c, id)?)).await,
        // Deleted meanwhile, and the announcement with it.
        Err(ApiError::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    };
    let Err(error) = outcome else { return true };
    let text = cause(&error);
    if row.attempts == 0 {
        tracing::warn!(analysis = row.analysis_id, "Karton cannot be told of an object yet, trying again until it works: {text}");
    } else {
        tracing::debug!(analysis = row.analysis_id, attempts = row.attempts, "{text}");
    }
    if let Err(error) = app.db.write(move |c| Ok(db::attempt_failed(c, id, &text)?)).await {
        tracing::error!("a failed announcement cannot be noted: {}", cause(&error));
    }
    false
}

async fn announce(app: &App, connected: &Connected, row: &OutboxRow) -> ApiResult<()> {
    let (store, wanted) = (std::sync::Arc::clone(&app.store), row.clone());
    let task = app.db.read(move |c| spawn::task(c, &store, &wanted)).await?;
    let known = connected.karton.task(task.uid()).await.map_err(anyhow::Error::from)?;
    if known.is_some_and(|task| task.status() != TaskState::Declared) {
        return Ok(());
    }
    connected.karton.send_task(task).await.map_err(anyhow::Error::from)?;
    Ok(())
}

fn cause(error: &ApiError) -> String {
    match error {
        ApiError::Internal(error) => format!("{error:#}"),
        other => other.to_string(),
    }
}
