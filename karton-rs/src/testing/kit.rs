//! Runs the work of a service on a task, without Redis or S3, and keeps what it sends.
//!
//! The one rule: the handler sees a [`Karton`] that behaves as the real one; a file that the test
//! attaches to a task is a file in the object store for it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::shown;
use crate::{
    config::Config,
    consumer::Consumer,
    error::{Error, StorageErrorKind},
    filters::Filters,
    karton::Karton,
    resource::{LocalResource, Resource, Source},
    task::{Task, TaskState},
};

/// Where the files of a test are said to be.
const BUCKET: &str = "karton";
const NO_SERVER: &str =
    "[redis]\nhost = no-server-in-this-test\n[s3]\naddress = http://no-server-in-this-test\naccess_key = none\nsecret_key = none\n";

/// Tests what a service does with a task.
///
/// ```
/// use karton_rs::{Consumer, LocalResource, Task, testing::KartonTest};
/// use serde_json::json;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let service = Consumer::new("karton.reverser").filters(json!([{"type": "text"}])).process(
///     |karton, task| async move {
///         let text = karton.read(&task.resource("text")?, 1 << 20).await?;
///         let mut result = Task::new(json!({"type": "reversed"}));
///         let reversed: Vec<u8> = text.iter().rev().copied().collect();
///         result.attach("text", LocalResource::from_bytes("reversed.txt", reversed)?);
///         karton.send_task(result).await?;
///         Ok(())
///     },
/// );
/// let mut task = Task::new(json!({"type": "text"}));
/// task.attach("text", LocalResource::from_bytes("in.txt", "abc")?);
///
/// let mut expected = Task::new(json!({"type": "reversed"}));
/// expected.attach("text", LocalResource::from_bytes("reversed.txt", "cba")?);
/// KartonTest::new(service).run(task).await?.expect(&[expected]).await;
/// # anyhow::Ok(()) }).unwrap();
/// ```
pub struct KartonTest {
    consumer: Consumer,
    config: Config,
    filters: Filters,
}

impl KartonTest {
    /// Prepares tests of a service.
    ///
    /// # Panics
    /// When its filters cannot be used.
    pub fn new(consumer: Consumer) -> Self {
        let filters = Filters::compile(&consumer.options.filters).unwrap_or_else(|error| panic!("the filters of the service: {error}"));
        let config = Config::from_parts(&[("test", NO_SERVER)], []).unwrap_or_else(|error| panic!("{error}"));
        Self { consumer, config, filters }
    }

    /// Sets an option that the service reads from its configuration.
    #[must_use]
    pub fn option(mut self, section: &str, option: &str, value: &str) -> Self {
        self.config.set(section, option, value);
        self
    }

    /// Whether the service would get a task with these headers.
    ///
    /// # Panics
    /// When the filters fail on them.
    pub fn accepts(&self, task: &Task) -> bool {
        self.filters.matches(task.headers()).unwrap_or_else(|error| panic!("the filters of the service: {error}"))
    }

    /// Runs the work of the service on a task and gives what it sent.
    ///
    /// # Errors
    /// The error of the handler; a panic is one.
    ///
    /// # Panics
    /// When the filters do not match the task: the service would never get it.
    pub async fn run(&self, mut task: Task) -> anyhow::Result<Sent> {
        assert!(self.accepts(&task), "the service does not ask for such a task: {}", crate::json::Value::Object(task.headers().clone()));
        let kit = Arc::new(Kit::default());
        kit.keep(&mut task).await?;
        task.set_header("receiver", self.consumer.options.identity.as_str());
        task.set_status(TaskState::Started);
        // As it comes out of Redis: all files are in the store.
        let task = Task::from_json(&task.to_json())?;
        let karton = Karton::prepare(&self.config, &self.consumer.options.identity, None)?.with_kit(Arc::clone(&kit));
        let karton = karton.for_task(Arc::new(task.clone()));
        self.consumer.handler.run(karton, task, ()).await?;
        let tasks = std::mem::take(&mut kit.state().sent);
        Ok(Sent { tasks, kit })
    }
}

/// What a service has sent.
pub struct Sent {
    tasks: Vec<Task>,
    kit: Arc<Kit>,
}

impl Sent {
    /// The tasks as the handler made them, in order; what they inherit is not in them.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The content of a file that was sent.
    ///
    /// # Errors
    /// When no such file was.
    pub fn content(&self, resource: &Resource) -> Result<Bytes, Error> {
        self.kit.read(resource, u64::MAX)
    }

    /// Compares with what should have been sent, in any order: headers, payloads and priority, files by
    /// name and content.
    ///
    /// # Panics
    /// When something differs; the message shows where.
    pub async fn expect(&self, expected: &[Task]) {
        let kit = Kit::default();
        let mut wanted = Vec::new();
        for task in expected {
            let mut task = task.clone();
            kit.keep(&mut task).await.unwrap_or_else(|error| panic!("an expected task: {error}"));
            wanted.push(shown::task(&task, &kit));
        }
        let mut sent: Vec<String> = self.tasks.iter().map(|task| shown::task(task, &self.kit)).collect();
        wanted.sort();
        sent.sort();
        assert!(wanted == sent, "the service sent other tasks than expected:\n{}", shown::difference(&wanted, &sent));
    }
}

/// The place of Redis and S3.
#[derive(Default)]
pub(crate) struct Kit(Mutex<State>);

#[derive(Default)]
struct State {
    sent: Vec<Task>,
    /// Content by the uid of its resource.
    store: HashMap<String, Bytes>,
}

impl Kit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the files of a task into the store.
    async fn keep(&self, task: &mut Task) -> Result<(), Error> {
        for (resource, local) in task.prepare_uploads(BUCKET) {
            let content = content_of(&local).await?;
            self.state().store.insert(resource.uid, content);
        }
        Ok(())
    }

    pub(crate) async fn send_task(&self, mut task: Task, current: Option<&Task>, identity: &str) -> Result<Task, Error> {
        self.keep(&mut task).await?;
        self.state().sent.push(task.clone());
        if let Some(current) = current {
            task.inherit(current);
        }
        task.set_header("origin", identity);
        Ok(task)
    }

    pub(crate) fn read(&self, resource: &Resource, limit: u64) -> Result<Bytes, Error> {
        let failure = |reason: String, kind| Error::Storage {
            server: "the test".to_owned(),
            action: format!("read `{}` from {}/{}", resource.name, resource.bucket.as_deref().unwrap_or(BUCKET), resource.uid),
            reason,
            kind,
        };
        let content = self.state().store.get(&resource.uid).cloned();
        let content = content.ok_or_else(|| failure("there is no such object".to_owned(), StorageErrorKind::NotFound))?;
        if content.len() as u64 > limit {
            return Err(failure(
                format!("it is larger than {limit} bytes"),
                StorageErrorKind::TooLarge { size: Some(content.len() as u64) },
            ));
        }
        Ok(content)
    }

    pub(crate) fn read_range(&self, resource: &Resource, offset: u64, length: u64) -> Result<Bytes, Error> {
        let content = self.read(resource, u64::MAX)?;
        let end = |position: u64| usize::try_from(position).map_or(content.len(), |position| position.min(content.len()));
        Ok(content.slice(end(offset)..end(offset.saturating_add(length))))
    }

    pub(crate) async fn download(&self, resource: &Resource, path: &Path) -> Result<u64, Error> {
        let content = self.read(resource, u64::MAX)?;
        tokio::fs::write(path, &content).await.map_err(|source| Error::File { path: path.to_owned(), source })?;
        Ok(content.len() as u64)
    }
}

async fn content_of(local: &LocalResource) -> Result<Bytes, Error> {
    let path: &Path = match local.source() {
        Source::Bytes(content) => return Ok(content.clone()),
        Source::File(path) => path,
        Source::Temporary(path) => path,
    };
    let content = tokio::fs::read(path).await.map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(content.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service() -> KartonTest {
        KartonTest::new(Consumer::new("karton.x").filters(json!([{"type": "sample"}])).process(|karton, task| async move {
            let content = karton.read(&task.resource("sample")?, 100).await?;
            assert_eq!(karton.read_range(&task.resource("sample")?, 1, 100).await?, content.slice(1..));
            anyhow::ensure!(content != "bad", "no good");
            let mut result = Task::new(json!({"type": "result"}));
            result.set_payload("length", content.len());
            result.set_payload("sample", task.resource("sample")?.to_value());
            let sent = karton.send_task(result).await?;
            anyhow::ensure!(sent.parent_uid() == Some(task.uid()) && sent.header_str("origin") == Some("karton.x"));
            Ok(())
        }))
    }

    fn sample(content: &'static str) -> Result<Task, Error> {
        let mut task = Task::new(json!({"type": "sample"}));
        task.attach("sample", LocalResource::from_bytes("s", content)?);
        Ok(task)
    }

    #[tokio::test]
    async fn what_a_handler_sends_is_compared_and_a_difference_is_shown() -> anyhow::Result<()> {
        let sent = service().run(sample("good")?).await?;
        assert_eq!(sent.content(&sent.tasks()[0].resource("sample")?)?, "good");
        let mut expected = Task::new(json!({"type": "result"}));
        expected.set_payload("length", 4);
        expected.attach("sample", LocalResource::from_bytes("s", "good")?);
        sent.expect(std::slice::from_ref(&expected)).await;
        expected.set_payload("length", 5);
        let panic = tokio::spawn(async move { sent.expect(&[expected]).await }).await.expect_err("an error").into_panic();
        let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(message.contains("-    \"length\": 5,\n") && message.contains("+    \"length\": 4,\n"), "{message}");
        Ok(())
    }

    #[tokio::test]
    async fn errors_and_panics_of_a_handler_are_errors_of_the_test() -> anyhow::Result<()> {
        let error = service().run(sample("bad")?).await.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("no good"));
        let panics = KartonTest::new(Consumer::new("x").filters(json!([{}])).process_blocking(|_, _| panic!("oh")));
        let error = panics.run(Task::new(json!({}))).await.err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("panicked: oh"));
        assert!(!service().accepts(&Task::new(json!({"type": "other"}))));
        Ok(())
    }
}
