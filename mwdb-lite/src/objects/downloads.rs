//! Which file a download token opens. See MWDB API §O12.

use rusqlite::Connection;

use super::Kind;
use crate::{
    db::objects as db,
    error::{ApiError, ApiResult},
};

/// The file of a token, when `identifier` is one of its hashes. The token is the permission.
pub(crate) fn by_token(c: &Connection, sha256: &str, identifier: &str) -> ApiResult<Option<String>> {
    let Some(object) = db::by_dhash(c, sha256)?.filter(|object| object.kind == Kind::File) else { return Ok(None) };
    let file = db::file(c, object.id)?;
    let names = [&object.dhash, &file.md5, &file.sha1, &file.sha512];
    let known = names.into_iter().any(|name| name == identifier);
    Ok(known.then_some(object.dhash))
}

/// The name of a file inside its zip.
pub(crate) fn entry_name(c: &Connection, sha256: &str) -> ApiResult<String> {
    let object = db::by_dhash(c, sha256)?.ok_or_else(ApiError::no_object)?;
    let name = db::file(c, object.id)?.file_name;
    // A name of nothing but odd characters has nothing left.
    Ok(if name.is_empty() { object.dhash } else { name })
}
