//! The calls. Each is one line of MWDB API §A2, with waiting and logging in done behind it.

use std::sync::Arc;

use karton_rs::json::{Value, python_text};
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::{
    error::{Error, Problem},
    object::{Object, ObjectType, Version, texts},
    retry::Waiter,
    session::Session,
    settings::{Credentials, Secret, Settings},
    transport::{Body, Request, Transport},
    upload::{FileUpload, UploadOptions, object},
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
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    transport: Transport,
    session: Session,
    version: OnceCell<Version>,
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
        Ok(Self { inner: Arc::new(Inner { settings, transport, session, version: OnceCell::new(), stop }) })
    }

    /// Logs in once, without waiting for a server that is away. With an API key, or without any
    /// credentials, there is nothing to do.
    ///
    /// # Errors
    /// When MWDB does not answer, or refuses login and password.
    pub async fn log_in(&self) -> Result<(), Error> {
        let inner = &self.inner;
        let log_in = || async {
            let Some(request) = inner.login_request() else { return Ok(None) };
            token_of(&inner.transport.send(&request, None).await?).map(Some)
        };
        inner.session.token(log_in).await.map(drop)
    }

    /// For waits that belong to the same work, and end with it.
    pub fn waiter(&self) -> Waiter<'_> {
        Waiter::new(&self.inner.settings.patience, &self.inner.stop)
    }

    /// Version of the server; asked for once.
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn server_version(&self) -> Result<&Version, Error> {
        self.inner
            .version
            .get_or_try_init(|| async {
                let answer = self.inner.call(Request::get(vec!["server"])).await?;
                let text = answer.get("server_version").and_then(Value::as_str);
                text.and_then(Version::parse).ok_or_else(|| bad_answer("GET server", "it has no `server_version`"))
            })
            .await
    }

    /// Looks an object up; nothing when it does not exist or is not visible to us. `object`, `config`
    /// and `blob` take ids only, `file` takes other hashes too.
    ///
    /// # Errors
    /// When MWDB cannot be asked, or has no such call.
    pub async fn query(&self, kind: ObjectType, id: &str) -> Result<Option<Object>, Error> {
        let request = Request::get(vec![kind.as_str(), checked(id)?]);
        let action = request.action();
        match self.inner.call(request).await {
            Ok(answer) => as_object(&action, &answer).map(Some),
            Err(error) if matches!(error.problem(), Problem::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Uploads a file; one that exists takes on what `options` bring.
    ///
    /// # Errors
    /// When MWDB refuses it, or the content cannot be read.
    pub async fn upload_file(&self, file: &FileUpload<'_>, options: &UploadOptions) -> Result<Object, Error> {
        let body = Body::File { upload: file, options: options.to_map().into() };
        as_object("POST file", &self.inner.call(Request::post(vec!["file"], body)).await?)
    }

    /// Uploads a config; one that exists takes on what `options` bring.
    ///
    /// # Errors
    /// When MWDB refuses it.
    pub async fn upload_config(&self, family: &str, config_type: &str, cfg: &Value, options: &UploadOptions) -> Result<Object, Error> {
        let mut body = options.to_map();
        body.insert("family".to_owned(), family.into());
        body.insert("config_type".to_owned(), config_type.into());
        body.insert("cfg".to_owned(), cfg.clone());
        as_object("POST config", &self.inner.call(Request::post(vec!["config"], Body::Json(body.into()))).await?)
    }

    /// Uploads a text; one that exists takes on what `options` bring.
    ///
    /// # Errors
    /// When MWDB refuses it.
    pub async fn upload_blob(&self, name: &str, blob_type: &str, content: &str, options: &UploadOptions) -> Result<Object, Error> {
        let mut body = options.to_map();
        body.insert("blob_name".to_owned(), name.into());
        body.insert("blob_type".to_owned(), blob_type.into());
        body.insert("content".to_owned(), content.into());
        as_object("POST blob", &self.inner.call(Request::post(vec!["blob"], Body::Json(body.into()))).await?)
    }

    /// Makes `child` a child of `parent`; no change when it is.
    ///
    /// # Errors
    /// When one of them does not exist, or MWDB refuses.
    pub async fn add_child(&self, parent: &str, child: &str) -> Result<(), Error> {
        let path = vec!["object", checked(parent)?, "child", checked(child)?];
        self.inner.call(Request::put(path, Body::Empty)).await.map(drop)
    }

    /// The tags of an object.
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn tags(&self, id: &str) -> Result<Vec<String>, Error> {
        let request = Request::get(vec!["object", checked(id)?, "tag"]);
        let action = request.action();
        let answer = self.inner.call(request).await?;
        texts(Some(&answer), "tag").ok_or_else(|| bad_answer(&action, "it is no list of tags"))
    }

    /// Adds a tag; no change when the object has it.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn add_tag(&self, id: &str, tag: &str) -> Result<(), Error> {
        let body = Body::Json(object([("tag", tag.into())]));
        self.inner.call(Request::put(vec!["object", checked(id)?, "tag"], body)).await.map(drop)
    }

    /// The attributes of an object, one pair a value. A server without attributes gives its metakeys.
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn attributes(&self, id: &str) -> Result<Vec<(String, Value)>, Error> {
        if self.server_version().await?.has_rich_uploads() {
            match self.pairs(id, "attribute", "attributes").await {
                Err(error) if matches!(error.problem(), Problem::EndpointNotFound(_)) => {}
                answered => return answered,
            }
        }
        self.pairs(id, "meta", "metakeys").await
    }

    /// Adds one value under a key. A server without attributes gets a metakey, whose values are text.
    ///
    /// # Errors
    /// When MWDB refuses, or knows no such key.
    pub async fn add_attribute(&self, id: &str, key: &str, value: &Value) -> Result<(), Error> {
        let body = |value: Value| Body::Json(object([("key", key.into()), ("value", value)]));
        let id = checked(id)?;
        if self.server_version().await?.has_rich_uploads() {
            match self.inner.call(Request::post(vec!["object", id, "attribute"], body(value.clone()))).await {
                Err(error) if matches!(error.problem(), Problem::EndpointNotFound(_)) => {}
                answered => return answered.map(drop),
            }
        }
        self.inner.call(Request::post(vec!["object", id, "meta"], body(metakey_text(value).into()))).await.map(drop)
    }

    /// The texts of the comments on an object.
    ///
    /// # Errors
    /// When MWDB does not tell.
    pub async fn comments(&self, id: &str) -> Result<Vec<String>, Error> {
        let request = Request::get(vec!["object", checked(id)?, "comment"]);
        let action = request.action();
        let answer = self.inner.call(request).await?;
        texts(Some(&answer), "comment").ok_or_else(|| bad_answer(&action, "it is no list of comments"))
    }

    /// Comments on an object.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn add_comment(&self, id: &str, comment: &str) -> Result<(), Error> {
        let body = Body::Json(object([("comment", comment.into())]));
        self.inner.call(Request::post(vec!["object", checked(id)?, "comment"], body)).await.map(drop)
    }

    /// Makes an object part of an analysis; no change when it is.
    ///
    /// # Errors
    /// When MWDB refuses.
    pub async fn assign_analysis(&self, id: &str, karton_id: &str) -> Result<(), Error> {
        let path = vec!["object", checked(id)?, "karton", checked(karton_id)?];
        self.inner.call(Request::put(path, Body::Empty)).await.map(drop)
    }

    async fn pairs(&self, id: &str, path: &str, list: &str) -> Result<Vec<(String, Value)>, Error> {
        let request = Request::get(vec!["object", checked(id)?, path]);
        let action = request.action();
        let answer = self.inner.call(request).await?;
        let items = answer.get(list).and_then(Value::as_array);
        let items = items.ok_or_else(|| bad_answer(&action, &format!("it has no `{list}`")))?;
        Ok(items.iter().filter_map(|item| Some((item.get("key")?.as_str()?.to_owned(), item.get("value")?.clone()))).collect())
    }
}

impl Inner {
    /// Sends a request as ourselves. A refused token is renewed once, when login and password are known.
    async fn call(&self, request: Request<'_>) -> Result<Value, Error> {
        let mut renewed = false;
        loop {
            let log_in = || async {
                let Some(request) = self.login_request() else { return Ok(None) };
                token_of(&self.patiently(&request, None).await?).map(Some)
            };
            let token = self.session.token(log_in).await?;
            let answered = self.patiently(&request, token.as_deref()).await;
            let refused = matches!(&answered, Err(error) if matches!(error.problem(), Problem::NotAuthenticated(_)));
            if !refused || renewed || self.settings.credentials.password.is_none() {
                return answered;
            }
            tracing::info!("MWDB refuses our token: logging in again");
            renewed = true;
            self.session.refuse(token.as_ref()).await;
        }
    }

    /// Sends a request until there is an answer.
    async fn patiently(&self, request: &Request<'_>, token: Option<&Secret>) -> Result<Value, Error> {
        let mut waiter = Waiter::new(&self.settings.patience, &self.stop);
        loop {
            let error = match self.transport.send(request, token).await {
                Ok(answer) => {
                    waiter.over();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let waited = match error.problem() {
                Problem::RateLimited { retry_after } => waiter.pause_for_rate_limit(*retry_after).await,
                _ if error.is_temporary() => {
                    if !error.is_outage() && self.transport.answers().await && !waiter.may_repeat() {
                        return Err(error);
                    }
                    waiter.pause(&error).await
                }
                _ => return Err(error),
            };
            waited.map_err(|_| Error::new(request.action(), Problem::Stopped))?;
        }
    }

    fn login_request(&self) -> Option<Request<'static>> {
        let Credentials { password: Some((login, password)), .. } = &self.settings.credentials else { return None };
        let body = object([("login", login.into()), ("password", password.expose().into())]);
        Some(Request::post(vec!["auth", "login"], Body::Json(body)))
    }
}

fn token_of(answer: &Value) -> Result<Secret, Error> {
    let token = answer.get("token").and_then(Value::as_str).filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
    token.map(Secret::new).ok_or_else(|| bad_answer("POST auth/login", "it has no `token`"))
}

fn as_object(action: &str, answer: &Value) -> Result<Object, Error> {
    Object::from_answer(answer).ok_or_else(|| bad_answer(action, "it is no object with an `id`"))
}

fn bad_answer(action: &str, reason: &str) -> Error {
    Error::new(action, Problem::BadAnswer(reason.to_owned()))
}

/// A hash or uuid that can stand in a path: what a task brings may be anything.
fn checked(id: &str) -> Result<&str, Error> {
    let fits = (32..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if fits { Ok(id) } else { Err(Error::new("look up", Problem::InvalidId(id.chars().take(200).collect()))) }
}

/// Metakeys hold text only.
pub(crate) fn metakey_text(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => value.to_json(),
        scalar => python_text(scalar),
    }
}
