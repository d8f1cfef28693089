//! How to reach MWDB and as whom.
//!
//! The one rule: secrets are [`Secret`]s, which print as `***`.

use std::fmt;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use karton_rs::{Config, ConfigError, json::Value};
use reqwest::Url;

use super::retry::Patience;

/// The server that is used when `[mwdb] api_url` is not set: the public one, as with mwdblib.
pub const DEFAULT_API_URL: &str = "https://mwdb.cert.pl/api/";

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who we are to MWDB. An API key wins over a password; a password can renew a refused token.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Credentials {
    /// Token that does not expire.
    pub api_key: Option<Secret>,
    /// Login and password.
    pub password: Option<(String, Secret)>,
}

impl Credentials {
    /// An API key.
    pub fn api_key(key: &str) -> Self {
        Self { api_key: Some(Secret::new(key)), password: None }
    }

    /// Login and password.
    pub fn password(login: &str, password: &str) -> Self {
        Self { api_key: None, password: Some((login.to_owned(), Secret::new(password))) }
    }
}

/// Bounds on what a server may do to us.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Longest time for a connection to come up.
    pub connect: Duration,
    /// Longest time without any progress, of an upload or of an answer.
    pub idle: Duration,
    /// Longest time for the question whether MWDB is there.
    pub probe: Duration,
    /// Largest answer in bytes.
    pub answer_bytes: usize,
    /// Objects in one page of a listing; servers give 1000 at most.
    pub page: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            // The answer to an upload comes when MWDB has hashed and stored the content.
            idle: Duration::from_mins(5),
            probe: Duration::from_secs(10),
            answer_bytes: 64 * 1024 * 1024,
            page: 100,
        }
    }
}

/// What a [`Client`](super::Client) is made from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Address of the API; ends in `/`.
    pub api_url: Url,
    /// Who we are.
    pub credentials: Credentials,
    /// Whether certificates are checked.
    pub verify_ssl: bool,
    /// How long we wait for a server that is away.
    pub patience: Patience,
    /// What a server may do to us.
    pub limits: Limits,
}

/// Settings that cannot be used. Those that are read from a configuration are named by section, key, and what set them.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// There is no section `[mwdb]`.
    #[error("missing section `[mwdb]`: the reporter needs at least `api_url` and `api_key` there: {way}")]
    NoSection {
        /// How to get one.
        way: String,
    },
    /// The address is none.
    #[error("`{url}` is not an http or https address: {reason}")]
    BadUrl {
        /// What is set.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Credentials inside the address would end up in logs.
    #[error("the address must not hold a login: give user name and password, or an API key, apart from it")]
    UrlWithLogin,
    /// The key was cut or is something else.
    #[error("this is not an API key of MWDB: it has three parts with dots between them, the first two of base64")]
    BadApiKey,
    /// One of these, in a configuration.
    #[error("{place}: {problem}")]
    At {
        /// Section, key, and what has set it.
        place: String,
        /// What is wrong there.
        problem: Box<Self>,
    },
    /// A value that is no boolean.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Settings {
    /// Settings for an address, with everything else as usual.
    ///
    /// # Errors
    /// When the address or the API key cannot be used.
    pub fn new(api_url: &str, credentials: Credentials) -> Result<Self, SettingsError> {
        if credentials.api_key.as_ref().is_some_and(|key| !is_token(key.expose())) {
            return Err(SettingsError::BadApiKey);
        }
        Ok(Self { api_url: base_url(api_url)?, credentials, verify_ssl: true, patience: Patience::default(), limits: Limits::default() })
    }

    /// Reads `[mwdb]`.
    ///
    /// # Errors
    /// When there is no such section, or a value in it cannot be used.
    pub fn from_config(config: &Config) -> Result<Self, SettingsError> {
        if !config.sections().any(|(section, _)| section == "mwdb") {
            return Err(SettingsError::NoSection { way: config.way_to_set("mwdb", "api_url") });
        }
        // Who left the address empty does not mean the public server, and must not send it a login.
        let text = |key| config.get("mwdb", key).filter(|value| !value.is_empty());
        let password = text("username").zip(text("password")).map(|(login, password)| (login.to_owned(), Secret::new(password)));
        let credentials = Credentials { api_key: text("api_key").map(Secret::new), password };
        let mut settings = Self::new(config.get("mwdb", "api_url").unwrap_or(DEFAULT_API_URL), credentials).map_err(|problem| {
            let key = if matches!(problem, SettingsError::BadApiKey) { "api_key" } else { "api_url" };
            SettingsError::At { place: config.place("mwdb", key), problem: Box::new(problem) }
        })?;
        settings.verify_ssl = config.bool("mwdb", "verify_ssl")?.unwrap_or(true);
        Ok(settings)
    }
}

fn base_url(text: &str) -> Result<Url, SettingsError> {
    let slash = if text.ends_with('/') { "" } else { "/" };
    let bad = |reason: &str| {
        // A text that is no address may still hold a login: not printed then.
        if text.contains('@') {
            SettingsError::UrlWithLogin
        } else {
            SettingsError::BadUrl { url: text.to_owned(), reason: reason.to_owned() }
        }
    };
    let url = Url::parse(&format!("{text}{slash}")).map_err(|error| bad(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SettingsError::UrlWithLogin);
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("other scheme"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it has a query or fragment"));
    }
    if !url.path().ends_with("/api/") {
        tracing::warn!("the address of MWDB's API does not end in /api/: {url}");
    }
    Ok(url)
}

/// The outer form of a token: header and claims as base64 JSON, then a signature.
fn is_token(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let is_json = |part: &str| {
        let decoded = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok();
        decoded.and_then(|bytes| String::from_utf8(bytes).ok()).is_some_and(|text| Value::parse(&text).is_ok())
    };
    let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    parts.len() == 3 && is_visible && parts[..2].iter().all(|part| is_json(part))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const KEY: &str = "eyJhbGciOiJIUzUxMiJ9.eyJsb2dpbiI6ImFkbWluIn0.c2lnbmF0dXJl";

    fn config(mwdb: &str) -> Config {
        let file = format!("[redis]\nhost = r\n[s3]\naddress = http://s\n{mwdb}");
        Config::from_parts(&[("karton.ini", &file)], []).unwrap()
    }

    #[test]
    fn the_section_is_required() {
        // Karton drops sections without options.
        for text in ["", "[mwdb]\n"] {
            assert!(matches!(Settings::from_config(&config(text)), Err(SettingsError::NoSection { .. })));
        }
        let from_environment = [("KARTON_MWDB_API_URL".to_owned(), "http://mwdb/api".to_owned())];
        let config = Config::from_parts(&[("k", "[redis]\nhost = r\n[s3]\naddress = http://s\n")], from_environment).unwrap();
        assert_eq!(Settings::from_config(&config).unwrap().api_url.as_str(), "http://mwdb/api/");
    }

    #[test]
    fn what_is_not_set_means_the_public_server_without_credentials() {
        let settings = Settings::from_config(&config("[mwdb]\nverify_ssl = yes\n")).unwrap();
        assert_eq!(settings.api_url.as_str(), DEFAULT_API_URL);
        assert!(settings.verify_ssl && settings.credentials.api_key.is_none() && settings.credentials.password.is_none());
    }

    #[test]
    fn bad_values_name_section_and_key() {
        for (text, expected) in [
            ("[mwdb]\nverify_ssl = maybe\n", "[mwdb] verify_ssl (in `karton.ini`): "),
            ("[mwdb]\napi_url = mwdb.local\n", "[mwdb] api_url (in `karton.ini`): `mwdb.local"),
            ("[mwdb]\napi_url = ftp://mwdb/api/\n", "[mwdb] api_url"),
            // Not the public server, which would be sent a login.
            ("[mwdb]\napi_url =\nusername = u\npassword = p\n", "[mwdb] api_url"),
            ("[mwdb]\napi_key = abc\n", "[mwdb] api_key (in `karton.ini`): this is not"),
            ("", "set `api_url` in `[mwdb]` of `karton.ini`, or KARTON_MWDB_API_URL"),
        ] {
            let message = Settings::from_config(&config(text)).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let text = format!("[mwdb]\nusername = admin\npassword = hunter2\napi_key = {KEY}\n");
        let settings = Settings::from_config(&config(&text)).unwrap();
        let printed = format!("{settings:?}");
        assert!(printed.contains("admin") && !printed.contains("hunter2") && !printed.contains(KEY), "{printed}");
        let message = Settings::from_config(&config("[mwdb]\napi_url = http://admin:hunter2@mwdb/api/\n")).unwrap_err().to_string();
        assert!(!message.contains("hunter2"), "{message}");
        let message = Settings::from_config(&config("[mwdb]\napi_url = admin:hunter2@mwdb:x/api/\n")).unwrap_err().to_string();
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn verify_ssl_takes_the_boolean_words() {
        for (word, expected) in [("1", true), ("Yes", true), ("on", true), ("0", false), ("no", false), ("OFF", false), ("false", false)] {
            assert_eq!(Settings::from_config(&config(&format!("[mwdb]\nverify_ssl = {word}\n"))).unwrap().verify_ssl, expected);
        }
    }
}
