//! Login, refresh, passwords, registration, API keys. See MWDB API §U4 and §U5.

use std::net::IpAddr;

use rocket::{Route, State, delete, get, post, serde::json::Json};
use serde::Serialize;

use super::{
    body::Body,
    together::{Together, passing},
    user::{account_of, new_password_token, valid_email, valid_login},
};
use crate::{
    accounts::{
        KeyItem,
        groups::{self, GroupItem},
        sessions,
        sessions::Identity,
        users::{self, Account},
    },
    auth::{Caller, Capability, ClientAddress, User, is_login, password},
    db::accounts::UserRow,
    error::{ApiError, ApiResult},
    limits::Refused,
    mail::Letter,
    objects::text::check_longest,
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![
        login,
        refresh,
        validate,
        change_password,
        request_password_change,
        recover_password,
        register,
        own_groups,
        issue_key,
        revoke_key
    ]
}

#[derive(Serialize)]
struct Session {
    #[serde(flatten)]
    identity: Identity,
    token: String,
    provider: Option<String>,
}

/// The answer to requests that name one user.
#[derive(Serialize)]
pub(super) struct LoginItem {
    pub(super) login: String,
}

fn password_auth(app: &App) -> ApiResult<()> {
    if app.config.enable_password_auth { Ok(()) } else { Err(ApiError::Forbidden("Password authentication is disabled".to_owned())) }
}

#[post("/auth/login", data = "<body>")]
async fn login(body: Body, address: ClientAddress, app: &State<App>) -> ApiResult<Json<Session>> {
    password_auth(app)?;
    let fields = body.object()?;
    let (login, secret) = (fields.text("login"), fields.any_text("password")).together()?;
    let account = check_password(app, login, secret, address.0).await?;
    Ok(Json(open_session(app, account).await?))
}

/// The token of a new session, by password.
pub(crate) async fn log_in(app: &App, login: String, secret: String, address: Option<IpAddr>) -> ApiResult<String> {
    password_auth(app)?;
    let account = check_password(app, login, secret, address).await?;
    Ok(open_session(app, account).await?.token)
}

/// The account, as it was when its password was checked.
async fn check_password(app: &App, login: String, secret: String, address: Option<IpAddr>) -> ApiResult<UserRow> {
    valid_login(&login)?;
    password::check_length(&secret)?;
    let name = login.clone();
    let account = app.db.read(move |c| sessions::account(c, &name)).await?;
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());
    let maintenance = app.config.enable_maintenance && login != app.config.admin_login;
    if maintenance && account.is_some() {
        return Err(ApiError::Forbidden("Maintenance underway. Please come back later.".to_owned()));
    }
    if !matches(app, &login, secret, stored, address).await? {
        return Err(sessions::bad_credentials());
    }
    let account = account.ok_or_else(sessions::bad_credentials)?;
    // Clients know this text and the next, and look for them in the answer to a login alone.
    if account.pending {
        return Err(ApiError::Forbidden("User registration is pending".to_owned()));
    }
    if account.disabled {
        return Err(ApiError::Forbidden("User account is disabled.".to_owned()));
    }
    Ok(account)
}

/// Whether a password is the right one, which is asked so often and no more. Too much to do tells nothing of it.
async fn matches(app: &App, login: &str, secret: String, stored: Option<String>, address: Option<IpAddr>) -> ApiResult<bool> {
    let attempt = app.failed_logins.attempt(login, address).await.map_err(|refused| match refused {
        Refused::Wait(wait) => ApiError::TooManyRequests(wait),
        Refused::Busy => password::too_many(),
    })?;
    let matches = password::verify(secret, stored).await?;
    if matches {
        attempt.succeeded();
    } else {
        attempt.failed();
    }
    Ok(matches)
}

async fn open_session(app: &App, checked: UserRow) -> ApiResult<Session> {
    session(app, app.db.write(move |c| sessions::open(c, &checked)).await?)
}

fn session(app: &App, (caller, user): (Caller, UserRow)) -> ApiResult<Session> {
    let token = app.tokens.session(&user.login, &user.password_ver, &user.identity_ver, caller.provider.as_deref())?;
    Ok(Session { identity: Identity::of(&caller), token, provider: caller.provider })
}

#[post("/auth/refresh")]
async fn refresh(user: User, app: &State<App>) -> ApiResult<Json<Session>> {
    Ok(Json(session(app, app.change(&user.0, sessions::refresh).await?)?))
}

#[get("/auth/validate")]
fn validate(user: User) -> Json<Identity> {
    Json(Identity::of(&user))
}

#[post("/auth/change_password", data = "<body>")]
async fn change_password(body: Body, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    password_auth(app)?;
    let fields = body.object()?;
    let (secret, token) = (fields.any_text("password"), fields.any_text("token")).together()?;
    Ok(Json(LoginItem { login: use_password_link(app, &token, secret).await? }))
}

/// Sets a password by the token of a link; gives the login.
pub(crate) async fn use_password_link(app: &App, token: &str, secret: String) -> ApiResult<String> {
    password_auth(app)?;
    password::check_new(&secret)?;
    let (login, version) = app.tokens.read_set_password(token).ok_or_else(sessions::bad_password_token)?;
    let hash = password::hash(secret).await?;
    let name = login.clone();
    app.db.write(move |c| sessions::change_password(c, &name, &version, hash)).await?;
    Ok(login)
}

/// Sets one's own password by the current one; gives the token of a new session, because all others end.
/// The API of MWDB knows only links for that, which a server without mail cannot send.
pub(crate) async fn change_own_password(
    app: &App,
    caller: &Caller,
    (old, new): (String, String),
    address: Option<IpAddr>,
) -> ApiResult<String> {
    caller.require(Capability::ManageProfile)?;
    password_auth(app)?;
    password::check_new(&new)?;
    let checked = check_password(app, caller.login.clone(), old, address).await.map_err(|error| match error {
        ApiError::Forbidden(_) | ApiError::BadRequest(_) | ApiError::Invalid(_) => {
            ApiError::Forbidden("This is not your current password.".to_owned())
        }
        other => other,
    })?;
    let hash = password::hash(new).await?;
    let opened = app.db.write(move |c| {
        // By the version that was checked: whoever has set another password meanwhile wins.
        sessions::change_password(c, &checked.login, &checked.password_ver, hash)?;
        let account = sessions::account(c, &checked.login)?.ok_or(ApiError::NotAuthenticated)?;
        sessions::open(c, &account)
    });
    Ok(session(app, opened.await?)?.token)
}

#[post("/auth/request_password_change")]
async fn request_password_change(user: User, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    mail_own_link(app, &user).await?;
    Ok(Json(LoginItem { login: user.login.clone() }))
}

/// Mails somebody a link to set their own password.
pub(crate) async fn mail_own_link(app: &App, caller: &Caller) -> ApiResult<()> {
    caller.require(Capability::ManageProfile)?;
    password_auth(app)?;
    mail_link(app, Letter::Recover, &caller.login).await
}

/// Mails an account a link to set its password.
pub(crate) async fn mail_link(app: &App, letter: Letter, login: &str) -> ApiResult<()> {
    let name = login.to_owned();
    let email = app.db.read(move |c| users::email(c, &name)).await?;
    let token = new_password_token(app, login).await?;
    let link = format!("{}/setpasswd/?token={token}", app.config.base_url.trim_end_matches('/'));
    app.mailer.send(letter, login, &email, Some(&link)).await.map_err(ApiError::Mail)
}

#[post("/auth/recover_password", data = "<body>")]
async fn recover_password(body: Body, address: ClientAddress, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    password_auth(app)?;
    let fields = body.object()?;
    let (login, email, recaptcha) = (
        passing(fields.text("login"), |login| valid_login(login)),
        passing(fields.text("email"), |email| valid_email(email)),
        fields.optional_text("recaptcha"),
    )
        .together()?;
    app.captcha.check(recaptcha.as_deref(), address.0).await?;
    recover(app, login.clone(), email, address.0).await?;
    Ok(Json(LoginItem { login }))
}

/// Mails a link to whoever knows login and address of an account, some times. Guesses are counted
/// for the one who guesses, so that nobody can keep others from their mail.
pub(crate) async fn recover(app: &App, login: String, email: String, address: Option<IpAddr>) -> ApiResult<()> {
    password_auth(app)?;
    if !is_login(&login) {
        return Err(ApiError::Forbidden("Invalid login or e-mail address.".to_owned()));
    }
    if let Some(wait) = app.asked_mails.wait(&login, None).or_else(|| app.failed_recoveries.wait(&login, address)) {
        return Err(ApiError::TooManyRequests(wait));
    }
    let name = login.clone();
    let found = app.db.read(move |c| sessions::recoverable(c, &name, &email)).await;
    match &found {
        Ok(_) => app.asked_mails.failed(&login, None),
        Err(_) => app.failed_recoveries.failed(&login, address),
    }
    mail_link(app, Letter::Recover, &found?.login).await
}

#[post("/auth/register", data = "<body>")]
async fn register(body: Body, address: ClientAddress, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    may_register(app)?;
    let fields = body.object()?;
    let (account, recaptcha) = (account_of(&fields, fields.text("login")), fields.optional_text("recaptcha")).together()?;
    let login = account.login.clone();
    app.captcha.check(recaptcha.as_deref(), address.0).await?;
    ask_for_account(app, account).await?;
    Ok(Json(LoginItem { login }))
}

fn may_register(app: &App) -> ApiResult<()> {
    if app.config.enable_registration { Ok(()) } else { Err(ApiError::Forbidden("User registration is not enabled.".to_owned())) }
}

/// Makes an account that waits for acceptance. That a mail says so is a courtesy.
pub(crate) async fn ask_for_account(app: &App, account: Account) -> ApiResult<()> {
    may_register(app)?;
    let (login, email) = (account.login.clone(), account.email.clone());
    app.db.write(move |c| users::create(c, &account, None)).await?;
    app.mailer.tell(Letter::Registered, &login, &email).await;
    Ok(())
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<GroupItem>,
}

#[get("/auth/groups")]
async fn own_groups(user: User, app: &State<App>) -> ApiResult<Json<Groups>> {
    let groups = app.look(&user.0, groups::workspaces).await?;
    Ok(Json(Groups { groups }))
}

#[derive(Serialize)]
struct IssuedKey {
    #[serde(flatten)]
    key: KeyItem,
    token: String,
}

#[post("/user/<login>/api_key", data = "<body>")]
async fn issue_key(login: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<IssuedKey>> {
    user.require(Capability::ManageProfile)?;
    let name = body.object_or_empty()?.optional_text("name")?.unwrap_or_default();
    check_longest("name", &name, 100)?;
    let owner = login.clone();
    let key = app.change(&user.0, move |c, caller| sessions::issue_key(c, caller, &owner, &name)).await?;
    let token = app.tokens.api_key(&login, &key.id)?;
    Ok(Json(IssuedKey { key, token }))
}

#[delete("/api_key/<key>")]
async fn revoke_key(key: &str, user: User, app: &State<App>) -> ApiResult<Json<()>> {
    user.require(Capability::ManageProfile)?;
    let key = uuid::Uuid::try_parse(key).map_err(|_| ApiError::invalid("id", "Not a valid UUID."))?.to_string();
    app.change(&user.0, move |c, caller| sessions::revoke_key(c, caller, &key)).await?;
    Ok(Json(()))
}
