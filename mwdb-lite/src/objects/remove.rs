//! Deleting objects, content included. See MWDB API §O5.2.

use rusqlite::Connection;

use super::{Kind, access};
use crate::{auth::Caller, content::Store, db::objects as db, error::ApiResult};

/// Removes an object with all that belongs to it. Children stay. For a file, gives the hash of the
/// content that may now be discarded: after the commit, not before.
pub(crate) fn remove(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str) -> ApiResult<Option<String>> {
    let object = access::find(c, caller, kind, hash)?;
    db::delete(c, object.id)?;
    Ok((object.kind == Kind::File).then_some(object.dhash))
}

/// Removes content unless a file has it (again). A blob with the same hash keeps its text in the database.
pub(crate) fn discard_content(c: &Connection, store: &Store, sha256: &str) -> ApiResult<()> {
    if db::by_dhash(c, sha256)?.is_none_or(|object| object.kind != Kind::File) {
        store.discard(sha256)?;
    }
    Ok(())
}
