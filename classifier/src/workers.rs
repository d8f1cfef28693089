//! The threads that look at samples, each with a libmagic and a scanner of its own.
//!
//! The one rule: there are **no more than processors**, and no more than tasks at once: a libmagic belongs to one
//! thread, and each makes the whole database resident once more.

use std::{
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::{
    magic::{DetectError, Detector as _, LibMagic},
    yara::{Rules, Scanner},
};

type Job = Box<dyn FnOnce(&mut Tools<'_>) + Send>;

/// What a thread looks at samples with.
pub(crate) struct Tools<'r> {
    pub(crate) libmagic: LibMagic,
    /// When there are rules.
    pub(crate) scanner: Option<Scanner<'r>>,
}

/// Ends its threads when it is dropped, after what they have in hand.
pub(crate) struct Workers {
    jobs: mpsc::Sender<Job>,
    count: usize,
}

impl Workers {
    /// Starts as many as so many tasks at once need.
    ///
    /// # Errors
    /// When libmagic has no database, or the system no threads.
    pub(crate) fn start(tasks_at_once: usize, rules: Option<&Arc<Rules>>) -> anyhow::Result<Self> {
        let count = thread::available_parallelism().map_or(1, NonZero::get).min(tasks_at_once.max(1));
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let (tell, told) = mpsc::channel();
        for number in 0..count {
            let (queue, tell, rules) = (Arc::clone(&queue), tell.clone(), rules.cloned());
            let name = format!("libmagic-{number}");
            thread::Builder::new()
                .name(name)
                .spawn(move || work(&queue, tell, rules.as_deref()))
                .context("cannot start a thread for libmagic")?;
        }
        drop(tell);
        for opened in told {
            opened?;
        }
        Ok(Self { jobs, count })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Calls `work` on one of the threads, unless nobody waits for it any more when its turn comes.
    ///
    /// # Errors
    /// When it panics.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Tools<'_>) -> T + Send + 'static) -> anyhow::Result<T> {
        const STOPPED: &str = "classification stopped";
        let (answer, answered) = oneshot::channel();
        let job = move |tools: &mut Tools<'_>| {
            // Nobody waits any more when the task was given up.
            if !answer.is_closed() {
                let _ = answer.send(work(tools));
            }
        };
        self.jobs.send(Box::new(job)).ok().context(STOPPED)?;
        answered.await.context(STOPPED)
    }
}

fn work(queue: &Mutex<mpsc::Receiver<Job>>, tell: mpsc::Sender<Result<(), DetectError>>, rules: Option<&Rules>) {
    // A database that cannot be used is only noticed at its first use.
    let libmagic = LibMagic::open().and_then(|libmagic| libmagic.description(b"").map(|_| libmagic));
    let (libmagic, outcome) = match libmagic {
        Ok(libmagic) => (Some(libmagic), Ok(())),
        Err(error) => (None, Err(error)),
    };
    // Who starts us waits until all have told, that is, until nobody is left who could.
    let _ = tell.send(outcome);
    drop(tell);
    let Some(libmagic) = libmagic else { return };
    let mut tools = Tools { libmagic, scanner: rules.map(Rules::scanner) };
    // What is waited for is taken by whoever holds the lock; the others wait for the lock.
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(job) = next() {
        // A job that panics drops the channel of its answer, and the thread goes on.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&mut tools)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_costs_one_answer_and_no_thread() -> anyhow::Result<()> {
        let workers = Workers::start(2, None)?;
        for _ in 0..4 {
            assert!(workers.run(|_| -> () { panic!("a sample that nobody thought of") }).await.is_err());
        }
        let description = workers.run(|tools| tools.libmagic.description(b"%PDF-1.7")).await??;
        assert!(description.starts_with("PDF document"), "{description}");
        Ok(())
    }
}
