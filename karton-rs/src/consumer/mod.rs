//! The consumer: takes the tasks that its bind asks for and runs a handler on each.
//!
//! The one rule: a task that was taken is always accounted for. It ends Finished or Crashed, goes
//! back to its queue, or is put into quarantine with the reason. See Karton protocol §8.

mod ahead;
mod builder;
mod claims;
mod ends;
pub(crate) mod handler;
mod queue;
mod retry;
mod run;
#[cfg(test)]
pub(crate) mod vectors;
mod work;

pub use builder::ConsumerBuilder;
pub(crate) use claims::{lease_timeout, max_deliveries};
pub use retry::RetryPolicy;
pub use run::StopReason;
pub(crate) use run::longest_stop;

use handler::Handler;

/// A service that processes tasks.
///
/// ```no_run
/// use karton_rs::{Config, Consumer, Task};
/// use serde_json::json;
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example() -> anyhow::Result<()> {
/// Consumer::new("karton.demo")
///     .filters(json!([{"type": "sample", "stage": "recognized"}]))
///     .process(|karton, task| async move {
///         let sample = task.resource("sample")?;
///         let mut result = Task::new(json!({"type": "sample", "stage": "analyzed"}));
///         result.set_payload("parent", sample.to_value());
///         karton.send_task(result).await?;
///         Ok(())
///     })
///     .run(&Config::load(None)?, CancellationToken::new())
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Consumer {
    pub(crate) options: ConsumerBuilder,
    pub(crate) handler: Handler,
}

impl Consumer {
    /// Under which it takes tasks, unless `[karton] identity` names another.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.options.identity
    }
}

/// Returned by a handler that could not work on its task now, though nothing is wrong with it: the
/// task goes back to the head of its queue instead of crashing. For use when the service stops.
///
/// ```
/// # fn example() -> anyhow::Result<()> {
/// return Err(karton_rs::HandBack("stopped while waiting for the server".into()).into());
/// # }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("handed back: {0}")]
pub struct HandBack(pub String);
