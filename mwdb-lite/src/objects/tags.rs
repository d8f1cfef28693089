//! Tags. See MWDB API §O6.

use rusqlite::Connection;

use super::{
    Kind, access, room,
    text::{HAS_NUL, check_longest, trimmed},
    views::{self, TagItem},
};
use crate::{
    auth::Caller,
    db::metadata as db,
    error::{ApiError, ApiResult},
};

/// Characters of a tag: the index of MWDB's database takes about as much.
const LONGEST: usize = 4096;

/// Lower case without blanks around; nothing left is no tag.
pub(crate) fn normalise(tag: &str) -> ApiResult<String> {
    let normal = trimmed(&tag.to_lowercase()).to_owned();
    if normal.is_empty() { Err(ApiError::invalid("tag", "Tag cannot be empty")) } else { Ok(normal) }
}

/// A tag that may be added.
pub(crate) fn valid(tag: &str) -> ApiResult<String> {
    let normal = normalise(tag)?;
    check_longest("tag", &normal, LONGEST)?;
    if normal.contains('\0') {
        return Err(ApiError::invalid("tag", HAS_NUL));
    }
    Ok(normal)
}

pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str) -> ApiResult<Vec<TagItem>> {
    views::tags(c, access::find(c, caller, kind, hash)?.id)
}

pub(crate) fn add(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, tag: &str) -> ApiResult<Vec<TagItem>> {
    let object = access::find(c, caller, kind, hash)?;
    put(c, object.id, &[tag])?;
    views::tags(c, object.id)
}

/// Adds tags to an object, as far as there is room for them.
pub(crate) fn put(c: &Connection, object_id: i64, tags: &[impl AsRef<str>]) -> ApiResult<()> {
    let mut added = false;
    for tag in tags {
        added |= db::add_tag(c, object_id, tag.as_ref())?;
    }
    if added { room::for_tags(c, object_id) } else { Ok(()) }
}

pub(crate) fn remove(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, tag: &str) -> ApiResult<Vec<TagItem>> {
    let object = access::find(c, caller, kind, hash)?;
    db::remove_tag(c, object.id, tag)?;
    views::tags(c, object.id)
}

/// Tags for completion.
pub(crate) fn complete(c: &Connection, caller: &Caller, prefix: &str, count: Option<u64>) -> ApiResult<Vec<TagItem>> {
    Ok(db::tags_with_prefix(c, caller, prefix, count)?.into_iter().map(|tag| TagItem { tag }).collect())
}
