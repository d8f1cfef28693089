//! A real MWDB of the test's own, and all that is in it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Login and password of the account that reports.
pub const ACCOUNT: (&str, &str) = ("admin", "admin");

/// Objects by id, without what differs between two servers that hold the same.
pub type Dump = BTreeMap<String, Value>;

pub struct Mwdb {
    pub api: String,
    stop: CancellationToken,
    http: reqwest::Client,
    token: String,
    /// Of mwdb-lite.
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Mwdb {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Mwdb {
    /// Starts one that takes requests of at most `largest` bytes.
    pub async fn start(largest: Option<u64>) -> Self {
        karton_rs::service::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let config = mwdb_lite::Config {
            port: 0,
            sqlite_path: folder.path().join("mwdb.sqlite"),
            uploads_folder: folder.path().join("uploads"),
            admin_login: ACCOUNT.0.to_owned(),
            admin_password: Some(ACCOUNT.1.to_owned()),
            max_upload_size: largest,
            shutdown_grace: Duration::from_millis(200),
            ..mwdb_lite::Config::default()
        };
        let stop = CancellationToken::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        tokio::spawn(mwdb_lite::serve(config, stop.clone(), move |address| tell.send(address).unwrap()));
        let api = format!("http://{}/api/", told.await.expect("mwdb-lite starts"));
        Self::at(&api, stop, Some(folder)).await
    }

    /// One that somebody else has started, with our account.
    pub async fn attach(api: &str) -> Self {
        karton_rs::service::install_crypto();
        Self::at(api, CancellationToken::new(), None).await
    }

    async fn at(api: &str, stop: CancellationToken, folder: Option<tempfile::TempDir>) -> Self {
        let http = reqwest::Client::new();
        let login = http.post(format!("{api}auth/login")).json(&json!({"login": ACCOUNT.0, "password": ACCOUNT.1}));
        let token = login.send().await.unwrap().json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
        Self { api: api.to_owned(), stop, http, token, _folder: folder }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.bearer_auth(&self.token).send().await.unwrap();
        let (status, url) = (answer.status(), answer.url().clone());
        let body = answer.text().await.unwrap();
        assert_eq!(status, 200, "{url}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        self.send(self.http.get(format!("{}{path}", self.api))).await
    }

    pub async fn define_attribute(&self, key: &str) {
        let body = json!({"key": key, "label": key, "description": "", "hidden": false});
        self.send(self.http.post(format!("{}attribute", self.api)).json(&body)).await;
    }

    /// Uploads a file as somebody else would, as part of an analysis.
    pub async fn upload(&self, name: &str, content: &'static str) -> String {
        let options = json!({"karton_id": "6fb91d1a-0000-4000-9000-000000000000"}).to_string();
        let part = reqwest::multipart::Part::text(content).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part).text("options", options);
        let file = self.send(self.http.post(format!("{}file", self.api)).multipart(form)).await;
        file["id"].as_str().unwrap().to_owned()
    }

    /// All there is: each object with its content or hashes, names, relations, tags, attributes,
    /// comments, analyses and shares.
    pub async fn dump(&self) -> Dump {
        let mut dump = Dump::new();
        let listed = self.get("object?count=1000").await;
        for object in listed["objects"].as_array().unwrap() {
            let id = object["id"].as_str().unwrap();
            let (kind, fields): (_, &[&str]) = match object["type"].as_str().unwrap() {
                "file" => ("file", &["file_name", "file_size", "file_type", "md5", "sha512", "crc32", "alt_names"]),
                "static_config" => ("config", &["family", "config_type", "cfg"]),
                _ => ("blob", &["blob_name", "blob_type", "blob_size", "content"]),
            };
            let view = self.get(&format!("{kind}/{id}")).await;
            let part = |what: &'static str| async move { self.get(&format!("object/{id}/{what}")).await };
            let (comments, karton, shares) = (part("comment").await, part("karton").await, part("share").await);
            let mut shown = json!({"type": kind, "share_3rd_party": view["share_3rd_party"]});
            for field in fields {
                shown[field] = view[field].clone();
            }
            shown["tags"] = sorted(&view["tags"], |tag| tag["tag"].clone());
            shown["parents"] = sorted(&view["parents"], |parent| parent["id"].clone());
            shown["children"] = sorted(&view["children"], |child| child["id"].clone());
            shown["attributes"] = sorted(&view["attributes"], |pair| json!([pair["key"], pair["value"]]));
            shown["comments"] = sorted(&comments, |comment| json!([comment["author"], comment["comment"]]));
            shown["analyses"] = sorted(&karton["analyses"], |analysis| analysis["id"].clone());
            shown["shares"] = sorted(&shares["shares"], |share| json!([share["group_name"], share["reason_type"]]));
            dump.insert(id.to_owned(), shown);
        }
        dump
    }
}

fn sorted(list: &Value, pick: impl Fn(&Value) -> Value) -> Value {
    let mut items: Vec<Value> = list.as_array().unwrap().iter().map(pick).collect();
    items.sort_by_key(Value::to_string);
    items.into()
}
