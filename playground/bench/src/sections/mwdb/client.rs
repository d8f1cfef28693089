//! Asks a server as its administrator, and takes the time.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use futures::StreamExt as _;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

pub(super) const PASSWORD: &str = "bench-password";

/// How long one request may take: pages of the reference that hold a lot are slow.
const PATIENCE: Duration = Duration::from_mins(5);

#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What to upload besides the bytes.
#[derive(Default)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) options: Option<Value>,
}

impl Client {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().tcp_nodelay(true).build()?;
        Ok(Self { http, url: format!("{url}/api"), token: String::new() })
    }

    pub(super) async fn login(url: &str) -> anyhow::Result<Self> {
        let mut client = Self::new(url)?;
        let reply = client.post("/auth/login", &json!({"login": "admin", "password": PASSWORD})).await?;
        reply["token"].as_str().context("the login gave no token")?.clone_into(&mut client.token);
        Ok(client)
    }

    pub(super) async fn answers(&self) -> bool {
        let reply = self.http.get(format!("{}/ping", self.url)).send().await;
        reply.is_ok_and(|reply| reply.status().is_success())
    }

    async fn finish(request: reqwest::RequestBuilder, what: &str) -> anyhow::Result<Bytes> {
        let reply = request.send().await.with_context(|| what.to_owned())?;
        let status = reply.status();
        let body = reply.bytes().await.with_context(|| what.to_owned())?;
        let text = || String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        anyhow::ensure!(status.is_success(), "{what} was answered {status}: {}", text());
        Ok(body)
    }

    /// The body of an answer.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Bytes> {
        Self::finish(self.http.get(format!("{}{path}", self.url)).bearer_auth(&self.token), path).await
    }

    pub(super) async fn search(&self, path: &str, query: &str) -> anyhow::Result<Bytes> {
        let request = self.http.get(format!("{}{path}", self.url)).query(&[("query", query)]);
        Self::finish(request.bearer_auth(&self.token), path).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let mut request = self.http.post(format!("{}{path}", self.url)).json(body);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        Ok(serde_json::from_slice(&Self::finish(request, path).await?)?)
    }

    /// Uploads a file; gives its SHA-256.
    pub(super) async fn upload(&self, upload: Upload, content: Bytes) -> anyhow::Result<String> {
        let length = content.len() as u64;
        self.upload_stream(upload, content.into(), length).await
    }

    /// Uploads what comes out of a body.
    pub(super) async fn upload_stream(&self, upload: Upload, content: reqwest::Body, length: u64) -> anyhow::Result<String> {
        let mut form = Form::new().part("file", Part::stream_with_length(content, length).file_name(upload.name));
        if let Some(options) = upload.options {
            form = form.text("options", options.to_string());
        }
        let request = self.http.post(format!("{}/file", self.url)).multipart(form).bearer_auth(&self.token);
        let reply: Value = serde_json::from_slice(&Self::finish(request, "an upload").await?)?;
        Ok(reply["id"].as_str().context("an upload was answered without an id")?.to_owned())
    }

    /// Reads a file to its end, and keeps none of it; gives how many bytes there were.
    pub(super) async fn download(&self, hash: &str) -> anyhow::Result<u64> {
        let request = self.http.get(format!("{}/file/{hash}/download", self.url)).bearer_auth(&self.token);
        let mut pieces = request.send().await?.error_for_status()?.bytes_stream();
        let mut length = 0;
        while let Some(piece) = pieces.next().await {
            length += piece?.len() as u64;
        }
        Ok(length)
    }
}

/// How much is asked: whichever ends first.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    pub(super) requests: usize,
    pub(super) time: Duration,
}

/// How long requests took, in the order of their length.
pub(super) struct Times(Vec<Duration>);

impl Times {
    /// Asks one by one.
    pub(super) async fn of<F: Future<Output = anyhow::Result<()>>>(effort: Effort, ask: impl Fn(usize) -> F) -> anyhow::Result<Self> {
        let (began, mut times) = (Instant::now(), Vec::new());
        for number in 0..effort.requests {
            let started = Instant::now();
            ask(number).await?;
            times.push(started.elapsed());
            if began.elapsed() > effort.time {
                break;
            }
        }
        Ok(Self::sorted(times))
    }

    pub(super) fn sorted(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Milliseconds that so many of a hundred took at most.
    pub(super) fn percentile(&self, part: usize) -> f64 {
        self.0.get((self.0.len().max(1) - 1) * part / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}
