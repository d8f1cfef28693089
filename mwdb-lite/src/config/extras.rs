//! Settings that come in groups: mail, captcha, encryption, logs, limits.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::{ConfigError, Source};
use crate::limits::{self, Limits};

/// Where mails go, and as what.
#[derive(Clone)]
pub struct MailConfig {
    /// Name or address of the server.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// The sender.
    pub from: String,
    /// Login and password of the server.
    pub account: Option<(String, String)>,
    /// Encrypt the connection by STARTTLS, or do not send.
    pub tls: bool,
    /// Folder with texts that stand in for the built-in ones.
    pub templates: Option<PathBuf>,
}

/// A captcha that a service of Google judges.
#[derive(Clone)]
pub struct CaptchaConfig {
    /// The secret beside the site key.
    pub secret: String,
    /// Where answers are judged.
    pub url: String,
}

/// Certificate chain and key of the server, both PEM.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The server's certificate, then those it hangs on.
    pub certificate: PathBuf,
    /// The key of the server's certificate.
    pub key: PathBuf,
}

/// How the log is written.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// One JSON document a line.
    pub json: bool,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { json: false, level: "info".to_owned() }
    }
}

/// `[mwdb] mail_*`; none without `mail_smtp`.
pub(super) fn mail(source: &Source) -> Result<Option<MailConfig>, ConfigError> {
    let Some((server, _)) = source.get("mwdb", "mail_smtp") else { return Ok(None) };
    let bad = || source.error("mwdb", "mail_smtp", format!("`{server}` is not HOST or HOST:PORT"));
    let (host, port) = match server.rsplit_once(':') {
        // More than one colon without brackets is an IPv6 address alone.
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
        _ => (server, 25),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // A name that cannot be one would be found out by the first mail, which is for somebody who has forgotten a password.
    let is_name = !host.is_empty() && host.chars().all(|character| character.is_alphanumeric() || matches!(character, '.' | '-' | '_'));
    if port == 0 || !(is_name || host.parse::<IpAddr>().is_ok()) {
        return Err(bad());
    }
    let mut mail = MailConfig { host: host.to_owned(), port, from: "noreply@mwdb".to_owned(), account: None, tls: false, templates: None };
    source.parsed("mwdb", "mail_from", &mut mail.from)?;
    if mail.from.parse::<lettre::message::Mailbox>().is_err() {
        return Err(source.error("mwdb", "mail_from", "is not an address like `mwdb@example.com` or `MWDB <mwdb@example.com>`"));
    }
    source.flag("mail_tls", &mut mail.tls)?;
    let (mut username, mut password) = (None, None);
    source.optional("mwdb", "mail_username", &mut username)?;
    source.optional("mwdb", "mail_password", &mut password)?;
    mail.account = username.map(|username| (username, password.unwrap_or_default()));
    source.optional("mwdb", "mail_templates_folder", &mut mail.templates)?;
    source.exists("mwdb", "mail_templates_folder", mail.templates.as_deref())?;
    Ok(Some(mail))
}

/// `[mwdb] recaptcha_secret`; none without it.
pub(super) fn captcha(source: &Source) -> Result<Option<CaptchaConfig>, ConfigError> {
    let Some((secret, _)) = source.get("mwdb", "recaptcha_secret") else { return Ok(None) };
    let mut url = "https://www.google.com/recaptcha/api/siteverify".to_owned();
    source.parsed("mwdb", "recaptcha_url", &mut url)?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(source.error("mwdb", "recaptcha_url", "is no address that begins with `https://`"));
    }
    Ok(Some(CaptchaConfig { secret: secret.to_owned(), url }))
}

/// `[mwdb] tls_certificate` and `tls_key`: both or none.
pub(super) fn tls(source: &Source) -> Result<Option<TlsConfig>, ConfigError> {
    let (mut certificate, mut key) = (None::<PathBuf>, None::<PathBuf>);
    source.optional("mwdb", "tls_certificate", &mut certificate)?;
    source.optional("mwdb", "tls_key", &mut key)?;
    source.exists("mwdb", "tls_certificate", certificate.as_deref())?;
    source.exists("mwdb", "tls_key", key.as_deref())?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            holds(source, "tls_certificate", &certificate, "-----BEGIN CERTIFICATE-----")?;
            holds(source, "tls_key", &key, "PRIVATE KEY-----")?;
            Ok(Some(TlsConfig { certificate, key }))
        }
        (Some(_), None) => Err(source.error("mwdb", "tls_certificate", "needs `tls_key` beside it")),
        (None, Some(_)) => Err(source.error("mwdb", "tls_key", "needs `tls_certificate` beside it")),
    }
}

/// What a file must hold to be what a key says.
fn holds(source: &Source, key: &str, path: &Path, mark: &str) -> Result<(), ConfigError> {
    let text = std::fs::read(path).map_err(|error| source.error("mwdb", key, format!("`{}` cannot be read: {error}", path.display())))?;
    if String::from_utf8_lossy(&text).contains(mark) {
        return Ok(());
    }
    Err(source.error("mwdb", key, format!("`{}` holds no `{mark}`", path.display())))
}

/// `[mwdb] enable_json_logger`, `enable_debug_log`, `log_level`.
pub(super) fn log(source: &Source) -> Result<LogConfig, ConfigError> {
    let mut log = LogConfig::default();
    source.flag("enable_json_logger", &mut log.json)?;
    if let Some((level, _)) = source.get("mwdb", "log_level") {
        // Both the names of Python and ours.
        let known = match level.to_ascii_lowercase().as_str() {
            "critical" | "fatal" | "error" => "error",
            "warn" | "warning" => "warn",
            "info" => "info",
            "debug" => "debug",
            "trace" => "trace",
            _ => return Err(source.error("mwdb", "log_level", format!("`{level}` is none of error, warning, info, debug"))),
        };
        known.clone_into(&mut log.level);
    }
    let mut debug = false;
    source.flag("enable_debug_log", &mut debug)?;
    if debug {
        "debug".clone_into(&mut log.level);
    }
    Ok(log)
}

/// `[mwdb_limiter]`: the defaults, and what stands there instead or beside them.
pub(super) fn limits(source: &Source) -> Result<Limits, ConfigError> {
    let mut limits = limits::defaults();
    for ((_, key), (text, _)) in source.values.iter().filter(|((section, _), _)| section == "mwdb_limiter") {
        let parsed = limits::parse(text).map_err(|problem| source.error("mwdb_limiter", key, problem))?;
        limits.insert(key.clone(), parsed);
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn read(text: &str) -> Result<Config, String> {
        Config::from_parts(&[("mwdb.ini", &format!("[mwdb]\n{text}"))], []).map_err(|error| error.to_string())
    }

    #[test]
    fn mail_has_a_host_a_port_and_maybe_an_account() {
        let mail = |text: &str| read(text).expect("settings").mail.expect("mail");
        assert_eq!((mail("mail_smtp = smtp.example").host, mail("mail_smtp = smtp.example").port), ("smtp.example".to_owned(), 25));
        assert_eq!(mail("mail_smtp = smtp.example:587").port, 587);
        assert_eq!((mail("mail_smtp = [::1]:26").host, mail("mail_smtp = ::1").host), ("::1".to_owned(), "::1".to_owned()));
        let full = mail("mail_smtp = a\nmail_username = u\nmail_password = p;#x\nmail_tls = 1\nmail_from = MWDB <mwdb@example.com>");
        assert_eq!((full.account, full.tls), (Some(("u".to_owned(), "p;#x".to_owned())), true));
        assert!(read("mail_from = x@y").expect("settings").mail.is_none());
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        for (text, key) in [
            ("mail_smtp = host:x", "mail_smtp"),
            ("mail_smtp = :25", "mail_smtp"),
            ("mail_smtp = smtp://mail.example", "mail_smtp"),
            ("mail_smtp = smtp://mail.example:25", "mail_smtp"),
            ("mail_smtp = mail.example:25:25", "mail_smtp"),
            ("mail_smtp = mail.example 25", "mail_smtp"),
            ("mail_smtp = mail.example:0", "mail_smtp"),
            ("mail_smtp = user@mail.example", "mail_smtp"),
            ("mail_smtp = a\nmail_from = nobody at home", "mail_from"),
            ("tls_certificate = Cargo.toml", "tls_certificate"),
            ("tls_key = Cargo.toml", "tls_key"),
            ("tls_key = /no/such/file", "tls_key"),
            ("log_level = loud", "log_level"),
            ("recaptcha_secret = s\nrecaptcha_url = example.com", "recaptcha_url"),
            ("x = 1\n[mwdb_limiter]\nget = many", "get"),
        ] {
            let error = read(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(key), "{text}: {error}");
        }
    }

    #[test]
    fn limits_replace_the_defaults_of_their_key() {
        let env = [("MWDB_LIMITER_POST".to_owned(), "1/hour".to_owned())];
        let config = Config::from_parts(&[("mwdb.ini", "[mwdb_limiter]\nloginresource_post = 5/minute")], env).expect("settings");
        assert_eq!(config.rate_limits["post"].len(), 1);
        assert_eq!(config.rate_limits["loginresource_post"][0].requests, 5);
        assert_eq!(config.rate_limits["get"].len(), 4);
    }

    #[test]
    fn the_log_speaks_as_it_is_told() {
        let log = |text: &str| read(text).expect("settings").log;
        assert_eq!((log("").json, log("").level.as_str()), (false, "info"));
        assert_eq!(log("enable_json_logger = 1\nlog_level = WARNING").level, "warn");
        assert_eq!(log("enable_debug_log = 1").level, "debug");
    }
}
