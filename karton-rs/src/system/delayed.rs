//! Queues tasks whose wait before another try is over.
//!
//! The one rule: see [`backend::delayed`](crate::backend): consumers look too, so nothing hangs on a
//! broker that knows nothing of waits.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::backend::Backend;

const INTERVAL: Duration = Duration::from_secs(1);

/// Looks every second until `shutdown`.
pub(super) async fn run(backend: &Backend, shutdown: &CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = backend.queue_delayed().await {
            // The router tells of an outage; here it only means a later look.
            tracing::debug!("cannot look for tasks whose wait is over: {error}");
        }
    }
}
