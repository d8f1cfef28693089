//! Where Redis, S3 and MWDB are, and the `karton.ini` that says so.
//!
//! The rule: Python services must be able to use the file unchanged, old ones too, so it has plain
//! options wherever those can express what is meant.

use std::fmt::Write as _;

use karton_rs::Config;
use reqwest::Url;

use crate::settings::{ACCOUNT, KARTON_BUCKET, Usage};

/// What services connect to.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pub(crate) redis_url: String,
    pub(crate) s3: S3,
    /// Base address, without `/api`.
    pub(crate) mwdb: String,
    /// Whether Redis is somebody's own.
    pub(crate) external_redis: bool,
    /// Whether S3 is somebody's own.
    pub(crate) external_s3: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct S3 {
    pub(crate) endpoint: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl Connections {
    /// The text of `karton.ini`.
    pub(crate) fn karton_ini(&self) -> Result<String, Usage> {
        let mut text = String::from("# Written by the playground at each start: changes made here are lost.\n");
        let mut section = |name: &str, options: &[(&str, &str)]| {
            let _ = writeln!(text, "\n[{name}]");
            for (option, value) in options {
                if value.contains(['\n', '\r']) {
                    return Err(Usage(format!("[{name}] {option}: the value has a line break")));
                }
                let _ = writeln!(text, "{option} = {}", value.replace('%', "%%"));
            }
            Ok(())
        };
        match plain_redis(&self.redis_url) {
            Some((host, port, database)) => section("redis", &[("host", &host), ("port", &port), ("db", &database)])?,
            None => section("redis", &[("url", &self.redis_url)])?,
        }
        let S3 { endpoint, access_key, secret_key } = &self.s3;
        section("s3", &[("address", endpoint), ("access_key", access_key), ("secret_key", secret_key), ("bucket", KARTON_BUCKET)])?;
        section("mwdb", &[("api_url", &format!("{}/api/", self.mwdb)), ("username", ACCOUNT.0), ("password", ACCOUNT.1)])?;
        Ok(text)
    }

    /// What a service reads from `karton.ini`.
    pub(crate) fn karton_config(&self) -> anyhow::Result<Config> {
        Ok(Config::from_parts(&[("karton.ini", &self.karton_ini()?)], [])?)
    }

    /// Whether the file holds secrets that are not known to everybody.
    pub(crate) fn is_secret(&self) -> bool {
        self.external_redis || self.external_s3
    }

    /// The address of Redis for people and logs.
    pub(crate) fn shown_redis(&self) -> String {
        match Url::parse(&self.redis_url) {
            Ok(mut url) if url.password().is_some() => {
                // Both fail only for addresses that have no place for a password.
                let _ = url.set_password(Some("***"));
                url.to_string()
            }
            _ => self.redis_url.clone(),
        }
    }
}

/// Host, port and database of an address that says nothing else.
fn plain_redis(url: &str) -> Option<(String, String, String)> {
    let url = Url::parse(url).ok()?;
    let database = url.path().trim_start_matches('/');
    let plain = url.scheme() == "redis"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && database.bytes().all(|byte| byte.is_ascii_digit());
    let host = url.host_str().filter(|host| !host.is_empty() && !host.starts_with('['))?;
    let database = if database.is_empty() { "0" } else { database };
    plain.then(|| (host.to_owned(), url.port().unwrap_or(6379).to_string(), database.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(redis_url: &str) -> Connections {
        let s3 = S3 { endpoint: "http://127.0.0.1:8090".to_owned(), access_key: "mwdb".to_owned(), secret_key: "a%b;c#d".to_owned() };
        Connections {
            redis_url: redis_url.to_owned(),
            s3,
            mwdb: "http://127.0.0.1:8080".to_owned(),
            external_redis: false,
            external_s3: false,
        }
    }

    #[test]
    fn karton_reads_back_what_was_meant() {
        let config = connections("redis://127.0.0.1:8379").karton_config().expect("a usable file");
        for (section, option, value) in [
            ("redis", "host", "127.0.0.1"),
            ("redis", "port", "8379"),
            ("s3", "address", "http://127.0.0.1:8090"),
            ("s3", "secret_key", "a%b;c#d"),
            ("s3", "bucket", "karton"),
            ("mwdb", "api_url", "http://127.0.0.1:8080/api/"),
            ("mwdb", "username", "admin"),
        ] {
            assert_eq!(config.get(section, option), Some(value), "[{section}] {option}");
        }
    }

    #[test]
    fn an_address_with_more_in_it_is_kept_as_it_is() {
        for url in ["rediss://h:1/2", "redis://user:p%40ss@h:1", "unix:///run/redis.sock", "redis://[::1]:6379"] {
            let config = connections(url).karton_config().expect("a usable file");
            assert_eq!((config.get("redis", "url"), config.get("redis", "host")), (Some(url), None));
        }
        assert_eq!(plain_redis("redis://h/3"), Some(("h".to_owned(), "6379".to_owned(), "3".to_owned())));
    }

    #[test]
    fn passwords_are_not_shown() {
        assert!(!connections("redis://user:geheim@h:1").shown_redis().contains("geheim"));
    }

    #[test]
    fn a_line_break_cannot_add_options() {
        let mut connections = connections("redis://h");
        connections.s3.secret_key = "x\n[evil]".to_owned();
        assert!(connections.karton_ini().is_err());
    }
}
