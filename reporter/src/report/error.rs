//! Why a task cannot be reported.

use karton_rs::TaskError;

use crate::mwdb::{self, ContentError, Problem};

/// A task that cannot be reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Only samples, configs and blobs can.
    #[error("header `type` is none of sample, config, blob")]
    UnknownType,
    /// A header that must be there.
    #[error("task has no header `{0}`")]
    NoHeader(&'static str),
    /// A payload entry of a shape that cannot be reported.
    #[error("payload `{name}` {problem}")]
    Payload {
        /// Name of the entry.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Old configs kept large values elsewhere; MWDB no longer takes them.
    #[error("config has the key `store-in-gridfs`, which is no longer supported: embed a blob (`in-blob`) instead")]
    Gridfs,
    /// A payload entry is missing or no resource.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// MWDB did not do what we asked.
    #[error(transparent)]
    Mwdb(#[from] mwdb::Error),
    /// The content of a resource cannot be read.
    #[error("cannot read `{name}`: {source}")]
    Content {
        /// Name of the resource.
        name: String,
        /// Why.
        source: ContentError,
    },
    /// Waiting was given up because the process is told to stop.
    #[error("stopped while waiting")]
    Stopped,
}

impl ReportError {
    pub(super) fn payload(name: &str, problem: &'static str) -> Self {
        Self::Payload { name: name.to_owned(), problem }
    }

    /// True when nothing is wrong with the task: it should be tried again by somebody.
    pub fn is_interruption(&self) -> bool {
        match self {
            Self::Stopped => true,
            Self::Mwdb(error) => matches!(error.problem(), Problem::Stopped),
            _ => false,
        }
    }

    /// True when the same task may be reported later, though nobody knows when: MWDB failed at it,
    /// or the object store in the middle of a file.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Mwdb(error) => error.is_temporary(),
            Self::Content { source, .. } => source.is_temporary(),
            _ => false,
        }
    }
}
