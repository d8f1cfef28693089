//! Parents and children. See MWDB API §O8.

use rusqlite::Connection;
use serde::Serialize;

use super::{
    Kind, access,
    views::{self, ObjectRef},
};
use crate::{
    auth::Caller,
    db::relations::{self as db, Side},
    error::ApiResult,
};

#[derive(Debug, Serialize)]
pub(crate) struct Relations {
    parents: Vec<ObjectRef>,
    children: Vec<ObjectRef>,
}

pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str) -> ApiResult<Relations> {
    let object = access::find(c, caller, kind, hash)?;
    Ok(Relations {
        parents: views::references(c, &db::shown(c, caller, Side::Parents, object.id)?)?,
        children: views::references(c, &db::shown(c, caller, Side::Children, object.id)?)?,
    })
}

/// The type is that of the parent; the child is any object.
pub(crate) fn add(c: &Connection, caller: &Caller, kind: Option<Kind>, parent: &str, child: &str) -> ApiResult<()> {
    let parent = access::find(c, caller, kind, parent)?;
    let child = access::find(c, caller, None, child)?;
    access::link(c, parent.id, child.id)
}

pub(crate) fn remove(c: &Connection, caller: &Caller, kind: Option<Kind>, parent: &str, child: &str) -> ApiResult<()> {
    let parent = access::find(c, caller, kind, parent)?;
    let child = access::find(c, caller, None, child)?;
    access::unlink(c, parent.id, child.id)
}
