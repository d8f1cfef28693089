//! How much may hang on one object, from all uploads and requests together.
//!
//! The one rule: it is asked for in the transaction that has added something, which a refusal undoes. What an older
//! database holds beyond it stays, and is in nobody's way who adds nothing.

use rusqlite::Connection;

use crate::{
    db::{attributes, metadata},
    error::{ApiError, ApiResult},
};

/// Tags, comments and attributes of one object, each.
const MOST: u64 = 10_000;
/// Bytes of the tags of one object: a list shows them of each.
const TAG_BYTES: u64 = 1 << 20;
/// Bytes of the comments of one object: its page reads them all.
const COMMENT_BYTES: u64 = 16 << 20;

pub(crate) fn for_tags(c: &Connection, object_id: i64) -> ApiResult<()> {
    let (count, bytes) = metadata::tags_held(c, object_id)?;
    at_most(count, MOST, "tags")?;
    at_most(bytes, TAG_BYTES, "bytes of tags")
}

pub(crate) fn for_comments(c: &Connection, object_id: i64) -> ApiResult<()> {
    let (count, bytes) = metadata::comments_held(c, object_id)?;
    at_most(count, MOST, "comments")?;
    at_most(bytes, COMMENT_BYTES, "bytes of comments")
}

pub(crate) fn for_attributes(c: &Connection, object_id: i64) -> ApiResult<()> {
    at_most(attributes::values_held(c, object_id)?, MOST, "attributes")
}

fn at_most(held: u64, most: u64, what: &str) -> ApiResult<()> {
    if held <= most { Ok(()) } else { Err(ApiError::BadRequest(format!("An object can have at most {most} {what}"))) }
}
