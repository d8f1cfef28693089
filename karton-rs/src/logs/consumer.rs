//! Receives the log records of all services. See Karton protocol §10.2.

use std::time::Duration;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::{
    backend::{Backend, ServiceInfo, keys},
    config::{Config, ServiceSettings},
    error::Error,
    json::Value,
    service::Outage,
};

/// How long nothing may come before the server is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);

/// A consumer of log records. Records published while nobody listens are gone.
///
/// ```no_run
/// use karton_rs::{Config, LogConsumer};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example() -> Result<(), karton_rs::Error> {
/// LogConsumer::new("karton.log-printer")
///     .level("error")
///     .run(&Config::load(None)?, CancellationToken::new(), |record| println!("{record}"))
///     .await
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct LogConsumer {
    identity: String,
    version: Option<String>,
    level: String,
    logger: String,
}

impl LogConsumer {
    /// Listens to all levels of all loggers.
    pub fn new(identity: &str) -> Self {
        Self { identity: identity.to_owned(), version: None, level: "*".to_owned(), logger: "*".to_owned() }
    }

    /// Version of the service.
    pub fn version(mut self, version: &str) -> Self {
        self.version = Some(version.to_owned());
        self
    }

    /// One level, or a glob of Redis.
    pub fn level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.level);
        self
    }

    /// One logger (an identity), or a glob of Redis.
    pub fn logger(mut self, logger: &str) -> Self {
        logger.clone_into(&mut self.logger);
        self
    }

    /// Calls `handler` with each record until `shutdown`; `task` in it is an object. While Redis is
    /// away it waits and tries again.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub async fn run(self, config: &Config, shutdown: CancellationToken, mut handler: impl FnMut(Value)) -> Result<(), Error> {
        let identity = ServiceSettings::of_loop(config, &self.identity)?.identity;
        let name = ServiceInfo::new(&identity, self.version.as_deref()).to_name();
        let backend = Backend::new(config, &identity, &name)?;
        let pattern = keys::log_channel(&self.level, &self.logger);
        let mut outage = Outage::default();
        while !shutdown.is_cancelled() {
            // A named connection beside the subscription makes the service visible.
            let open = async {
                backend.ping().await?;
                backend.redis().subscribe(&pattern).await
            };
            let opened = tokio::select! {
                opened = open => opened,
                () = shutdown.cancelled() => return Ok(()),
            };
            let subscription = match opened {
                Ok(subscription) => subscription,
                Err(error) => {
                    outage.wait(&error, &shutdown).await;
                    continue;
                }
            };
            outage.over();
            let mut messages = subscription.into_on_message();
            loop {
                // Silence may mean that nobody logs, or that the server is gone without a word.
                let silence = async {
                    tokio::time::sleep(SILENCE).await;
                    backend.ping().await
                };
                let message = tokio::select! {
                    message = messages.next() => message,
                    there = silence => match there {
                        Ok(()) => continue,
                        Err(_) => break,
                    },
                    () = shutdown.cancelled() => return Ok(()),
                };
                let Some(message) = message else { break };
                if let Some(record) = readable(message.get_payload_bytes()) {
                    handler(record);
                }
            }
        }
        Ok(())
    }
}

/// A record with its task as an object; what is not JSON is skipped.
fn readable(message: &[u8]) -> Option<Value> {
    let mut record = Value::parse(std::str::from_utf8(message).ok()?).ok()?;
    let fields = record.as_object_mut()?;
    if let Some(task) = fields.get("task").and_then(Value::as_str).and_then(|text| Value::parse(text).ok()) {
        fields.insert("task".to_owned(), task);
    }
    Some(record)
}
