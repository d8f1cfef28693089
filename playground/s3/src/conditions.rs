//! Conditional requests: `If-Match` and its relatives.
//!
//! The rule: `If-Match` wins over `If-Unmodified-Since`, `If-None-Match` over `If-Modified-Since`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

/// What a client requires of the object that it reads, or copies from.
#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "the names of the headers")]
pub(crate) struct ReadConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

impl ReadConditions {
    /// Refuses with 412, or with 304 where the client has the object already.
    pub(crate) fn check(&self, etag: &str, modified: SystemTime) -> S3Result<()> {
        let modified = whole_seconds(modified);
        if let Some(condition) = &self.if_match {
            if !matches(condition, etag) {
                return Err(s3_error!(PreconditionFailed));
            }
        } else if self.if_unmodified_since.as_ref().is_some_and(|limit| modified > *limit) {
            return Err(s3_error!(PreconditionFailed));
        }
        if let Some(condition) = &self.if_none_match {
            if matches(condition, etag) {
                return Err(s3_error!(NotModified));
            }
        } else if self.if_modified_since.as_ref().is_some_and(|limit| modified <= *limit) {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

/// What a client requires of the object that it replaces.
#[derive(Debug, Default)]
pub(crate) struct WriteConditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl WriteConditions {
    pub(crate) fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// `etag` is that of the object that is there now, if any.
    pub(crate) fn check(&self, etag: Option<&str>) -> S3Result<()> {
        let matched = |condition: &ETagCondition| etag.is_some_and(|etag| matches(condition, etag));
        if self.if_match.as_ref().is_some_and(|condition| !matched(condition)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if self.if_none_match.as_ref().is_some_and(matched) {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(())
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(wanted) | ETag::Weak(wanted)) => wanted == etag,
    }
}

/// HTTP dates have no fractions: what was answered as a date must compare equal to itself.
fn whole_seconds(time: SystemTime) -> Timestamp {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds))
}
