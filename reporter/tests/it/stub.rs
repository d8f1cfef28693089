//! An MWDB for tests: plays the server's side of the API over a socket and writes down every request.
//!
//! The one rule: it answers as MWDB does unless a test asks for something else with [`Stub::answer`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use karton_rs::{config_dhash, json::Value};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Bodies beyond this are counted, not kept.
const KEPT: usize = 4 * 1024 * 1024;

/// The form of an API key.
pub const KEY: &str = "eyJhbGciOiJIUzUxMiJ9.eyJsb2dpbiI6InJlcG9ydGVyIn0.c2lnbmF0dXJl";

/// What a test wants instead of the usual answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status and a body, once the request was read.
    Status(u16, &'static [(&'static str, &'static str)], Vec<u8>),
    /// A status before the body was read, then the connection is closed.
    Early(u16),
    /// Nothing at all.
    Hang,
    /// The connection is closed.
    Close,
    /// The request is carried out, but its answer is lost.
    Lost,
    /// Half an answer, then silence.
    Stall,
    /// An answer without an end.
    Endless,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self::Status(status, &[], br#"{"message": "as the test wants it"}"#.to_vec())
    }

    pub fn json(text: &str) -> Self {
        Self::Status(200, &[], text.as_bytes().to_vec())
    }
}

#[derive(Debug, Clone)]
pub struct Recorded {
    /// Method and path below `/api/`.
    pub line: String,
    /// JSON body, or the `options` of a file upload.
    pub body: Value,
    pub token: Option<String>,
    pub head: String,
    /// Name and SHA-256 of an uploaded file.
    pub file: Option<(String, String)>,
    /// Bytes of the body.
    pub size: usize,
}

#[derive(Debug, Default, Clone)]
pub struct Stored {
    pub tags: Vec<String>,
    pub parents: Vec<String>,
    pub comments: Vec<String>,
    pub attributes: Vec<(String, Value)>,
}

#[derive(Debug)]
struct State {
    version: &'static str,
    requests: Vec<Recorded>,
    wishes: Vec<(String, usize, Answer)>,
    objects: BTreeMap<String, Stored>,
    token: Option<String>,
    logins: usize,
}

/// A running stub; stops when dropped.
pub struct Stub {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: CancellationToken,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Stub {
    pub async fn start() -> Self {
        Self::start_version("2.17.0").await
    }

    pub async fn start_version(version: &'static str) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), version).await
    }

    pub async fn start_at(address: SocketAddr, version: &'static str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { version, requests: vec![], wishes: vec![], objects: BTreeMap::new(), token: Some(KEY.to_owned()), logins: 0 };
        let state = Arc::new(Mutex::new(state));
        let stop = CancellationToken::new();
        let stub = Self { address, state: Arc::clone(&state), stop: stop.clone() };
        tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = stop.cancelled() => return,
                };
                let (state, stop) = (Arc::clone(&state), stop.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve(stream, &state) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        });
        stub
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/api/", self.address)
    }

    /// The next `times` requests that begin with `line` get this answer.
    pub fn answer(&self, line: &str, times: usize, answer: Answer) {
        self.state.lock().unwrap().wishes.push((line.to_owned(), times, answer));
    }

    /// No more answers than the usual ones.
    pub fn forgive(&self) {
        self.state.lock().unwrap().wishes.clear();
    }

    /// Puts an object into the stub.
    pub fn store(&self, id: &str, object: Stored) {
        self.state.lock().unwrap().objects.insert(id.to_owned(), object);
    }

    pub fn stored(&self, id: &str) -> Option<Stored> {
        self.state.lock().unwrap().objects.get(id).cloned()
    }

    /// From now on only this token is good.
    pub fn change_token(&self, token: Option<&str>) {
        self.state.lock().unwrap().token = token.map(str::to_owned);
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.state.lock().unwrap().requests.clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }

    pub fn forget(&self) {
        self.state.lock().unwrap().requests.clear();
    }
}

async fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut buffer = Vec::new();
    while let Some((head, wish)) = read_head(&mut stream, &mut buffer, state).await {
        if let Some(Answer::Early(status)) = wish {
            record(state, &head, Vec::new(), 0);
            let body = r#"{"message": "too large"}"#;
            let text = format!("HTTP/1.1 {status} Early\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(text.as_bytes()).await;
            // What comes on is read for a moment, or closing would tear the answer down, too.
            let _ = tokio::time::timeout(Duration::from_millis(500), tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
            return;
        }
        let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let Some(body) = read_body(&mut stream, &mut buffer, length).await else { return };
        let recorded = record(state, &head, body, length);
        let (status, headers, body) = match wish {
            None => {
                let (status, value) = state.lock().unwrap().play(&recorded);
                (status, &[][..], value.to_json().into_bytes())
            }
            Some(Answer::Status(status, headers, body)) => (status, headers, body),
            Some(Answer::Hang) => return std::future::pending().await,
            Some(Answer::Close) => return,
            Some(Answer::Lost) => {
                state.lock().unwrap().play(&recorded);
                return;
            }
            Some(Answer::Stall) => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\": ").await;
                return std::future::pending().await;
            }
            Some(Answer::Endless) => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\"").await;
                let piece = vec![b'x'; 65536];
                while stream.write_all(&piece).await.is_ok() {}
                return;
            }
            Some(Answer::Early(_)) => unreachable!(),
        };
        let mut text = format!("HTTP/1.1 {status} Stub\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        if stream.write_all(&[text.as_bytes(), &body].concat()).await.is_err() {
            return;
        }
    }
}

async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>, state: &Mutex<State>) -> Option<(String, Option<Answer>)> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
    let line = request_line(&head);
    let mut state = state.lock().unwrap();
    let wish = state.wishes.iter_mut().find(|(wanted, times, _)| *times > 0 && line.starts_with(wanted.as_str()));
    let wish = wish.map(|(_, times, answer)| {
        *times -= 1;
        answer.clone()
    });
    drop(state);
    Some((head, wish))
}

async fn read_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<Vec<u8>> {
    let mut body: Vec<u8> = buffer.drain(..length.min(buffer.len())).collect();
    let mut missing = length - body.len();
    let mut piece = vec![0; 64 * 1024];
    while missing > 0 {
        let wanted = missing.min(piece.len());
        let count = stream.read(&mut piece[..wanted]).await.ok().filter(|count| *count > 0)?;
        missing -= count;
        body.extend_from_slice(&piece[..count]);
        if length > KEPT {
            body.clear();
        }
    }
    Some(body)
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn request_line(head: &str) -> String {
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    format!("{method} {}", path.strip_prefix("/api/").unwrap_or(path))
}

fn record(state: &Mutex<State>, head: &str, body: Vec<u8>, size: usize) -> Recorded {
    let content_type = header(head, "content-type").unwrap_or_default();
    let (mut options, mut file) = (Value::Null, None);
    if let Some(boundary) = content_type.strip_prefix("multipart/form-data; boundary=") {
        for (name, file_name, content) in parts(&body, boundary) {
            match (name.as_str(), file_name) {
                ("file", Some(file_name)) => file = Some((file_name, sha256(&content))),
                ("options", None) => options = Value::parse(&String::from_utf8(content).unwrap()).unwrap(),
                other => panic!("unexpected part {other:?}"),
            }
        }
    } else if !body.is_empty() {
        options = Value::parse(&String::from_utf8(body).unwrap()).unwrap();
    }
    let token = header(head, "authorization").map(|value| value.strip_prefix("Bearer ").unwrap().to_owned());
    let recorded = Recorded { line: request_line(head), body: options, token, head: head.to_owned(), file, size };
    state.lock().unwrap().requests.push(recorded.clone());
    recorded
}

/// Name, file name and content of each part.
fn parts(body: &[u8], boundary: &str) -> Vec<(String, Option<String>, Vec<u8>)> {
    let mark = format!("\r\n--{boundary}");
    let body = [b"\r\n", body].concat();
    let starts: Vec<usize> = (0..body.len().saturating_sub(mark.len())).filter(|at| body[*at..].starts_with(mark.as_bytes())).collect();
    let mut found = Vec::new();
    for pair in starts.windows(2) {
        let part = &body[pair[0] + mark.len() + 2..pair[1]];
        let end = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(part[..end].to_vec()).unwrap();
        let quoted = |key: &str| Some(head.split_once(key)?.1.split_once('"')?.0.to_owned());
        found.push((quoted("; name=\"").unwrap(), quoted("; filename=\""), part[end + 4..].to_vec()));
    }
    found
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn value(text: &str) -> Value {
    Value::parse(text).unwrap()
}

impl State {
    /// What MWDB would answer.
    fn play(&mut self, request: &Recorded) -> (u16, Value) {
        let words: Vec<&str> = request.line.split([' ', '/']).collect();
        match words[..] {
            ["GET", "server"] => return (200, serde_json::json!({"server_version": self.version}).into()),
            ["POST", "auth", "login"] => return self.log_in(&request.body),
            ["GET", "auth", "validate"] if request.token.is_some() && request.token == self.token => {
                return (200, serde_json::json!({"login": "reporter", "capabilities": ["adding_files"]}).into());
            }
            _ => {}
        }
        if request.token.is_none() || request.token != self.token {
            return (401, value(r#"{"message": "Not authenticated."}"#));
        }
        let old = self.version.starts_with("2.2");
        match words[..] {
            ["GET", "file" | "config" | "blob" | "object", id] => match self.objects.get(id) {
                Some(object) => (200, view(id, object)),
                None => not_found(),
            },
            ["POST", "file"] => match &request.file {
                // A large body is not kept.
                None => self.upload(&"0".repeat(64), &request.body),
                Some((_, id)) => self.upload(&id.clone(), &request.body),
            },
            ["POST", "config"] => self.upload(&config_id(request.body.get("cfg").unwrap()), &request.body),
            ["POST", "blob"] => self.upload(&sha256(request.body.get("content").unwrap().as_str().unwrap().as_bytes()), &request.body),
            ["PUT", "object", parent, "child", child] => match self.objects.get_mut(child) {
                Some(object) => {
                    object.parents.push(parent.to_owned());
                    (200, Value::Null)
                }
                None => not_found(),
            },
            ["PUT", "object", id, "karton", uid] if self.objects.contains_key(id) => {
                (200, serde_json::json!({"id": uid, "status": "finished"}).into())
            }
            [_, "object", id, what] => self.detail(words[0], id, what, &request.body, old),
            _ => no_route(),
        }
    }

    fn log_in(&mut self, body: &Value) -> (u16, Value) {
        if body.get("password").and_then(Value::as_str) != Some("secret") {
            return (403, value(r#"{"message": "Invalid login or password"}"#));
        }
        self.logins += 1;
        let token = format!("token-{}", self.logins);
        self.token = Some(token.clone());
        (200, serde_json::json!({"login": "reporter", "token": token}).into())
    }

    fn upload(&mut self, id: &str, options: &Value) -> (u16, Value) {
        let object = self.objects.entry(id.to_owned()).or_default();
        if let Some(parent) = options.get("parent").and_then(Value::as_str) {
            object.parents.push(parent.to_owned());
        }
        for tag in options.get("tags").and_then(Value::as_array).unwrap_or_default() {
            object.tags.push(tag.get("tag").unwrap().as_str().unwrap().to_owned());
        }
        (200, view(id, object))
    }

    fn detail(&mut self, method: &str, id: &str, what: &str, body: &Value, old: bool) -> (u16, Value) {
        let Some(object) = self.objects.get_mut(id) else { return not_found() };
        let text = |key| body.get(key).and_then(Value::as_str).map(str::to_owned);
        match (method, what) {
            ("PUT", "tag") => object.tags.push(text("tag").unwrap()),
            ("POST", "comment") => object.comments.push(text("comment").unwrap()),
            ("POST", "attribute") if !old => object.attributes.push((text("key").unwrap(), body.get("value").unwrap().clone())),
            ("POST", "meta") => object.attributes.push((text("key").unwrap(), text("value").unwrap().into())),
            ("GET", "tag" | "comment" | "meta") => {}
            ("GET", "attribute") if !old => {}
            _ => return no_route(),
        }
        let single = |key: &str, text: &String| Value::from(serde_json::json!({ key: text }));
        let pair = |(key, value): &(String, Value)| -> Value {
            Value::Object([("key".to_owned(), key.into()), ("value".to_owned(), value.clone())].into_iter().collect())
        };
        let pairs: Vec<Value> = object.attributes.iter().map(pair).collect();
        let list = match what {
            "tag" => object.tags.iter().map(|tag| single("tag", tag)).collect::<Vec<_>>().into(),
            "comment" => object.comments.iter().map(|comment| single("comment", comment)).collect::<Vec<_>>().into(),
            "attribute" => Value::Object([("attributes".to_owned(), pairs.into())].into_iter().collect()),
            _ => Value::Object([("metakeys".to_owned(), pairs.into())].into_iter().collect()),
        };
        (200, list)
    }
}

fn view(id: &str, object: &Stored) -> Value {
    let parents: Vec<_> = object.parents.iter().map(|parent| serde_json::json!({"id": parent, "type": "file"})).collect();
    let tags: Vec<_> = object.tags.iter().map(|tag| serde_json::json!({"tag": tag})).collect();
    serde_json::json!({"id": id, "type": "file", "parents": parents, "tags": tags}).into()
}

/// As the server does it: embedded blobs are replaced by their ids.
fn config_id(cfg: &Value) -> String {
    let mut cfg = cfg.clone();
    for value in cfg.as_object_mut().unwrap().values_mut() {
        let content = value.get("in-blob").and_then(|blob| blob.get("content")).and_then(Value::as_str).map(str::to_owned);
        if let Some(content) = content {
            *value = serde_json::json!({"in-blob": sha256(content.as_bytes())}).into();
        }
    }
    config_dhash(&cfg)
}

fn not_found() -> (u16, Value) {
    (404, value(r#"{"message": "Object not found"}"#))
}

fn no_route() -> (u16, Value) {
    (404, value(r#"{"message": "The requested URL was not found on the server. Check your spelling."}"#))
}
