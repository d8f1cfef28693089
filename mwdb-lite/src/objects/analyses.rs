//! Which analyses an object has. Their state is Karton's to tell. See MWDB API §K4 to §K6.

use karton_rs::json::{Map, Value};
use rusqlite::Connection;

use super::{Kind, access, options::check_arguments};
use crate::{
    auth::Caller,
    db::analyses::{self as db, AnalysisRow},
    error::{ApiError, ApiResult},
};

/// How many analyses one reply holds.
const PAGE: u32 = 10;

/// The newest analyses of an object, and the page asked for.
pub(crate) struct Page {
    pub(crate) newest: Vec<AnalysisRow>,
    /// None: the newest are the page.
    pub(crate) older: Option<Vec<AnalysisRow>>,
}

pub(crate) fn page(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, older_than: Option<&str>) -> ApiResult<Page> {
    let object = access::find(c, caller, kind, hash)?;
    let older = match older_than {
        None => None,
        Some(id) => Some(match db::creation_time(c, &parse_id("older_than", id)?)? {
            Some(time) => db::newest(c, object.id, Some(time), PAGE)?,
            None => Vec::new(),
        }),
    };
    Ok(Page { newest: db::newest(c, object.id, None, PAGE)?, older })
}

/// A page of analyses for people, newest first, and whether there are more.
pub(crate) fn shown(c: &Connection, caller: &Caller, hash: &str, older_than: Option<&str>) -> ApiResult<(Vec<AnalysisRow>, bool)> {
    let object = access::find(c, caller, None, hash)?;
    let before = match older_than {
        None => None,
        Some(id) => Some(db::of_object(c, object.id, id)?.ok_or_else(no_analysis)?.creation_time),
    };
    // One more than is shown tells whether there are more.
    let mut rows = db::newest(c, object.id, before, PAGE + 1)?;
    let more = rows.len() > PAGE as usize;
    rows.truncate(PAGE as usize);
    Ok((rows, more))
}

fn no_analysis() -> ApiError {
    ApiError::NotFound("Karton analysis not found".to_owned())
}

pub(crate) fn detail(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, id: &str) -> ApiResult<AnalysisRow> {
    let object = access::find(c, caller, kind, hash)?;
    db::of_object(c, object.id, &parse_id("analysis_id", id)?)?.ok_or_else(no_analysis)
}

/// Gives an object an analysis, recording it when it is not known.
pub(crate) fn assign_known(c: &Connection, id: &str, object_id: i64) -> ApiResult<()> {
    db::insert(c, id, "{}")?;
    Ok(db::assign(c, id, object_id)?)
}

/// The id in its canonical form. It is judged after the object: a missing object is 404, whatever the id.
pub(crate) fn assignable(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, id: &str) -> ApiResult<String> {
    access::find(c, caller, kind, hash)?;
    parse_id("analysis_id", id)
}

/// Gives an object an analysis that is [`assignable`].
pub(crate) fn assign(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, id: &str) -> ApiResult<AnalysisRow> {
    let object = access::find(c, caller, kind, hash)?;
    assign_known(c, id, object.id)?;
    db::of_object(c, object.id, id)?.ok_or_else(no_analysis)
}

pub(crate) fn unassign(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, id: &str) -> ApiResult<()> {
    let object = access::find(c, caller, kind, hash)?;
    let id = parse_id("analysis_id", id)?;
    if db::unassign(c, &id, object.id)? { Ok(()) } else { Err(no_analysis()) }
}

/// A new analysis of an object, announced like that of an upload.
pub(crate) fn reanalyze(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, arguments: Map) -> ApiResult<AnalysisRow> {
    check_arguments(&arguments)?;
    let object = access::find(c, caller, kind, hash)?;
    let id = uuid::Uuid::new_v4().to_string();
    db::insert(c, &id, &Value::Object(arguments).to_json())?;
    db::assign(c, &id, object.id)?;
    db::announce_later(c, &id, object.id, &caller.feed_quality)?;
    db::of_object(c, object.id, &id)?.ok_or_else(no_analysis)
}

/// A UUID in any notation, in the canonical one.
pub(crate) fn parse_id(field: &str, text: &str) -> ApiResult<String> {
    uuid::Uuid::try_parse(text).map(|id| id.to_string()).map_err(|_| ApiError::invalid(field, "Not a valid UUID."))
}
