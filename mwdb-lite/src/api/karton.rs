//! Analyses of objects. See MWDB API §K5.

use rocket::{Route, State, delete, get, post, put, serde::json::Json};
use serde::Serialize;

use super::{
    body::Body,
    params::{Hash, Query, Type},
    uploads::arguments,
};
use crate::{
    auth::{Capability, User},
    error::{ApiError, ApiResult},
    karton::analysis::{self, AnalysisItem, Status},
    objects::{access, analyses},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![list, reanalyze, detail, assign, unassign]
}

#[derive(Serialize)]
struct Analyses {
    status: Status,
    analyses: Vec<AnalysisItem>,
}

#[get("/<kind>/<hash>/karton?<older_than>", rank = 20)]
async fn list(kind: Type, hash: Hash, older_than: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<Analyses>> {
    let older_than = older_than.0.map(str::to_owned);
    let page = app.look(&user.0, move |c, caller| analyses::page(c, caller, kind.0, &hash.0, older_than.as_deref())).await?;
    let newest = app.karton.describe(page.newest).await?;
    let status = analysis::overall(&newest);
    let analyses = match page.older {
        Some(older) => app.karton.describe(older).await?,
        None => newest,
    };
    Ok(Json(Analyses { status, analyses }))
}

#[post("/<kind>/<hash>/karton", data = "<body>", rank = 20)]
async fn reanalyze(kind: Type, hash: Hash, user: User, body: Body, app: &State<App>) -> ApiResult<Json<AnalysisItem>> {
    user.require(Capability::KartonReanalyze)?;
    let arguments = arguments(&body.object_or_empty()?)?;
    if !app.karton.is_enabled() {
        app.look(&user.0, move |c, caller| access::find(c, caller, kind.0, &hash.0).map(drop)).await?;
        return Err(ApiError::Unavailable("Karton is not enabled on this server".to_owned()));
    }
    let row = app.change(&user.0, move |c, caller| analyses::reanalyze(c, caller, kind.0, &hash.0, arguments)).await?;
    app.karton.wake();
    Ok(Json(app.karton.describe_one(row).await?))
}

#[get("/<kind>/<hash>/karton/<uuid>", rank = 20)]
async fn detail(kind: Type, hash: Hash, uuid: String, user: User, app: &State<App>) -> ApiResult<Json<AnalysisItem>> {
    let row = app.look(&user.0, move |c, caller| analyses::detail(c, caller, kind.0, &hash.0, &uuid)).await?;
    Ok(Json(app.karton.describe_one(row).await?))
}

#[put("/<kind>/<hash>/karton/<uuid>", rank = 20)]
async fn assign(kind: Type, hash: Hash, uuid: String, user: User, app: &State<App>) -> ApiResult<Json<AnalysisItem>> {
    user.require(Capability::KartonAssign)?;
    let wanted = hash.0.clone();
    let id = app.look(&user.0, move |c, caller| analyses::assignable(c, caller, kind.0, &wanted, &uuid)).await?;
    app.karton.ask(&id).await?;
    let row = app.change(&user.0, move |c, caller| analyses::assign(c, caller, kind.0, &hash.0, &id)).await?;
    Ok(Json(app.karton.describe_one(row).await?))
}

#[delete("/<kind>/<hash>/karton/<uuid>", rank = 20)]
async fn unassign(kind: Type, hash: Hash, uuid: String, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::KartonUnassign)?;
    app.change(&user.0, move |c, caller| analyses::unassign(c, caller, kind.0, &hash.0, &uuid)).await?;
    Ok(Json(()))
}
