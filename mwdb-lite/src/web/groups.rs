//! Administration of groups: members, capabilities, kinds.

use std::sync::Arc;

use rocket::{Route, State, get, post};
use rusqlite::Connection;

use super::{
    form::Form,
    notices::Done,
    respond::{Page, PageResult, SeeOther, see_other},
    settings::{Admin, AdminActor, capability_boxes, flag, names, to_user},
    shown,
    view::{
        frame::Section,
        settings::{GroupPage, Member},
        text::decode_field,
    },
};
use crate::{
    accounts::{self, groups},
    api::group::valid_name,
    auth::{Caller, Capability},
    error::{ApiError, ApiResult},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![group, create_group, set_capabilities, set_kind, rename, add_member, set_admin, remove_member, remove_group]
}

fn to_group(name: &str) -> SeeOther {
    see_other(format!("/settings/group/{name}"))
}

#[get("/settings/group/<name>")]
async fn group(name: String, admin: Admin, app: &State<App>) -> PageResult<Result<Page, SeeOther>> {
    let group = app.look(&admin.0.0, move |c, _| shown::answer(&groups::detail(c, &name)?)).await?;
    let name = shown::text(&group, "name");
    if flag(&group, "private") {
        return Ok(Err(to_user(&name)));
    }
    let admins = names(&group, "admins");
    let members = names(&group, "users").into_iter().map(|login| Member { admin: admins.contains(&login), login });
    let page = GroupPage {
        frame: admin.0.frame(app, Section::Settings),
        immutable: flag(&group, "immutable"),
        is_default: flag(&group, "default"),
        workspace: flag(&group, "workspace"),
        members: members.collect(),
        capabilities: capability_boxes(&names(&group, "capabilities")),
        name,
    };
    Ok(Ok(Page::new(&page)?))
}

#[post("/settings/group", data = "<form>")]
async fn create_group(actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let name = form.text("name").trim().to_owned();
    valid_name(&name)?;
    let new = name.clone();
    app.change(&actor.0, move |c, _| groups::create(c, &new, Vec::new())).await?;
    Ok(to_group(&name).telling(Done::GroupMade))
}

/// Refuses what has taken `manage_users` from who does it, before it is stored: perhaps nobody else could
/// give it back.
fn still_administers(c: &Connection, caller: &Caller) -> ApiResult<()> {
    let now = accounts::again(c, caller).map_err(|error| match error {
        ApiError::Forbidden(_) => refusal(),
        other => other,
    })?;
    if now.has(Capability::ManageUsers) { Ok(()) } else { Err(refusal()) }
}

fn refusal() -> ApiError {
    ApiError::BadRequest(
        "This would take manage_users from your own account, and perhaps nobody could give it back. Another administrator can do it."
            .to_owned(),
    )
}

async fn update_group(app: &App, actor: &Arc<Caller>, name: &str, changes: groups::Changes) -> PageResult<SeeOther> {
    let group = name.to_owned();
    let work = move |c: &Connection, caller: &Caller| {
        let name = groups::update(c, &group, changes)?;
        still_administers(c, caller)?;
        Ok(name)
    };
    let name = app.change(actor, work).await?;
    Ok(to_group(&name).telling(Done::Saved))
}

#[post("/settings/group/<name>/capabilities", data = "<form>")]
async fn set_capabilities(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let ticked: Option<Vec<String>> = form.all("capability").map(decode_field).collect();
    let capabilities = ticked.ok_or_else(|| ApiError::BadRequest("This is no capability of the page.".to_owned()))?;
    update_group(app, &actor.0, name, groups::Changes { capabilities: Some(capabilities), ..groups::Changes::default() }).await
}

#[post("/settings/group/<name>/kind", data = "<form>")]
async fn set_kind(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let (workspace, default) = (Some(form.ticked("workspace")), Some(form.ticked("default")));
    update_group(app, &actor.0, name, groups::Changes { default, workspace, ..groups::Changes::default() }).await
}

#[post("/settings/group/<name>/rename", data = "<form>")]
async fn rename(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let new = form.text("name").trim().to_owned();
    valid_name(&new)?;
    update_group(app, &actor.0, name, groups::Changes { name: Some(new), ..groups::Changes::default() }).await
}

#[post("/settings/group/<name>/member/admin", data = "<form>")]
async fn set_admin(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let (group, login, admin) = (name.to_owned(), form.text("login").to_owned(), form.ticked("admin"));
    app.change(&actor.0, move |c, _| groups::set_admin(c, &group, &login, admin)).await?;
    Ok(to_group(name).telling(Done::Saved))
}

#[post("/settings/group/<name>/member", data = "<form>")]
async fn add_member(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let (group, login) = (name.to_owned(), form.text("login").trim().to_owned());
    app.change(&actor.0, move |c, _| groups::add_member(c, &group, &login)).await?;
    Ok(to_group(name).telling(Done::MemberAdded))
}

#[post("/settings/group/<name>/member/remove", data = "<form>")]
async fn remove_member(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let (group, login) = (name.to_owned(), form.text("login").to_owned());
    app.change(&actor.0, move |c, caller| groups::remove_member(c, caller, &group, &login)).await?;
    Ok(to_group(name).telling(Done::MemberRemoved))
}

#[post("/settings/group/<name>/remove")]
async fn remove_group(name: String, actor: AdminActor, app: &State<App>) -> PageResult<SeeOther> {
    let work = move |c: &Connection, caller: &Caller| {
        groups::remove(c, &name)?;
        still_administers(c, caller)
    };
    app.change(&actor.0, work).await?;
    Ok(see_other("/settings#groups").telling(Done::GroupRemoved))
}
