//! What can go wrong with a request to MWDB.
//!
//! The one rule: a message names the request and what MWDB said, never a token, a password or an
//! address with credentials in it.

use std::time::Duration;

use super::content::ContentError;

/// A request that MWDB did not fulfil.
#[derive(Debug, Clone, thiserror::Error)]
#[error("MWDB: {action}: {problem}")]
pub struct Error {
    action: String,
    problem: Problem,
}

/// Why a request was not fulfilled.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Nobody answers at the address.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server shows a certificate that we do not trust: whether it is the right server is not known.
    #[error("its certificate is refused: {0}; trust its authority on this machine, or do not check certificates")]
    Certificate(String),
    /// The connection broke before the answer was complete.
    #[error("connection broke: {0}")]
    Broken(String),
    /// Nothing moved for so long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// Status 500 or above, or 403 because of maintenance.
    #[error("not available (status {status}): {message}")]
    Unavailable {
        /// HTTP status.
        status: u16,
        /// What the server says.
        message: String,
    },
    /// Status 429.
    #[error("too many requests")]
    RateLimited {
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// Status 401: no token, or one that MWDB refuses.
    #[error("not authenticated: {0}")]
    NotAuthenticated(String),
    /// Status 404 with a word about an object, user or attribute.
    #[error("not found: {0}")]
    NotFound(String),
    /// Status 404 because this server has no such call, or is no MWDB.
    #[error("no such call at this address (is it that of an MWDB API, and does it end in /api/?): {0}")]
    EndpointNotFound(String),
    /// Status 413.
    #[error("too large for this server")]
    TooLarge,
    /// Status 409: the object exists with another type.
    #[error("exists with another type: {0}")]
    TypeConflict(String),
    /// Any other status.
    #[error("refused (status {status}): {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What the server says.
        message: String,
    },
    /// Not what the API promises.
    #[error("answer cannot be used: {0}")]
    BadAnswer(String),
    /// What says that all is well is no JSON, as the page with which a proxy excuses a server.
    #[error("answer cannot be used: it is not JSON: {0}")]
    NotJson(String),
    /// The content to upload cannot be read.
    #[error("content cannot be read: {0}")]
    Content(ContentError),
    /// Text that is no hash cannot name an object.
    #[error("{0:?} is not the id or hash of an object")]
    InvalidId(String),
    /// Waiting was given up because the process is told to stop.
    #[error("stopped while waiting")]
    Stopped,
}

impl Error {
    pub(super) fn new(action: impl Into<String>, problem: Problem) -> Self {
        Self { action: action.into(), problem }
    }

    /// Why.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// True when the same request may work later.
    pub fn is_temporary(&self) -> bool {
        use Problem::{Broken, Certificate, Content, NotJson, RateLimited, TimedOut, Unavailable, Unreachable};
        match &self.problem {
            // It may have expired, and be renewed.
            Certificate(_) | Unreachable(_) | Broken(_) | TimedOut(_) | Unavailable { .. } | NotJson(_) | RateLimited { .. } => true,
            Content(error) => error.is_temporary(),
            _ => false,
        }
    }

    /// True when it is about who we are, of a request to be let in.
    pub(super) fn refuses_us(&self) -> bool {
        matches!(self.problem, Problem::NotAuthenticated(_) | Problem::Refused { status: 403, .. })
    }

    /// True when the request may have been carried out all the same.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(self.problem, Problem::Broken(_) | Problem::TimedOut(_) | Problem::Unavailable { .. } | Problem::NotJson(_))
    }

    /// True when a server was not there at all, so that the request itself is above suspicion.
    pub(super) fn is_outage(&self) -> bool {
        match &self.problem {
            Problem::Certificate(_) | Problem::Unreachable(_) => true,
            Problem::Content(error) => error.is_away(),
            _ => false,
        }
    }
}
