//! Sharing, and who sees whom as uploader. See MWDB API §U8.

use rusqlite::Connection;
use serde::Serialize;

use super::{Kind, access};
use crate::{
    auth::{Caller, Capability},
    db::{
        accounts,
        permissions::{self as db, ShareRow},
    },
    error::{ApiError, ApiResult},
    timestamp::Timestamp,
};

#[derive(Debug, Serialize)]
pub(crate) struct ShareItem {
    group_name: String,
    access_time: Timestamp,
    reason_type: String,
    related_object_dhash: Option<String>,
    related_object_type: Option<Kind>,
    related_user_login: Option<String>,
    access_reason: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Shares {
    groups: Vec<String>,
    shares: Vec<ShareItem>,
}

impl From<ShareRow> for ShareItem {
    fn from(row: ShareRow) -> Self {
        let access_reason = match (&row.related_dhash, row.related_kind, &row.related_login) {
            _ if row.reason == "migrated" => Some("Access was migrated from an older version".to_owned()),
            (Some(dhash), Some(kind), Some(login)) => Some(format!("{} {}:{dhash} by user:{login}", row.reason, kind.name())),
            // What caused it is gone: the keys stay, without values.
            _ => None,
        };
        Self {
            group_name: row.group_name,
            access_time: row.access_time,
            reason_type: row.reason,
            related_object_dhash: row.related_dhash,
            related_object_type: row.related_kind,
            related_user_login: row.related_login,
            access_reason,
        }
    }
}

/// Groups the caller may share with.
pub(crate) fn groups(c: &Connection, caller: &Caller) -> ApiResult<Vec<String>> {
    let own = (!caller.has(Capability::SharingWithAll)).then_some(caller.id);
    Ok(accounts::shareable_group_names(c, own)?)
}

pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str) -> ApiResult<Shares> {
    let object = access::find(c, caller, kind, hash)?;
    let mut groups = groups(c, caller)?;
    groups.retain(|name| *name != caller.login);
    let rows = db::shares(c, caller, object.id, true)?.into_iter().chain(db::shares(c, caller, object.id, false)?);
    Ok(Shares { groups, shares: rows.map(ShareItem::from).collect() })
}

/// Shares with a group; gives what is shared now, without the uploaders.
pub(crate) fn share(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, group: &str) -> ApiResult<Vec<ShareItem>> {
    let object = access::find(c, caller, kind, hash)?;
    let target = access::share_target(c, caller, group)?;
    if target.private && target.name == caller.login {
        return Err(ApiError::Forbidden("You can't share the object with your private group".to_owned()));
    }
    access::grant(c, &access::reason(&object, target.id, "shared", caller))?;
    Ok(db::shares(c, caller, object.id, false)?.into_iter().map(ShareItem::from).collect())
}
