//! One request, one answer.
//!
//! The one rule: content is streamed, an answer is read up to a limit, and nothing may stand still
//! for longer than the limit allows.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use karton_rs::json::Value;
use reqwest::{
    Method, Response, Url,
    header::{CONTENT_TYPE, LOCATION, RETRY_AFTER},
    multipart::{Form, Part},
    redirect,
};
use tokio_util::io::ReaderStream;

use super::{
    answer::judge,
    content::{ContentError, Opened, Reader},
    error::{Error, Problem},
    settings::{Limits, Secret, Settings},
    upload::FileUpload,
};

/// Bytes read from a source at once.
const PIECE: usize = 64 * 1024;

/// How much of an error's text is read.
const LONGEST_ERROR: usize = 64 * 1024;

/// What a request carries.
pub(super) enum Body<'a> {
    Empty,
    Json(Value),
    File { upload: &'a FileUpload<'a>, options: Value },
}

/// A request that can be sent again.
pub(super) struct Request<'a> {
    method: Method,
    /// Parts of the path below the address of the API.
    path: Vec<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Body<'a>,
    /// Whether a second copy of it would do something more.
    pub(super) only_once: bool,
    /// Whether the answer is content, not JSON.
    wants_content: bool,
}

/// What a server answers.
pub(super) enum Reply {
    Json(Value),
    Content(Response),
}

impl<'a> Request<'a> {
    fn new(method: Method, path: Vec<&'a str>, body: Body<'a>) -> Self {
        Self { method, path, query: Vec::new(), body, only_once: false, wants_content: false }
    }

    pub(super) fn get(path: Vec<&'a str>) -> Self {
        Self::new(Method::GET, path, Body::Empty)
    }

    pub(super) fn put(path: Vec<&'a str>, body: Body<'a>) -> Self {
        Self::new(Method::PUT, path, body)
    }

    pub(super) fn post(path: Vec<&'a str>, body: Body<'a>) -> Self {
        Self::new(Method::POST, path, body)
    }

    pub(super) fn delete(path: Vec<&'a str>) -> Self {
        Self::new(Method::DELETE, path, Body::Empty)
    }

    pub(super) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// Not to be repeated when it may have been carried out.
    pub(super) fn only_once(mut self) -> Self {
        self.only_once = true;
        self
    }

    /// Whether it changes what MWDB holds: for this a server needs more than to read.
    pub(super) fn writes(&self) -> bool {
        self.method != Method::GET && !self.is_login()
    }

    /// Whether it asks for a token: what goes wrong with it concerns no task.
    pub(super) fn is_login(&self) -> bool {
        self.path == ["auth", "login"]
    }

    pub(super) fn for_content(mut self) -> Self {
        self.wants_content = true;
        self
    }

    /// How messages call it.
    pub(super) fn action(&self) -> String {
        format!("{} {}", self.method, self.path.join("/"))
    }
}

/// The HTTP side of a client.
#[derive(Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    limits: Limits,
}

impl Transport {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("karton-mwdb-reporter/", env!("CARGO_PKG_VERSION"), " (karton-rs)"))
            .connect_timeout(settings.limits.connect)
            // Below what servers keep a silent connection open for: a request must not meet a closed one.
            .pool_idle_timeout(Duration::from_secs(2))
            // A redirected POST would lose its body, and an upload cannot be replayed by the library.
            .redirect(redirect::Policy::none())
            .tls_danger_accept_invalid_certs(!settings.verify_ssl)
            .build()
            .map_err(|error| Error::new("set up", Problem::Broken(causes(error))))?;
        Ok(Self { http, base: settings.api_url.clone(), limits: settings.limits.clone() })
    }

    /// Sends a request once and judges the answer.
    pub(super) async fn send(&self, request: &Request<'_>, token: Option<&Secret>) -> Result<Reply, Error> {
        self.attempt(request, token).await.map_err(|problem| Error::new(request.action(), problem))
    }

    /// Longest silence in the middle of an answer.
    pub(super) fn idle(&self) -> Duration {
        self.limits.idle
    }

    /// Whether the server answers others: it tells its version, which anybody can ask for, and who we are, for which it
    /// needs its database.
    pub(super) async fn answers(&self, token: Option<&Secret>) -> bool {
        let ask = async |path: Vec<&str>, token| tokio::time::timeout(self.limits.probe, self.send(&Request::get(path), token)).await;
        if !matches!(ask(vec!["server"], None).await, Ok(Ok(_))) {
            return false;
        }
        match token {
            // A refusal is an answer, also that there is no such call.
            Some(_) => match ask(vec!["auth", "validate"], token).await {
                Ok(outcome) => outcome.err().is_none_or(|error| !error.is_temporary()),
                Err(_) => false,
            },
            None => true,
        }
    }

    fn url(&self, request: &Request<'_>) -> Url {
        let mut url = self.base.clone();
        // Only an address that cannot be a base has no segments, and those are refused in the settings.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&request.path);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    async fn attempt(&self, request: &Request<'_>, token: Option<&Secret>) -> Result<Reply, Problem> {
        let mut builder = self.http.request(request.method.clone(), self.url(request));
        if let Some(token) = token {
            builder = builder.bearer_auth(token.expose());
        }
        let progress = Progress::default();
        let failure = ReadFailure::default();
        builder = match &request.body {
            Body::Empty => builder,
            Body::Json(value) => builder.header(CONTENT_TYPE, "application/json").body(value.to_json()),
            Body::File { upload, options } => {
                let opened = tokio::time::timeout(self.limits.idle, upload.content.open());
                let opened = opened.await.map_err(|_| ContentError::away(format!("no answer within {} s", self.limits.idle.as_secs_f32())));
                let Opened { size, reader } = opened.and_then(|opened| opened).map_err(Problem::Content)?;
                let content = pieces(reader, size, progress.clone(), failure.clone());
                let part = Part::stream_with_length(reqwest::Body::wrap_stream(content), size).file_name(file_name(upload.name));
                builder.multipart(Form::new().part("file", part).text("options", options.to_json()))
            }
        };
        let sent = tokio::select! {
            sent = builder.send() => sent,
            () = progress.stalled(self.limits.idle) => return Err(Problem::TimedOut(self.limits.idle)),
        };
        let response = match (sent, failure.take()) {
            (Ok(response), _) => response,
            (Err(_), Some(failure)) => return Err(Problem::Content(failure)),
            (Err(error), None) if refuses_certificate(&error) => return Err(Problem::Certificate(causes(error))),
            (Err(error), None) if error.is_connect() => return Err(Problem::Unreachable(causes(error))),
            (Err(error), None) => return Err(Problem::Broken(causes(error))),
        };
        if request.wants_content && response.status().is_success() {
            return Ok(Reply::Content(response));
        }
        self.read(response).await.map(Reply::Json)
    }

    async fn read(&self, mut response: Response) -> Result<Value, Problem> {
        let status = response.status();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (retry_after, location) = (header(RETRY_AFTER), header(LOCATION));
        let limit = if status.is_success() { self.limits.answer_bytes } else { LONGEST_ERROR };
        let body = match tokio::time::timeout(self.limits.idle, read_body(&mut response, limit)).await {
            Ok(Ok(body)) => body,
            // The status says enough: what came after it does not matter.
            _ if !status.is_success() => Vec::new(),
            Ok(Err(problem)) => return Err(problem),
            Err(_) => return Err(Problem::TimedOut(self.limits.idle)),
        };
        judge(status, retry_after.as_deref(), location.as_deref(), &body)
    }
}

async fn read_body(response: &mut Response, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| Problem::Broken(causes(error)))? {
        if body.len() + piece.len() > limit {
            return Err(Problem::BadAnswer(format!("it is larger than {limit} bytes")));
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The content as a stream of exactly `size` bytes that notes its progress and why it failed.
fn pieces(
    reader: Reader,
    size: u64,
    progress: Progress,
    failure: ReadFailure,
) -> impl Stream<Item = Result<Bytes, ContentError>> + Send + 'static {
    // The stream ends with a check, because a request that is short of content would wait for ever.
    let end = futures::stream::once(std::future::ready(None));
    let mut sent = 0;
    ReaderStream::with_capacity(reader, PIECE).map(Some).chain(end).filter_map(move |piece| {
        progress.note();
        let outcome = match piece {
            Some(Ok(piece)) => {
                sent += piece.len() as u64;
                if sent > size { Err(ContentError::broken(format!("it is longer than its {size} bytes"))) } else { Ok(Some(piece)) }
            }
            Some(Err(error)) => Err(ContentError::interrupted(error.to_string())),
            None if sent < size => Err(ContentError::interrupted(format!("it ends after {sent} of its {size} bytes"))),
            None => Ok(None),
        };
        if let Err(error) = &outcome {
            failure.note(error);
        }
        std::future::ready(outcome.transpose())
    })
}

/// Why the content could not be read; the HTTP library only says that the body failed.
#[derive(Clone, Default)]
struct ReadFailure(Arc<Mutex<Option<ContentError>>>);

impl ReadFailure {
    fn note(&self, error: &ContentError) {
        // A lock for one assignment; a panic while it is held cannot happen.
        if let Ok(mut slot) = self.0.lock() {
            slot.get_or_insert_with(|| error.clone());
        }
    }

    fn take(&self) -> Option<ContentError> {
        self.0.lock().ok().and_then(|mut slot| slot.take())
    }
}

/// When something moved for the last time.
#[derive(Clone)]
struct Progress(Arc<Mutex<Instant>>);

impl Default for Progress {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Progress {
    fn note(&self) {
        if let Ok(mut last) = self.0.lock() {
            *last = Instant::now();
        }
    }

    /// Ends when nothing has moved for `limit`.
    async fn stalled(&self, limit: Duration) {
        loop {
            let silent = self.0.lock().map_or(Duration::ZERO, |last| last.elapsed());
            let Some(rest) = limit.checked_sub(silent).filter(|rest| !rest.is_zero()) else { return };
            tokio::time::sleep(rest).await;
        }
    }
}

/// A name for the header of a part: what would end the header is escaped as browsers do.
fn file_name(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len()), |mut safe, character| {
        match character {
            '"' => safe.push_str("%22"),
            '\r' => safe.push_str("%0D"),
            '\n' => safe.push_str("%0A"),
            control if control.is_control() => safe.push('_'),
            other => safe.push(other),
        }
        safe
    })
}

fn refuses_certificate(error: &reqwest::Error) -> bool {
    type Cause = dyn std::error::Error + 'static;
    // What travels inside an error of input and output, maybe of several, is not named as its source.
    let inner = |cause: &'_ Cause| -> Option<rustls::Error> {
        let mut cause = cause;
        while let Some(inner) = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            cause = inner;
        }
        cause.downcast_ref().cloned()
    };
    let mut causes = std::iter::successors(Some(error as &Cause), |cause| cause.source());
    causes.any(|cause| matches!(inner(cause), Some(rustls::Error::InvalidCertificate(_))))
}

/// The messages of an error and its causes. The address is left out: the caller names the request.
pub(super) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let message = inner.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = inner.source();
    }
    text
}
