//! From a task to objects in MWDB.
//!
//! [`Reporter::report`] is the whole work on one task. The one rule: everything may be done twice.
//! A task that was interrupted comes again, so each step asks or merges and never counts on being
//! the first.

mod blob;
mod config;
mod error;
mod inputs;
mod object;
mod parent;
mod sample;
mod spool;

use karton_rs::{Karton, Resource, Task};

pub use error::ReportError;

use crate::mwdb::{Client, ContentError, Reader};
use futures::future::BoxFuture;

/// Where the content of resources is read from.
pub trait Samples: Send + Sync {
    /// Opens a resource at its start.
    fn open<'a>(&'a self, resource: &'a Resource) -> BoxFuture<'a, Result<Reader, ContentError>>;
}

impl Samples for Karton {
    fn open<'a>(&'a self, resource: &'a Resource) -> BoxFuture<'a, Result<Reader, ContentError>> {
        Box::pin(async move {
            match Self::open(self, resource).await {
                Ok(reader) => Ok(Box::new(reader) as Reader),
                Err(error) if error.is_temporary() => Err(ContentError::away(error.to_string())),
                Err(error) => Err(ContentError::broken(error.to_string())),
            }
        })
    }
}

/// Reports tasks to one MWDB.
#[derive(Debug, Clone)]
pub struct Reporter {
    mwdb: Client,
    report_unrecognized: bool,
}

impl Reporter {
    /// Reports to `mwdb`; samples of stage `unrecognized` only when `report_unrecognized`.
    pub fn new(mwdb: Client, report_unrecognized: bool) -> Self {
        Self { mwdb, report_unrecognized }
    }

    /// Puts what a task brings into MWDB.
    ///
    /// # Errors
    /// When the task lacks something, or MWDB refuses.
    pub async fn report(&self, task: &Task, samples: &dyn Samples) -> Result<(), ReportError> {
        let run = Run { mwdb: &self.mwdb, samples, task };
        match task.header_str("type") {
            Some("sample") if task.header_str("stage") == Some("unrecognized") && !self.report_unrecognized => {
                tracing::info!("Unrecognized sample is not reported");
                Ok(())
            }
            Some("sample") => run.sample().await,
            Some("config") => run.config().await,
            Some("blob") => run.blob().await,
            _ => Err(ReportError::UnknownType),
        }
    }
}

/// The work on one task.
struct Run<'a> {
    mwdb: &'a Client,
    samples: &'a dyn Samples,
    task: &'a Task,
}
