//! Lists of objects, newest first. See MWDB API §A1.6.

use rusqlite::Connection;

use super::{
    Kind, access,
    views::{self, ListItem},
};
use crate::{auth::Caller, db::objects as db, error::ApiResult, search};

/// Which page of which list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) query: String,
    pub(crate) older_than: Option<String>,
    pub(crate) offset: u64,
    pub(crate) count: u64,
}

pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, page: &Page) -> ApiResult<Vec<ListItem>> {
    let condition = search::condition(c, caller, kind, &page.query)?;
    let before = match &page.older_than {
        Some(hash) => Some(access::find(c, caller, None, hash)?.id),
        None => None,
    };
    let rows = db::page(c, caller, kind, condition, before, (page.offset, page.count))?;
    rows.iter().map(|row| views::list_item(c, row, kind.is_some())).collect()
}

pub(crate) fn count(c: &Connection, caller: &Caller, kind: Option<Kind>, query: &str) -> ApiResult<u64> {
    let condition = search::condition(c, caller, kind, query)?;
    Ok(db::count(c, caller, kind, condition)?)
}
