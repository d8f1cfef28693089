//! Waits at the end for the requests that run, and no longer.
//!
//! Rocket looks once, when its shutdown fairings are done, whether anything still holds the server. If so it
//! sleeps through the whole grace, although a connection that nobody uses is closed a moment later. The
//! one rule: this fairing ends when the last answer was handed over, so that Rocket looks then. It cuts nothing
//! off: what is still on its way when Rocket looks has the grace that is left.

use std::time::Duration;

use rocket::{
    Data, Orbit, Request, Rocket,
    fairing::{Fairing, Info, Kind},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

/// What a connection takes to see that it is not needed any more, or to send the end of its last answer.
const CLOSING: Duration = Duration::from_millis(150);

/// Counts the requests that run, from their head to the last byte of their answer.
pub(crate) struct Drain {
    running: TaskTracker,
    grace: Duration,
}

impl Drain {
    pub(crate) fn new(grace: Duration) -> Self {
        Self { running: TaskTracker::new(), grace }
    }
}

#[rocket::async_trait]
impl Fairing for Drain {
    fn info(&self) -> Info {
        Info { name: "drain", kind: Kind::Request | Kind::Shutdown | Kind::Singleton }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        // What is kept with a request goes with it, which is after its answer was sent.
        request.local_cache::<TaskTrackerToken, _>(|| self.running.token());
    }

    async fn on_shutdown(&self, _: &Rocket<Orbit>) {
        self.running.close();
        if tokio::time::timeout(self.grace, self.running.wait()).await.is_err() {
            tracing::warn!("{} requests are cut off: they did not end in [mwdb] shutdown_grace", self.running.len());
        }
        tokio::time::sleep(CLOSING).await;
    }
}
