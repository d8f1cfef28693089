//! Queues tasks whose wait before another try is over.
//!
//! The one rule: see [`backend::delayed`](crate::backend): consumers look too, so nothing hangs on a
//! broker that knows nothing of waits.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{backend::Backend, service::Outage};

const INTERVAL: Duration = Duration::from_secs(1);

/// Looks every second until `shutdown`.
pub(super) async fn run(backend: &Backend, shutdown: &CancellationToken) {
    let mut outage = Outage::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        match backend.queue_delayed().await {
            Ok(()) => outage.over(),
            Err(error) => outage.note("queue tasks whose wait is over", &error),
        }
    }
}
