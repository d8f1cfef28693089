//! Live updates: the box of analyses, sent again each time it changes.
//!
//! The one rule: a stream ends when the server stops, and there are never more than [`MOST`] of them.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use rocket::{
    Route, Shutdown, State, get,
    response::stream::{Event, EventStream},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{object::analysis_box, respond::PageResult, session::Session};
use crate::{api::params::Hash, error::ApiError, state::App};

/// Streams that may be open at once.
const MOST: usize = 200;
/// How often a stream looks for changes.
const LOOK: Duration = Duration::from_secs(1);

/// The streams that may still be opened.
pub(super) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![events]
}

#[get("/object/<hash>/events")]
async fn events(
    hash: Hash,
    session: Session,
    streams: &State<Streams>,
    app: &State<App>,
    mut shutdown: Shutdown,
) -> PageResult<EventStream![]> {
    let place: OwnedSemaphorePermit =
        Arc::clone(&streams.0).try_acquire_owned().map_err(|_| ApiError::Unavailable("Too many pages are watching".to_owned()))?;
    let app = app.inner().clone();
    // Seen before the stream starts: who may not see the object gets the right status.
    let mut last = render(&app, &session, &hash.0).await?;
    Ok(EventStream! {
        let _place = place;
        // What has changed between the page and its stream is in the first event.
        yield Event::data(last.clone()).event("analyses");
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = &mut shutdown => break,
            }
            match render(&app, &session, &hash.0).await {
                Ok(html) if html != last => {
                    last.clone_from(&html);
                    yield Event::data(html).event("analyses");
                }
                Ok(_) => {}
                // The object is gone, or Karton away for a moment: the page asks again later.
                Err(_) => break,
            }
        }
        yield Event::data("").event("end");
    }
    .heartbeat(Duration::from_secs(15)))
}

async fn render(app: &App, session: &Session, hash: &str) -> Result<String, ApiError> {
    let shown = analysis_box(app, &session.0, hash).await?;
    Ok(shown.render().map_err(anyhow::Error::from)?)
}
