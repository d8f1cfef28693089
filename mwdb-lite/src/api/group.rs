//! Administration of groups and memberships. See MWDB API §U3.

use rocket::{Route, State, delete, get, post, put, serde::json::Json};
use serde::Serialize;

use super::{body::Body, together::Together, user::valid_login};
use crate::{
    accounts::groups::{self, Changes, GroupItem},
    auth::{Capability, User, is_name, is_reserved},
    error::{ApiError, ApiResult},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![list, detail, create, update, remove, add_member, set_admin, remove_member]
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<GroupItem>,
}

#[derive(Serialize)]
struct NameItem {
    name: String,
}

/// Refuses what can be no name of a group.
pub(crate) fn valid_name(name: &str) -> ApiResult<()> {
    spelled(name)?;
    if is_reserved(name) { Err(groups::reserved_name()) } else { Ok(()) }
}

/// Refuses names of other signs than names may have.
fn spelled(name: &str) -> ApiResult<()> {
    if is_name(name) {
        Ok(())
    } else {
        Err(ApiError::invalid("name", "Group should contain max 32 chars and include only letters, digits, underscores, dots and dashes"))
    }
}

/// Refuses what can be no membership.
fn valid_pair(name: &str, login: &str) -> ApiResult<()> {
    valid_name(name)?;
    valid_login(login)
}

#[get("/group")]
async fn list(user: User, app: &State<App>) -> ApiResult<Json<Groups>> {
    user.require(Capability::ManageUsers)?;
    Ok(Json(Groups { groups: app.db.read(groups::list).await? }))
}

#[get("/group/<name>")]
async fn detail(name: String, user: User, app: &State<App>) -> ApiResult<Json<GroupItem>> {
    user.require(Capability::ManageUsers)?;
    Ok(Json(app.db.read(move |c| groups::detail(c, &name)).await?))
}

#[post("/group/<name>", data = "<body>")]
async fn create(name: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<NameItem>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    fields.optional("capabilities")?;
    let capabilities = fields.nullable_texts("capabilities")?.unwrap_or_default();
    valid_name(&name)?;
    let new = name.clone();
    app.change(&user.0, move |c, _| groups::create(c, &new, capabilities)).await?;
    Ok(Json(NameItem { name }))
}

#[put("/group/<name>", data = "<body>")]
async fn update(name: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<NameItem>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    let (new_name, capabilities, default, workspace, provider) = (
        fields.nullable_text("name"),
        fields.nullable_texts("capabilities"),
        fields.nullable_boolean("default"),
        fields.nullable_boolean("workspace"),
        fields.nullable_text("provider"),
    )
        .together()?;
    let changes = Changes { name: new_name, capabilities, default, workspace, provider };
    valid_name(&name)?;
    // Whether the group may have another name at all is told before the name that none may have.
    changes.name.as_deref().map_or(Ok(()), spelled)?;
    let name = app.change(&user.0, move |c, _| groups::update(c, &name, changes)).await?;
    Ok(Json(NameItem { name }))
}

#[delete("/group/<name>")]
async fn remove(name: String, user: User, app: &State<App>) -> ApiResult<Json<NameItem>> {
    user.require(Capability::ManageUsers)?;
    let old = name.clone();
    app.change(&user.0, move |c, _| groups::remove(c, &old)).await?;
    Ok(Json(NameItem { name }))
}

#[post("/group/<name>/member/<login>")]
async fn add_member(name: String, login: String, user: User, app: &State<App>) -> ApiResult<Json<NameItem>> {
    user.require(Capability::ManageUsers)?;
    valid_pair(&name, &login)?;
    let group = name.clone();
    app.change(&user.0, move |c, _| groups::add_member(c, &group, &login)).await?;
    Ok(Json(NameItem { name }))
}

#[put("/group/<name>/member/<login>", data = "<body>")]
async fn set_admin(name: String, login: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<NameItem>> {
    user.require(Capability::ManageUsers)?;
    let group_admin = body.object()?.boolean("group_admin")?;
    valid_pair(&name, &login)?;
    let group = name.clone();
    app.change(&user.0, move |c, _| groups::set_admin(c, &group, &login, group_admin)).await?;
    Ok(Json(NameItem { name }))
}

#[delete("/group/<name>/member/<login>")]
async fn remove_member(name: String, login: String, user: User, app: &State<App>) -> ApiResult<Json<NameItem>> {
    valid_pair(&name, &login)?;
    let group = name.clone();
    app.change(&user.0, move |c, caller| groups::remove_member(c, caller, &group, &login)).await?;
    Ok(Json(NameItem { name }))
}
