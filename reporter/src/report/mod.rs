//! From a task to objects in MWDB.
//!
//! [`Reporter::report`] is the whole work on one task. The one rule: everything may be done twice.
//! A task that was interrupted comes again, so each step asks or merges and never counts on being
//! the first.

mod blob;
mod change;
mod config;
mod error;
mod inputs;
mod object;
mod parent;
mod sample;
mod spool;
mod turns;
mod write;

use std::sync::Arc;

use karton_rs::{Karton, Resource, Task};

pub use change::Change;
pub use error::ReportError;

use crate::mwdb::{Client, ContentError, Opened};
use futures::future::BoxFuture;

/// Where the content of resources is read from.
pub trait Samples: Send + Sync {
    /// Opens a resource at its start. Its size is that of the content: what the task says may be wrong.
    fn open<'a>(&'a self, resource: &'a Resource) -> BoxFuture<'a, Result<Opened, ContentError>>;
}

impl Samples for Karton {
    fn open<'a>(&'a self, resource: &'a Resource) -> BoxFuture<'a, Result<Opened, ContentError>> {
        Box::pin(async move {
            match Self::open(self, resource).await {
                Ok(reader) => match reader.size() {
                    Some(size) => Ok(Opened::new(size, reader)),
                    None => spool::measured(reader).await,
                },
                Err(error) if !error.is_temporary() => Err(ContentError::broken(error.to_string())),
                // Status 500 for one object is no outage: the others must not wait for it. A refused key is one.
                Err(error) if !error.is_denied() && self.store_answers(resource).await => Err(ContentError::interrupted(error.to_string())),
                Err(error) => Err(ContentError::away(error.to_string())),
            }
        })
    }
}

/// What is reported, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Whether samples that nobody recognised are uploaded.
    pub report_unrecognized: bool,
    /// Whether an object that MWDB has is uploaded again. It then takes on further names and the groups
    /// of our account; without this only parent, tags, attributes and the analysis are added to it.
    pub upload_existing: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { report_unrecognized: false, upload_existing: true }
    }
}

/// Reports tasks to one MWDB; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reporter {
    mwdb: Client,
    options: Options,
    turns: Arc<turns::Turns>,
}

impl Reporter {
    /// Reports to `mwdb`.
    pub fn new(mwdb: Client, options: Options) -> Self {
        Self { mwdb, options, turns: Arc::default() }
    }

    /// Puts what a task brings into MWDB.
    ///
    /// # Errors
    /// When the task lacks something, or MWDB refuses.
    pub async fn report(&self, task: &Task, samples: &dyn Samples) -> Result<(), ReportError> {
        self.run(task, samples, None).await
    }

    /// Tells what [`Reporter::report`] would change, and changes nothing. MWDB is asked what it has,
    /// and files are looked for, so what would fail there fails here; only a file that MWDB finds too
    /// large is not known before it is sent.
    ///
    /// # Errors
    /// As [`Reporter::report`].
    pub async fn plan(&self, task: &Task, samples: &dyn Samples) -> Result<Vec<Change>, ReportError> {
        let plan = change::Plan::default();
        self.run(task, samples, Some(&plan)).await?;
        Ok(plan.into_changes())
    }

    async fn run(&self, task: &Task, samples: &dyn Samples, plan: Option<&change::Plan>) -> Result<(), ReportError> {
        let run = Run { mwdb: &self.mwdb, samples, task, options: &self.options, turns: &self.turns, plan };
        match task.header_str("type") {
            Some("sample") if task.header_str("stage") == Some("unrecognized") && !self.options.report_unrecognized => {
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
    options: &'a Options,
    turns: &'a turns::Turns,
    /// Where changes are noted instead of made.
    plan: Option<&'a change::Plan>,
}
