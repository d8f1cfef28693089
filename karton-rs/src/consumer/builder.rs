//! Puts a [`Consumer`] together.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Consumer, RetryPolicy,
    handler::{Handler, PostHook, PreHook},
};
use crate::{blocking::BlockingKarton, json::Value, karton::Karton, task::Task};

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
#[derive(Clone)]
#[must_use]
pub struct ConsumerBuilder {
    pub(crate) identity: String,
    pub(super) version: Option<String>,
    pub(super) info: Option<String>,
    pub(crate) filters: Value,
    pub(super) persistent: bool,
    pub(super) task_timeout: Option<Duration>,
    pub(super) concurrency: usize,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) pre_hooks: Vec<Arc<PreHook>>,
    pub(super) post_hooks: Vec<Arc<PostHook>>,
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
            retry: None,
            pre_hooks: Vec::new(),
            post_hooks: Vec::new(),
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

    /// Tries failed tasks again before they are Crashed; see [`RetryPolicy`].
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Runs before each task, in the order in which hooks were added. An error in it is logged and
    /// changes nothing. See Karton protocol §8.4.
    pub fn pre_hook<H, F>(mut self, hook: H) -> Self
    where
        H: Fn(Karton, Arc<Task>) -> F + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.pre_hooks.push(Arc::new(move |karton, task| Box::pin(hook(karton, task))));
        self
    }

    /// Runs after each task, with the error it ended in or none. An error in it is logged and changes
    /// nothing.
    ///
    /// ```
    /// use karton_rs::Consumer;
    ///
    /// let consumer = Consumer::new("karton.demo")
    ///     .post_hook(|_karton, task, error| async move {
    ///         tracing::info!("{} {}", task.uid(), if error.is_some() { "failed" } else { "done" });
    ///         Ok(())
    ///     })
    ///     .process(|_karton, _task| async { Ok(()) });
    /// # let _ = consumer;
    /// ```
    pub fn post_hook<H, F>(mut self, hook: H) -> Self
    where
        H: Fn(Karton, Arc<Task>, Option<Arc<anyhow::Error>>) -> F + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.post_hooks.push(Arc::new(move |karton, task, error| Box::pin(hook(karton, task, error))));
        self
    }

    /// The work itself. An error or a panic makes the task Crashed, with its text in the record.
    pub fn process<H, F>(self, handler: H) -> Consumer
    where
        H: Fn(Karton, Task) -> F + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        Consumer { options: self, handler: Handler::Async(Arc::new(move |karton, task| Box::pin(handler(karton, task)))) }
    }

    /// Like [`ConsumerBuilder::process`], for work that is not async: each task runs on a thread of its
    /// own. A thread cannot be stopped: one whose task has timed out still counts until it ends.
    pub fn process_blocking<H>(self, handler: H) -> Consumer
    where
        H: Fn(BlockingKarton, Task) -> anyhow::Result<()> + Send + Sync + 'static,
    {
        Consumer { options: self, handler: Handler::Blocking(Arc::new(handler)) }
    }
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder").field("identity", &self.identity).field("filters", &self.filters).finish_non_exhaustive()
    }
}
