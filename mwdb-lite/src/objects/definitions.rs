//! Definitions of attribute keys, and who may read and set them. See MWDB API §O9.1.

use std::sync::Arc;

use rusqlite::Connection;
use serde::Serialize;

use crate::{
    accounts::groups::no_group,
    auth::{Caller, Capability},
    db::{
        accounts,
        attributes::{self as db, DefinitionRow, Right, RightRow},
    },
    error::{ApiError, ApiResult},
    state::App,
};

#[derive(Debug, Serialize)]
pub(crate) struct Definition {
    pub(crate) key: String,
    pub(crate) label: String,
    pub(crate) description: String,
    pub(crate) url_template: String,
    pub(crate) rich_template: String,
    pub(crate) example_value: String,
    pub(crate) hidden: bool,
}

impl From<DefinitionRow> for Definition {
    fn from(row: DefinitionRow) -> Self {
        Self {
            key: row.key,
            label: row.label,
            description: row.description,
            url_template: row.url_template,
            rich_template: row.rich_template,
            example_value: row.example_value,
            hidden: row.hidden,
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Rights {
    pub(crate) group_name: String,
    pub(crate) can_read: bool,
    pub(crate) can_set: bool,
}

impl From<RightRow> for Rights {
    fn from(row: RightRow) -> Self {
        Self { group_name: row.group_name, can_read: row.can_read, can_set: row.can_set }
    }
}

/// Which definitions a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Set,
    Manage,
}

pub(crate) fn list(c: &Connection, caller: &Caller, access: Access) -> ApiResult<Vec<Definition>> {
    let rows = match access {
        Access::Read => db::definitions_for(c, caller, Right::Read, false)?,
        Access::Set => db::definitions_for(c, caller, Right::Set, true)?,
        Access::Manage => {
            caller.require(Capability::ManageUsers)?;
            db::definitions(c)?
        }
    };
    Ok(rows.into_iter().map(Definition::from).collect())
}

fn no_key() -> ApiError {
    ApiError::NotFound("Attribute key doesn't exist".to_owned())
}

fn find(c: &Connection, key: &str) -> ApiResult<DefinitionRow> {
    db::definition(c, key)?.ok_or_else(no_key)
}

pub(crate) fn detail(c: &Connection, key: &str) -> ApiResult<Definition> {
    Ok(find(c, key)?.into())
}

pub(crate) fn create(c: &Connection, row: DefinitionRow) -> ApiResult<Definition> {
    if db::definition(c, &row.key)?.is_some() {
        return Err(ApiError::Conflict("Attribute key is already defined".to_owned()));
    }
    db::put_definition(c, &row)?;
    Ok(row.into())
}

/// What to change; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub(crate) label: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) url_template: Option<String>,
    pub(crate) rich_template: Option<String>,
    pub(crate) example_value: Option<String>,
    pub(crate) hidden: Option<bool>,
}

pub(crate) fn update(c: &Connection, key: &str, changes: Changes) -> ApiResult<Definition> {
    let mut row = find(c, key)?;
    row.label = changes.label.unwrap_or(row.label);
    row.description = changes.description.unwrap_or(row.description);
    row.url_template = changes.url_template.unwrap_or(row.url_template);
    row.rich_template = changes.rich_template.unwrap_or(row.rich_template);
    row.example_value = changes.example_value.unwrap_or(row.example_value);
    row.hidden = changes.hidden.unwrap_or(row.hidden);
    db::put_definition(c, &row)?;
    Ok(row.into())
}

/// Values that are removed at once.
const BATCH: usize = 1000;

/// Removes a key: its rights first, so that those who had one add no more, then its values, some at a
/// time so that others can write in between. What a crash leaves is a key that can be removed again.
pub(crate) async fn remove(app: &App, caller: &Arc<Caller>, key: String) -> ApiResult<()> {
    loop {
        let key = key.clone();
        let batch = app.change(caller, move |c, _| {
            find(c, &key)?;
            db::delete_rights(c, &key)?;
            let removed = db::delete_values(c, &key, BATCH)?;
            if removed < BATCH {
                db::delete_definition(c, &key)?;
            }
            Ok(removed)
        });
        if batch.await? < BATCH {
            return Ok(());
        }
    }
}

pub(crate) fn rights(c: &Connection, key: &str) -> ApiResult<Vec<Rights>> {
    find(c, key)?;
    Ok(db::rights(c, key)?.into_iter().map(Rights::from).collect())
}

pub(crate) fn set_rights(c: &Connection, key: &str, rights: Rights) -> ApiResult<()> {
    find(c, key)?;
    let group = accounts::group(c, &rights.group_name)?.ok_or_else(no_group)?;
    Ok(db::put_right(c, key, group.id, rights.can_read, rights.can_set)?)
}

pub(crate) fn remove_rights(c: &Connection, key: &str, group_name: &str) -> ApiResult<()> {
    let group = accounts::group(c, group_name)?.ok_or_else(no_group)?;
    if db::delete_right(c, key, group.id)? {
        Ok(())
    } else {
        Err(ApiError::NotFound("Group has no rights on this attribute key".to_owned()))
    }
}
