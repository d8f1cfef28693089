//! Log records on Karton's channels, for `karton logs` and log consumers.
//!
//! The one rule: publishing never blocks and never fails a task. Records go through a queue, bounded
//! in number and bytes, to one background task; when it is full, or Redis away, they are dropped. Who logs, and in
//! which task, is known from the scope that the consumer runs in, so several services can live in one
//! process. See Karton protocol §10.

mod consumer;
mod record;
mod stderr;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

pub use consumer::LogConsumer;
pub use stderr::Stderr;
pub(crate) use stderr::together;

use crate::{
    backend::{Backend, keys},
    config::ServiceSettings,
    json::write_string,
    task::Task,
};

/// Records that wait to be published; beyond this they are dropped.
const QUEUE_LENGTH: usize = 1000;
/// Records that go to Redis in one round trip.
const PUBLISHED_AT_ONCE: usize = 64;
/// How long a record waits for others that go with it: a task has several, one soon after the other.
const GATHER: Duration = Duration::from_millis(3);
/// How long a service that ends waits for its last records to be published.
const FLUSH: Duration = Duration::from_millis(500);
/// How long the next ones wait after as many as that, of which nobody has heard: what is dropped meanwhile costs nothing.
const PAUSE_UNHEARD: Duration = Duration::from_millis(100);
/// Bytes of records that wait: each one carries the whole record of its task, which may be large.
const QUEUE_BYTES: usize = 16 << 20;

tokio::task_local! {
    static SCOPE: Scope;
}

#[derive(Clone)]
struct Scope {
    publisher: Publisher,
    task: Option<Arc<InProgress>>,
}

/// The task that records are about. Its own record goes into each of them, so that is written once.
struct InProgress {
    task: Arc<Task>,
    record: OnceLock<String>,
}

impl InProgress {
    /// Its record as a JSON string.
    fn record(&self) -> &str {
        self.record.get_or_init(|| {
            let mut out = String::new();
            write_string(&mut out, &self.task.to_json());
            out
        })
    }
}

/// Publishes the records of one service.
#[derive(Clone)]
pub(crate) struct Publisher {
    identity: Arc<str>,
    /// Least number of a level that counts.
    least: i64,
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

/// A record on its way, and its share of the room.
struct Waiting {
    level: &'static str,
    record: String,
    #[expect(dead_code, reason = "given back when the record is gone")]
    room: OwnedSemaphorePermit,
}

impl Publisher {
    /// Starts the background task; it ends when the last publisher is gone. None when publishing is off.
    pub(crate) fn start(backend: &Backend, settings: &ServiceSettings) -> Option<Self> {
        if !settings.publish_logs {
            return None;
        }
        let (queue, mut records) = mpsc::channel::<Waiting>(QUEUE_LENGTH);
        let (backend, identity) = (backend.clone(), settings.identity.clone());
        tokio::spawn(async move {
            let mut channels = HashMap::new();
            let mut waiting = Vec::with_capacity(PUBLISHED_AT_ONCE);
            while records.recv_many(&mut waiting, PUBLISHED_AT_ONCE).await > 0 {
                if waiting.len() < PUBLISHED_AT_ONCE {
                    tokio::time::sleep(GATHER).await;
                    waiting.extend(std::iter::from_fn(|| records.try_recv().ok()).take(PUBLISHED_AT_ONCE - waiting.len()));
                }
                let mut pipeline = redis::pipe();
                for Waiting { level, record, .. } in &waiting {
                    let channel = channels.entry(*level).or_insert_with(|| keys::log_channel(level, &identity));
                    pipeline.publish(&*channel, record);
                }
                // Nobody can be told: a failure is Redis being away, which the service itself reports.
                let listeners: Vec<u64> = backend.redis().run(&pipeline).await.unwrap_or_default();
                if waiting.len() == PUBLISHED_AT_ONCE && listeners.iter().all(|listeners| *listeners == 0) {
                    tokio::time::sleep(PAUSE_UNHEARD).await;
                }
                waiting.clear();
            }
        });
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        Some(Self { identity: settings.identity.as_str().into(), least: settings.log_level, queue, room })
    }

    /// Waits until what was logged is with Redis, but not for long.
    pub(crate) async fn flush(&self) {
        let all = u32::try_from(QUEUE_BYTES).unwrap_or(u32::MAX);
        // Without an answer in time Redis is away, and the records are on stderr.
        let _ = tokio::time::timeout(FLUSH, self.room.acquire_many(all)).await;
    }

    /// Queues a record, if there is room. Without room it is dropped: Redis is slow or away, and the
    /// record is still on stderr.
    fn offer(&self, level: &'static str, record: String) {
        let bytes = u32::try_from(record.len()).unwrap_or(u32::MAX);
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) {
            let _ = self.queue.try_send(Waiting { level, record, room });
        }
    }
}

/// Runs `future` so that what it logs is published; `task` is the one in progress.
pub(crate) async fn scope<F: Future>(publisher: Option<Publisher>, task: Option<Arc<Task>>, future: F) -> F::Output {
    match publisher {
        Some(publisher) => {
            let task = task.map(|task| Arc::new(InProgress { task, record: OnceLock::new() }));
            SCOPE.scope(Scope { publisher, task }, future).await
        }
        None => future.await,
    }
}

/// The scope of the caller, for a thread that works for it.
pub(crate) struct Inherited(Option<Scope>);

impl Inherited {
    pub(crate) fn here() -> Self {
        Self(SCOPE.try_with(Clone::clone).ok())
    }

    pub(crate) fn run<T>(self, code: impl FnOnce() -> T) -> T {
        match self.0 {
            Some(scope) => SCOPE.sync_scope(scope, code),
            None => code(),
        }
    }
}

/// The layer of `tracing` that publishes what services log; installed by [`service`](crate::service).
///
/// ```
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(karton_rs::PublishLayer);
/// # let _ = subscriber;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct PublishLayer;

impl<S: Subscriber> Layer<S> for PublishLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let _ = SCOPE.try_with(|Scope { publisher, task }| {
            let (level_name, level_number) = python_level(*event.metadata().level());
            // Without room nothing is built that would be dropped.
            if level_number < publisher.least || publisher.queue.capacity() == 0 {
                return;
            }
            let task = task.as_ref().map(|task| (task.task.task_uid(), task.record()));
            publisher.offer(level_name, record::build(event, &publisher.identity, level_name, level_number, task));
        });
    }
}

fn python_level(level: Level) -> (&'static str, i64) {
    match level {
        Level::ERROR => ("ERROR", 40),
        Level::WARN => ("WARNING", 30),
        Level::INFO => ("INFO", 20),
        Level::DEBUG | Level::TRACE => ("DEBUG", 10),
    }
}
