//! Logging in and out, one's own account and keys.

use karton_rs::json::Value;
use rocket::{Route, State, get, http::CookieJar, http::Status, post};

use super::{
    form::Form,
    new_keys::NewKeys,
    notices::{Done, Told},
    register,
    respond::{Outcome, Page, PageResult, SeeOther, message, refused, see_other},
    session::{self, Actor, Encrypted, OwnForm, Place, Session, local_path},
    settings, shown,
    view::{
        account::{ApiKey, Group, KeyList, LoginPage, NewKey, ProfilePage, SetPasswordPage},
        frame::{Frame, Section},
        simple::AboutPage,
        text::Text,
    },
};
use crate::{
    accounts::{groups, sessions, users},
    api::{
        SERVER_VERSION,
        auth::{change_own_password, log_in, mail_own_link, use_password_link},
    },
    auth::{Caller, Capability, ClientAddress, is_login},
    error::{ApiError, ApiResult},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![
        login_form,
        login,
        logout,
        password_form,
        set_password,
        profile,
        change_password,
        mail_link,
        remove_mate,
        make_key,
        revoke_key,
        about
    ]
}

#[get("/login?<back>")]
fn login_form(back: Option<&str>, told: Told, app: &State<App>) -> PageResult {
    Page::new(&LoginPage {
        frame: Frame { notice: told.0.map(Done::notice), ..session::frame(app, None, Section::None) },
        error: None,
        login: Text::default(),
        registers: register::registers(app),
        recovers: register::recovers(app),
        back: local_path(back.unwrap_or("/")).to_owned(),
    })
}

#[post("/login", data = "<form>")]
async fn login(
    _own: OwnForm,
    form: Form,
    jar: &CookieJar<'_>,
    encrypted: Encrypted,
    address: ClientAddress,
    app: &State<App>,
) -> PageResult<Result<SeeOther, Page>> {
    let (name, back) = (form.text("login").trim().to_owned(), local_path(form.text("back")).to_owned());
    match log_in(app, name.clone(), form.text("password").to_owned(), address.0).await {
        Ok(token) => {
            session::open(jar, token, encrypted.0);
            Ok(Ok(see_other(back)))
        }
        Err(error @ (ApiError::Forbidden(_) | ApiError::BadRequest(_) | ApiError::Invalid(_) | ApiError::TooManyRequests(_))) => {
            let status = if matches!(error, ApiError::TooManyRequests(_)) { error.status() } else { Status::Forbidden };
            let page = LoginPage {
                frame: session::frame(app, None, Section::None),
                error: Some(message(&error).into()),
                login: name.into(),
                back,
                registers: register::registers(app),
                recovers: register::recovers(app),
            };
            Ok(Err(Page::with_status(&page, status)?))
        }
        Err(error) => Err(error.into()),
    }
}

#[post("/logout")]
fn logout(_own: OwnForm, jar: &CookieJar<'_>) -> SeeOther {
    session::close(jar);
    see_other("/login")
}

/// The address is that of MWDB's mails.
#[get("/setpasswd?<token>")]
fn password_form(token: String, app: &State<App>) -> PageResult {
    Page::new(&SetPasswordPage { frame: session::frame(app, None, Section::None), error: None, token })
}

#[post("/setpasswd", data = "<form>")]
async fn set_password(_own: OwnForm, form: Form, app: &State<App>) -> PageResult<Result<SeeOther, Page>> {
    let (token, secret) = (form.text("token").to_owned(), form.text("password").to_owned());
    let outcome = if secret == form.text("again") {
        use_password_link(app, &token, secret).await
    } else {
        Err(ApiError::BadRequest("The two passwords differ.".to_owned()))
    };
    match outcome {
        Ok(_) => Ok(Ok(see_other("/login").telling(Done::PasswordSet))),
        Err(error @ (ApiError::Forbidden(_) | ApiError::BadRequest(_) | ApiError::Invalid(_))) => {
            let frame = session::frame(app, None, Section::None);
            let page = SetPasswordPage { frame, error: Some(message(&error).into()), token };
            Ok(Err(Page::with_status(&page, error.status())?))
        }
        Err(error) => Err(error.into()),
    }
}

/// `made` is the key that was just made here.
#[get("/profile?<made>")]
async fn profile(made: Option<&str>, session: Session, new: &State<NewKeys>, app: &State<App>) -> PageResult {
    let mut page = profile_page(app, &session).await?;
    page.keys.show(app, new, &session, made)?;
    Page::new(&page)
}

/// By the current password: for who has no link.
#[post("/profile/password", data = "<form>")]
async fn change_password(
    actor: Actor,
    form: Form,
    jar: &CookieJar<'_>,
    encrypted: Encrypted,
    address: ClientAddress,
    app: &State<App>,
) -> Outcome {
    let passwords = (form.text("old").to_owned(), form.text("password").to_owned());
    let outcome = if passwords.1 == form.text("again") {
        change_own_password(app, &actor.0, passwords, address.0).await
    } else {
        Err(ApiError::BadRequest("The two passwords differ.".to_owned()))
    };
    match outcome {
        Ok(token) => {
            session::open(jar, token, encrypted.0);
            Ok(Ok(see_other("/profile").telling(Done::PasswordChanged)))
        }
        Err(error @ (ApiError::Forbidden(_) | ApiError::BadRequest(_) | ApiError::Invalid(_) | ApiError::TooManyRequests(_))) => {
            Ok(Err(refused(&actor.0, error, |session| async move { profile_page(app, &session).await }).await?))
        }
        Err(error) => Err(error.into()),
    }
}

async fn profile_page(app: &App, session: &Session) -> ApiResult<ProfilePage> {
    let login = session.login.clone();
    let (profile, teams) = app
        .look(&session.0, move |c, caller| {
            Ok((shown::answer(&users::profile(c, caller, &login)?)?, shown::answer(&groups::workspaces(c, caller)?)?))
        })
        .await?;
    let groups = shown::list(&profile, "groups").iter().map(|group| {
        let name = shown::text(group, "name");
        let team = teams.as_array().unwrap_or_default().iter().find(|team| shown::text(team, "name") == name);
        Group {
            removable: team.map(|team| removable(team, &session.login)).unwrap_or_default(),
            name: name.into(),
            private: settings::flag(group, "private"),
            capabilities: shown::texts(group, "capabilities"),
        }
    });
    let sets_password = app.config.enable_password_auth && session.has(Capability::ManageProfile);
    Ok(ProfilePage {
        frame: session.frame(app, Section::Profile),
        sets_password,
        mails: app.mailer.is_enabled() && sets_password,
        login: session.login.clone(),
        email: shown::text(&profile, "email").into(),
        registered: shown::moment(&profile, "registered_on"),
        logged: shown::moment(&profile, "logged_on"),
        password_set: shown::moment(&profile, "set_password_on"),
        capabilities: shown::texts(&profile, "capabilities"),
        groups: groups.collect(),
        keys: key_list(&profile, session),
    })
}

/// The other members, for who administers the group.
fn removable(team: &Value, viewer: &str) -> Vec<String> {
    if !settings::names(team, "admins").iter().any(|admin| admin == viewer) {
        return Vec::new();
    }
    settings::names(team, "users").into_iter().filter(|login| login != viewer).collect()
}

#[post("/profile/mail_link")]
async fn mail_link(actor: Actor, app: &State<App>) -> PageResult<SeeOther> {
    mail_own_link(app, &actor).await?;
    Ok(see_other("/profile").telling(Done::LinkMailed))
}

/// For who administers the group.
#[post("/profile/group/<name>/remove", data = "<form>")]
async fn remove_mate(name: String, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    let login = form.text("login").to_owned();
    app.change(&actor.0, move |c, caller| groups::remove_member(c, caller, &name, &login)).await?;
    Ok(see_other("/profile").telling(Done::MemberRemoved))
}

/// The keys in the answer about an account.
pub(super) fn key_list(account: &Value, viewer: &Caller) -> KeyList {
    let owner = shown::text(account, "login");
    let keys = shown::list(account, "api_keys").iter().map(|key| ApiKey {
        id: shown::text(key, "id"),
        name: shown::text(key, "name").into(),
        issued: shown::required_moment(key, "issued_on"),
        issuer: key.get("issuer_login").and_then(Value::as_str).filter(|issuer| *issuer != owner).map(Text::from),
    });
    KeyList { keys: keys.collect(), owner, can_manage: viewer.has(Capability::ManageProfile), created: None, name: Text::default() }
}

impl KeyList {
    /// Shows the token of a key that the viewer has just made, this once.
    pub(super) fn show(&mut self, app: &App, new: &NewKeys, viewer: &Caller, made: Option<&str>) -> ApiResult<()> {
        let Some(key) = self.keys.iter().find(|key| Some(key.id.as_str()) == made) else { return Ok(()) };
        if new.take(viewer.id, &key.id) {
            self.created = Some(NewKey { name: key.name.clone(), token: app.tokens.api_key(&self.owner, &key.id)? });
        }
        Ok(())
    }
}

/// The page that this leads to shows the token, and none shows it again.
#[post("/user/<login>/api_key", data = "<form>")]
async fn make_key(login: String, actor: Actor, form: Form, new: &State<NewKeys>, app: &State<App>) -> Outcome {
    let name = form.text("name").trim().to_owned();
    let outcome = async {
        actor.require(Capability::ManageProfile)?;
        if name.chars().count() > 100 {
            return Err(ApiError::BadRequest("The name of a key has at most 100 characters.".to_owned()));
        }
        let (owner, key_name) = (login.clone(), name.clone());
        app.change(&actor.0, move |c, caller| sessions::issue_key(c, caller, &owner, &key_name)).await
    };
    let own = login == actor.login;
    match outcome.await {
        Ok(key) => {
            new.put(actor.id, &key.id);
            let page = if own { "/profile".to_owned() } else { format!("/settings/user/{login}") };
            Ok(Ok(see_other(format!("{page}?made={}#keys", key.id))))
        }
        Err(error) if own => {
            let page = |session: Session| async move {
                let mut page = profile_page(app, &session).await?;
                page.keys.name = name.into();
                Ok(page)
            };
            Ok(Err(refused(&actor.0, error, page).await?))
        }
        Err(error) => {
            let page = |session: Session| async move {
                let mut page = settings::user_page(app, &session, &login).await?;
                page.keys.name = name.into();
                Ok(page)
            };
            Ok(Err(refused(&actor.0, error, page).await?))
        }
    }
}

#[post("/api_key/<id>/remove", data = "<form>")]
async fn revoke_key(id: String, actor: Actor, form: Form, app: &State<App>) -> PageResult<SeeOther> {
    actor.require(Capability::ManageProfile)?;
    app.change(&actor.0, move |c, caller| sessions::revoke_key(c, caller, &id)).await?;
    let owner = form.text("owner");
    if owner != actor.login && is_login(owner) {
        return Ok(see_other(format!("/settings/user/{owner}#keys")).telling(Done::KeyRevoked));
    }
    Ok(see_other("/profile#keys").telling(Done::KeyRevoked))
}

#[get("/about")]
fn about(session: Session, place: Place, app: &State<App>) -> PageResult {
    Page::new(&AboutPage {
        frame: session.frame(app, Section::About),
        version: env!("CARGO_PKG_VERSION"),
        api_version: SERVER_VERSION.to_owned(),
        karton_enabled: app.karton.is_enabled(),
        base_url: place.0.into(),
    })
}
