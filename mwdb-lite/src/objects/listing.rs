//! Lists of objects, newest first. See MWDB API §A1.6.

use rusqlite::Connection;

use super::{
    Kind,
    views::{self, ListItem, ObjectRef},
};
use crate::{
    auth::Caller,
    error::ApiResult,
    search::{self, Counted},
};

/// Which page of which list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) query: String,
    /// The row that the page comes after.
    pub(crate) before: Option<i64>,
    pub(crate) offset: u64,
    pub(crate) count: u64,
}

pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, page: &Page) -> ApiResult<Vec<ListItem>> {
    let condition = search::condition(c, caller, kind, &page.query)?;
    let rows = search::page(c, caller, kind, &condition, page.before, (page.offset, page.count))?;
    rows.iter().map(|row| views::list_item(c, row, kind.is_some())).collect()
}

/// How many objects a query finds, to the last one.
pub(crate) fn count(c: &Connection, caller: &Caller, kind: Option<Kind>, query: &str) -> ApiResult<u64> {
    let condition = search::condition(c, caller, kind, query)?;
    Ok(search::count(c, caller, kind, &condition)?)
}

/// How many objects a query finds, or at least: a page does not wait for the number.
pub(crate) fn count_some(c: &Connection, caller: &Caller, kind: Option<Kind>, query: &str) -> ApiResult<Counted> {
    let condition = search::condition(c, caller, kind, query)?;
    Ok(search::count_some(c, caller, kind, &condition)?)
}

/// Results of the legacy search.
const MOST_FOUND: u64 = 10_000;

/// Everything that a query finds, of any type. See MWDB API §O11.
pub(crate) fn search(c: &Connection, caller: &Caller, query: &str) -> ApiResult<Vec<ObjectRef>> {
    let condition = search::condition(c, caller, None, query)?;
    views::references(c, &search::page(c, caller, None, &condition, None, (0, MOST_FOUND))?)
}
