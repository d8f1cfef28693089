//! Live updates: the box of analyses, sent again each time it changes.
//!
//! The one rule: a stream ends when the server stops, and there are never more than [`MOST`] of them, nor more than
//! [`EACH`] of one account.

use std::sync::Arc;
use std::time::{Duration, Instant};

use askama::Template;
use rocket::{
    Route, Shutdown, State, get,
    response::stream::{Event, EventStream},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{object::analysis_box, respond::PageResult, session::Session, view::object::AnalysisBox};
use crate::{
    api::params::Hash,
    error::{ApiError, ApiResult},
    per_account::PerAccount,
    state::App,
};

/// Streams that may be open at once.
const MOST: usize = 200;
/// Streams that one account may have open at once: so many pages are open in somebody's browser.
const EACH: usize = 20;
/// How often a stream looks for changes.
const LOOK: Duration = Duration::from_secs(1);
/// How often something is sent at least: only then it shows that the browser has left, and the place comes free.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a stream lives. The browser opens the next one, and has to show its session again.
const LONGEST: Duration = Duration::from_mins(10);

/// The streams that may still be opened.
pub(super) struct Streams {
    all: Arc<Semaphore>,
    own: PerAccount,
}

impl Default for Streams {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(MOST)), own: PerAccount::new(EACH) }
    }
}

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![events]
}

/// What is shown now, to who may see it now.
async fn look(app: &App, session: &Session, hash: &Hash) -> ApiResult<AnalysisBox> {
    analysis_box(app, &app.again(&session.0).await?, &hash.0, None).await
}

#[get("/object/<hash>/events")]
async fn events(
    hash: Hash,
    session: Session,
    streams: &State<Streams>,
    app: &State<App>,
    mut shutdown: Shutdown,
) -> PageResult<EventStream![]> {
    let own = streams.own.take(session.0.id, "Too many of your pages are watching: this one does not update by itself")?;
    let place: OwnedSemaphorePermit =
        Arc::clone(&streams.all).try_acquire_owned().map_err(|_| ApiError::Unavailable("Too many pages are watching".to_owned()))?;
    let app = app.inner().clone();
    // Seen before the stream starts: who may not see the object gets the right status. It is sent even
    // so, because the page may be older.
    let mut shown = look(&app, &session, &hash).await?;
    let end = Instant::now() + LONGEST;
    Ok(EventStream! {
        let _places = (own, place);
        loop {
            // It cannot fail on data: the stream ends, and the browser asks again.
            let Ok(html) = shown.render() else { break };
            yield Event::data(html).event("analyses");
            // The next box that differs. Without one the session has ended, the object is gone or cannot be read at the moment.
            let next = loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = &mut shutdown => break None,
                }
                match look(&app, &session, &hash).await {
                    _ if Instant::now() > end => break None,
                    Ok(next) if next != shown => break Some(next),
                    Ok(_) => {}
                    Err(_) => break None,
                }
            };
            let Some(next) = next else { break };
            shown = next;
        }
    }
    .heartbeat(HEARTBEAT))
}
