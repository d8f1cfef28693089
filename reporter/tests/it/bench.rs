//! What most tests need: a stub, a reporter that talks to it, and samples in memory.

use std::collections::HashMap;
use std::io::Cursor;
use std::pin::Pin;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use karton_rs::{LocalResource, Resource, Task, json::Value};
use reporter::{
    mwdb::{Client, ContentError, Credentials, Opened, Settings},
    report::{Options, ReportError, Reporter, Samples},
};
use serde_json::json;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::stub::{KEY, Stub, sha256};

/// Settings with the pauses of a test.
pub fn impatient(url: &str, credentials: Credentials) -> Settings {
    let mut settings = Settings::new(url, credentials).unwrap();
    settings.patience.first_pause = Duration::from_millis(10);
    settings.patience.longest_pause = Duration::from_millis(40);
    settings.patience.rate_limit_pause = Duration::from_millis(50);
    settings.patience.longest_rate_limit_pause = Duration::from_millis(200);
    settings.limits.idle = Duration::from_millis(400);
    settings.limits.probe = Duration::from_millis(400);
    settings.limits.answer_bytes = 1024 * 1024;
    settings
}

pub fn client_of(stub: &Stub) -> Client {
    Client::new(impatient(&stub.url(), Credentials::api_key(KEY)), CancellationToken::new()).unwrap()
}

/// Content by resource uid; `failures` opens fail first.
#[derive(Default)]
pub struct MemorySamples {
    contents: Mutex<HashMap<String, Bytes>>,
    failures: Mutex<Vec<ContentError>>,
    opens: AtomicUsize,
    /// So many readers break off in the middle.
    breaks: AtomicUsize,
}

/// Half of a content, then an error.
struct Breaking(Cursor<Bytes>);

impl AsyncRead for Breaking {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.0.position() > 0 {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        let half = self.0.get_ref().len() / 2;
        let mut first = buffer.take(half);
        let read = Pin::new(&mut self.0).poll_read(context, &mut first);
        let filled = first.filled().len();
        buffer.advance(filled);
        read
    }
}

impl Samples for MemorySamples {
    fn open<'a>(&'a self, resource: &'a Resource) -> BoxFuture<'a, Result<Opened, ContentError>> {
        let failure = self.failures.lock().unwrap().pop();
        let content = self.contents.lock().unwrap().get(&resource.uid).cloned();
        self.opens.fetch_add(1, Ordering::Relaxed);
        let breaks = self.breaks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        Box::pin(async move {
            match (failure, content) {
                (Some(failure), _) => Err(failure),
                (None, Some(content)) if breaks => Ok(Opened::new(content.len() as u64, Breaking(Cursor::new(content)))),
                (None, Some(content)) => Ok(Opened::new(content.len() as u64, Cursor::new(content))),
                (None, None) => Err(ContentError::broken("no such object")),
            }
        })
    }
}

pub struct Bench {
    pub stub: Stub,
    pub samples: MemorySamples,
    pub reporter: Reporter,
}

impl Bench {
    pub async fn start() -> Self {
        Self::with(Stub::start().await, |_| {})
    }

    pub fn with(stub: Stub, adjust: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        adjust(&mut options);
        let reporter = Reporter::new(client_of(&stub), options);
        Self { stub, samples: MemorySamples::default(), reporter }
    }

    /// A resource in a payload, and its id in MWDB.
    pub fn file(&self, name: &str, content: &str) -> (Value, String) {
        let local = LocalResource::from_bytes(name, content.to_owned()).unwrap();
        let resource = local.resource().clone();
        self.samples.contents.lock().unwrap().insert(resource.uid.clone(), content.to_owned().into());
        (resource.to_value(), sha256(content.as_bytes()))
    }

    pub fn fail_opens(&self, failures: Vec<ContentError>) {
        *self.samples.failures.lock().unwrap() = failures;
    }

    /// The next readers break off in the middle.
    pub fn break_reads(&self, count: usize) {
        self.samples.breaks.store(count, Ordering::Relaxed);
    }

    /// How often a file was opened since this was asked last.
    pub fn opens(&self) -> usize {
        self.samples.opens.swap(0, Ordering::Relaxed)
    }

    pub async fn try_report(&self, task: &Task) -> Result<(), ReportError> {
        self.reporter.report(task, &self.samples).await
    }

    pub async fn report(&self, task: &Task) {
        self.try_report(task).await.unwrap();
    }

    /// The requests of this task alone.
    pub async fn lines_of(&self, task: &Task) -> Vec<String> {
        self.stub.forget();
        self.report(task).await;
        self.stub.lines()
    }
}

pub fn sample_task() -> Task {
    Task::new(json!({"type": "sample", "stage": "recognized"}))
}

/// A JSON value in karton's form.
pub fn value(json: serde_json::Value) -> Value {
    json.into()
}
