//! Captchas at registration and recovery, judged by the service that `recaptcha_url` names.
//!
//! Without `recaptcha_secret` nobody is asked for one.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;
use serde::Deserialize;

use crate::{
    config::{CaptchaConfig, Config},
    error::{ApiError, ApiResult},
};

/// How long the judgement may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The judgement is a short document.
const LARGEST: usize = 64 * 1024;

/// Judges captchas, or lets everybody pass.
pub(crate) struct Captcha(Option<(CaptchaConfig, reqwest::Client)>);

#[derive(Deserialize)]
struct Judgement {
    success: bool,
}

impl Captcha {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let Some(captcha) = config.captcha.clone() else { return Ok(Self(None)) };
        Ok(Self(Some((captcha, reqwest::Client::builder().timeout(PATIENCE).build()?))))
    }

    /// Whether anybody is asked.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Refuses answers that the service does not accept.
    pub(crate) async fn check(&self, answer: Option<&str>, address: Option<IpAddr>) -> ApiResult<()> {
        let Some((captcha, http)) = &self.0 else { return Ok(()) };
        let wrong = || ApiError::Forbidden("Wrong captcha, please try again.".to_owned());
        let answer = answer.filter(|answer| !answer.is_empty()).ok_or_else(wrong)?;
        let mut form = vec![("secret", captcha.secret.clone()), ("response", answer.to_owned())];
        form.extend(address.map(|address| ("remoteip", address.to_string())));
        let judgement = judge(http, captcha, &form).await.with_context(|| format!("ask `{}` about a captcha", captcha.url))?;
        if judgement.success { Ok(()) } else { Err(wrong()) }
    }
}

async fn judge(http: &reqwest::Client, captcha: &CaptchaConfig, form: &[(&str, String)]) -> anyhow::Result<Judgement> {
    let mut reply = http.post(&captcha.url).form(form).send().await.map_err(reqwest::Error::without_url)?.error_for_status()?;
    let mut body = Vec::new();
    while let Some(piece) = reply.chunk().await? {
        body.extend_from_slice(&piece);
        anyhow::ensure!(body.len() <= LARGEST, "the answer is too long");
    }
    Ok(serde_json::from_slice(&body)?)
}
