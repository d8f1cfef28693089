//! Forms for who has no account yet, or has lost the way in. See MWDB API §U4.3 and §U5.
//!
//! They are not there when a captcha is asked for: pages of ours load no script of others, so that is
//! for another web interface.

use karton_rs::json::Value;
use rocket::{Route, State, get, http::Status, post};

use super::{
    form::Form,
    respond::{Page, PageResult, message},
    session::{self, OwnForm},
    settings::fields,
    view::{
        account::{RecoverPage, RegisterPage},
        frame::Section,
    },
};
use crate::{
    api::{
        auth::{ask_for_account, recover},
        user::account_fields,
    },
    auth::ClientAddress,
    error::{ApiError, ApiResult},
    state::App,
};

pub(super) fn routes() -> Vec<Route> {
    rocket::routes![register_form, register, recover_form, send_recovery]
}

/// Whether visitors may ask for an account here.
pub(super) fn registers(app: &App) -> bool {
    app.config.enable_registration && !app.captcha.is_enabled()
}

/// Whether visitors may have a link mailed.
pub(super) fn recovers(app: &App) -> bool {
    app.config.enable_password_auth && app.mailer.is_enabled() && !app.captcha.is_enabled()
}

fn only(offered: bool) -> ApiResult<()> {
    if offered { Ok(()) } else { Err(ApiError::Forbidden("This server does not offer that here. Ask its administrator.".to_owned())) }
}

/// A refusal that the form can show; anything else is a page of its own.
fn shown(error: ApiError) -> ApiResult<(Status, String)> {
    match error {
        ApiError::BadRequest(_)
        | ApiError::Invalid(_)
        | ApiError::Forbidden(_)
        | ApiError::Conflict(_)
        | ApiError::TooManyRequests(_)
        | ApiError::Unavailable(_) => Ok((error.status(), message(&error))),
        other => Err(other),
    }
}

fn register_page(app: &App) -> RegisterPage {
    let frame = session::frame(app, None, Section::None);
    RegisterPage { frame, error: None, login: "".into(), email: "".into(), info: "".into(), done: false }
}

#[get("/register")]
fn register_form(app: &State<App>) -> PageResult {
    only(registers(app))?;
    Page::new(&register_page(app))
}

#[post("/register", data = "<form>")]
async fn register(_own: OwnForm, form: Form, app: &State<App>) -> PageResult {
    only(registers(app))?;
    let text = |name: &str| form.text(name).trim().to_owned();
    let (login, email, info) = (text("login"), text("email"), text("additional_info"));
    let given = fields(&[("email", Value::from(email.as_str())), ("additional_info", Value::from(info.as_str()))])?;
    let outcome = match account_fields(&given, login.clone()) {
        Ok(account) => ask_for_account(app, account).await,
        Err(error) => Err(error),
    };
    let page = RegisterPage { login: login.into(), email: email.into(), info: info.into(), ..register_page(app) };
    match outcome {
        Ok(()) => Page::new(&RegisterPage { done: true, ..page }),
        Err(error) => {
            let (status, message) = shown(error)?;
            Page::with_status(&RegisterPage { error: Some(message.into()), ..page }, status)
        }
    }
}

fn recover_page(app: &App) -> RecoverPage {
    RecoverPage { frame: session::frame(app, None, Section::None), error: None, login: "".into(), email: "".into(), done: false }
}

#[get("/recover_password")]
fn recover_form(app: &State<App>) -> PageResult {
    only(recovers(app))?;
    Page::new(&recover_page(app))
}

#[post("/recover_password", data = "<form>")]
async fn send_recovery(_own: OwnForm, form: Form, address: ClientAddress, app: &State<App>) -> PageResult {
    only(recovers(app))?;
    let (login, email) = (form.text("login").trim().to_owned(), form.text("email").trim().to_owned());
    let outcome = recover(app, login.clone(), email.clone(), address.0).await;
    let page = RecoverPage { login: login.into(), email: email.into(), ..recover_page(app) };
    match outcome {
        Ok(()) => Page::new(&RecoverPage { done: true, ..page }),
        Err(error) => {
            let (status, message) = shown(error)?;
            Page::with_status(&RecoverPage { error: Some(message.into()), ..page }, status)
        }
    }
}
