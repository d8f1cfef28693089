//! Comments. See MWDB API §O7.

use rusqlite::Connection;
use serde::Serialize;

use super::{Kind, access, room, text::check_longest};
use crate::{
    auth::Caller,
    db::metadata as db,
    error::{ApiError, ApiResult},
    timestamp::Timestamp,
};

/// Characters of a comment. Each is split for the index while nobody else can write.
const LONGEST: usize = 256 << 10;

#[derive(Debug, Serialize)]
pub(crate) struct CommentItem {
    id: i64,
    author: Option<String>,
    comment: String,
    timestamp: Timestamp,
}

/// Oldest first.
pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str) -> ApiResult<Vec<CommentItem>> {
    let object = access::find(c, caller, kind, hash)?;
    let rows = db::comments(c, object.id)?;
    Ok(rows.into_iter().map(|row| CommentItem { id: row.id, author: row.author, comment: row.comment, timestamp: row.timestamp }).collect())
}

pub(crate) fn add(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, comment: String) -> ApiResult<CommentItem> {
    check_longest("comment", &comment, LONGEST)?;
    let object = access::find(c, caller, kind, hash)?;
    let timestamp = Timestamp::now();
    let id = db::insert_comment(c, object.id, caller.id, &comment, timestamp)?;
    room::for_comments(c, object.id)?;
    Ok(CommentItem { id, author: Some(caller.login.clone()), comment, timestamp })
}

pub(crate) fn remove(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, id: i64) -> ApiResult<()> {
    let object = access::find(c, caller, kind, hash)?;
    if db::delete_comment(c, object.id, id)? { Ok(()) } else { Err(ApiError::NotFound("Comment not found".to_owned())) }
}
