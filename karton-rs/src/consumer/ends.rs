//! Ends of tasks on their way to Redis.
//!
//! The one rule: an end that was handed over is written, whatever happens to Redis meanwhile: together
//! with the next claims while tasks are taken, and by itself where that fails or nothing is taken any
//! more. Until then the claim is renewed.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tracing::Instrument;

use super::{
    run::{Running, Slot},
    work::{Held, report},
};
use crate::{
    backend::{Ending, Settled, Settlement},
    logs,
};

/// A task that was worked on, with its claim and its slot.
pub(super) struct Ended {
    pub(super) ending: Ending,
    /// Taken out when it is given to the next task.
    pub(super) slot: Option<Slot>,
    #[expect(dead_code, reason = "the claim is renewed until the end is written")]
    pub(super) held: Held,
}

/// Where ends wait: never more than tasks run, and blocking handlers that nobody waits for.
pub(super) struct Ends {
    sender: mpsc::UnboundedSender<Ended>,
    receiver: Mutex<mpsc::UnboundedReceiver<Ended>>,
}

impl Ends {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Mutex::new(receiver) }
    }

    pub(super) fn send(&self, ended: Ended) {
        // The receiver lives as long as the sender.
        let _ = self.sender.send(ended);
    }

    /// Adds to `to` what has ended by now.
    pub(super) async fn drain(&self, to: &mut Vec<Ended>) {
        let mut receiver = self.receiver.lock().await;
        while let Ok(ended) = receiver.try_recv() {
            to.push(ended);
        }
    }

    /// Waits until something has ended.
    pub(super) async fn next(&self) -> Ended {
        let mut receiver = self.receiver.lock().await;
        match receiver.recv().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }
}

impl Running {
    /// After a round trip: what somebody has changed meanwhile is theirs, and said so.
    pub(super) fn settled(self: &Arc<Self>, ended: Vec<Ended>, settled: Vec<Settled>) {
        for (ended, settled) in ended.into_iter().zip(settled) {
            if settled == Settled::Changed {
                self.spawn_about(ended, |running, ended| async move { running.left_alone(&ended.ending.task).await });
            }
        }
    }

    /// Writes ends one by one, as long as Redis may be away for a moment.
    pub(super) fn settle_alone(self: &Arc<Self>, ended: Vec<Ended>) {
        for ended in ended {
            self.spawn_about(ended, |running, ended| async move {
                let Ending { task, seen, metrics, retried } = &ended.ending;
                match running.backend.settle(task, seen, Settlement::End { metrics, retried: *retried }).await {
                    Ok(Settled::Written | Settled::Gone) => {}
                    Ok(Settled::Changed) => running.left_alone(task).await,
                    Err(error) => report(Err(error), "write the status of"),
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
