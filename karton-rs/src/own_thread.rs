//! Parts of a service that have a thread to themselves: they wait for nothing but what they ask for themselves,
//! and what they hear wakes no other thread.
//!
//! The one rule: such a part is told to end when the value that stands for it goes: it does so where it waits next,
//! like any future that is dropped.

use std::future::Future;

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Instrument as _;

use crate::error::Error;

/// Work on a thread of its own.
pub(crate) struct OwnThread<T> {
    stop: DropGuard,
    outcome: oneshot::Receiver<T>,
}

impl<T: Send + 'static> OwnThread<T> {
    /// Starts the thread, whose connections belong to it. What it logs is of the span in which it was started.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn start(name: &str, work: impl Future<Output = T> + Send + 'static) -> Result<Self, Error> {
        let stop = CancellationToken::new();
        let (stopped, work) = (stop.clone(), work.in_current_span());
        let ((end, outcome), (tell, told)) = (oneshot::channel(), std::sync::mpsc::sync_channel(1));
        let run = move || {
            let (runtime, built) = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => (Some(runtime), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Who starts us waits for it.
            let _ = tell.send(built);
            let Some(runtime) = runtime else { return };
            let outcome = runtime.block_on(stopped.run_until_cancelled_owned(work));
            // A name that is looked up for long is waited for by nobody.
            runtime.shutdown_background();
            // Nobody listens to what is only held.
            outcome.map(|outcome| end.send(outcome));
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(Error::Thread)?;
        told.recv().unwrap_or_else(|_| Err(std::io::Error::other("it ended at once"))).map_err(Error::Thread)?;
        Ok(Self { stop: stop.drop_guard(), outcome })
    }

    /// Waits for what comes of it. A panic goes on here; its message was printed.
    pub(crate) async fn ended(self) -> T {
        let Self { stop: _stop, outcome } = self;
        outcome.await.unwrap_or_else(|_| std::panic::resume_unwind(Box::new("a part of the service has panicked")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_goes_on_while_this_thread_waits_for_it_and_gives_what_comes_of_it() -> Result<(), Error> {
        let (tell, told) = std::sync::mpsc::channel();
        let beside = OwnThread::start("test", async move {
            tokio::task::yield_now().await;
            // Nobody listens when the test has failed.
            let _ = tell.send(());
            std::thread::current().name().map(str::to_owned)
        })?;
        // Blocks the only thread of this runtime.
        assert!(told.recv().is_ok());
        assert_eq!(beside.ended().await.as_deref(), Some("test"));
        Ok(())
    }

    #[tokio::test]
    async fn what_is_dropped_ends_in_the_middle() -> Result<(), Error> {
        let (alive, end) = oneshot::channel::<()>();
        let beside = OwnThread::start("test", async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        })?;
        drop(beside.ended());
        assert!(end.await.is_err());
        Ok(())
    }

    #[tokio::test]
    async fn a_panic_goes_on_where_its_end_is_waited_for() -> Result<(), Error> {
        let beside = OwnThread::start("test", async { panic!("of the work") })?;
        let outcome: Result<(), _> = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(beside.ended())).await;
        assert!(outcome.is_err());
        Ok(())
    }
}
