//! Keeps services running: one that ends is logged with its name and started again, the others live on.
//!
//! The rule: a service never takes another one with it, not even by a panic.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// After running so long a service counts as healthy, and its next end as the first one.
const HEALTHY_AFTER: Duration = Duration::from_mins(1);

/// A service that ended though nobody told it to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) service: &'static str,
    pub(crate) reason: String,
}

/// All services of the process.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shutdown: CancellationToken,
    running: Vec<(&'static str, JoinHandle<()>)>,
    report: mpsc::Sender<Failure>,
    failures: mpsc::Receiver<Failure>,
}

impl Supervisor {
    pub(crate) fn new() -> Self {
        let (report, failures) = mpsc::channel(16);
        Self { shutdown: CancellationToken::new(), running: Vec::new(), report, failures }
    }

    /// Runs a service until [`Supervisor::stop`]; `start` is called again each time that it ends.
    pub(crate) fn start<F>(&mut self, service: &'static str, start: impl Fn(CancellationToken) -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let task = keep_running(service, start, self.shutdown.clone(), self.report.clone());
        self.running.push((service, tokio::spawn(task)));
    }

    /// The next service that ended by itself.
    pub(crate) async fn failure(&mut self) -> Failure {
        match self.failures.recv().await {
            Some(failure) => failure,
            // Not while a sender lives in this value.
            None => std::future::pending().await,
        }
    }

    /// Tells all services to stop, and ends those that have not by the deadline.
    pub(crate) async fn stop(self, limit: Duration) {
        self.shutdown.cancel();
        let deadline = tokio::time::Instant::now() + limit;
        for (service, mut task) in self.running {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                tracing::warn!("{service} did not stop in time and is ended");
                task.abort();
            }
        }
    }
}

async fn keep_running<F>(
    service: &'static str,
    start: impl Fn(CancellationToken) -> F,
    shutdown: CancellationToken,
    report: mpsc::Sender<Failure>,
) where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        // A task of its own, so that a panic ends here. A token of its own: a service may cancel what it was given.
        let run = start(shutdown.child_token()).instrument(tracing::info_span!("run", service));
        let outcome = AbortOnDropHandle::new(tokio::spawn(run)).await;
        let reason = match outcome {
            Ok(Ok(())) if shutdown.is_cancelled() => return,
            Ok(Ok(())) => "it ended without being told to".to_owned(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(error) => format!("{error}"),
        };
        if shutdown.is_cancelled() {
            tracing::error!("{service} failed while stopping: {reason}");
            return;
        }
        if started.elapsed() > HEALTHY_AFTER {
            pause = FIRST_PAUSE;
        }
        tracing::error!("{service} failed: {reason}; starting it again in {} s", pause.as_secs());
        // Nobody listens any more once everything is up, and the channel may be full.
        let _ = report.try_send(Failure { service, reason });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn failing_and_panicking_services_are_started_again_and_the_others_live_on() {
        let mut supervisor = Supervisor::new();
        let (starts, steady) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&starts);
        supervisor.start("shaky", move |_| {
            let count = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(count != 1, "boom");
                anyhow::bail!("out of luck")
            }
        });
        let counter = Arc::clone(&steady);
        supervisor.start("steady", move |shutdown| {
            counter.fetch_add(1, Ordering::SeqCst);
            async move {
                shutdown.cancelled().await;
                Ok(())
            }
        });
        for reason in ["out of luck", "panicked"] {
            let failure = supervisor.failure().await;
            assert!(failure.service == "shaky" && failure.reason.contains(reason), "{failure:?}");
        }
        supervisor.stop(Duration::from_secs(1)).await;
        assert_eq!((starts.load(Ordering::SeqCst), steady.load(Ordering::SeqCst)), (2, 1));
    }

    #[tokio::test]
    async fn a_service_that_does_not_stop_is_ended() {
        let mut supervisor = Supervisor::new();
        supervisor.start("deaf", |_| std::future::pending());
        supervisor.stop(Duration::from_millis(50)).await;
    }
}
