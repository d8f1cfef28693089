//! What a service works with: sending tasks and reading resources, under its identity.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::{
    backend::{Acted, Backend, Patience, ServiceInfo},
    config::{Config, ServiceSettings},
    error::Error,
    reader::ResourceReader,
    resource::Resource,
    task::{Task, TaskState},
};

/// A handle on Karton under one identity; cheap to clone.
///
/// Inside a handler it is bound to the task in progress: what is sent through it becomes a child of
/// that task, with its persistent headers and payload. See Karton protocol §4.6.
///
/// ```no_run
/// use karton_rs::{Config, Karton, Task};
/// use serde_json::json;
///
/// # async fn example() -> Result<(), karton_rs::Error> {
/// let karton = Karton::connect(&Config::load(None)?, "karton.feeder", None).await?;
/// karton.send_task(Task::new(json!({"type": "sample", "kind": "raw"}))).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Karton {
    backend: Backend,
    config: Arc<Config>,
    current: Option<Arc<Task>>,
    stop: CancellationToken,
    /// Inside a consumer: ends the wait for a server that is away.
    give_up: Option<CancellationToken>,
    /// In the place of Redis and S3, when a service is tested without them.
    #[cfg(any(test, feature = "test-util"))]
    kit: Option<Arc<crate::testing::Kit>>,
}

impl Karton {
    /// A producer under `identity` (`[karton] identity` wins). With a version the connection carries
    /// service information, so that dashboards list it among the services.
    ///
    /// # Errors
    /// When the configuration cannot be used or Redis does not answer.
    pub async fn connect(config: &Config, identity: &str, version: Option<&str>) -> Result<Self, Error> {
        let karton = Self::prepare(config, identity, version)?;
        karton.ping().await?;
        Ok(karton)
    }

    /// Like [`Karton::connect`], but contacts nothing: the first use does.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn prepare(config: &Config, identity: &str, version: Option<&str>) -> Result<Self, Error> {
        let identity = ServiceSettings::from_config(config, identity)?.identity;
        let name = version.map_or_else(|| identity.clone(), |version| ServiceInfo::new(&identity, Some(version)).to_name());
        Ok(Self::from_backend(Backend::new(config, &identity, &name)?, config))
    }

    pub(crate) fn from_backend(backend: Backend, config: &Config) -> Self {
        Self {
            backend,
            config: Arc::new(config.clone()),
            current: None,
            stop: CancellationToken::new(),
            give_up: None,
            #[cfg(any(test, feature = "test-util"))]
            kit: None,
        }
    }

    pub(crate) fn for_task(&self, task: Arc<Task>) -> Self {
        Self { current: Some(task), ..self.clone() }
    }

    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn with_kit(mut self, kit: Arc<crate::testing::Kit>) -> Self {
        self.kit = Some(kit);
        self
    }

    pub(crate) fn with_stop(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// What is sent waits for servers that are away until `give_up` is cancelled.
    pub(crate) fn patient_until(mut self, give_up: CancellationToken) -> Self {
        self.give_up = Some(give_up);
        self
    }

    /// Cancelled when the service is told to stop. A handler that waits for something should watch it
    /// and return [`HandBack`](crate::HandBack).
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The configuration of the process.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Asks Redis for a sign of life; opens the connection when there is none.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn ping(&self) -> Result<(), Error> {
        #[cfg(any(test, feature = "test-util"))]
        if self.kit.is_some() {
            return Ok(());
        }
        self.backend.ping().await
    }

    /// Who sends.
    pub fn identity(&self) -> &str {
        self.backend.identity()
    }

    /// The task in progress, inside a handler.
    pub fn current_task(&self) -> Option<&Task> {
        self.current.as_deref()
    }

    /// Sends a task: writes its record, uploads what is attached, and hands it to the broker. Gives
    /// the task as it was sent.
    ///
    /// Inside a handler it waits for as long as Redis or S3 is away, or until the service stops.
    ///
    /// # Errors
    /// Outside of a handler when Redis or S3 stay away for half a minute; when S3 fails at an attached file for so long
    /// while it answers others; when an attached file cannot be read. A task that was not handed over is not processed;
    /// sending it again is safe.
    pub async fn send_task(&self, task: Task) -> Result<Task, Error> {
        #[cfg(any(test, feature = "test-util"))]
        if let Some(kit) = &self.kit {
            return kit.send_task(task, self.current.as_deref(), self.identity()).await;
        }
        let mut patience = Patience::new(self.give_up.clone());
        self.backend.send_task(task, self.current.as_deref(), &mut patience).await
    }

    /// The record of a task; nothing when it is gone or cannot be read.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn task(&self, uid: &str) -> Result<Option<Task>, Error> {
        #[cfg(any(test, feature = "test-util"))]
        if self.kit.is_some() {
            return Ok(self.current_task().filter(|task| task.uid() == uid).cloned());
        }
        let records = self.backend.records(&[uid.to_owned()]).await?;
        Ok(records.into_iter().flatten().next().and_then(|record| crate::backend::read_task(uid, &record).ok()))
    }

    /// Whether S3 answers requests for the bucket of a resource, within some seconds. Tells an object that
    /// the server fails at from a server that is away, which [`Error::is_temporary`] cannot.
    pub async fn store_answers(&self, resource: &Resource) -> bool {
        #[cfg(any(test, feature = "test-util"))]
        if self.kit.is_some() {
            return true;
        }
        self.backend.storage().answers(resource).await
    }

    /// Starts a crashed task again: a fresh copy is queued for the service that had it and takes its
    /// place in the analysis. Gives the copy; nothing when the task is gone, is not crashed (any more),
    /// or never was a service's.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn restart(&self, uid: &str) -> Result<Option<Task>, Error> {
        #[cfg(any(test, feature = "test-util"))]
        if self.kit.is_some() {
            return Ok(None);
        }
        let records = self.backend.records(&[uid.to_owned()]).await?;
        let Some(record) = records.into_iter().flatten().next() else { return Ok(None) };
        let Ok(task) = crate::backend::read_task(uid, &record) else { return Ok(None) };
        if task.status() != TaskState::Crashed || task.header_str("receiver").is_none() {
            return Ok(None);
        }
        let (acted, copy) = self.backend.restart(&task, &record, false).await?;
        Ok(matches!(acted, Acted::Done(_)).then_some(copy))
    }

    /// Opens a resource for streaming.
    ///
    /// # Errors
    /// When S3 does not answer or has no such object.
    pub async fn open(&self, resource: &Resource) -> Result<ResourceReader, Error> {
        #[cfg(any(test, feature = "test-util"))]
        if let Some(kit) = &self.kit {
            let content = kit.read(resource, u64::MAX)?;
            let size = content.len() as u64;
            return Ok(ResourceReader::new(std::io::Cursor::new(content), Some(size)));
        }
        self.backend.storage().open(resource).await
    }

    /// Reads a whole resource of at most `limit` bytes into memory.
    ///
    /// # Errors
    /// When it is larger, or S3 does not answer or has no such object.
    pub async fn read(&self, resource: &Resource, limit: u64) -> Result<Bytes, Error> {
        #[cfg(any(test, feature = "test-util"))]
        if let Some(kit) = &self.kit {
            return kit.read(resource, limit);
        }
        self.backend.storage().read(resource, limit).await
    }

    /// Reads up to `length` bytes from `offset`.
    ///
    /// # Errors
    /// When S3 does not answer or has no such object.
    pub async fn read_range(&self, resource: &Resource, offset: u64, length: u64) -> Result<Bytes, Error> {
        #[cfg(any(test, feature = "test-util"))]
        if let Some(kit) = &self.kit {
            return kit.read_range(resource, offset, length);
        }
        self.backend.storage().read_range(resource, offset, length).await
    }

    /// Streams a resource into a file; gives the number of bytes.
    ///
    /// # Errors
    /// When S3 does not answer or has no such object, or the file cannot be written.
    pub async fn download(&self, resource: &Resource, path: impl AsRef<Path>) -> Result<u64, Error> {
        #[cfg(any(test, feature = "test-util"))]
        if let Some(kit) = &self.kit {
            return kit.download(resource, path.as_ref()).await;
        }
        self.backend.storage().download(resource, path.as_ref()).await
    }

    /// Streams a resource into a temporary file, which is removed when the returned handle is dropped.
    ///
    /// # Errors
    /// As [`Karton::download`].
    pub async fn download_temp(&self, resource: &Resource) -> Result<tempfile::NamedTempFile, Error> {
        let failed = |source| Error::File { path: std::env::temp_dir(), source };
        let file = tempfile::NamedTempFile::new().map_err(failed)?;
        self.download(resource, file.path()).await?;
        Ok(file)
    }

    /// Unpacks a resource that is a zip, as one made of a folder is, below `folder`: at most `limit`
    /// bytes in all. Entries that lead out of the folder are left out.
    ///
    /// # Errors
    /// As [`Karton::download`], and when it is no zip or holds more.
    pub async fn extract(&self, resource: &Resource, folder: impl AsRef<Path>, limit: u64) -> Result<(), Error> {
        let folder = folder.as_ref().to_owned();
        let failed = |source| Error::File { path: folder.clone(), source };
        let archive = self.download_temp(resource).await?;
        let to = folder.clone();
        let unpacked = tokio::task::spawn_blocking(move || crate::folder::unpack(archive.reopen()?, &to, limit)).await;
        unpacked.map_err(|error| failed(std::io::Error::other(error)))?.map_err(failed)
    }
}
