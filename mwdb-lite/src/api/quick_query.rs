//! Saved searches and statistics. See MWDB API §O13 and §O3.4.

use rocket::{Route, State, delete, get, post, serde::json::Json};
use serde::Serialize;

use super::{
    body::Body,
    params::{Query, RowId, Type},
    together::Together,
};
use crate::{
    auth::{Capability, User},
    db::accounts::{self as db, QuickQueryRow},
    error::{ApiError, ApiResult},
    numbers::integer,
    objects::create,
    state::App,
    timestamp::Timestamp,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![list, add, remove, stats]
}

#[derive(Serialize)]
struct QuickQuery {
    id: i64,
    name: String,
    query: String,
    #[serde(rename = "type")]
    kind: String,
}

impl From<QuickQueryRow> for QuickQuery {
    fn from(row: QuickQueryRow) -> Self {
        Self { id: row.id, name: row.name, query: row.query, kind: row.kind }
    }
}

#[get("/<kind>/quick_query", rank = 20)]
async fn list(kind: Type, user: User, app: &State<App>) -> ApiResult<Json<Vec<QuickQuery>>> {
    let rows = app.look(&user.0, move |c, caller| Ok(db::quick_queries(c, caller.id, kind.word())?)).await?;
    Ok(Json(rows.into_iter().map(QuickQuery::from).collect()))
}

#[post("/<kind>/quick_query", data = "<body>", rank = 20)]
async fn add(kind: Type, user: User, body: Body, app: &State<App>) -> ApiResult<Json<QuickQuery>> {
    user.require(Capability::Personalize)?;
    let fields = body.object()?;
    let (query, name, _) = (fields.text("query"), fields.filled_text("name"), fields.any_text("type")).together()?;
    let kind = kind.word();
    let stored = (name.clone(), query.clone());
    let id = app.change(&user.0, move |c, caller| Ok(db::insert_quick_query(c, caller.id, kind, &stored.0, &stored.1)?)).await?;
    Ok(Json(QuickQuery { id, name, query, kind: kind.to_owned() }))
}

#[delete("/quick_query/<id>")]
async fn remove(id: RowId, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::Personalize)?;
    if app.change(&user.0, move |c, caller| Ok(db::delete_quick_query(c, caller.id, id.0)?)).await? {
        Ok(Json(()))
    } else {
        Err(ApiError::NotFound("Query object not found".to_owned()))
    }
}

#[derive(Serialize)]
struct Stats {
    families: Vec<Family>,
}

#[derive(Serialize)]
struct Family {
    family: String,
    last_upload: String,
    count: u64,
}

/// `*`, `<n>h` or `<n>d`, as the moment since which configs count.
fn since(range: &str) -> ApiResult<Option<Timestamp>> {
    if range == "*" {
        return Ok(None);
    }
    let hour: i64 = 3600 * 1_000_000;
    let units = [("h", hour), ("d", 24 * hour)];
    let parsed = units.into_iter().find_map(|(unit, length)| integer(range.strip_suffix(unit)?)?.checked_mul(length));
    let span = parsed.ok_or_else(|| ApiError::invalid("range", "Must be '*', '<hours>h' or '<days>d'."))?;
    Ok(Some(Timestamp::now().plus_micros(-span)))
}

#[get("/config/stats?<range>")]
async fn stats(range: Query<'_>, _user: User, app: &State<App>) -> ApiResult<Json<Stats>> {
    let families = families(app, range.0.unwrap_or("*")).await?.into_iter();
    let families = families.map(|(family, last, count)| Family { family, last_upload: last.date(), count });
    Ok(Json(Stats { families: families.collect() }))
}

/// Families of configs in a range of time, with the last upload and how many each has.
pub(crate) async fn families(app: &App, range: &str) -> ApiResult<Vec<(String, Timestamp, u64)>> {
    let since = since(range)?;
    app.db.read(move |c| create::families(c, since)).await
}
