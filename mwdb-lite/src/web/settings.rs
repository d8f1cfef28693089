//! Administration: the overview, and accounts.
//!
//! The one rule: every handler here, of groups and of attribute keys asks for `manage_users`, through [`Admin`] or [`AdminActor`].

use std::sync::Arc;

use karton_rs::json::{Map, Value};
use rocket::{
    Request, Route, State, get, post,
    request::{FromRequest, Outcome},
};

use super::{
    account::key_list,
    form::Form,
    new_keys::NewKeys,
    notices::Done,
    respond::{Outcome as Answer, Page, PageResult, SeeOther, refused, see_other},
    session::{Actor, Place, Session},
    shown,
    view::{
        frame::Section,
        settings::{AccountTyped, AttributeRow, CapabilityBox, GroupRow, NewThings, SettingsPage, UserPage, UserRow},
    },
};
use crate::{
    accounts::{groups, users},
    api::{
        auth,
        body::Fields,
        user::{accept_user, account_fields, check_changes, new_password_token, reject_user},
    },
    auth::{Caller, Capability, GuardFailure},
    error::{ApiError, ApiResult},
    mail::Letter,
    objects::definitions,
    state::App,
};

/// What an account needs that brings the results of analyses (MWDB API §K1).
const REPORTER: [Capability; 9] = [
    Capability::AddingTags,
    Capability::AddingComments,
    Capability::AddingParents,
    Capability::AddingAllAttributes,
    Capability::AddingFiles,
    Capability::AddingConfigs,
    Capability::AddingBlobs,
    Capability::KartonAssign,
    Capability::UnlimitedRequests,
];

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![overview, user, create_user, password_link, disable, enable, accept, reject, remove_user, edit_user, mail_link]
}

/// A viewer who administers.
pub(super) struct Admin(pub(super) Session);

/// An administrator who sends a form of ours.
pub(super) struct AdminActor(pub(super) Arc<Caller>);

fn administers<G: std::ops::Deref<Target = Caller>, T>(request: &Request<'_>, guard: G, make: fn(G) -> T) -> Outcome<T, ()> {
    match guard.require(Capability::ManageUsers) {
        Ok(()) => Outcome::Success(make(guard)),
        Err(error) => GuardFailure::leave(request, error),
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Admin {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        Session::from_request(request).await.and_then(|session| administers(request, session, Self))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AdminActor {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        Actor::from_request(request).await.and_then(|actor| administers(request, actor, |actor| Self(actor.0)))
    }
}

pub(super) fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}

pub(super) fn names(value: &Value, name: &str) -> Vec<String> {
    shown::list(value, name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Groups of an account but the private one, which is the account itself.
fn group_names(user: &Value) -> Vec<String> {
    shown::list(user, "groups").iter().filter(|group| !flag(group, "private")).map(|group| shown::text(group, "name")).collect()
}

/// All that the server knows, and what a group holds besides.
pub(super) fn capability_boxes(granted: &[String]) -> Vec<CapabilityBox> {
    let known = Capability::ALL.iter().map(|capability| capability.name());
    let others = granted.iter().map(String::as_str).filter(|name| Capability::ALL.iter().all(|known| known.name() != *name));
    known.chain(others).map(|name| CapabilityBox { name: name.into(), granted: granted.iter().any(|held| held == name) }).collect()
}

#[get("/settings")]
async fn overview(admin: Admin, app: &State<App>) -> PageResult {
    Page::new(&overview_page(app, &admin.0).await?)
}

/// The overview again, with a form that was refused.
pub(super) async fn overview_refused(app: &App, actor: &AdminActor, error: ApiError, typed: NewThings) -> PageResult {
    refused(&actor.0, error, |session| async move { Ok(SettingsPage { typed, ..overview_page(app, &session).await? }) }).await
}

async fn overview_page(app: &App, viewer: &Session) -> ApiResult<SettingsPage> {
    let (accounts, teams, keys) = app
        .look(&viewer.0, |c, caller| {
            let mut accounts = users::list(c, true)?;
            accounts.extend(users::list(c, false)?);
            let keys = definitions::list(c, caller, definitions::Access::Manage)?;
            Ok((shown::answer(&accounts)?, shown::answer(&groups::list(c)?)?, shown::answer(&keys)?))
        })
        .await?;
    let items = |answer: &Value| answer.as_array().unwrap_or_default().to_vec();
    let user_row = |user: &Value| UserRow {
        login: shown::text(user, "login"),
        email: shown::text(user, "email").into(),
        info: shown::text(user, "additional_info").into(),
        disabled: flag(user, "disabled"),
        pending: flag(user, "pending"),
        groups: group_names(user),
    };
    let group_row = |group: &Value| GroupRow {
        name: shown::text(group, "name"),
        members: shown::list(group, "users").len(),
        capabilities: shown::list(group, "capabilities").len(),
        is_default: flag(group, "default"),
        workspace: flag(group, "workspace"),
    };
    let attribute_row = |key: &Value| AttributeRow {
        key: shown::text(key, "key"),
        label: shown::text(key, "label").into(),
        description: shown::text(key, "description").into(),
        hidden: flag(key, "hidden"),
    };
    Ok(SettingsPage {
        frame: viewer.frame(app, Section::Settings),
        mails: app.mailer.is_enabled(),
        users: items(&accounts).iter().map(user_row).collect(),
        groups: items(&teams).iter().filter(|group| !flag(group, "private")).map(group_row).collect(),
        attributes: items(&keys).iter().map(attribute_row).collect(),
        typed: NewThings::default(),
    })
}

/// `made` is the key that was just made here.
#[get("/settings/user/<login>?<made>")]
async fn user(login: &str, made: Option<&str>, admin: Admin, new: &State<NewKeys>, app: &State<App>) -> PageResult {
    let mut page = user_page(app, &admin.0, login).await?;
    page.keys.show(app, new, &admin.0, made)?;
    Page::new(&page)
}

/// The page of an account.
pub(super) async fn user_page(app: &App, viewer: &Session, login: &str) -> ApiResult<UserPage> {
    viewer.require(Capability::ManageUsers)?;
    let name = login.to_owned();
    let (account, private) = app
        .look(&viewer.0, move |c, _| Ok((shown::answer(&users::detail(c, &name)?)?, shown::answer(&groups::detail(c, &name)?)?)))
        .await?;
    let text = |name: &str| shown::text(&account, name);
    Ok(UserPage {
        frame: viewer.frame(app, Section::Settings),
        mails: app.mailer.is_enabled(),
        login: text("login"),
        email: text("email").into(),
        info: text("additional_info").into(),
        feed_quality: text("feed_quality").into(),
        typed: None,
        disabled: flag(&account, "disabled"),
        pending: flag(&account, "pending"),
        own: login == viewer.login,
        registered: shown::moment(&account, "registered_on"),
        logged: shown::moment(&account, "logged_on"),
        password_set: shown::moment(&account, "set_password_on"),
        capabilities: capability_boxes(&names(&private, "capabilities")),
        groups: group_names(&account),
        keys: key_list(&account, viewer),
        password_link: None,
    })
}

/// Fields in the form in which the rules of the API judge them.
pub(super) fn fields(pairs: &[(&str, Value)]) -> ApiResult<Fields> {
    Fields::of(Value::Object(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect::<Map>()))
}

pub(super) fn to_user(login: &str) -> SeeOther {
    see_other(format!("/settings/user/{login}"))
}

#[post("/settings/user", data = "<form>")]
async fn create_user(actor: AdminActor, form: Form, app: &State<App>) -> Answer {
    let typed = NewThings {
        login: form.text("login").trim().into(),
        email: form.text("email").trim().into(),
        info: form.text("additional_info").trim().into(),
        reporter: form.ticked("reporter"),
        ..NewThings::default()
    };
    match make_user(app, &actor.0, &typed).await {
        Ok(()) => Ok(Ok(to_user(typed.login.raw()).telling(Done::AccountMade))),
        Err(error) => Ok(Err(overview_refused(app, &actor, error, typed).await?)),
    }
}

async fn make_user(app: &App, actor: &Arc<Caller>, typed: &NewThings) -> ApiResult<()> {
    let given = fields(&[("email", typed.email.raw().into()), ("additional_info", typed.info.raw().into())])?;
    let account = account_fields(&given, typed.login.raw().to_owned())?;
    let reporter = typed.reporter;
    let work = move |c: &rusqlite::Connection, caller: &Caller| {
        users::create(c, &account, Some(caller))?;
        if reporter {
            let capabilities = REPORTER.iter().map(|capability| capability.name().to_owned()).collect();
            groups::update(c, &account.login, groups::Changes { capabilities: Some(capabilities), ..groups::Changes::default() })?;
        }
        Ok(())
    };
    app.change(actor, work).await
}

#[post("/settings/user/<login>/password")]
async fn password_link(login: &str, actor: AdminActor, place: Place, app: &State<App>) -> PageResult {
    let token = new_password_token(app, login).await?;
    let page = user_page(app, &Session::of_form(actor.0), login).await?;
    Page::new(&UserPage { password_link: Some(format!("{}/setpasswd/?token={token}", place.0)), ..page })
}

#[post("/settings/user/<login>/disable")]
async fn disable(login: &str, actor: AdminActor, app: &State<App>) -> PageResult<SeeOther> {
    set_disabled(app, &actor.0, login, true).await
}

#[post("/settings/user/<login>/enable")]
async fn enable(login: &str, actor: AdminActor, app: &State<App>) -> PageResult<SeeOther> {
    set_disabled(app, &actor.0, login, false).await
}

async fn set_disabled(app: &App, actor: &Arc<Caller>, login: &str, disabled: bool) -> PageResult<SeeOther> {
    let name = login.to_owned();
    let changes = users::Changes { disabled: Some(disabled), ..users::Changes::default() };
    app.change(actor, move |c, caller| users::update(c, caller, &name, &changes)).await?;
    Ok(to_user(login).telling(if disabled { Done::AccountDisabled } else { Done::AccountEnabled }))
}

#[post("/settings/user/<login>/accept")]
async fn accept(login: &str, actor: AdminActor, app: &State<App>) -> PageResult<SeeOther> {
    accept_user(app, &actor.0, login).await?;
    Ok(to_user(login).telling(Done::AccountAccepted))
}

#[post("/settings/user/<login>/reject", data = "<form>")]
async fn reject(login: &str, actor: AdminActor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    reject_user(app, &actor.0, login, form.ticked("mail")).await?;
    Ok(see_other("/settings").telling(Done::AccountRejected))
}

#[post("/settings/user/<login>/edit", data = "<form>")]
async fn edit_user(login: &str, actor: AdminActor, form: Form, app: &State<App>) -> Answer {
    let text = |name: &str| Some(form.lines(name).trim().to_owned());
    let changes = users::Changes {
        email: text("email"),
        additional_info: text("additional_info"),
        feed_quality: text("feed_quality"),
        disabled: None,
    };
    let outcome = async {
        check_changes(&changes)?;
        let name = login.to_owned();
        app.change(&actor.0, move |c, caller| users::update(c, caller, &name, &changes)).await
    };
    let text = |name: &str| form.lines(name).into();
    match outcome.await {
        Ok(()) => Ok(Ok(to_user(login).telling(Done::Saved))),
        Err(error) => {
            let typed = AccountTyped { email: text("email"), info: text("additional_info"), feed_quality: text("feed_quality") };
            let page = |session: Session| async move { Ok(UserPage { typed: Some(typed), ..user_page(app, &session, login).await? }) };
            Ok(Err(refused(&actor.0, error, page).await?))
        }
    }
}

#[post("/settings/user/<login>/mail_link")]
async fn mail_link(login: &str, _actor: AdminActor, app: &State<App>) -> PageResult<SeeOther> {
    auth::mail_link(app, Letter::Recover, login).await?;
    Ok(to_user(login).telling(Done::LinkMailed))
}

#[post("/settings/user/<login>/remove")]
async fn remove_user(login: String, actor: AdminActor, app: &State<App>) -> PageResult<SeeOther> {
    app.change(&actor.0, move |c, caller| users::remove(c, caller, &login)).await?;
    Ok(see_other("/settings").telling(Done::AccountRemoved))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_capabilities_of_a_group_stay() {
        let boxes = capability_boxes(&["adding_tags".to_owned(), "karton_manage".to_owned()]);
        let granted: Vec<&str> = boxes.iter().filter(|capability| capability.granted).map(|capability| capability.name.raw()).collect();
        assert_eq!(granted, ["adding_tags", "karton_manage"]);
        assert_eq!(boxes.len(), Capability::ALL.len() + 1);
    }
}
