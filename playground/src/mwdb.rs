//! The little of the MWDB API that readiness, status and demo need.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::json;

const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one MWDB, logged in after [`Mwdb::login`].
#[derive(Debug, Clone)]
pub(crate) struct Mwdb {
    http: Client,
    base: String,
    token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Object {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) tags: Vec<Tag>,
    #[serde(default)]
    pub(crate) children: Vec<Child>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tag {
    pub(crate) tag: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Child {
    pub(crate) id: String,
}

#[derive(Debug, Deserialize)]
struct Login {
    token: String,
}

#[derive(Debug, Deserialize)]
struct Analyses {
    status: String,
}

impl Mwdb {
    /// `base` is the address without `/api`.
    pub(crate) fn new(base: &str) -> anyhow::Result<Self> {
        // A proxy for the outside world has no part in what stays on this machine.
        let http = Client::builder().timeout(TIMEOUT).no_proxy().build().context("cannot prepare HTTP")?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: None })
    }

    pub(crate) async fn ping(&self) -> anyhow::Result<()> {
        let answer = self.http.get(self.address("ping")).send().await?;
        if answer.status() != StatusCode::OK {
            bail!("MWDB answers {}", answer.status());
        }
        Ok(())
    }

    /// Whether there is something to see in a browser.
    pub(crate) async fn has_pages(&self) -> bool {
        let answer = self.http.get(format!("{}/", self.base)).header("accept", "text/html").send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    /// False when MWDB does not accept the password.
    pub(crate) async fn login(&mut self, login: &str, password: &str) -> anyhow::Result<bool> {
        let answer = self.http.post(self.address("auth/login")).json(&json!({"login": login, "password": password})).send().await?;
        if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(false);
        }
        let login: Login = read(answer).await.context("cannot log in")?;
        self.token = Some(login.token);
        Ok(true)
    }

    pub(crate) async fn upload(&self, name: &str, content: Vec<u8>) -> anyhow::Result<Object> {
        let form = Form::new().part("file", Part::bytes(content).file_name(name.to_owned())).text("options", "{}");
        let request = self.authorized(self.http.post(self.address("file"))).multipart(form);
        read(request.send().await?).await.with_context(|| format!("cannot upload `{name}`"))
    }

    pub(crate) async fn object(&self, id: &str) -> anyhow::Result<Object> {
        let request = self.authorized(self.http.get(self.address(&format!("object/{id}"))));
        read(request.send().await?).await.with_context(|| format!("cannot read object {id}"))
    }

    /// What a person calls the object: the name of a file, or the kind of anything else.
    pub(crate) async fn label(&self, id: &str) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Named {
            file_name: String,
        }
        let answer = self.authorized(self.http.get(self.address(&format!("file/{id}")))).send().await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok("object".to_owned());
        }
        Ok(read::<Named>(answer).await.with_context(|| format!("cannot read file {id}"))?.file_name)
    }

    /// Whether all analyses of the object are finished; one that was not announced yet is not.
    pub(crate) async fn is_analyzed(&self, id: &str) -> anyhow::Result<bool> {
        let request = self.authorized(self.http.get(self.address(&format!("object/{id}/karton"))));
        let analyses: Analyses = read(request.send().await?).await.with_context(|| format!("cannot read the analyses of {id}"))?;
        Ok(analyses.status == "finished")
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/{path}", self.base)
    }
}

/// The answer, or the server's own words on why there is none.
async fn read<T: serde::de::DeserializeOwned>(answer: reqwest::Response) -> anyhow::Result<T> {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let status = answer.status();
    let body = answer.bytes().await?;
    if status.is_success() {
        return serde_json::from_slice(&body).context("MWDB gave an answer that is not understood");
    }
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => bail!("MWDB answers {status}: {}", refusal.message),
        Err(_) => bail!("MWDB answers {status}"),
    }
}
