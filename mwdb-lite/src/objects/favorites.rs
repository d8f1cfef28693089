//! Favourites and the flag for third parties: one bit each. See MWDB API §O5.3 and §O5.4.

use rusqlite::Connection;

use super::access;
use crate::{
    auth::Caller,
    db::{metadata, objects},
    error::ApiResult,
};

pub(crate) fn set(c: &Connection, caller: &Caller, hash: &str, favorite: bool) -> ApiResult<()> {
    let object = access::find(c, caller, None, hash)?;
    Ok(metadata::set_favorite(c, caller.id, object.id, favorite)?)
}

/// Once set, the flag stays.
pub(crate) fn allow_3rd_party(c: &Connection, caller: &Caller, hash: &str) -> ApiResult<()> {
    let object = access::find(c, caller, None, hash)?;
    Ok(objects::allow_3rd_party(c, object.id)?)
}
