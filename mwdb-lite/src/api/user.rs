//! Administration of users, and profiles. See MWDB API §U2 and §U5.

use std::sync::Arc;

use rocket::{Route, State, delete, get, post, put, serde::json::Json};
use serde::Serialize;

use super::{
    auth::{LoginItem, mail_link},
    body::{Body, Fields, boolean_text},
    params::Query,
    together::{Together, passing},
};
use crate::{
    accounts::{
        address::is_address,
        users::{self, Account, Changes, Profile, UserDetail, UserItem},
    },
    auth::{Caller, Capability, User, is_name, is_reserved},
    error::{ApiError, ApiResult},
    mail::Letter,
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![list, detail, create, update, remove, password_token, mail_password_link, accept, reject, profile]
}

#[derive(Serialize)]
struct Users {
    users: Vec<UserItem>,
}

#[get("/user?<pending>")]
async fn list(pending: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<Users>> {
    user.require(Capability::ManageUsers)?;
    let pending = pending.0.is_some_and(|value| !value.is_empty());
    let users = app.db.read(move |c| users::list(c, pending)).await?;
    Ok(Json(Users { users }))
}

#[get("/user/<login>")]
async fn detail(login: String, user: User, app: &State<App>) -> ApiResult<Json<UserDetail>> {
    user.require(Capability::ManageUsers)?;
    Ok(Json(app.db.read(move |c| users::detail(c, &login)).await?))
}

/// Refuses what is no e-mail address.
pub(super) fn valid_email(text: &str) -> ApiResult<()> {
    if is_address(text) { Ok(()) } else { Err(ApiError::invalid("email", "Not a valid email address.")) }
}

/// Refuses what can be no login.
pub(super) fn valid_login(login: &str) -> ApiResult<()> {
    if !is_name(login) {
        return Err(ApiError::invalid(
            "login",
            "Login should contain max 32 chars and include only letters, digits, underscores, dots and dashes",
        ));
    }
    if is_reserved(login) { Err(ApiError::invalid("login", "User cannot be named private")) } else { Ok(()) }
}

/// What a new account must bring.
pub(crate) fn account_fields(fields: &Fields, login: String) -> ApiResult<Account> {
    account_of(fields, Ok(login))
}

/// The same where the login is one of the fields.
pub(super) fn account_of(fields: &Fields, login: ApiResult<String>) -> ApiResult<Account> {
    let (login, email, additional_info, feed_quality) = (
        passing(login, |login| valid_login(login)),
        passing(fields.text("email"), |email| valid_email(email)),
        passing(fields.text("additional_info"), |info| filled_info(info)),
        fields.optional_text("feed_quality"),
    )
        .together()?;
    let feed_quality = feed_quality.filter(|text| !text.is_empty()).unwrap_or_else(|| "high".to_owned());
    Ok(Account { login, email, additional_info, feed_quality })
}

fn filled_info(text: &str) -> ApiResult<()> {
    if text.is_empty() { Err(ApiError::invalid("additional_info", "Additional info can not be empty")) } else { Ok(()) }
}

/// The rules of new accounts, for what changes.
pub(crate) fn check_changes(changes: &Changes) -> ApiResult<()> {
    changes.email.as_deref().map_or(Ok(()), valid_email)?;
    changes.additional_info.as_deref().map_or(Ok(()), filled_info)
}

#[post("/user/<login>", data = "<body>")]
async fn create(login: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    let (account, mail) = (account_fields(&fields, login.clone()), fields.optional_boolean("send_email")).together()?;
    let mail = mail.unwrap_or(false);
    app.change(&user.0, move |c, caller| users::create(c, &account, Some(caller))).await?;
    if mail {
        // The account stays when this fails.
        mail_link(app, Letter::Welcome, &login).await?;
    }
    Ok(Json(LoginItem { login }))
}

#[put("/user/<login>", data = "<body>")]
async fn update(login: String, user: User, body: Body, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    user.require(Capability::ManageUsers)?;
    let fields = body.object()?;
    let (email, additional_info, feed_quality, disabled, _, ()) = (
        fields.nullable_text("email"),
        fields.nullable_text("additional_info"),
        fields.nullable_text("feed_quality"),
        fields.nullable_boolean("disabled"),
        // Known for new accounts; here it says nothing.
        fields.nullable_boolean("send_email"),
        valid_login(&login),
    )
        .together()?;
    let changes = Changes { email, additional_info, feed_quality, disabled };
    check_changes(&changes)?;
    let name = login.clone();
    app.change(&user.0, move |c, caller| users::update(c, caller, &name, &changes)).await?;
    Ok(Json(LoginItem { login }))
}

#[delete("/user/<login>")]
async fn remove(login: String, user: User, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    user.require(Capability::ManageUsers)?;
    let name = login.clone();
    app.change(&user.0, move |c, caller| users::remove(c, caller, &name)).await?;
    Ok(Json(LoginItem { login }))
}

#[derive(Serialize)]
struct PasswordToken {
    login: String,
    token: String,
}

#[get("/user/<login>/change_password")]
async fn password_token(login: String, user: User, app: &State<App>) -> ApiResult<Json<PasswordToken>> {
    user.require(Capability::ManageUsers)?;
    let token = new_password_token(app, &login).await?;
    Ok(Json(PasswordToken { login, token }))
}

/// A token that sets the password of an account, once.
pub(crate) async fn new_password_token(app: &App, login: &str) -> ApiResult<String> {
    let name = login.to_owned();
    let version = app.db.read(move |c| users::password_version(c, &name)).await?;
    Ok(app.tokens.set_password(login, &version)?)
}

#[post("/user/<login>/request_password_change")]
async fn mail_password_link(login: String, user: User, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    user.require(Capability::ManageUsers)?;
    valid_login(&login)?;
    mail_link(app, Letter::Recover, &login).await?;
    Ok(Json(LoginItem { login }))
}

#[post("/user/<login>/pending")]
async fn accept(login: String, user: User, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    user.require(Capability::ManageUsers)?;
    valid_login(&login)?;
    accept_user(app, &user.0, &login).await?;
    Ok(Json(LoginItem { login }))
}

/// Accepts a registration, after the link to set a password was mailed where there is a mail server: when that
/// fails, the account waits on, and accepting it can be tried again.
pub(crate) async fn accept_user(app: &App, caller: &Arc<Caller>, login: &str) -> ApiResult<()> {
    if app.mailer.is_enabled() {
        let name = login.to_owned();
        app.db.read(move |c| users::must_be_pending(c, &name)).await?;
        mail_link(app, Letter::Welcome, login).await?;
    }
    let name = login.to_owned();
    app.change(caller, move |c, caller| users::accept(c, caller, &name)).await
}

#[delete("/user/<login>/pending?<send_email>")]
async fn reject(login: String, send_email: Query<'_>, user: User, app: &State<App>) -> ApiResult<Json<LoginItem>> {
    user.require(Capability::ManageUsers)?;
    valid_login(&login)?;
    let value = send_email.0.ok_or_else(|| ApiError::invalid("send_email", super::body::REQUIRED))?;
    let mail = boolean_text(value).ok_or_else(|| ApiError::invalid("send_email", super::body::NOT_BOOLEAN))?;
    reject_user(app, &user.0, &login, mail).await?;
    Ok(Json(LoginItem { login }))
}

/// Rejects a registration. Who it was is gone then, so a mail that fails is noted and no more.
pub(crate) async fn reject_user(app: &App, caller: &Arc<Caller>, login: &str, mail: bool) -> ApiResult<()> {
    let name = login.to_owned();
    let email = app.change(caller, move |c, _| users::reject(c, &name)).await?;
    if mail {
        app.mailer.tell(Letter::Rejected, login, &email).await;
    }
    Ok(())
}

#[get("/profile/<login>")]
async fn profile(login: String, user: User, app: &State<App>) -> ApiResult<Json<Profile>> {
    valid_login(&login)?;
    Ok(Json(app.look(&user.0, move |c, caller| users::profile(c, caller, &login)).await?))
}
