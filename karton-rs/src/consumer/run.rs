//! The loop of a consumer, and the way of one task through it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Consumer, HandBack,
    queue::{Queue, Taken, give_back},
};
use crate::{
    backend::{Backend, Bind, keys::Metric, read_task},
    config::{Config, ServiceSettings},
    error::Error,
    filters::Filters,
    json::Value,
    karton::Karton,
    logs::{self, Publisher},
    service::Outage,
    task::{Task, TaskState},
};

/// How long a stopping consumer lets running tasks go on before it hands them back.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// Why [`Consumer::run`] ended.
///
/// ```
/// assert_ne!(karton_rs::StopReason::Shutdown, karton_rs::StopReason::BindReplaced);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// It was told to.
    Shutdown,
    /// A newer replica has registered another bind; this one retires.
    BindReplaced,
}

/// More tasks at once than this are not run, whatever is configured.
const MOST_TASKS: usize = 10_000;

/// How long a claim on a task lasts without being renewed.
const LEASE: Duration = Duration::from_secs(30);

/// Everything a turn of the loop needs.
struct Running {
    consumer: Consumer,
    backend: Backend,
    karton: Karton,
    filters: Filters,
    publisher: Option<Publisher>,
    task_timeout: Option<Duration>,
    signaling: bool,
    /// Cancelled when running tasks must let go.
    hand_back: CancellationToken,
    queue: Queue,
    bind: Bind,
}

/// A claimed task; while this lives its claim is renewed.
struct Held {
    running: Arc<Running>,
    uid: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.running.queue.claims().forget(&self.uid);
    }
}

impl Consumer {
    /// Registers the bind and processes tasks until `shutdown` or until a newer replica takes over.
    ///
    /// While Redis is away it waits and tries again. On shutdown no new task is taken; running ones
    /// may go on for `[karton] stop_timeout` seconds (60) and are then handed back to their queue.
    ///
    /// # Errors
    /// When the configuration or the filters cannot be used.
    pub async fn run(self, config: &Config, shutdown: CancellationToken) -> Result<StopReason, Error> {
        let settings = ServiceSettings::of_loop(config, &self.options.identity)?;
        let backend = Backend::new(config, &settings.identity, "")?;
        let publisher = Publisher::start(&backend, &settings);
        let concurrency = settings.concurrency.unwrap_or(self.options.concurrency).min(MOST_TASKS);
        let stop_timeout = config.int("karton", "stop_timeout")?.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        let bind = self.bind(&settings);
        let lease = config.int("karton", "lease_timeout")?.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let running = Arc::new(Running {
            filters: Filters::compile(&self.options.filters)?,
            task_timeout: self.options.task_timeout.or(settings.task_timeout).filter(|timeout| !timeout.is_zero()),
            signaling: config.bool("signaling", "status")?.unwrap_or(false),
            karton: Karton::from_backend(backend.clone(), config).with_stop(shutdown.clone()),
            publisher: publisher.clone(),
            hand_back: CancellationToken::new(),
            queue: Queue::new(config, bind.clone(), lease.map_or(LEASE, Duration::from_secs))?,
            bind,
            backend,
            consumer: self,
        });
        let slots = Arc::new(Semaphore::new(concurrency));
        let work = async {
            let reason = running.take_tasks(&slots, &shutdown).await;
            running.drain(&slots, concurrency, stop_timeout.unwrap_or(STOP_TIMEOUT)).await;
            reason
        };
        let reason = tokio::select! {
            reason = Box::pin(logs::scope(publisher, None, work)) => reason,
            () = running.queue.claims().keep(&running.backend) => StopReason::Shutdown,
        };
        tracing::info!("Service {} stopped", running.bind.identity);
        Ok(reason)
    }

    fn bind(&self, settings: &ServiceSettings) -> Bind {
        let mut bind = Bind::new(&settings.identity, self.options.filters.clone());
        bind.info = self.options.info.clone().into();
        bind.service_version = self.options.version.clone().into();
        bind.persistent = settings.persistent.unwrap_or(self.options.persistent);
        bind
    }
}

impl Running {
    async fn register(&self) -> Result<(), Error> {
        let bind = &self.bind;
        self.queue.open().await?;
        let old = self.backend.register_bind(bind).await?;
        match old.and_then(|old| crate::backend::readable_bind(&bind.identity, &old)) {
            Some(old) if old == *bind => {}
            Some(_) => tracing::info!("Service binds updated"),
            None => tracing::info!("Service binds created"),
        }
        for rule in bind.filters.as_array().unwrap_or_default() {
            tracing::info!("Binding on: {rule}");
        }
        tracing::info!("Service {} started", bind.identity);
        Ok(())
    }

    async fn take_tasks(self: &Arc<Self>, slots: &Arc<Semaphore>, shutdown: &CancellationToken) -> StopReason {
        let mut outage = Outage::default();
        let mut registered = false;
        while !shutdown.is_cancelled() {
            if !registered {
                match self.register().await {
                    Ok(()) => registered = true,
                    Err(error) => {
                        outage.wait(&error, shutdown).await;
                        continue;
                    }
                }
            }
            // A slot first: nothing is taken that cannot start.
            let slot = tokio::select! {
                slot = Arc::clone(slots).acquire_owned() => slot,
                () = shutdown.cancelled() => break,
            };
            // The semaphore is never closed.
            let Ok(slot) = slot else { break };
            match self.queue.take().await {
                Ok(Taken::Nothing) => outage.over(),
                Ok(Taken::Task { uid, record }) => {
                    outage.over();
                    self.start(uid, record, slot, shutdown.is_cancelled()).await;
                }
                Ok(Taken::Unreadable { uid }) => {
                    tracing::error!("queue holds something that is no uid, put into quarantine");
                    report(self.backend.drop_claim(&uid, Some("uid is not UTF-8 text")).await, "quarantine");
                }
                Ok(Taken::BindReplaced) => {
                    tracing::info!("Binds changed, shutting down: a replica with another bind took over");
                    return StopReason::BindReplaced;
                }
                Ok(Taken::BindMissing) => {
                    tracing::warn!("bind was deleted, registering it again");
                    registered = false;
                }
                // What stands there afterwards decides: a replica that took over meanwhile is the newer one.
                Err(error) => outage.wait(&error, shutdown).await,
            }
        }
        StopReason::Shutdown
    }

    /// Starts the work on what was popped; with `stopping` a readable task goes straight back.
    async fn start(self: &Arc<Self>, uid: String, record: Option<Vec<u8>>, slot: OwnedSemaphorePermit, stopping: bool) {
        // However the work on it ends, the claim is not renewed after it.
        let held = Held { running: Arc::clone(self), uid };
        let uid = &held.uid;
        let mut task = match record.map(|record| read_task(uid, &record)) {
            Some(Ok(task)) => task,
            // Deleted while it was queued.
            None => return report(self.backend.drop_claim(uid.as_bytes(), None).await, "let go of"),
            Some(Err(reason)) => {
                tracing::error!(task = uid, "task cannot be read, put into quarantine: {reason}");
                return report(self.backend.drop_claim(uid.as_bytes(), Some(&reason)).await, "quarantine");
            }
        };
        if stopping {
            return report(give_back(&self.backend, &mut task).await, "give back");
        }
        let work = async move {
            let running = &held.running;
            let current = Arc::new(task.clone());
            logs::scope(running.publisher.clone(), Some(current), Box::pin(running.process(task))).await;
            drop((held, slot));
        };
        // Several services may live in one process: the span tells which one speaks.
        tokio::spawn(work.in_current_span());
    }

    /// One task from Spawned to its end.
    async fn process(&self, mut task: Task) {
        if !task.status().is_pending() {
            tracing::info!("task {} was cancelled, or is done already", task.task_uid());
            report(self.backend.write_status(&task, &[]).await, "let go of");
            return;
        }
        match self.filters.matches(task.headers()) {
            Ok(true) => {}
            Ok(false) => {
                tracing::info!("Task rejected because binds are no longer valid");
                task.set_status(TaskState::Finished);
                report(self.backend.write_status(&task, &[]).await, "write the status of");
                return;
            }
            Err(error) => {
                tracing::error!("filters cannot be evaluated: {error}");
                task.crash(vec![format!("{error}\n")]);
                report(self.backend.write_status(&task, &[Metric::Crashed, Metric::Consumed]).await, "write the status of");
                return;
            }
        }
        tracing::info!("Received new task - {}", task.uid());
        task.set_status(TaskState::Started);
        if let Err(error) = self.backend.write_status(&task, &[]).await {
            // Not started: Redis is away, and the record still says Spawned.
            report(give_back(&self.backend, &mut task).await, "give back");
            tracing::error!("cannot start task: {error}");
            return;
        }
        self.signal(&task, "task_begin").await;
        let outcome = self.handle(task.clone()).await;
        self.signal(&task, "task_end").await;
        match outcome {
            Ok(()) => {
                tracing::info!("Task done - {}", task.uid());
                task.set_status(TaskState::Finished);
                report(self.backend.write_status(&task, &[Metric::Consumed]).await, "write the status of");
            }
            Err(error) if error.is::<HandBack>() => {
                tracing::info!("task {} goes back to its queue: {error}", task.task_uid());
                report(give_back(&self.backend, &mut task).await, "give back");
            }
            Err(error) => {
                tracing::error!("Failed to process task - {}: {error:#}", task.uid());
                task.crash(error_lines(&error));
                report(self.backend.write_status(&task, &[Metric::Crashed, Metric::Consumed]).await, "write the status of");
            }
        }
    }

    /// Runs the handler in a task of its own, so that a panic ends only that.
    async fn handle(&self, task: Task) -> anyhow::Result<()> {
        let current = Arc::new(task.clone());
        let (handler, karton) = (Arc::clone(&self.consumer.handler), self.karton.for_task(Arc::clone(&current)));
        // The handler is called in there too: it may panic before it gives its future.
        let future = async move { handler(karton, task).await };
        let mut handler = tokio::spawn(logs::scope(self.publisher.clone(), Some(current), future).in_current_span());
        let limit = self.task_timeout.unwrap_or(Duration::from_secs(u64::from(u32::MAX)));
        tokio::select! {
            outcome = &mut handler => match outcome {
                Ok(result) => result,
                Err(error) => Err(anyhow::anyhow!("panicked: {}", panic_message(error))),
            },
            () = tokio::time::sleep(limit) => {
                handler.abort();
                Err(anyhow::anyhow!("task took longer than {} s", limit.as_secs()))
            }
            () = self.hand_back.cancelled() => {
                handler.abort();
                Err(HandBack("the service stops".to_owned()).into())
            }
        }
    }

    /// Tells signal listeners that work on a task begins or ends, when `[signaling] status` is set.
    async fn signal(&self, task: &Task, status: &str) {
        if !self.signaling {
            return;
        }
        let mut headers = crate::json::Map::new();
        headers.insert("type".to_owned(), "karton.signaling.status".into());
        headers.insert("status".to_owned(), status.into());
        let signal = Task::new(Value::from(headers));
        if let Err(error) = self.backend.send_task(signal, Some(task)).await {
            tracing::warn!("cannot signal {status}: {error}");
        }
    }

    /// Waits for running tasks, and makes those that take too long go back.
    async fn drain(&self, slots: &Semaphore, concurrency: usize, patience: Duration) {
        let all = u32::try_from(concurrency).unwrap_or(u32::MAX);
        if tokio::time::timeout(patience, slots.acquire_many(all)).await.is_err() {
            self.hand_back.cancel();
            // Handing back is a write to Redis, which gives up by itself.
            let _ = slots.acquire_many(all).await;
        }
    }
}

/// A failure to account for a task: nothing more can be done than to say so.
fn report(outcome: Result<(), Error>, action: &str) {
    if let Err(error) = outcome {
        tracing::error!("cannot {action} the task: {error}");
    }
}

/// The text of an error in the form of the record: one entry a line, each ending in a newline.
fn error_lines(error: &anyhow::Error) -> Vec<String> {
    let mut lines = vec![format!("Error: {error}\n")];
    lines.extend(error.chain().skip(1).map(|cause| format!("Caused by: {cause}\n")));
    lines
}

fn panic_message(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
        }
        Err(error) => error.to_string(),
    }
}
