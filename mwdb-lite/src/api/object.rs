//! Lists, views, deletion, favourites. See MWDB API §A1.6 and §O5.

use rocket::{Route, State, delete, get, post, put, serde::json::Json};
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    body::Body,
    params::{Hash, Query, Type},
};
use crate::{
    auth::{Capability, User},
    error::{ApiError, ApiResult},
    objects::{
        access, favorites, listing,
        listing::Page,
        remove,
        views::{self, Detail, ListItem, ObjectRef},
    },
    state::App,
};

pub(super) fn routes(app: &App) -> Vec<Route> {
    let mut routes = rocket::routes![list, count, search, detail, delete_object, add_favorite, remove_favorite];
    if app.config.enable_3rd_party_sharing_consent {
        routes.extend(rocket::routes![allow_3rd_party]);
    }
    routes
}

/// A list under the name of its type: `{"files": [...]}`.
struct List(Type, Vec<ListItem>);

impl Serialize for List {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(&format!("{}s", self.0.word()), &self.1)?;
        map.end()
    }
}

/// Items of one page when the client does not say.
const PAGE: u64 = 10;

#[get("/<kind>?<query>&<older_than>&<count>&<page>", rank = 20)]
async fn list(
    kind: Type,
    query: Query<'_>,
    older_than: Query<'_>,
    count: Query<'_>,
    page: Query<'_>,
    user: User,
    app: &State<App>,
) -> ApiResult<Json<List>> {
    let page = page.integer("page")?;
    if page.is_some() && older_than.0.is_some() {
        return Err(ApiError::invalid("_schema", "page and older_than can't be used simultaneously. Use older_than for new code."));
    }
    let count = count.count("count")?.unwrap_or(PAGE).min(app.config.listing_endpoints_count_limit);
    // Pages before the first are the first.
    let offset = page.map_or(0, |page| u64::try_from(page.saturating_sub(1)).unwrap_or(0).saturating_mul(PAGE));
    let before = app.row(&user.0, older_than.filled()).await?;
    let query = query.filled().unwrap_or_default();
    let page = Page { query: query.clone(), before, offset, count };
    let items = app.list(&user.0, &query, move |c, caller| listing::list(c, caller, kind.0, &page)).await?;
    Ok(Json(List(kind, items)))
}

#[derive(Serialize)]
struct Count {
    count: u64,
}

#[get("/<kind>/count?<query>", rank = 20)]
async fn count(kind: Type, query: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<Count>> {
    let query = query.filled().unwrap_or_default();
    let asked = query.clone();
    // Exact or refused: clients take it for what there is.
    Ok(Json(Count { count: app.list(&user.0, &query, move |c, caller| listing::count(c, caller, kind.0, &asked)).await? }))
}

/// The search of old: objects of all types, in a bare list.
#[post("/search", data = "<body>")]
async fn search(user: User, body: Body, app: &State<App>) -> ApiResult<Json<Vec<ObjectRef>>> {
    let query = body.object()?.filled_text("query")?;
    Ok(Json(app.search(&user.0, move |c, caller| listing::search(c, caller, &query)).await?))
}

#[get("/<kind>/<hash>", rank = 21)]
async fn detail(kind: Type, hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<Detail>> {
    let view = app.look(&user.0, move |c, caller| {
        let object = access::find(c, caller, kind.0, &hash.0)?;
        if kind.0.is_some() { views::detail(c, caller, &object) } else { views::generic_detail(c, caller, &object) }
    });
    Ok(Json(view.await?))
}

#[delete("/<kind>/<hash>", rank = 21)]
async fn delete_object(kind: Type, hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::RemovingObjects)?;
    remove::remove(app, &user.0, kind.0, hash.0).await?;
    Ok(Json(()))
}

#[put("/object/<hash>/favorite")]
async fn add_favorite(hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    set_favorite(hash, user, app, true).await
}

#[delete("/object/<hash>/favorite")]
async fn remove_favorite(hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    set_favorite(hash, user, app, false).await
}

async fn set_favorite(hash: Hash, user: User, app: &App, favorite: bool) -> ApiResult<Json<()>> {
    user.require(Capability::Personalize)?;
    app.change(&user.0, move |c, caller| favorites::set(c, caller, &hash.0, favorite)).await?;
    Ok(Json(()))
}

#[put("/object/<hash>/share_3rd_party")]
async fn allow_3rd_party(hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::Modify3rdPartySharing)?;
    app.change(&user.0, move |c, caller| favorites::allow_3rd_party(c, caller, &hash.0)).await?;
    Ok(Json(()))
}
