//! The connection: who we are, which server this is, and how patiently it is asked.
//!
//! The calls themselves are in `objects`, `search` and `metadata`. The one rule: a request is sent
//! again only when a second copy of it changes nothing more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use karton_rs::json::Value;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    error::{Error, Problem},
    object::Account,
    retry::{GivenUp, Waiter},
    session::Session,
    settings::{Credentials, Secret, Settings},
    transport::{Body, Reply, Request, Transport},
    upload::object,
    version::Version,
};

/// A connection to MWDB as one account; cheap to clone.
///
/// ```no_run
/// use reporter::mwdb::{Client, Credentials, ObjectType, Settings};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example() -> anyhow::Result<()> {
/// let settings = Settings::new("http://127.0.0.1:8080/api/", Credentials::password("admin", "admin"))?;
/// let mwdb = Client::new(settings, CancellationToken::new())?;
/// let found = mwdb.query(ObjectType::File, "d41d8cd98f00b204e9800998ecf8427e").await?;
/// assert!(found.is_none());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) settings: Settings,
    transport: Transport,
    session: Session,
    version: OnceCell<Version>,
    given_up: GivenUp,
    /// Our login and password have been good once.
    was_let_in: AtomicBool,
    stop: CancellationToken,
}

impl Client {
    /// Prepares a client; nothing is contacted yet. All waiting ends when `stop` is cancelled.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: Settings, stop: CancellationToken) -> Result<Self, Error> {
        let transport = Transport::new(&settings)?;
        let session = Session::new(settings.credentials.api_key.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                settings,
                transport,
                session,
                version: OnceCell::new(),
                given_up: GivenUp::default(),
                was_let_in: AtomicBool::new(false),
                stop,
            }),
        })
    }

    /// Logs in once, without waiting for a server that is away. With an API key, or without any
    /// credentials, there is nothing to do.
    ///
    /// # Errors
    /// When MWDB does not answer, or refuses login and password.
    pub async fn log_in(&self) -> Result<(), Error> {
        self.inner.token_at_once().await.map(drop)
    }

    /// For waits that belong to the same work, and end with it.
    pub fn waiter(&self) -> Waiter<'_> {
        Waiter::new(&self.inner.settings.patience, &self.inner.given_up, &self.inner.stop)
    }

    /// Version of the server; asked for once.
    ///
    /// ```no_run
    /// # async fn example(mwdb: reporter::mwdb::Client) -> Result<(), reporter::mwdb::Error> {
    /// println!("MWDB {}", mwdb.server_version().await?);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn server_version(&self) -> Result<&Version, Error> {
        let ask = || async { version_of(&self.inner.call(Request::get(vec!["server"])).await?) };
        self.inner.version.get_or_try_init(ask).await
    }

    /// Asks once, without waiting for a server that is away, who we are to it and what we may do.
    ///
    /// ```no_run
    /// # async fn example(mwdb: reporter::mwdb::Client) -> Result<(), reporter::mwdb::Error> {
    /// let account = mwdb.account().await?;
    /// assert!(account.may("adding_files"), "{} cannot upload files", account.login);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When MWDB does not answer, or refuses our credentials.
    pub async fn account(&self) -> Result<Account, Error> {
        let token = self.inner.token_at_once().await?;
        let request = Request::get(vec!["auth", "validate"]);
        let answer = json_of(&request, self.inner.transport.send(&request, token.as_deref()).await?)?;
        Account::from_answer(&answer).ok_or_else(|| bad_answer(&request.action(), "it has no `login`"))
    }

    /// Any other question; the answer as it is.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn get(&self, path: &[&str], query: Option<(&'static str, &str)>) -> Result<Value, Error> {
        let request = Request::get(path.to_vec());
        self.inner
            .call(match query {
                Some((name, value)) => request.query(name, value),
                None => request,
            })
            .await
    }

    /// Any other addition; the answer as it is. It is sent again when the connection breaks.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn post(&self, path: &[&str], body: Value) -> Result<Value, Error> {
        self.inner.call(Request::post(path.to_vec(), Body::Json(body))).await
    }
}

impl Inner {
    /// Sends a request as ourselves, and gives the JSON of the answer.
    pub(super) async fn call(&self, request: Request<'_>) -> Result<Value, Error> {
        json_of(&request, self.reply(&request).await?)
    }

    /// Sends a request as ourselves. A refused token is renewed once, when login and password are known.
    pub(super) async fn reply(&self, request: &Request<'_>) -> Result<Reply, Error> {
        let mut renewed = false;
        loop {
            let log_in = || async {
                let Some(request) = self.login_request() else { return Ok(None) };
                token_of(&json_of(&request, self.patiently(&request, None).await?)?).map(Some)
            };
            let token = self.session.token(log_in).await?;
            let answered = self.patiently(request, token.as_deref()).await;
            let refused = matches!(&answered, Err(error) if matches!(error.problem(), Problem::NotAuthenticated(_)));
            if !refused || renewed || self.settings.credentials.password.is_none() {
                return answered;
            }
            tracing::info!("MWDB refuses our token: logging in again");
            renewed = true;
            self.session.refuse(token.as_ref()).await;
        }
    }

    /// Sends `newer` to a server that should have the call, and `older` to one that has not.
    pub(super) async fn newer_or_older(&self, has_newer: bool, newer: Request<'_>, older: Request<'_>) -> Result<Value, Error> {
        if has_newer {
            match self.call(newer).await {
                Err(error) if matches!(error.problem(), Problem::EndpointNotFound(_)) => {}
                answered => return answered,
            }
        }
        self.call(older).await
    }

    /// Longest silence in the middle of an answer.
    pub(super) fn idle(&self) -> std::time::Duration {
        self.transport.idle()
    }

    /// Sends a request until there is an answer.
    async fn patiently(&self, request: &Request<'_>, token: Option<&Secret>) -> Result<Reply, Error> {
        let mut waiter = Waiter::new(&self.settings.patience, &self.given_up, &self.stop);
        loop {
            let error = match self.transport.send(request, token).await {
                Ok(answer) => {
                    waiter.over();
                    if request.is_login() {
                        self.was_let_in.store(true, Ordering::Relaxed);
                    }
                    if request.writes() {
                        self.given_up.clear();
                    }
                    return Ok(answer);
                }
                Err(error) if request.only_once && error.is_ambiguous() => return Err(error),
                Err(error) => error,
            };
            let waited = match error.problem() {
                Problem::RateLimited { retry_after } => waiter.pause_for_rate_limit(*retry_after).await,
                // It was good before: nothing is wrong with what waits for it.
                _ if request.is_login() && error.refuses_us() && self.was_let_in.load(Ordering::Relaxed) => {
                    if !waiter.may_repeat(std::future::ready(true)).await {
                        return Err(error);
                    }
                    waiter.pause(&format!("{error}; see [mwdb] username and password")).await
                }
                _ if error.is_temporary() => {
                    let away = async { error.is_outage() || request.is_login() || !self.transport.answers(token).await };
                    if !waiter.may_repeat(away).await {
                        return Err(error);
                    }
                    waiter.pause(&error).await
                }
                _ => return Err(error),
            };
            waited.map_err(|_| Error::new(request.action(), Problem::Stopped))?;
        }
    }

    /// Our token; logs in when there is none, with one attempt.
    async fn token_at_once(&self) -> Result<Option<Arc<Secret>>, Error> {
        let log_in = || async {
            let Some(request) = self.login_request() else { return Ok(None) };
            let token = token_of(&json_of(&request, self.transport.send(&request, None).await?)?)?;
            self.was_let_in.store(true, Ordering::Relaxed);
            Ok(Some(token))
        };
        self.session.token(log_in).await
    }

    fn login_request(&self) -> Option<Request<'static>> {
        let Credentials { password: Some((login, password)), .. } = &self.settings.credentials else { return None };
        let body = object([("login", login.into()), ("password", password.expose().into())]);
        Some(Request::post(vec!["auth", "login"], Body::Json(body)))
    }
}

fn json_of(request: &Request<'_>, reply: Reply) -> Result<Value, Error> {
    match reply {
        Reply::Json(answer) => Ok(answer),
        Reply::Content(_) => Err(bad_answer(&request.action(), "it is content, not JSON")),
    }
}

fn version_of(answer: &Value) -> Result<Version, Error> {
    let text = answer.get("server_version").and_then(Value::as_str);
    text.and_then(Version::parse).ok_or_else(|| bad_answer("GET server", "it has no `server_version`"))
}

fn token_of(answer: &Value) -> Result<Secret, Error> {
    let token = answer.get("token").and_then(Value::as_str).filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
    token.map(Secret::new).ok_or_else(|| bad_answer("POST auth/login", "it has no `token`"))
}

pub(super) fn bad_answer(action: &str, reason: &str) -> Error {
    Error::new(action, Problem::BadAnswer(reason.to_owned()))
}

/// A hash or uuid that can stand in a path: what a task brings may be anything.
pub(super) fn checked(id: &str) -> Result<&str, Error> {
    let fits = (32..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if fits { Ok(id) } else { Err(Error::new("look up", Problem::InvalidId(id.chars().take(200).collect()))) }
}
