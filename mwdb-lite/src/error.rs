//! What can go wrong in a request, and how the client is told.
//!
//! One enum, one responder: status and `{"message": ...}`. Business failures carry the text for the
//! client; internal ones are logged here, once, and the client learns nothing of them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocket::{
    Request, Response,
    http::{ContentType, Status},
    response::{self, Responder},
};
use serde::Serialize;

use crate::{mistakes::Mistakes, search::QueryError};

/// Result of everything that serves a request.
pub type ApiResult<T> = Result<T, ApiError>;

/// A request that is not answered with 200.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// 400
    #[error("{0}")]
    BadRequest(String),
    /// 400 of values that break the schema
    #[error("ValidationError: {0}")]
    Invalid(Mistakes),
    /// 400 of a query
    #[error("{0}")]
    Query(QueryError),
    /// 401
    #[error("Not authenticated.")]
    NotAuthenticated,
    /// 403
    #[error("{0}")]
    Forbidden(String),
    /// 404 of a thing. Its text must not contain the text of [`ApiError::NoRoute`]: clients tell them apart by it.
    #[error("{0}")]
    NotFound(String),
    /// 404 of a route
    #[error("The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.")]
    NoRoute,
    /// 405
    #[error("The method is not allowed for the requested URL.")]
    MethodNotAllowed,
    /// 409
    #[error("{0}")]
    Conflict(String),
    /// 413
    #[error("The data value transmitted exceeds the capacity limit.")]
    TooLarge,
    /// 416; carries the size of the whole
    #[error("Requested range not satisfiable")]
    RangeNotSatisfiable(u64),
    /// 429; carries how long to wait
    #[error("Too many requests, try again later")]
    TooManyRequests(Duration),
    /// 429 of who has all that one account may have at a time
    #[error("{0}")]
    TooManyAtOnce(String),
    /// 503
    #[error("{0}")]
    Unavailable(String),
    /// 500 of what needs a mail
    #[error("SMTP server needed to fulfill this request is not configured or unavailable.")]
    Mail(#[source] anyhow::Error),
    /// 500
    #[error("Internal server error")]
    Internal(#[source] anyhow::Error),
}

impl ApiError {
    /// What an operator reads: of an internal error everything that led to it.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Mail(error) | Self::Internal(error) => format!("{error:#}"),
            other => other.to_string(),
        }
    }

    /// 400 of one field.
    pub(crate) fn invalid(field: &str, reason: &str) -> Self {
        Self::Invalid(Mistakes::of(field, reason))
    }

    /// The same error, when the field is one of the document in `field`.
    pub(crate) fn inside(self, field: &str) -> Self {
        match self {
            Self::Invalid(mistakes) => Self::Invalid(mistakes.inside(field)),
            other => other,
        }
    }

    /// The same error, when the field is one of an item of the list in `field`.
    pub(crate) fn in_item(self, field: &str, index: usize) -> Self {
        match self {
            Self::Invalid(mistakes) => Self::Invalid(mistakes.in_item(field, index)),
            other => other,
        }
    }

    /// 404 of an object: one that does not exist, is hidden, or has another type.
    pub(crate) fn no_object() -> Self {
        Self::NotFound("Object not found".to_owned())
    }

    /// 403 for a missing capability.
    pub(crate) fn missing_capability(name: &str) -> Self {
        Self::Forbidden(format!("You don't have required capability ({name}) to perform this action"))
    }

    /// The status of the answer.
    pub fn status(&self) -> Status {
        match self {
            Self::BadRequest(_) | Self::Invalid(_) | Self::Query(_) => Status::BadRequest,
            Self::NotAuthenticated => Status::Unauthorized,
            Self::Forbidden(_) => Status::Forbidden,
            Self::NotFound(_) | Self::NoRoute => Status::NotFound,
            Self::MethodNotAllowed => Status::MethodNotAllowed,
            Self::Conflict(_) => Status::Conflict,
            Self::TooLarge => Status::PayloadTooLarge,
            Self::RangeNotSatisfiable(_) => Status::RangeNotSatisfiable,
            Self::TooManyRequests(_) | Self::TooManyAtOnce(_) => Status::TooManyRequests,
            Self::Unavailable(_) => Status::ServiceUnavailable,
            Self::Mail(_) | Self::Internal(_) => Status::InternalServerError,
        }
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        Self::of_database(&error).unwrap_or_else(|| Self::Internal(error.into()))
    }
}

impl ApiError {
    /// 503 where the database may do later what it does not now; nothing of other errors.
    pub(crate) fn of_database(error: &rusqlite::Error) -> Option<Self> {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code()? {
            Code::OperationInterrupted => Some(Self::Unavailable("The query took too long".to_owned())),
            Code::DatabaseBusy => Some(Self::Unavailable("The database is too busy".to_owned())),
            Code::DiskFull | Code::SystemIoFailure | Code::ReadOnly | Code::CannotOpen => Some(Self::of_disk("the database", &error)),
            _ => None,
        }
    }

    /// 503 while a disk takes nothing. Everybody who writes meets that, so the log is told once in a while.
    pub(crate) fn of_disk(what: &str, error: &dyn std::fmt::Display) -> Self {
        static TOLD: Mutex<Option<Instant>> = Mutex::new(None);
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            *told = Some(Instant::now());
            tracing::error!("{what}: {error}: uploads and changes are answered 503 until that is mended");
        } else {
            tracing::debug!("{what}: {error}");
        }
        Self::Unavailable("The server cannot store anything at the moment".to_owned())
    }
}

/// How often the log is told of a disk that takes nothing.
const TELL_EVERY: Duration = Duration::from_mins(1);

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

impl<'r> Responder<'r, 'static> for ApiError {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        if let Self::Mail(error) | Self::Internal(error) = &self {
            tracing::error!("{} {}: {error:#}", request.method(), request.uri().path());
        }
        let text = self.to_string();
        // A struct with one text always serialises.
        let body = serde_json::to_string(&Message { message: &text }).unwrap_or_else(|_| "{}".to_owned());
        let mut response = Response::build();
        response.status(self.status()).header(ContentType::JSON).sized_body(body.len(), std::io::Cursor::new(body));
        match self {
            Self::RangeNotSatisfiable(total) => {
                response.raw_header("Content-Range", format!("bytes */{total}"));
            }
            Self::TooManyRequests(wait) => {
                response.raw_header("Retry-After", wait.as_secs().saturating_add(1).to_string());
            }
            Self::Unavailable(_) | Self::TooManyAtOnce(_) => {
                response.raw_header("Retry-After", "5");
            }
            _ => {}
        }
        response.ok()
    }
}
