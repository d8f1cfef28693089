//! Who sees what: finding objects, granting access, taking inherited access back. See MWDB API §U7.

use std::collections::{HashSet, VecDeque};

use rusqlite::Connection;

use super::Kind;
use crate::{
    auth::{Caller, Capability},
    db::{
        accounts::{self, GroupRow},
        objects::{self as db, ObjectRow},
        permissions::{self, PermissionRow},
        relations::{self, Side},
    },
    error::{ApiError, ApiResult},
};

/// The object a client names, if the caller sees it. Hidden objects are missing objects.
///
/// Whoever holds `share_queried_objects` gets access by asking; that writes, so on a connection that
/// only reads the object is missing, and the request is made again where it can be written.
pub(crate) fn find(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str) -> ApiResult<ObjectRow> {
    let found = db::by_identifier(c, kind, &hash.to_ascii_lowercase())?;
    for object in &found {
        if db::is_visible(c, caller, object.id)? {
            return Ok(object.clone());
        }
    }
    if caller.has(Capability::ShareQueriedObjects)
        && !c.is_readonly("main")?
        && let Some(object) = found.into_iter().next()
    {
        for group in caller.groups.iter().filter(|group| group.shares_queried) {
            grant(c, &reason(&object, group.id, "queried", caller))?;
        }
        return Ok(object);
    }
    Err(ApiError::no_object())
}

/// A row that says that `caller` gave `group_id` access to `object`.
pub(crate) fn reason(object: &ObjectRow, group_id: i64, reason: &str, caller: &Caller) -> PermissionRow {
    PermissionRow {
        object_id: object.id,
        group_id,
        reason: reason.to_owned(),
        related_object: Some(object.id),
        related_user: Some(caller.id),
    }
}

/// Gives a group access to an object and all that descends from it. Where the group had access
/// already nothing changes, and its descendants are left alone.
pub(crate) fn grant(c: &Connection, row: &PermissionRow) -> ApiResult<()> {
    let mut queue = VecDeque::from([row.object_id]);
    while let Some(object_id) = queue.pop_front() {
        if permissions::insert(c, &PermissionRow { object_id, ..row.clone() })? {
            queue.extend(relations::ids(c, Side::Children, object_id)?);
        }
    }
    Ok(())
}

/// Links two objects; the child inherits what the parent's groups see.
pub(crate) fn link(c: &Connection, parent: i64, child: i64) -> ApiResult<()> {
    if relations::insert(c, parent, child)? {
        for row in permissions::of_object(c, parent)? {
            grant(c, &PermissionRow { object_id: child, ..row })?;
        }
    }
    Ok(())
}

/// Unlinks two objects; the child and its descendants lose what they had through the parent alone.
pub(crate) fn unlink(c: &Connection, parent: i64, child: i64) -> ApiResult<()> {
    if !relations::exists(c, parent, child)? {
        return Ok(());
    }
    if parent != child {
        for row in permissions::of_object(c, parent)? {
            disinherit(c, child, &row)?;
        }
    }
    Ok(relations::delete(c, parent, child)?)
}

/// An object whose descendants are being worked on.
struct Visit {
    own: PermissionRow,
    /// The row of another parent, from which the access is inherited from now on.
    devisor: Option<PermissionRow>,
    children: Vec<i64>,
}

/// Takes `from`, a row of a parent, back from `child` and its descendants, children before parents
/// (MWDB API §U7.3). The stack is our own: a chain may be longer than a thread's.
fn disinherit(c: &Connection, child: i64, from: &PermissionRow) -> ApiResult<()> {
    let mut visited = HashSet::new();
    let mut stack = Vec::new();
    stack.extend(enter(c, child, from, None, &mut visited)?);
    while let Some(visit) = stack.last_mut() {
        if let Some(next) = visit.children.pop() {
            let (own, devisor) = (visit.own.clone(), visit.devisor.clone());
            stack.extend(enter(c, next, &own, devisor, &mut visited)?);
            continue;
        }
        match &visit.devisor {
            None => permissions::delete(c, visit.own.object_id, visit.own.group_id)?,
            Some(devisor) => permissions::take_reason(c, &visit.own, devisor)?,
        }
        stack.pop();
    }
    Ok(())
}

fn enter(
    c: &Connection,
    object_id: i64,
    from: &PermissionRow,
    mut devisor: Option<PermissionRow>,
    visited: &mut HashSet<i64>,
) -> ApiResult<Option<Visit>> {
    let same = |row: &PermissionRow| row.related_object == from.related_object && row.reason == from.reason;
    if !visited.insert(object_id) {
        return Ok(None);
    }
    let Some(own) = permissions::of_group(c, object_id, from.group_id)?.filter(same) else { return Ok(None) };
    if own.related_object == Some(object_id) {
        // Given to the object itself; only a cycle makes it look inherited.
        return Ok(None);
    }
    if devisor.is_none() {
        for parent in relations::ids(c, Side::Parents, object_id)? {
            if parent == from.object_id {
                continue;
            }
            if let Some(row) = permissions::of_group(c, parent, from.group_id)? {
                if same(&row) {
                    return Ok(None);
                }
                // The parent that it was linked to first.
                devisor.get_or_insert(row);
            }
        }
    }
    let mut children = relations::ids(c, Side::Children, object_id)?;
    // Taken from the end.
    children.reverse();
    Ok(Some(Visit { own, devisor, children }))
}

/// The groups that an upload is shared with (MWDB API §U7.1).
pub(crate) fn upload_groups(c: &Connection, caller: &Caller, upload_as: &str) -> ApiResult<Vec<i64>> {
    let private = caller.groups.iter().find(|group| group.private).map(|group| group.id);
    match upload_as {
        "*" => Ok(caller.groups.iter().filter(|group| group.workspace).map(|group| group.id).collect()),
        "private" => Ok(private.into_iter().collect()),
        name => {
            let group = share_target(c, caller, name)?.id;
            Ok(private.into_iter().filter(|private| *private != group).chain([group]).collect())
        }
    }
}

/// A group that the caller may share with: an own one, or any with `sharing_with_all`.
pub(crate) fn share_target(c: &Connection, caller: &Caller, name: &str) -> ApiResult<GroupRow> {
    let missing = || ApiError::NotFound(format!("Group {name} doesn't exist"));
    let group = accounts::group(c, name)?.ok_or_else(missing)?;
    let allowed = caller.is_member(group.id) || caller.has(Capability::SharingWithAll);
    if !allowed || accounts::is_of_pending_user(c, &group)? {
        return Err(missing());
    }
    Ok(group)
}
