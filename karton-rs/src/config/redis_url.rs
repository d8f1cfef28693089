//! What stands behind the `?` of `[redis] url`, as Python's `redis.from_url` reads it.
//!
//! The one rule: what changes where or how a service connects is heeded, or refused by its name. Only what
//! tunes the Python client itself is passed over.

use std::path::PathBuf;
use std::time::Duration;

use super::{ConfigError, ConfigErrorKind as Kind, settings::parse_integer};
use crate::form;

/// They mean nothing to this client: it has no pool, decodes what it reads, and retries in its own way.
const OF_PYTHON_ALONE: [&str; 10] = [
    "decode_responses",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "max_connections",
    "retry_on_error",
    "retry_on_timeout",
    "socket_keepalive",
    "socket_read_size",
    "timeout",
];

/// The options of a URL. They win over those of `[redis]`; user and password before the `@` win over them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct UrlOptions {
    pub(super) db: Option<i64>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) socket_timeout: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) tls: TlsSettings,
}

/// How the certificate of a server is checked, and what is shown to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TlsSettings {
    /// Any certificate will do.
    pub(crate) unchecked: bool,
    /// It may be that of another host.
    pub(crate) any_host: bool,
    /// File with the authorities that count, in place of those of the system.
    pub(crate) authorities: Option<PathBuf>,
    /// Files with the certificate and the key of this client.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl UrlOptions {
    /// Reads the query of a URL; of equal names the first counts.
    pub(super) fn read(url: &str, place: &str) -> Result<Self, ConfigError> {
        Self::of(url).map_err(|problem| ConfigError::new(Kind::BadRedisUrl, format!("{place}: the option {problem}")))
    }

    fn of(url: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let before_fragment = url.split('#').next().unwrap_or_default();
        let Some((address, query)) = before_fragment.split_once('?') else { return Ok(options) };
        let mut seen = Vec::new();
        for (name, value) in form::pairs(query) {
            if !seen.contains(&name) {
                options.set(&name, value, address)?;
                seen.push(name);
            }
        }
        if options.tls.certificate.is_some() != options.tls.key.is_some() {
            return Err(wrong("ssl_certfile", "and `ssl_keyfile` belong together"));
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String, address: &str) -> Result<(), String> {
        if name.starts_with("ssl_") && !address.starts_with("rediss://") && !address.starts_with("valkeys://") {
            return Err(wrong(name, "means nothing without TLS: begin the URL with `rediss://`"));
        }
        match name {
            "db" => self.db = Some(parse_integer(&value).ok_or_else(|| wrong(name, "is not a whole number"))?),
            "username" => self.username = Some(value),
            "password" => self.password = Some(value),
            "socket_timeout" => self.socket_timeout = Some(seconds(name, &value)?),
            "socket_connect_timeout" => self.connect_timeout = Some(seconds(name, &value)?),
            // The client reads it from the URL.
            "protocol" if matches!(value.as_str(), "2" | "3") => {}
            "protocol" => return Err(wrong(name, "is neither 2 nor 3")),
            "ssl_cert_reqs" => match value.to_ascii_lowercase().as_str() {
                "none" | "cert_none" => self.tls.unchecked = true,
                "optional" | "required" | "cert_optional" | "cert_required" => {}
                _ => return Err(wrong(name, "is none of none, optional, required")),
            },
            "ssl_check_hostname" => self.tls.any_host = matches!(value.to_ascii_uppercase().as_str(), "0" | "F" | "FALSE" | "N" | "NO"),
            "ssl_ca_certs" => self.tls.authorities = Some(value.into()),
            "ssl_certfile" => self.tls.certificate = Some(value.into()),
            "ssl_keyfile" => self.tls.key = Some(value.into()),
            name if OF_PYTHON_ALONE.contains(&name) => {}
            _ => return Err(wrong(name, "is not known here: take it out of the URL")),
        }
        Ok(())
    }
}

/// Names the option and never shows its value, which may be a password under a mistyped name.
fn wrong(name: &str, problem: &str) -> String {
    format!("`{}` {problem}", name.escape_default())
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    let seconds = value.trim().parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| wrong(name, "is not a number of seconds above zero"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_python_reads_them() {
        let url = "rediss://host/4?db=7&db=8&username=w%20x&password=a%2Bb+c&socket_timeout=7.5&socket_connect_timeout=2&protocol=3\
                   &ssl_cert_reqs=none&ssl_check_hostname=False&ssl_ca_certs=%2Fca.pem&health_check_interval=30&empty=#insecure";
        let options = UrlOptions::read(url, "[redis] url").unwrap();
        let tls = TlsSettings { unchecked: true, any_host: true, authorities: Some("/ca.pem".into()), ..TlsSettings::default() };
        let expected = UrlOptions {
            db: Some(7),
            username: Some("w x".to_owned()),
            password: Some("a+b c".to_owned()),
            socket_timeout: Some(Duration::from_millis(7500)),
            connect_timeout: Some(Duration::from_secs(2)),
            tls,
        };
        assert_eq!(options, expected);
        assert_eq!(UrlOptions::read("redis://host/4", "[redis] url").unwrap(), UrlOptions::default());
    }

    #[test]
    fn what_cannot_be_heeded_is_refused_by_name() {
        for (query, named) in [
            ("pasword=secret", "`pasword` is not known"),
            ("client_name=secret", "`client_name` is not known"),
            ("db=secret", "`db` is not a whole number"),
            ("socket_timeout=secret", "`socket_timeout` is not a number"),
            ("socket_timeout=0", "`socket_timeout` is not a number"),
            ("protocol=secret", "`protocol` is neither"),
            ("ssl_cert_reqs=secret", "`ssl_cert_reqs` is none of"),
            ("ssl_certfile=secret", "`ssl_certfile` and `ssl_keyfile`"),
            ("ssl_min_version=secret", "`ssl_min_version` is not known"),
        ] {
            let error = UrlOptions::read(&format!("rediss://host?{query}"), "[redis] url").unwrap_err();
            assert_eq!(error.code(), "bad-redis-url");
            assert!(error.to_string().contains(named) && !error.to_string().contains("secret"), "{query}: {error}");
        }
        let error = UrlOptions::read("redis://host?ssl_cert_reqs=none", "[redis] url").unwrap_err();
        assert!(error.to_string().contains("rediss://"), "{error}");
    }
}
