//! Answers: pages, and failures as pages.
//!
//! A failure of the rules is the same [`ApiError`] that the API sends; here it becomes a page, the way
//! to the login, or JSON for the scripts of our pages.

use std::sync::Arc;

use askama::Template;
use rocket::{
    Catcher, Request, Response,
    http::{ContentType, Status},
    response::{self, Responder},
};

use super::{
    gate,
    notices::Done,
    session::{self, Session},
    view::{
        frame::{Frame, Section},
        simple::ErrorPage,
        text::encode_field,
    },
};
use crate::{
    auth::{Caller, GuardFailure},
    error::{ApiError, ApiResult},
    state::App,
};

/// What a handler of a page gives.
pub(super) type PageResult<T = Page> = Result<T, PageError>;

/// A rendered page.
pub(super) struct Page {
    html: String,
    status: Status,
}

impl Page {
    pub(super) fn new(template: &impl Template) -> PageResult {
        Self::with_status(template, Status::Ok)
    }

    pub(super) fn with_status(template: &impl Template, status: Status) -> PageResult {
        let html = template.render().map_err(anyhow::Error::from)?;
        Ok(Self { html, status })
    }
}

impl<'r> Responder<'r, 'static> for Page {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        Response::build().status(self.status).header(ContentType::HTML).sized_body(self.html.len(), std::io::Cursor::new(self.html)).ok()
    }
}

/// After a form: the browser gets the page anew.
pub(super) struct SeeOther {
    path: String,
    done: Option<Done>,
}

/// `path` is one of this server, and may end in a place of its page.
pub(super) fn see_other(path: impl Into<String>) -> SeeOther {
    SeeOther { path: path.into(), done: None }
}

impl SeeOther {
    /// The page says what was done.
    pub(super) fn telling(self, done: Done) -> Self {
        Self { done: Some(done), ..self }
    }
}

impl<'r> Responder<'r, 'static> for SeeOther {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        if let Some(done) = self.done {
            done.leave(request);
        }
        Response::build().status(Status::SeeOther).raw_header("Location", self.path).ok()
    }
}

/// Where a form leads, or its page again, with the refusal and what was typed.
pub(super) type Outcome = PageResult<Result<SeeOther, Page>>;

/// The page of a form that was refused says why. Where there is no page to show, the refusal is all.
pub(super) async fn refused<P, F, W>(actor: &Arc<Caller>, error: ApiError, page: F) -> PageResult
where
    P: Template,
    F: FnOnce(Session) -> W,
    W: Future<Output = ApiResult<P>>,
{
    if matches!(error, ApiError::Internal(_) | ApiError::NotAuthenticated | ApiError::NoRoute) {
        return Err(error.into());
    }
    match page(Session::of_refused(Arc::clone(actor), &error)).await {
        Ok(page) => Page::with_status(&page, error.status()),
        Err(_) => Err(error.into()),
    }
}

/// A request that is not answered with a page of data.
#[derive(Debug)]
pub(super) struct PageError(pub(super) ApiError);

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl<'r> Responder<'r, 'static> for PageError {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let error = self.0;
        if wants_json(request) {
            // Our scripts show it to people.
            let error = if matches!(error, ApiError::Invalid(_)) { ApiError::BadRequest(message(&error)) } else { error };
            return error.respond_to(request);
        }
        if matches!(error, ApiError::NotAuthenticated) {
            return to_login(request);
        }
        // The API's answer writes the log and sets the headers that belong to the failure.
        let (status, message) = (error.status(), message(&error));
        let mut response = error.respond_to(request)?;
        let html = request.rocket().state::<App>().and_then(|app| {
            let frame = session::frame(app, session::known(request).as_deref(), Section::None);
            ErrorPage { back: came_from(request), ..error_page(frame, status, message) }.render().ok()
        });
        if let Some(html) = html {
            response.set_header(ContentType::HTML);
            response.set_sized_body(html.len(), std::io::Cursor::new(html));
        }
        Ok(response)
    }
}

/// A page for a failure, without a way back.
pub(super) fn error_page(frame: Frame, status: Status, message: String) -> ErrorPage {
    ErrorPage { frame, status: status.code, heading: status.reason_lossy().to_owned(), message: message.into(), back: None }
}

/// What a page says of a failure: the API's text is for programs where values break a schema.
pub(super) fn message(error: &ApiError) -> String {
    match error {
        ApiError::Invalid(mistakes) => mistakes.in_words(),
        ApiError::NoRoute => "There is no such page.".to_owned(),
        ApiError::Internal(_) => "Something went wrong on the server. Its log says what.".to_owned(),
        other => other.to_string(),
    }
}

/// The page of ours whose form was refused. Browsers tell it: our policy of referrers lets them.
fn came_from(request: &Request<'_>) -> Option<String> {
    if request.method() == rocket::http::Method::Get {
        return None;
    }
    let header = |name| request.headers().get_one(name);
    let (_, rest) = header("Referer")?.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let known = Some(authority) == header("Host") || header("Origin").is_some_and(|origin| origin.ends_with(&format!("://{authority}")));
    let path = session::local_path(path);
    (known && path != "/").then(|| shown_at(path)).flatten()
}

/// Where the page is that a browser shows at this address: the answer to a refused form is its page, at
/// the address of the form.
fn shown_at(address: &str) -> Option<String> {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    if gate::is_page(path) {
        return Some(address.to_owned());
    }
    let words: Vec<&str> = path.split('/').skip(1).collect();
    Some(match words[..] {
        ["object", hash, ..] => format!("/object/{hash}"),
        ["settings", _] => "/settings".to_owned(),
        ["settings", kind, name, ..] => format!("/settings/{kind}/{name}"),
        ["profile", ..] => "/profile".to_owned(),
        _ => return None,
    })
}

/// Our scripts ask for JSON.
pub(super) fn wants_json(request: &Request<'_>) -> bool {
    request
        .headers()
        .get_one("Accept")
        .is_some_and(|accept| accept.starts_with("application/json") || accept.starts_with("text/event-stream"))
}

/// To the login page, and from there back to what was asked for, or to the page of the form that was sent.
fn to_login(request: &Request<'_>) -> response::Result<'static> {
    let asked = request.method() == rocket::http::Method::Get;
    let back = if asked { request.uri().to_string() } else { came_from(request).unwrap_or_else(|| "/".to_owned()) };
    if !asked {
        Done::SessionEnded.leave(request);
    }
    // A strict cookie stays at home when a link elsewhere leads here. A page of ours that repeats the
    // request sends it.
    if request.headers().get_one("Sec-Fetch-Site") == Some("cross-site") && asked {
        let path = session::local_path(&back).to_owned();
        return Response::build().status(Status::Ok).header(ContentType::HTML).raw_header("Refresh", format!("0; url={path}")).ok();
    }
    let path = match session::local_path(&back) {
        "/" => "/login".to_owned(),
        path => format!("/login?back={}", encode_field(path)),
    };
    Response::build().status(Status::SeeOther).raw_header("Location", path).ok()
}

pub(super) fn catchers() -> Vec<Catcher> {
    rocket::catchers![caught]
}

/// Unknown paths, failed guards, bodies that do not fit.
#[rocket::catch(default)]
async fn caught(status: Status, request: &Request<'_>) -> PageError {
    // So that the page knows who looks at it.
    let seen = session::current(request).await;
    if let Some(error) = GuardFailure::take(request) {
        return PageError(error);
    }
    if let Err(error) = seen {
        return PageError(error);
    }
    PageError(match status.code {
        404 | 405 | 422 => ApiError::NoRoute,
        413 => ApiError::TooLarge,
        400..=499 => ApiError::BadRequest(status.reason_lossy().to_owned()),
        _ => anyhow::anyhow!("the server gave up with status {status}").into(),
    })
}
