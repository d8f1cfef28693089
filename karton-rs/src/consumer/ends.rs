//! Ends of tasks on their way to Redis.
//!
//! The one rule: an end that was handed over is written, whatever happens to Redis meanwhile: together
//! with the next claims while tasks are taken, and by itself where that fails or nothing is taken any
//! more. Until then the claim is renewed, and the slot is taken. Only a service that must stop gives up.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::Instrument;

use super::{
    run::{Running, Slot},
    work::Held,
};
use crate::{
    backend::{Ending, Settled},
    error::Error,
    logs,
    service::Outage,
};

/// A task that was worked on, with its claim and its slot.
pub(super) struct Ended {
    pub(super) ending: Ending,
    /// Taken out when it is given to the next task.
    pub(super) slot: Option<Slot>,
    #[expect(dead_code, reason = "the claim is renewed until the end is written")]
    pub(super) held: Held,
}

/// The ends that wait to be written: never more than tasks run, and blocking handlers that nobody waits
/// for. They belong to the loop; when that is gone, what waits and what comes is written by itself.
pub(super) struct Ends {
    arriving: mpsc::UnboundedReceiver<Ended>,
    running: Arc<Running>,
}

impl Ends {
    pub(super) fn new(running: &Arc<Running>, arriving: mpsc::UnboundedReceiver<Ended>) -> Self {
        Self { arriving, running: Arc::clone(running) }
    }

    /// Adds to `to` what has ended by now.
    pub(super) fn drain(&mut self, to: &mut Vec<Ended>) {
        to.extend(std::iter::from_fn(|| self.arriving.try_recv().ok()));
    }

    /// Waits until something has ended.
    pub(super) async fn next(&mut self) -> Ended {
        match self.arriving.recv().await {
            Some(ended) => ended,
            // The other side lives as long as this one.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.arriving.close();
        let mut ended = Vec::new();
        self.drain(&mut ended);
        // With the runtime gone there is nothing to write with: the claims lapse.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.running.settle_alone(ended);
        }
    }
}

impl Running {
    /// Hands over the end of a task.
    pub(super) fn end(self: &Arc<Self>, ended: Ended) {
        if let Err(nobody) = self.ends.send(ended) {
            self.settle_alone(vec![nobody.0]);
        }
    }

    /// After a round trip: what somebody has changed meanwhile is theirs, and said so.
    pub(super) fn settled(self: &Arc<Self>, ended: Vec<Ended>, settled: Vec<Settled>) {
        for (ended, settled) in ended.into_iter().zip(settled) {
            if settled == Settled::Changed {
                self.spawn_about(ended, |running, ended| async move { running.left_alone(&ended.ending.task).await });
            }
        }
    }

    /// Asks Redis for something about a task until it works; nothing when the service must stop before.
    pub(super) async fn insist<T, F: Future<Output = Result<T, Error>>>(&self, action: &str, mut ask: impl FnMut() -> F) -> Option<T> {
        let mut outage = Outage::default();
        let asked = async {
            loop {
                match ask().await {
                    Ok(answer) => return answer,
                    Err(error) => {
                        outage.note(&format!("{action} the task"), &error);
                        outage.rest(&self.give_up).await;
                    }
                }
            }
        };
        tokio::select! {
            answer = asked => Some(answer),
            () = self.give_up.cancelled() => {
                tracing::error!("cannot {action} the task before the service stops: when its claim lapses it is queued again");
                None
            }
        }
    }

    /// Writes ends one by one.
    pub(super) fn settle_alone(self: &Arc<Self>, ended: Vec<Ended>) {
        for ended in ended {
            self.spawn_about(ended, |running, ended| async move {
                let settled = running.insist("write the end of", || running.backend.finish(&ended.ending)).await;
                if settled == Some(Settled::Changed) {
                    running.left_alone(&ended.ending.task).await;
                }
            });
        }
    }

    /// Goes on with an end beside the loop; what that logs is about its task.
    fn spawn_about<F: Future<Output = ()> + Send + 'static>(self: &Arc<Self>, ended: Ended, work: impl FnOnce(Arc<Self>, Arc<Ended>) -> F) {
        let task = Arc::new(ended.ending.task.clone());
        let work = work(Arc::clone(self), Arc::new(ended));
        self.work.spawn(logs::scope(self.publisher.clone(), Some(task), work).in_current_span());
    }
}
