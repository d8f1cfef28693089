//! Groups and memberships. See MWDB API §U3.

use rusqlite::Connection;
use serde::Serialize;

use super::users::{no_user, refuse_pending};
use crate::{
    auth::{Caller, Capability, is_reserved},
    db::accounts::{self as db, GroupRow, UserRow},
    error::{ApiError, ApiResult},
};

/// A group as administrators see it.
#[derive(Debug, Serialize)]
pub(crate) struct GroupItem {
    name: String,
    capabilities: Vec<String>,
    private: bool,
    default: bool,
    workspace: bool,
    immutable: bool,
    users: Vec<String>,
    admins: Vec<String>,
}

fn item(c: &Connection, group: GroupRow) -> ApiResult<GroupItem> {
    Ok(GroupItem {
        users: db::members(c, group.id, false)?,
        admins: db::members(c, group.id, true)?,
        name: group.name,
        capabilities: group.capabilities,
        private: group.private,
        default: group.is_default,
        workspace: group.workspace,
        immutable: group.immutable,
    })
}

pub(crate) fn no_group() -> ApiError {
    ApiError::NotFound("No such group".to_owned())
}

fn find(c: &Connection, name: &str) -> ApiResult<GroupRow> {
    db::group(c, name)?.ok_or_else(no_group)
}

pub(crate) fn list(c: &Connection) -> ApiResult<Vec<GroupItem>> {
    db::groups(c)?.into_iter().map(|group| item(c, group)).collect()
}

/// The work groups of the caller, without the private one.
pub(crate) fn workspaces(c: &Connection, caller: &Caller) -> ApiResult<Vec<GroupItem>> {
    let own = db::groups_of(c, caller.id)?;
    own.into_iter().filter(|group| group.workspace && !group.private).map(|group| item(c, group)).collect()
}

pub(crate) fn detail(c: &Connection, name: &str) -> ApiResult<GroupItem> {
    item(c, find(c, name)?)
}

pub(crate) fn create(c: &Connection, name: &str, capabilities: Vec<String>) -> ApiResult<()> {
    refuse_taken(c, name)?;
    let group =
        GroupRow { id: 0, name: name.to_owned(), capabilities, private: false, is_default: false, workspace: true, immutable: false };
    db::insert_group(c, &group)?;
    Ok(())
}

fn refuse_taken(c: &Connection, name: &str) -> ApiResult<()> {
    if db::group(c, name)?.is_some() { Err(ApiError::Conflict("Group exists yet".to_owned())) } else { Ok(()) }
}

/// What to change; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub(crate) name: Option<String>,
    pub(crate) capabilities: Option<Vec<String>>,
    pub(crate) default: Option<bool>,
    pub(crate) workspace: Option<bool>,
    /// An identity provider, of which there are none.
    pub(crate) provider: Option<String>,
}

/// Gives the name the group has now.
pub(crate) fn update(c: &Connection, name: &str, changes: Changes) -> ApiResult<String> {
    let mut group = find(c, name)?;
    let given = [
        ("name", changes.name.is_some()),
        ("default", changes.default.is_some()),
        ("workspace", changes.workspace.is_some()),
        ("provider", changes.provider.is_some()),
    ];
    if let Some((field, _)) = given.into_iter().find(|(_, given)| *given && group.immutable) {
        return Err(ApiError::Forbidden(format!("Can't change '{field}', group is immutable")));
    }
    if let Some(provider) = changes.provider {
        return Err(ApiError::NotFound(format!("Provider name '{provider}' not found")));
    }
    if let Some(new_name) = changes.name
        && new_name != group.name
    {
        if is_reserved(&new_name) {
            return Err(reserved_name());
        }
        refuse_taken(c, &new_name)?;
        group.name = new_name;
    }
    group.capabilities = changes.capabilities.unwrap_or(group.capabilities);
    group.is_default = changes.default.unwrap_or(group.is_default);
    group.workspace = changes.workspace.unwrap_or(group.workspace);
    db::update_group(c, &group)?;
    Ok(group.name)
}

/// 400 for the name that no group may have: none of the routes would take it.
pub(crate) fn reserved_name() -> ApiError {
    ApiError::invalid("name", "Group cannot be named private")
}

fn immutable() -> ApiError {
    ApiError::Forbidden("Group is immutable, can't change group attributes or membership".to_owned())
}

pub(crate) fn remove(c: &Connection, name: &str) -> ApiResult<()> {
    let group = find(c, name)?;
    if group.immutable {
        return Err(immutable());
    }
    Ok(db::delete_group(c, group.id)?)
}

/// The checks that all changes of a membership share, in the order of the reference.
fn pair(c: &Connection, name: &str, login: &str) -> ApiResult<(GroupRow, UserRow)> {
    let group = find(c, name)?;
    if group.immutable {
        return Err(immutable());
    }
    let user = db::user(c, login)?.ok_or_else(no_user)?;
    refuse_pending(&user)?;
    Ok((group, user))
}

pub(crate) fn add_member(c: &Connection, name: &str, login: &str) -> ApiResult<()> {
    let (group, user) = pair(c, name, login)?;
    if db::membership(c, user.id, group.id)?.is_some() {
        return Err(ApiError::Conflict("User is already a member of this group".to_owned()));
    }
    Ok(db::add_member(c, user.id, group.id)?)
}

pub(crate) fn set_admin(c: &Connection, name: &str, login: &str, group_admin: bool) -> ApiResult<()> {
    let (group, user) = pair(c, name, login)?;
    if db::membership(c, user.id, group.id)?.is_none() {
        return Err(ApiError::NotFound("User is not a member of this group".to_owned()));
    }
    Ok(db::set_group_admin(c, user.id, group.id, group_admin)?)
}

/// For administrators and for those who administer this group.
pub(crate) fn remove_member(c: &Connection, caller: &Caller, name: &str, login: &str) -> ApiResult<()> {
    if !caller.has(Capability::ManageUsers) {
        let own = match db::group(c, name)? {
            Some(group) => db::membership(c, caller.id, group.id)?.unwrap_or(false),
            None => false,
        };
        if !own {
            return Err(ApiError::missing_capability(Capability::ManageUsers.name()));
        }
    }
    let group = find(c, name)?;
    if group.immutable {
        return Err(immutable());
    }
    if caller.login == login {
        return Err(ApiError::Forbidden("You can't remove yourself from the group.".to_owned()));
    }
    let (group, user) = pair(c, &group.name, login)?;
    if db::membership(c, user.id, group.id)?.is_none() {
        return Err(ApiError::Conflict("User is not a member of this group".to_owned()));
    }
    Ok(db::remove_member(c, user.id, group.id)?)
}
