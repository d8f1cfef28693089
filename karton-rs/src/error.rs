//! What can go wrong when talking to Redis and S3; messages say which server and what was asked of it.

use crate::{config::ConfigError, filters::FilterError, resource::ResourceError, task::TaskError};

/// An error of this crate.
///
/// ```
/// use karton_rs::{Error, TaskError};
///
/// let error = Error::from(TaskError::NoPayload("sample".to_owned()));
/// assert_eq!(error.to_string(), "task has no payload `sample`");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Redis cannot be reached or refused a command.
    #[error("redis at {server}: {}", crate::backend::reason(source))]
    Redis {
        /// Address of the server, without credentials.
        server: String,
        /// What happened.
        source: redis::RedisError,
    },
    /// The object store cannot be reached or refused a request.
    #[error("S3 at {server}: cannot {action}: {reason}")]
    Storage {
        /// Address of the server.
        server: String,
        /// What was asked of it.
        action: String,
        /// What it answered.
        reason: String,
        /// The kind of failure, to decide on.
        kind: StorageErrorKind,
    },
    /// A record is no task, or a task lacks something.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// A file cannot become a resource.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// A filter cannot be evaluated.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A file on this machine cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The system has no thread for what needs one.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    /// A bind in Redis cannot be read.
    #[error("bind of `{identity}`: {problem}")]
    Bind {
        /// Whose bind.
        identity: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another service has registered a different bind under our identity.
    #[error("a different bind was registered for `{0}`")]
    BindReplaced(String),
    /// Waiting was given up because the process is told to stop.
    #[error("stopped while {0}")]
    Stopped(String),
}

/// What kind of storage failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageErrorKind {
    /// The object or bucket does not exist.
    NotFound,
    /// Nobody answers, or not in time: worth another try later.
    Unreachable,
    /// The content is larger than the caller allows.
    TooLarge {
        /// Its bytes, when the server tells.
        size: Option<u64>,
    },
    /// The server refused the request.
    Refused,
    /// The server refuses our key, or has no such bucket as the configuration names: whatever is asked of it fails
    /// until somebody puts that right.
    Denied,
}

impl Error {
    /// True when trying again later can help: a server is away, full, not ready, or refuses a login that was good
    /// before; it is not that a request is wrong.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Redis { source, .. } => crate::backend::is_outage(source),
            Self::Storage { kind, .. } => matches!(kind, StorageErrorKind::Unreachable | StorageErrorKind::Denied),
            _ => false,
        }
    }

    /// True when a server refuses our login, or what its user may do: that concerns no single request, and is worth
    /// waiting for until somebody puts it right.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Redis { source, .. } => crate::backend::is_denied(source),
            Self::Storage { kind, .. } => *kind == StorageErrorKind::Denied,
            _ => false,
        }
    }
}

/// Failures of single items of a piece of work of which the others go on.
#[derive(Debug, Default)]
pub(crate) struct Failures(Option<Error>);

impl Failures {
    /// Keeps a failure that is about this task; one that all others will meet too is given back.
    pub(crate) fn note(&mut self, uid: &str, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Err(error) if !error.is_temporary() => {
                tracing::debug!(task = uid, "{error}");
                self.0.get_or_insert(error);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The first of them, when all is done.
    pub(crate) fn first(self) -> Result<(), Error> {
        self.0.map_or(Ok(()), Err)
    }
}
