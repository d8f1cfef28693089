//! A server of the test's own and a client that speaks to it over a real socket.
//!
//! The one rule: nothing here knows the server's inside. Accounts are made as an administrator makes
//! them, through the API (MWDB API §U2.3, §U4.3, §U3.2).

use std::path::PathBuf;
use std::time::Duration;

use mwdb_lite::Config;
use reqwest::{Method, StatusCode, header, multipart};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub(crate) const ADMIN: &str = "admin";
pub(crate) const PASSWORD: &str = "the password of the test";
pub(crate) const SECRET: &str = "e2e-testing-key";
pub(crate) const BASE_URL: &str = "http://127.0.0.1";
pub(crate) const ROUTE_404: &str = "The requested URL was not found on the server";
pub(crate) const OBJECT_404: &str = "Object not found";

/// A running server with its own folder and database.
pub(crate) struct Server {
    _folder: tempfile::TempDir,
    config: Config,
    running: Option<Running>,
    http: reqwest::Client,
}

struct Running {
    url: String,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts with settings changed.
    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config {
            port: 0,
            sqlite_path: folder.path().join("mwdb.sqlite"),
            uploads_folder: folder.path().join("uploads"),
            secret_key: Some(SECRET.to_owned()),
            admin_password: Some(PASSWORD.to_owned()),
            enable_3rd_party_sharing_consent: true,
            shutdown_grace: Duration::from_secs(1),
            ..Config::default()
        };
        adjust(&mut config);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().expect("a client");
        let running = Some(launch(config.clone()).await);
        Self { _folder: folder, config, running, http }
    }

    /// The settings, for commands that work on the same data.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// `http://HOST:PORT`
    pub(crate) fn url(&self) -> &str {
        &self.running.as_ref().expect("the server runs").url
    }

    /// Where uploads wait until they are complete.
    pub(crate) fn staging(&self) -> PathBuf {
        self.config.uploads_folder.join(".staging")
    }

    /// Files of the uploads folder, staging included.
    pub(crate) fn stored_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.config.uploads_folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder of uploads") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// Tells the server to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        let running = self.running.take().expect("the server runs");
        running.stop.cancel();
        running.task.await.expect("the server does not panic").expect("the server stops cleanly");
    }

    pub(crate) async fn start_again(&mut self, adjust: impl FnOnce(&mut Config)) {
        adjust(&mut self.config);
        self.running = Some(launch(self.config.clone()).await);
    }

    /// What `mwdb-lite configure` does, on the database of the stopped server.
    pub(crate) async fn configure(&self) {
        assert!(self.running.is_none(), "the server has stopped");
        mwdb_lite::setup(self.config.clone()).await.expect("a configured database");
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start_again(|_| {}).await;
    }

    /// A client without token.
    pub(crate) fn anonymous(&self) -> Api {
        Api { url: self.url().to_owned(), http: self.http.clone(), token: None, login: String::new() }
    }

    pub(crate) fn with_token(&self, token: &str) -> Api {
        Api { token: Some(token.to_owned()), ..self.anonymous() }
    }

    pub(crate) async fn login(&self, login: &str, password: &str) -> Api {
        let reply = self.anonymous().post("auth/login", json!({"login": login, "password": password})).await.ok();
        Api { login: login.to_owned(), ..self.with_token(reply["token"].as_str().expect("a token")) }
    }

    pub(crate) async fn admin(&self) -> Api {
        self.login(ADMIN, PASSWORD).await
    }

    /// Makes an account with these capabilities of its own, and logs it in.
    pub(crate) async fn user(&self, admin: &Api, login: &str, capabilities: &[&str]) -> Api {
        admin.post(&format!("user/{login}"), json!({"email": format!("{login}@example.com"), "additional_info": "test"})).await.ok();
        let link = admin.get(&format!("user/{login}/change_password")).await.ok();
        let change = json!({"token": link["token"], "password": PASSWORD});
        self.anonymous().post("auth/change_password", change).await.ok();
        admin.put(&format!("group/{login}"), json!({"name": null, "capabilities": capabilities})).await.ok();
        self.login(login, PASSWORD).await
    }

    /// Makes a workspace group with these members.
    pub(crate) async fn group(&self, admin: &Api, name: &str, members: &[&Api]) {
        admin.post(&format!("group/{name}"), json!({})).await.ok();
        for member in members {
            admin.post_empty(&format!("group/{name}/member/{}", member.login)).await.ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.stop.cancel();
            running.task.abort();
        }
    }
}

async fn launch(config: Config) -> Running {
    let stop = CancellationToken::new();
    let (ready, address) = oneshot::channel();
    let task = tokio::spawn(mwdb_lite::serve(config, stop.clone(), move |address| {
        let _ = ready.send(address);
    }));
    let Ok(address) = address.await else {
        panic!("the server did not start: {:?}", task.await);
    };
    Running { url: format!("http://{address}"), stop, task }
}

/// A client of the API as one caller.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) url: String,
    pub(crate) http: reqwest::Client,
    pub(crate) token: Option<String>,
    pub(crate) login: String,
}

impl Api {
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/api/{path}", self.url));
        match &self.token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        Reply::read(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn post_empty(&self, path: &str) -> Reply {
        self.send(self.request(Method::POST, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Reply {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn put_empty(&self, path: &str) -> Reply {
        self.send(self.request(Method::PUT, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// A body that is sent as it is.
    pub(crate) async fn raw(&self, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Reply {
        self.send(self.request(method, path).header(header::CONTENT_TYPE, "application/json").body(body)).await
    }

    /// Uploads a file; `options` may be null.
    pub(crate) async fn upload(&self, name: &str, content: impl Into<Vec<u8>>, options: Value) -> Reply {
        let part = multipart::Part::bytes(content.into()).file_name(name.to_owned());
        let mut form = multipart::Form::new().part("file", part);
        if !options.is_null() {
            form = form.text("options", options.to_string());
        }
        self.send(self.request(Method::POST, "file").multipart(form)).await
    }

    /// Uploads a file that must be taken; gives the reply.
    pub(crate) async fn file(&self, content: &str) -> Value {
        self.upload("sample.bin", content, Value::Null).await.ok()
    }

    /// Uploads a file under a parent; gives its id.
    pub(crate) async fn child_of(&self, parent: &str, content: &str) -> String {
        id(&self.upload("child.bin", content, json!({"parent": parent})).await.ok())
    }

    pub(crate) async fn config(&self, body: Value) -> Reply {
        self.post("config", body).await
    }

    pub(crate) async fn blob(&self, content: &str) -> Value {
        self.post("blob", json!({"blob_name": "name", "blob_type": "raw", "content": content})).await.ok()
    }

    /// Whether the caller sees the object.
    pub(crate) async fn sees(&self, id: &str) -> bool {
        let reply = self.get(&format!("object/{id}")).await;
        match reply.status.as_u16() {
            200 => true,
            404 => false,
            other => panic!("{other}: {}", reply.text()),
        }
    }
}

/// The id of an object in a reply.
pub(crate) fn id(object: &Value) -> String {
    object["id"].as_str().expect("an object with an id").to_owned()
}

/// The keys of an object, sorted.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The values of one key in a list of objects.
pub(crate) fn each<'a>(list: &'a Value, key: &str) -> Vec<&'a Value> {
    list.as_array().expect("a list").iter().map(|item| &item[key]).collect()
}

/// Like [`each`], for texts, sorted.
pub(crate) fn sorted(list: &Value, key: &str) -> Vec<String> {
    let mut texts: Vec<String> = each(list, key).into_iter().map(|text| text.as_str().expect("a text").to_owned()).collect();
    texts.sort();
    texts
}

/// Status, headers and body of an answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.expect("a whole body").to_vec();
        Self { status, headers, bytes }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{}: {error}: {}", self.status, self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    /// The JSON of a success.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.json()
    }

    /// A success without result is the JSON `null`.
    #[track_caller]
    pub(crate) fn null(&self) {
        assert_eq!((self.status.as_u16(), self.text().trim()), (200, "null"));
    }

    /// The message of a refusal, which always is JSON of one shape.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/json");
        let body = self.json();
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{body}");
        body["message"].as_str().expect("a message").to_owned()
    }

    /// The 404 of a thing that is not there or not visible.
    #[track_caller]
    pub(crate) fn missing(&self) {
        let message = self.refused(404);
        assert!(!message.contains(ROUTE_404), "{message}");
    }

    /// The 404 of an address that does not exist.
    #[track_caller]
    pub(crate) fn no_route(&self) {
        let message = self.refused(404);
        assert!(message.contains(ROUTE_404), "{message}");
    }
}

/// Text of a mail whose lines were folded and whose special characters were encoded on the way.
pub(crate) fn quoted_printable(text: &str) -> String {
    let mut bytes = Vec::new();
    let text = text.replace("=\r\n", "");
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'=').then(|| after.get(..2)).flatten();
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
