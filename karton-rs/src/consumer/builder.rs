//! Puts a [`Consumer`] together.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Consumer;
use crate::{json::Value, karton::Karton, task::Task};

/// What a service says about itself, before its handler is given.
///
/// ```
/// use karton_rs::Consumer;
/// use serde_json::json;
///
/// let consumer = Consumer::new("karton.demo")
///     .version("1.0.0")
///     .info("Shows how a service is put together")
///     .filters(json!([{"type": "sample"}]))
///     .process(|_karton, _task| async { Ok(()) });
/// # let _ = consumer;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ConsumerBuilder {
    pub(super) identity: String,
    pub(super) version: Option<String>,
    pub(super) info: Option<String>,
    pub(super) filters: Value,
    pub(super) persistent: bool,
    pub(super) task_timeout: Option<Duration>,
    pub(super) concurrency: usize,
}

impl Consumer {
    /// Starts a service under `identity`; `[karton] identity` wins over it.
    #[expect(clippy::new_ret_no_self, reason = "a consumer without a handler does not exist")]
    pub fn new(identity: &str) -> ConsumerBuilder {
        ConsumerBuilder {
            identity: identity.to_owned(),
            version: None,
            info: None,
            filters: Value::Array(Vec::new()),
            persistent: true,
            task_timeout: None,
            concurrency: 1,
        }
    }
}

impl ConsumerBuilder {
    /// Version of the service, shown by `karton list` and dashboards.
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// What the service does, shown by dashboards.
    pub fn info(mut self, info: &str) -> Self {
        self.info = Some(info.to_owned());
        self
    }

    /// The rules of which one must match the headers of a task. None at all match nothing.
    pub fn filters(mut self, filters: impl Into<Value>) -> Self {
        self.filters = filters.into();
        self
    }

    /// Whether tasks are queued while no replica is online; `[karton] persistent` wins.
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// The longest time for one task; wins over `[karton] task_timeout`.
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.task_timeout = Some(timeout);
        self
    }

    /// How many tasks run at once (1 by default); `[karton] concurrency_limit` wins.
    pub fn concurrency(mut self, tasks: usize) -> Self {
        self.concurrency = tasks.max(1);
        self
    }

    /// The work itself. An error or a panic makes the task Crashed, with its text in the record.
    pub fn process<H, F>(self, handler: H) -> Consumer
    where
        H: Fn(Karton, Task) -> F + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Consumer { options: self, handler: Arc::new(move |karton, task| Box::pin(handler(karton, task))) }
    }
}
