//! Who looks at a page, and whether a form is ours.
//!
//! The session is a cookie with the token that the API gives out at login. Cookies travel by
//! themselves, so a form is accepted only when the browser says that one of our pages sent it; the API
//! reads no cookie and needs no such check.

use std::{
    ops::Deref,
    sync::{Arc, Mutex},
};

use rocket::{
    Request,
    http::{Cookie, CookieJar, Method, SameSite, uri::Origin},
    request::{FromRequest, Outcome},
    time::Duration,
};

use super::{
    notices::Done,
    respond,
    view::{
        frame::{Frame, Notice, Section, Viewer},
        parts::Kind,
        text::Text,
    },
};
use crate::{
    auth::{Caller, Capability, GuardFailure, identify_session},
    db,
    error::{ApiError, ApiResult},
    state::App,
};

const COOKIE: &str = "mwdb_session";

/// As long as the token in it.
const LIFETIME: Duration = Duration::hours(24);

/// The logged-in account, and what is told of its last form. Without an account the answer is the login page.
#[derive(Debug, Clone)]
pub(super) struct Session(pub(super) Arc<Caller>, Option<Notice>, Waiting);

/// How many registrations wait for who looks at a page.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting(u64);

impl Waiting {
    /// Nobody asks for those of others, and forms and scripts show none.
    async fn look(request: &Request<'_>, caller: &Caller) -> ApiResult<Self> {
        let app = request.rocket().state::<App>().filter(|app| app.config.enable_registration && caller.has(Capability::ManageUsers));
        match app.filter(|_| request.method() == Method::Get && !respond::wants_json(request)) {
            Some(app) => Ok(Self(app.db.read(|c| Ok(db::accounts::count_pending(c)?)).await?)),
            None => Ok(Self::default()),
        }
    }
}

impl Session {
    /// For a page that answers to a form.
    pub(super) fn of_form(caller: Arc<Caller>) -> Self {
        Self(caller, None, Waiting::default())
    }

    /// For the page of a form that was refused.
    pub(super) fn of_refused(caller: Arc<Caller>, error: &ApiError) -> Self {
        Self(caller, Some(Notice { good: false, text: respond::message(error).into() }), Waiting::default())
    }

    /// The frame of a page for this account, with the notice of its last form.
    pub(super) fn frame(&self, app: &App, section: Section) -> Frame {
        let mut frame = frame(app, Some(&self.0), section);
        if let Some(viewer) = &mut frame.viewer {
            viewer.waiting = self.2.0;
        }
        Frame { notice: self.1.clone(), ..frame }
    }
}

impl Deref for Session {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

/// The account behind the cookie; looked up once for a request. A refusal is given the first time.
pub(super) async fn current(request: &Request<'_>) -> ApiResult<Option<Arc<Caller>>> {
    match &look(request).await.0 {
        Ok(caller) => Ok(caller.clone()),
        Err(error) => Err(error.lock().ok().and_then(|mut error| error.take()).unwrap_or(ApiError::NotAuthenticated)),
    }
}

/// The account that is let in; a refusal stays for [`current`].
pub(super) async fn admitted(request: &Request<'_>) -> Option<Arc<Caller>> {
    look(request).await.0.as_ref().ok().cloned().flatten()
}

async fn look<'r>(request: &'r Request<'_>) -> &'r Cached {
    request.local_cache_async(async { Cached(look_up(request).await.map_err(|error| Mutex::new(Some(error)))) }).await
}

struct Cached(Result<Option<Arc<Caller>>, Mutex<Option<ApiError>>>);

async fn look_up(request: &Request<'_>) -> ApiResult<Option<Arc<Caller>>> {
    let app = request.rocket().state::<App>().ok_or_else(|| anyhow::anyhow!("the server has no state"))?;
    match request.cookies().get(COOKIE) {
        Some(cookie) => identify_session(app, cookie.value()).await,
        None => Ok(None),
    }
}

/// The account that [`current`] found, without waiting: for answers.
pub(super) fn known(request: &Request<'_>) -> Option<Arc<Caller>> {
    request.local_cache(|| Cached(Ok(None))).0.as_ref().ok().cloned().flatten()
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Session {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match current(request).await {
            Ok(Some(caller)) => match Waiting::look(request, &caller).await {
                Ok(waiting) => Outcome::Success(Self(caller, Done::take(request).map(Done::notice), waiting)),
                Err(error) => GuardFailure::leave(request, error),
            },
            Ok(None) => GuardFailure::leave(request, ApiError::NotAuthenticated),
            Err(error) => GuardFailure::leave(request, error),
        }
    }
}

/// A form that one of our pages sent; also before login.
pub(super) struct OwnForm;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for OwnForm {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let header = |name| request.headers().get_one(name);
        // A proxy may rewrite `Host`; what it was is in the configuration then.
        let base = request.rocket().state::<App>().map(|app| app.config.base_url.as_str());
        if is_own(header("Sec-Fetch-Site"), header("Origin"), header("Host"), base) {
            Outcome::Success(Self)
        } else {
            GuardFailure::leave(request, ApiError::Forbidden("This form was not sent by a page of this server.".to_owned()))
        }
    }
}

/// Browsers tell where a request comes from, by `Sec-Fetch-Site` on secure connections and by `Origin`
/// always. A client that tells neither is not a browser: nobody makes it send a cookie unknowingly.
fn is_own(site: Option<&str>, origin: Option<&str>, host: Option<&str>, base_url: Option<&str>) -> bool {
    match (site, origin) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority =
                |url: &'_ str| url.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default().to_ascii_lowercase());
            let from = authority(origin);
            from.is_some() && (from == host.map(str::to_ascii_lowercase) || from == base_url.and_then(authority))
        }
        (None, None) => true,
    }
}

/// The account that sends a form of ours.
pub(super) struct Actor(pub(super) Arc<Caller>);

impl Deref for Actor {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Actor {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match OwnForm::from_request(request).await {
            Outcome::Success(OwnForm) => {}
            Outcome::Error(error) => return Outcome::Error(error),
            Outcome::Forward(status) => return Outcome::Forward(status),
        }
        Session::from_request(request).await.map(|session| Self(session.0))
    }
}

/// Puts the token of a session into the browser.
pub(super) fn open(jar: &CookieJar<'_>, token: String, secure: bool) {
    let cookie = Cookie::build((COOKIE, token)).path("/").http_only(true).same_site(SameSite::Strict).secure(secure).max_age(LIFETIME);
    jar.add(cookie);
}

/// Takes it out again.
pub(super) fn close(jar: &CookieJar<'_>) {
    jar.remove(Cookie::build(COOKIE).path("/"));
}

/// Whether the cookie may be bound to encrypted connections.
pub(super) struct Encrypted(pub(super) bool);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Encrypted {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, std::convert::Infallible> {
        Outcome::Success(Self(is_encrypted(request)))
    }
}

/// Whether the browser speaks https, to us or to a proxy.
pub(super) fn is_encrypted(request: &Request<'_>) -> bool {
    let proxied = request.rocket().state::<App>().is_some_and(|app| app.config.base_url.starts_with("https://"));
    proxied || request.rocket().config().tls_enabled()
}

/// Where this server is, as the browser sees it: `http://host:port`.
pub(super) struct Place(pub(super) String);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Place {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, std::convert::Infallible> {
        let header = |name| request.headers().get_one(name);
        let encrypted = is_encrypted(request);
        let configured = request.rocket().state::<App>().map(|app| app.config.base_url.trim_end_matches('/').to_owned());
        // A form tells it in `Origin`, also through a proxy; otherwise `Host` is the best guess.
        let origin = header("Origin").filter(|origin| origin.starts_with("http")).map(str::to_owned);
        let guess = || header("Host").map(|host| format!("{}://{host}", if encrypted { "https" } else { "http" }));
        Outcome::Success(Self(origin.or_else(guess).or(configured).unwrap_or_default()))
    }
}

/// The frame of a page for this account.
pub(super) fn frame(app: &App, caller: Option<&Caller>, section: Section) -> Frame {
    Frame {
        instance: app.config.instance_name.clone(),
        section,
        viewer: caller.map(|caller| Viewer {
            login: caller.login.clone(),
            upload: [Kind::File, Kind::Config, Kind::Blob]
                .into_iter()
                .find(|kind| caller.has(super::upload::capability(*kind)))
                .map(Kind::upload),
            manages_users: caller.has(Capability::ManageUsers),
            waiting: 0,
        }),
        notice: None,
        sought: Text::default(),
    }
}

/// A path of this server to go to after login; anything else is the start page.
pub(super) fn local_path(path: &str) -> &str {
    let local = path.starts_with('/')
        && Origin::parse(path).is_ok()
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(|character| character.is_control() || character.is_whitespace());
    let target = path.split(['?', '#']).next().unwrap_or_default();
    if local && !matches!(target, "/login" | "/logout") && !target.starts_with("/api/") { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forms_of_our_pages_are_accepted() {
        let host = Some("mwdb.test:8080");
        assert!(is_own(Some("same-origin"), Some("http://mwdb.test:8080"), host, None));
        assert!(is_own(None, Some("http://mwdb.test:8080"), host, None));
        assert!(is_own(None, Some("https://MWDB.test"), Some("127.0.0.1:8080"), Some("https://mwdb.test/")));
        assert!(is_own(None, None, host, None));
        for (site, origin) in [
            (Some("cross-site"), Some("http://mwdb.test:8080")),
            (Some("same-site"), None),
            (None, Some("http://evil.test")),
            (None, Some("null")),
            (None, Some("")),
            (None, Some("http://mwdb.test:8080.evil.test")),
            (None, Some("http://evil.test/mwdb.test:8080")),
        ] {
            assert!(!is_own(site, origin, host, Some("http://127.0.0.1")), "{site:?} {origin:?}");
        }
        assert!(!is_own(None, Some("http://evil.test"), None, None));
        assert!(!is_own(None, Some("null"), None, None));
    }

    #[test]
    fn the_way_back_stays_on_this_server() {
        for path in ["/", "/file/abc", "/objects?query=tag%3Aa", "/configs"] {
            assert_eq!(local_path(path), path);
        }
        for path in [
            "",
            "http://evil.test/",
            "//evil.test",
            "/\\evil.test",
            "\\/evil.test",
            "/a\n",
            "/\t/evil.test",
            "/login?back=/login",
            "/logout",
            "javascript:alert(1)",
            "/api/x",
        ] {
            assert_eq!(local_path(path), "/", "{path:?}");
        }
    }
}
