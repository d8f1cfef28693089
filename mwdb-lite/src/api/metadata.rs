//! Tags, comments, relations, shares. See MWDB API §O6 to §O8 and §U8.

use rocket::{Route, State, delete, get, post, put, serde::json::Json};
use serde::Serialize;

use super::{
    body::{Body, REQUIRED},
    params::{Hash, Query, RowId, Type},
};
use crate::{
    auth::{Capability, User, is_name},
    error::{ApiError, ApiResult},
    objects::{
        comments::{self, CommentItem},
        relations::{self, Relations},
        shares::{self, ShareItem, Shares},
        tags,
        views::TagItem,
    },
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![
        complete_tags,
        list_tags,
        add_tag,
        remove_tag,
        list_comments,
        add_comment,
        remove_comment,
        list_relations,
        add_child,
        remove_child,
        share_groups,
        list_shares,
        share
    ]
}

#[get("/tag?<query>&<count>")]
async fn complete_tags(query: Query<'_>, count: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<Vec<TagItem>>> {
    let prefix = query.filled().unwrap_or_default();
    // None is any number.
    let count = count.count("count")?.filter(|count| *count > 0);
    // A search: whether somebody sees an object with a tag may take a look at all that have it.
    Ok(Json(app.search(&user.0, move |c, caller| tags::complete(c, caller, &prefix, count)).await?))
}

#[get("/<kind>/<hash>/tag", rank = 20)]
async fn list_tags(kind: Type, hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<Vec<TagItem>>> {
    Ok(Json(app.look(&user.0, move |c, caller| tags::list(c, caller, kind.0, &hash.0)).await?))
}

#[put("/<kind>/<hash>/tag", data = "<body>", rank = 20)]
async fn add_tag(kind: Type, hash: Hash, user: User, body: Body, app: &State<App>) -> ApiResult<Json<Vec<TagItem>>> {
    user.require(Capability::AddingTags)?;
    let tag = tags::valid(&body.object()?.text("tag")?)?;
    Ok(Json(app.change(&user.0, move |c, caller| tags::add(c, caller, kind.0, &hash.0, &tag)).await?))
}

#[delete("/<kind>/<hash>/tag?<tag>", rank = 20)]
async fn remove_tag(kind: Type, hash: Hash, tag: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<Vec<TagItem>>> {
    user.require(Capability::RemovingTags)?;
    let tag = tags::normalise(tag.0.ok_or_else(|| ApiError::invalid("tag", REQUIRED))?)?;
    Ok(Json(app.change(&user.0, move |c, caller| tags::remove(c, caller, kind.0, &hash.0, &tag)).await?))
}

#[get("/<kind>/<hash>/comment", rank = 20)]
async fn list_comments(kind: Type, hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<Vec<CommentItem>>> {
    Ok(Json(app.look(&user.0, move |c, caller| comments::list(c, caller, kind.0, &hash.0)).await?))
}

#[post("/<kind>/<hash>/comment", data = "<body>", rank = 20)]
async fn add_comment(kind: Type, hash: Hash, user: User, body: Body, app: &State<App>) -> ApiResult<Json<CommentItem>> {
    user.require(Capability::AddingComments)?;
    let comment = body.object()?.filled_text("comment")?;
    Ok(Json(app.change(&user.0, move |c, caller| comments::add(c, caller, kind.0, &hash.0, comment)).await?))
}

#[delete("/<kind>/<hash>/comment/<id>", rank = 20)]
async fn remove_comment(kind: Type, hash: Hash, id: RowId, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::RemovingComments)?;
    Ok(Json(app.change(&user.0, move |c, caller| comments::remove(c, caller, kind.0, &hash.0, id.0)).await?))
}

#[get("/<kind>/<hash>/relations", rank = 20)]
async fn list_relations(kind: Type, hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<Relations>> {
    Ok(Json(app.look(&user.0, move |c, caller| relations::list(c, caller, kind.0, &hash.0)).await?))
}

#[put("/<kind>/<parent>/child/<child>", rank = 20)]
async fn add_child(kind: Type, parent: Hash, child: Hash, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::AddingParents)?;
    Ok(Json(app.change(&user.0, move |c, caller| relations::add(c, caller, kind.0, &parent.0, &child.0)).await?))
}

#[delete("/<kind>/<parent>/child/<child>", rank = 20)]
async fn remove_child(kind: Type, parent: Hash, child: Hash, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::RemovingParents)?;
    Ok(Json(app.change(&user.0, move |c, caller| relations::remove(c, caller, kind.0, &parent.0, &child.0)).await?))
}

#[derive(Serialize)]
struct ShareGroups {
    groups: Vec<String>,
}

#[get("/share")]
async fn share_groups(user: User, app: &State<App>) -> ApiResult<Json<ShareGroups>> {
    Ok(Json(ShareGroups { groups: app.look(&user.0, shares::groups).await? }))
}

#[get("/<kind>/<hash>/share", rank = 20)]
async fn list_shares(kind: Type, hash: Hash, user: User, app: &State<App>) -> ApiResult<Json<Shares>> {
    Ok(Json(app.look(&user.0, move |c, caller| shares::list(c, caller, kind.0, &hash.0)).await?))
}

#[derive(Serialize)]
struct Shared {
    shares: Vec<ShareItem>,
}

#[put("/<kind>/<hash>/share", data = "<body>", rank = 20)]
async fn share(kind: Type, hash: Hash, user: User, body: Body, app: &State<App>) -> ApiResult<Json<Shared>> {
    let group = body.object()?.text("group")?;
    if !is_name(&group) {
        return Err(ApiError::invalid("group", "Group name contains invalid characters"));
    }
    let shares = app.change(&user.0, move |c, caller| shares::share(c, caller, kind.0, &hash.0, &group)).await?;
    Ok(Json(Shared { shares }))
}
