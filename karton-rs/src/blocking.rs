//! Karton for handlers that are not async: the same operations, waiting on the calling thread.
//!
//! The one rule: this is [`Karton`] and nothing else; what holds there holds here.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::io::SyncIoBridge;

use crate::{config::Config, error::Error, karton::Karton, resource::Resource, task::Task};

/// A [`Karton`] whose methods wait; what
/// [`process_blocking`](crate::ConsumerBuilder::process_blocking) gives to its handler.
///
/// ```
/// use karton_rs::{BlockingKarton, Consumer, Task};
/// use serde_json::json;
///
/// fn process(karton: BlockingKarton, task: Task) -> anyhow::Result<()> {
///     let content = karton.read(&task.resource("sample")?, 1 << 20)?;
///     let mut result = Task::new(json!({"type": "text"}));
///     result.set_payload("length", content.len());
///     karton.send_task(result)?;
///     Ok(())
/// }
///
/// let consumer = Consumer::new("karton.demo").filters(json!([{"type": "sample"}])).process_blocking(process);
/// # let _ = consumer;
/// ```
#[derive(Clone)]
pub struct BlockingKarton {
    karton: Karton,
    runtime: Handle,
}

impl BlockingKarton {
    pub(crate) fn new(karton: Karton, runtime: Handle) -> Self {
        Self { karton, runtime }
    }

    /// The async handle, to run whatever else with [`BlockingKarton::wait`].
    pub fn karton(&self) -> &Karton {
        &self.karton
    }

    /// Waits for a future on this thread.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// True when the service is told to stop. A handler that works for long should look now and then,
    /// and return [`HandBack`](crate::HandBack).
    pub fn is_stopping(&self) -> bool {
        self.karton.stopping().is_cancelled()
    }

    /// The configuration of the process.
    pub fn config(&self) -> &Config {
        self.karton.config()
    }

    /// Who sends.
    pub fn identity(&self) -> &str {
        self.karton.identity()
    }

    /// As [`Karton::send_task`].
    ///
    /// # Errors
    /// As there.
    pub fn send_task(&self, task: Task) -> Result<Task, Error> {
        self.wait(self.karton.send_task(task))
    }

    /// As [`Karton::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(&self, resource: &Resource) -> Result<impl Read + Send + use<>, Error> {
        let content = self.wait(self.karton.open(resource))?;
        Ok(SyncIoBridge::new_with_handle(content, self.runtime.clone()))
    }

    /// As [`Karton::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, resource: &Resource, limit: u64) -> Result<Bytes, Error> {
        self.wait(self.karton.read(resource, limit))
    }

    /// As [`Karton::read_range`].
    ///
    /// # Errors
    /// As there.
    pub fn read_range(&self, resource: &Resource, offset: u64, length: u64) -> Result<Bytes, Error> {
        self.wait(self.karton.read_range(resource, offset, length))
    }

    /// As [`Karton::download`].
    ///
    /// # Errors
    /// As there.
    pub fn download(&self, resource: &Resource, path: impl AsRef<Path>) -> Result<u64, Error> {
        self.wait(self.karton.download(resource, path))
    }

    /// As [`Karton::download_temp`].
    ///
    /// # Errors
    /// As there.
    pub fn download_temp(&self, resource: &Resource) -> Result<tempfile::NamedTempFile, Error> {
        self.wait(self.karton.download_temp(resource))
    }

    /// As [`Karton::extract`].
    ///
    /// # Errors
    /// As there.
    pub fn extract(&self, resource: &Resource, folder: impl AsRef<Path>, limit: u64) -> Result<(), Error> {
        self.wait(self.karton.extract(resource, folder, limit))
    }
}
