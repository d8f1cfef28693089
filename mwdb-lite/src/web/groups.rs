//! Administration of groups: members, capabilities, kinds.

use karton_rs::json::Value;
use rocket::{Route, State, get, post};
use rusqlite::Connection;

use super::{
    form::Form,
    notices::Done,
    respond::{Outcome, Page, PageResult, SeeOther, refused, see_other},
    session::Session,
    settings::{Admin, AdminActor, capability_boxes, flag, names, overview_refused, to_user},
    shown,
    view::{
        frame::Section,
        settings::{GroupPage, Member, NewThings},
        text::{Text, decode_field},
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
    if flag(&group, "private") {
        return Ok(Err(to_user(&shown::text(&group, "name"))));
    }
    Ok(Ok(Page::new(&group_page(app, &admin.0, &group))?))
}

fn group_page(app: &App, viewer: &Session, group: &Value) -> GroupPage {
    let name = shown::text(group, "name");
    let admins = names(group, "admins");
    let members = names(group, "users").into_iter().map(|login| Member { admin: admins.contains(&login), login });
    GroupPage {
        frame: viewer.frame(app, Section::Settings),
        immutable: flag(group, "immutable"),
        is_default: flag(group, "default"),
        workspace: flag(group, "workspace"),
        members: members.collect(),
        capabilities: capability_boxes(&names(group, "capabilities")),
        new_name: name.as_str().into(),
        new_member: Text::default(),
        name,
    }
}

/// The page of a group with a form that was refused, which `fill` puts back. The private group of an account is on the page
/// of the account: there the refusal is all.
async fn group_refused(app: &App, actor: &AdminActor, name: &str, error: ApiError, fill: impl FnOnce(&mut GroupPage) + Send) -> PageResult {
    let group = name.to_owned();
    refused(&actor.0, error, |session| async move {
        let group = app.look(&session.0, move |c, _| shown::answer(&groups::detail(c, &group)?)).await?;
        if flag(&group, "private") {
            return Err(groups::no_group());
        }
        let mut page = group_page(app, &session, &group);
        fill(&mut page);
        Ok(page)
    })
    .await
}

#[post("/settings/group", data = "<form>")]
async fn create_group(actor: AdminActor, form: Form, app: &State<App>) -> Outcome {
    let name = form.text("name").trim().to_owned();
    let outcome = async {
        valid_name(&name)?;
        let new = name.clone();
        app.change(&actor.0, move |c, _| groups::create(c, &new, Vec::new())).await
    };
    match outcome.await {
        Ok(()) => Ok(Ok(to_group(&name).telling(Done::GroupMade))),
        Err(error) => {
            let typed = NewThings { group: name.into(), ..NewThings::default() };
            Ok(Err(overview_refused(app, &actor, error, typed).await?))
        }
    }
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

/// Changes a group; `fill` puts what was typed back where that is refused.
async fn update_group(
    app: &App,
    actor: &AdminActor,
    name: &str,
    changes: ApiResult<groups::Changes>,
    fill: impl FnOnce(&mut GroupPage) + Send,
) -> Outcome {
    let outcome = async {
        let (group, changes) = (name.to_owned(), changes?);
        let work = move |c: &Connection, caller: &Caller| {
            let name = groups::update(c, &group, changes)?;
            still_administers(c, caller)?;
            Ok(name)
        };
        app.change(&actor.0, work).await
    };
    match outcome.await {
        Ok(name) => Ok(Ok(to_group(&name).telling(Done::Saved))),
        Err(error) => Ok(Err(group_refused(app, actor, name, error, fill).await?)),
    }
}

#[post("/settings/group/<name>/capabilities", data = "<form>")]
async fn set_capabilities(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> Outcome {
    let ticked: Option<Vec<String>> = form.all("capability").map(decode_field).collect();
    let boxes = ticked.as_deref().map(capability_boxes);
    let capabilities = ticked.ok_or_else(|| ApiError::BadRequest("This is no capability of the page.".to_owned()));
    let changes = capabilities.map(|capabilities| groups::Changes { capabilities: Some(capabilities), ..groups::Changes::default() });
    update_group(app, &actor, name, changes, |page| page.capabilities = boxes.unwrap_or_default()).await
}

#[post("/settings/group/<name>/kind", data = "<form>")]
async fn set_kind(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> Outcome {
    let (workspace, default) = (form.ticked("workspace"), form.ticked("default"));
    let changes = groups::Changes { default: Some(default), workspace: Some(workspace), ..groups::Changes::default() };
    update_group(app, &actor, name, Ok(changes), |page| (page.workspace, page.is_default) = (workspace, default)).await
}

#[post("/settings/group/<name>/rename", data = "<form>")]
async fn rename(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> Outcome {
    let new = form.text("name").trim().to_owned();
    let changes = valid_name(&new).map(|()| groups::Changes { name: Some(new.clone()), ..groups::Changes::default() });
    update_group(app, &actor, name, changes, |page| page.new_name = new.into()).await
}

#[post("/settings/group/<name>/member/admin", data = "<form>")]
async fn set_admin(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let (group, login, admin) = (name.to_owned(), form.text("login").to_owned(), form.ticked("admin"));
    app.change(&actor.0, move |c, _| groups::set_admin(c, &group, &login, admin)).await?;
    Ok(to_group(name).telling(Done::Saved))
}

#[post("/settings/group/<name>/member", data = "<form>")]
async fn add_member(name: &str, actor: AdminActor, form: Form, app: &State<App>) -> Outcome {
    let (group, login) = (name.to_owned(), form.text("login").trim().to_owned());
    let new = login.clone();
    match app.change(&actor.0, move |c, _| groups::add_member(c, &group, &new)).await {
        Ok(()) => Ok(Ok(to_group(name).telling(Done::MemberAdded))),
        Err(error) => Ok(Err(group_refused(app, &actor, name, error, |page| page.new_member = login.into()).await?)),
    }
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
