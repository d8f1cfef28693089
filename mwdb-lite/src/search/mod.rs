//! The query language of listings, and where it meets SQL.
//!
//! [`condition`] is the only door: it turns the text of a `query` parameter into a condition on the
//! row `o` of `object`, with bound parameters. What the caller may see is joined by whoever asks.

use rusqlite::Connection;

use crate::{
    auth::Caller,
    db::Sql,
    error::{ApiError, ApiResult},
    objects::Kind,
};

/// The condition that `query` states for objects of `kind` (none: any), or nothing when it states none.
pub(crate) fn condition(_c: &Connection, _caller: &Caller, _kind: Option<Kind>, query: &str) -> ApiResult<Option<Sql>> {
    if query.is_empty() {
        return Ok(None);
    }
    Err(ApiError::BadRequest("This server does not search: list without `query`".to_owned()))
}
