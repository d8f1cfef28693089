//! What most tests need: a stub, a reporter that talks to it, and samples in memory.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use karton_rs::{LocalResource, Resource, Task, json::Value};
use reporter::{
    mwdb::{Client, ContentError, Credentials, Reader, Settings},
    report::{Options, ReportError, Reporter, Samples},
};
use serde_json::json;
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
}

impl Samples for MemorySamples {
    fn open<'a>(&'a self, resource: &'a Resource) -> BoxFuture<'a, Result<Reader, ContentError>> {
        let failure = self.failures.lock().unwrap().pop();
        let content = self.contents.lock().unwrap().get(&resource.uid).cloned();
        Box::pin(async move {
            match (failure, content) {
                (Some(failure), _) => Err(failure),
                (None, Some(content)) => Ok(Box::new(Cursor::new(content)) as Reader),
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
