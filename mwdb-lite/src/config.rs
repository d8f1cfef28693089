//! Settings: `mwdb.ini` files, environment variables, and what the keys mean.
//!
//! Names, defaults and precedence are those of MWDB Core (MWDB API §A3.2); `sqlite_path`,
//! `shutdown_grace`, `max_failed_logins`, `tls_certificate`, `tls_key`, `recaptcha_url` and a
//! `secret_key` that may be absent are ours. The one rule: nothing else reads
//! the environment, and every error names the file (or variable), the section and the key.

mod extras;
mod storage;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub use extras::{CaptchaConfig, LogConfig, MailConfig, TlsConfig};

use crate::limits::{self, Limits};
pub use storage::{S3Storage, Storage};

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {place}{problem}")]
pub struct ConfigError {
    origin: String,
    place: String,
    problem: String,
}

impl ConfigError {
    fn new(origin: &str, section: &str, key: &str, problem: impl Into<String>) -> Self {
        Self { origin: origin.to_owned(), place: format!("[{section}] {key}: "), problem: problem.into() }
    }

    fn of_file(origin: &str, problem: impl Into<String>) -> Self {
        Self { origin: origin.to_owned(), place: String::new(), problem: problem.into() }
    }
}

/// All settings of the server.
#[derive(Clone)]
pub struct Config {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    pub port: u16,
    /// The database file.
    pub sqlite_path: PathBuf,
    /// Where uploaded content is kept, or with S3 only until it is complete.
    pub uploads_folder: PathBuf,
    /// Where content is kept.
    pub storage: Storage,
    /// Key of all tokens. Without one, a random key is made and kept in the database.
    pub secret_key: Option<String>,
    /// Audience of tokens, base of links in mails.
    pub base_url: String,
    /// Name shown to users.
    pub instance_name: String,
    /// Login of the first account.
    pub admin_login: String,
    /// Password of the first account; without one a random password is made.
    pub admin_password: Option<String>,
    /// Serve the pages.
    pub serve_web: bool,
    /// Folder of another web interface to serve instead of the built-in one.
    pub web_folder: Option<PathBuf>,
    /// Milliseconds, told to clients.
    pub request_timeout: u64,
    /// Milliseconds, told to clients.
    pub file_upload_timeout: u64,
    /// Milliseconds a database query may take; 0: the built-in limit.
    pub statement_timeout: u64,
    /// Spread stored files over folders by their hash.
    pub hash_pathing: bool,
    /// Look for stored files under the other scheme too.
    pub hash_pathing_fallback: bool,
    /// Largest request body in bytes.
    pub max_upload_size: Option<u64>,
    /// Most items of one listing.
    pub listing_endpoints_count_limit: u64,
    /// Let visitors ask for an account.
    pub enable_registration: bool,
    /// Accept passwords.
    pub enable_password_auth: bool,
    /// Lock out everybody but the administrator.
    pub enable_maintenance: bool,
    /// Announce uploads to Karton.
    pub enable_karton: bool,
    /// Offer the route that sets the third-party flag.
    pub enable_3rd_party_sharing_consent: bool,
    /// Compute fuzzy hashes.
    pub enable_ssdeep: bool,
    /// Refuse deprecated features.
    pub enable_brownout: bool,
    /// Password of zipped downloads.
    pub zip_download_password: String,
    /// Trust `X-Forwarded-For` for the address of the client.
    pub use_x_forwarded_for: bool,
    /// Site key of the captcha, told to clients.
    pub recaptcha_site_key: Option<String>,
    /// Judges captchas at registration and recovery.
    pub captcha: Option<CaptchaConfig>,
    /// Sends mails.
    pub mail: Option<MailConfig>,
    /// Refuse who asks too often.
    pub enable_rate_limit: bool,
    /// `[mwdb_limiter]`: how often is too often, by key.
    pub rate_limits: Limits,
    /// Failed logins of one login from one address before it has to wait; 0: as many as it likes.
    pub max_failed_logins: u32,
    /// Count requests, and offer the counts to Prometheus.
    pub enable_prometheus_metrics: bool,
    /// Encrypt connections.
    pub tls: Option<TlsConfig>,
    /// Keys in the files that mean nothing here, each with its file.
    pub unknown: Vec<String>,
    /// How the log is written.
    pub log: LogConfig,
    /// `[karton] config_path`: one more `karton.ini`.
    pub karton_config_path: Option<PathBuf>,
    /// Karton's own configuration, when it is enabled.
    pub karton: Option<karton_rs::Config>,
    /// How long running requests may go on once the server is told to stop.
    pub shutdown_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8080,
            sqlite_path: "mwdb.sqlite".into(),
            uploads_folder: "uploads".into(),
            storage: Storage::Disk,
            secret_key: None,
            base_url: "http://127.0.0.1".to_owned(),
            instance_name: "mwdb".to_owned(),
            admin_login: "admin".to_owned(),
            admin_password: None,
            serve_web: true,
            web_folder: None,
            request_timeout: 20_000,
            file_upload_timeout: 60_000,
            statement_timeout: 0,
            hash_pathing: true,
            hash_pathing_fallback: false,
            max_upload_size: None,
            listing_endpoints_count_limit: 1000,
            enable_registration: false,
            enable_password_auth: true,
            enable_maintenance: false,
            enable_karton: false,
            enable_3rd_party_sharing_consent: false,
            enable_ssdeep: true,
            enable_brownout: false,
            zip_download_password: "infected".to_owned(),
            use_x_forwarded_for: false,
            recaptcha_site_key: None,
            captcha: None,
            mail: None,
            enable_rate_limit: false,
            rate_limits: limits::defaults(),
            max_failed_logins: 10,
            enable_prometheus_metrics: false,
            tls: None,
            unknown: Vec::new(),
            log: LogConfig::default(),
            karton_config_path: None,
            karton: None,
            shutdown_grace: Duration::from_secs(8),
        }
    }
}

/// Shows nothing: settings hold passwords and keys.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("sqlite_path", &self.sqlite_path).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the standard files, `file`, the environment, and Karton's configuration when it is enabled.
    ///
    /// # Errors
    /// When `file` is missing, or a file or value cannot be used.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let env: Vec<(String, String)> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        let mut paths = vec![PathBuf::from("/etc/mwdb-core/mwdb.ini")];
        if let Some((_, home)) = env.iter().find(|(name, value)| name == "HOME" && !value.is_empty()) {
            paths.push(Path::new(home).join(".mwdb-core/mwdb.ini"));
        }
        paths.push(PathBuf::from("mwdb.ini"));
        paths.retain(|path| path.is_file());
        paths.extend(file.map(Path::to_owned));
        let mut files = Vec::new();
        for path in &paths {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| ConfigError::of_file(&name, format!("cannot be read: {error}")))?;
            files.push((name, text));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut config = Self::from_parts(&files, env)?;
        if config.enable_karton {
            let karton = karton_rs::Config::load(config.karton_config_path.as_deref())?;
            storage::not_kartons(&config.storage, &karton)?;
            config.karton = Some(karton);
        }
        Ok(config)
    }

    /// Builds the settings from texts, weakest first, and an environment. Touches nothing of the process.
    ///
    /// # Errors
    /// When a text is no INI file or a value cannot be used.
    pub fn from_parts(files: &[(&str, &str)], env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let source = Source::read(files, env)?;
        let mut config = Self::default();
        if let Some((host, _)) = source.get("mwdb", "host") {
            config.host = listening_address(host).map_err(|problem| source.error("mwdb", "host", problem))?;
        }
        source.parsed("mwdb", "port", &mut config.port)?;
        source.parsed("mwdb", "sqlite_path", &mut config.sqlite_path)?;
        source.parsed("mwdb", "uploads_folder", &mut config.uploads_folder)?;
        source.optional("mwdb", "secret_key", &mut config.secret_key)?;
        source.parsed("mwdb", "base_url", &mut config.base_url)?;
        if !is_web_address(&config.base_url) {
            let problem = format!("`{}` is no address that begins with `http://` or `https://`", config.base_url);
            return Err(source.error("mwdb", "base_url", problem));
        }
        source.parsed("mwdb", "instance_name", &mut config.instance_name)?;
        source.parsed("mwdb", "admin_login", &mut config.admin_login)?;
        source.optional("mwdb", "admin_password", &mut config.admin_password)?;
        source.flag("serve_web", &mut config.serve_web)?;
        source.optional("mwdb", "web_folder", &mut config.web_folder)?;
        source.parsed("mwdb", "request_timeout", &mut config.request_timeout)?;
        source.parsed("mwdb", "file_upload_timeout", &mut config.file_upload_timeout)?;
        source.parsed("mwdb", "statement_timeout", &mut config.statement_timeout)?;
        source.flag("hash_pathing", &mut config.hash_pathing)?;
        source.flag("hash_pathing_fallback", &mut config.hash_pathing_fallback)?;
        source.optional("mwdb", "max_upload_size", &mut config.max_upload_size)?;
        source.parsed("mwdb", "listing_endpoints_count_limit", &mut config.listing_endpoints_count_limit)?;
        source.flag("enable_registration", &mut config.enable_registration)?;
        source.flag("enable_password_auth", &mut config.enable_password_auth)?;
        source.flag("enable_maintenance", &mut config.enable_maintenance)?;
        source.flag("enable_karton", &mut config.enable_karton)?;
        source.flag("enable_3rd_party_sharing_consent", &mut config.enable_3rd_party_sharing_consent)?;
        source.flag("enable_ssdeep", &mut config.enable_ssdeep)?;
        source.flag("enable_brownout", &mut config.enable_brownout)?;
        source.parsed("mwdb", "zip_download_password", &mut config.zip_download_password)?;
        source.flag("use_x_forwarded_for", &mut config.use_x_forwarded_for)?;
        source.optional("mwdb", "recaptcha_site_key", &mut config.recaptcha_site_key)?;
        config.captcha = extras::captcha(&source)?;
        config.mail = extras::mail(&source)?;
        source.flag("enable_rate_limit", &mut config.enable_rate_limit)?;
        config.rate_limits = extras::limits(&source)?;
        source.parsed("mwdb", "max_failed_logins", &mut config.max_failed_logins)?;
        source.flag("enable_prometheus_metrics", &mut config.enable_prometheus_metrics)?;
        config.tls = extras::tls(&source)?;
        config.log = extras::log(&source)?;
        source.optional("mwdb", "karton_config_path", &mut config.karton_config_path)?;
        source.optional("karton", "config_path", &mut config.karton_config_path)?;
        let mut grace = config.shutdown_grace.as_secs();
        source.parsed("mwdb", "shutdown_grace", &mut grace)?;
        config.shutdown_grace = Duration::from_secs(grace);
        config.storage = storage::storage(&source)?;
        source.exists("mwdb", "web_folder", config.web_folder.as_deref())?;
        let origin = if source.get("karton", "config_path").is_some() { ("karton", "config_path") } else { ("mwdb", "karton_config_path") };
        source.exists(origin.0, origin.1, config.karton_config_path.as_deref())?;
        if !crate::auth::is_login(&config.admin_login) {
            return Err(source.error("mwdb", "admin_login", "is not a login: letters, digits, `_`, `.` and `-`, at most 32"));
        }
        config.unknown = source.unknown();
        Ok(config)
    }

    /// How long one query may take.
    pub(crate) fn longest_query(&self) -> Option<Duration> {
        (self.statement_timeout > 0).then(|| Duration::from_millis(self.statement_timeout))
    }
}

/// The address of `host`: names are not looked up, since they may mean several addresses.
///
/// # Errors
/// When it is neither an IP address nor `localhost`.
pub fn listening_address(host: &str) -> Result<IpAddr, String> {
    match host {
        "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host => {
            host.parse().map_err(|_| format!("`{host}` is no IP address: use one, such as 127.0.0.1 or 0.0.0.0 for all, or `localhost`"))
        }
    }
}

/// Whether browsers get somewhere by it.
fn is_web_address(address: &str) -> bool {
    reqwest::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Values with where they came from.
struct Source {
    /// Value and origin by section and key.
    values: BTreeMap<(String, String), (String, String)>,
    /// What was asked for.
    known: RefCell<BTreeSet<(String, String)>>,
    /// The file that is read last: where one would set what is missing.
    last_file: String,
}

impl Source {
    fn read(files: &[(&str, &str)], env: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for (name, text) in files {
            let options = ini::ParseOption {
                enabled_quote: false,
                enabled_escape: false,
                enabled_indented_mutiline_value: true,
                ..Default::default()
            };
            let parsed = ini::Ini::load_from_str_opt(text, options)
                .map_err(|error| ConfigError::of_file(name, format!("line {}: {}", error.line, error.msg)))?;
            for (section, properties) in &parsed {
                for (key, value) in properties {
                    let place = (section.unwrap_or_default().to_owned(), key.to_lowercase());
                    values.insert(place, (value.to_owned(), (*name).to_owned()));
                }
            }
        }
        for (name, value) in env {
            for section in ["mwdb", "karton", "mwdb_limiter"] {
                let key = name.strip_prefix(&section.to_uppercase()).and_then(|rest| rest.strip_prefix('_'));
                if let Some(key) = key {
                    values.insert((section.to_owned(), key.to_lowercase()), (value.clone(), format!("variable `{name}`")));
                }
            }
        }
        let last_file = files.last().map_or("mwdb.ini", |(name, _)| *name).to_owned();
        Ok(Self { values, known: RefCell::default(), last_file })
    }

    /// Value and origin; an empty value counts as not set.
    fn get(&self, section: &str, key: &str) -> Option<(&str, &str)> {
        let place = (section.to_owned(), key.to_owned());
        let found = self.values.get(&place);
        self.known.borrow_mut().insert(place);
        let (value, origin) = found?;
        (!value.is_empty()).then_some((value.as_str(), origin.as_str()))
    }

    /// Keys in files that nobody has asked for, each with its file. Those of what is switched off are not meant.
    fn unknown(&self) -> Vec<String> {
        const SWITCHED: [&str; 3] = ["s3_storage_", "mail_", "recaptcha_"];
        let known = self.known.borrow();
        let of_files = self.values.iter().filter(|(_, (_, origin))| !origin.starts_with("variable "));
        let unknown = of_files.filter(|(place, _)| match (place.0.as_str(), place.1.as_str()) {
            ("mwdb", key) => !known.contains(*place) && !SWITCHED.iter().any(|prefix| key.starts_with(prefix)),
            ("mwdb_limiter", key) => !crate::api::is_limit(key),
            _ => false,
        });
        unknown.map(|((section, key), (_, origin))| format!("{origin}: [{section}] {key}")).collect()
    }

    fn error(&self, section: &str, key: &str, problem: impl Into<String>) -> ConfigError {
        ConfigError::new(self.get(section, key).map_or(self.last_file.as_str(), |(_, origin)| origin), section, key, problem)
    }

    fn parsed<T: FromStr>(&self, section: &str, key: &str, target: &mut T) -> Result<(), ConfigError> {
        if let Some((value, _)) = self.get(section, key) {
            *target = value.parse().map_err(|_| self.error(section, key, format!("`{value}` is not valid")))?;
        }
        Ok(())
    }

    fn optional<T: FromStr>(&self, section: &str, key: &str, target: &mut Option<T>) -> Result<(), ConfigError> {
        if let Some((value, _)) = self.get(section, key) {
            // The value may be a secret: it is not repeated.
            *target = Some(value.parse().map_err(|_| self.error(section, key, "the value is not valid"))?);
        }
        Ok(())
    }

    /// Upstream's booleans are the numbers 0 and 1.
    fn flag(&self, key: &str, target: &mut bool) -> Result<(), ConfigError> {
        match self.get("mwdb", key) {
            None => Ok(()),
            Some(("0", _)) => {
                *target = false;
                Ok(())
            }
            Some(("1", _)) => {
                *target = true;
                Ok(())
            }
            Some((value, _)) => Err(self.error("mwdb", key, format!("`{value}` is neither 0 nor 1"))),
        }
    }

    fn exists(&self, section: &str, key: &str, path: Option<&Path>) -> Result<(), ConfigError> {
        match path {
            Some(path) if !path.exists() => Err(self.error(section, key, format!("`{}` does not exist", path.display()))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_wins_over_files_and_later_files_over_earlier_ones() -> anyhow::Result<()> {
        let files =
            [("a.ini", "[mwdb]\nbase_url = http://a\ninstance_name = a\nport = 1"), ("b.ini", "[mwdb]\nbase_url = http://b\nport=2")];
        let env = [("MWDB_PORT".to_owned(), "3".to_owned()), ("MWDB_ENABLE_KARTON".to_owned(), "1".to_owned())];
        let config = Config::from_parts(&files, env)?;
        assert_eq!((config.base_url.as_str(), config.instance_name.as_str(), config.port), ("http://b", "a", 3));
        assert!(config.enable_karton);
        Ok(())
    }

    #[test]
    fn a_bad_value_is_named_with_file_section_and_key() {
        let error = Config::from_parts(&[("x/mwdb.ini", "[mwdb]\nenable_karton = true")], []).expect_err("true is no number");
        assert_eq!(error.to_string(), "x/mwdb.ini: [mwdb] enable_karton: `true` is neither 0 nor 1");
        let error = Config::from_parts(&[], [("MWDB_PORT".to_owned(), "x".to_owned())]).expect_err("x is no port");
        assert_eq!(error.to_string(), "variable `MWDB_PORT`: [mwdb] port: `x` is not valid");
    }

    #[test]
    fn addresses_are_checked() {
        let read = |text: &str| Config::from_parts(&[("mwdb.ini", &format!("[mwdb]\n{text}"))], []).map_err(|error| error.to_string());
        assert_eq!(read("host = localhost").expect("a host").host, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(read("host = ::").expect("a host").host.to_string(), "::");
        for text in ["http://mwdb.test", "https://mwdb.test:8443/", "http://[::1]:8080", "https://example.test/mwdb"] {
            assert_eq!(read(&format!("base_url = {text}")).expect(text).base_url, text);
        }
        for (text, told) in [
            ("host = mwdb.test", "mwdb.ini: [mwdb] host: `mwdb.test` is no IP address"),
            ("base_url = mwdb.test", "mwdb.ini: [mwdb] base_url: `mwdb.test` is no address"),
            ("base_url = mwdb.test:8080", "[mwdb] base_url"),
            ("base_url = ftp://mwdb.test", "[mwdb] base_url"),
            ("base_url = http://", "[mwdb] base_url"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn keys_that_mean_nothing_are_told_with_their_file() -> anyhow::Result<()> {
        let text = "[mwdb]\nbase_ulr = http://a\nport = 1\nmail_from = a@b\n[other]\nkey = 1\n[mwdb_limiter]\nx = 1/day\nget = 1/day";
        let config = Config::from_parts(&[("mwdb.ini", text)], [("MWDB_ADMIN".to_owned(), "x".to_owned())])?;
        assert_eq!(config.unknown, ["mwdb.ini: [mwdb] base_ulr", "mwdb.ini: [mwdb_limiter] x"]);
        Ok(())
    }

    #[test]
    fn secrets_with_odd_characters_are_kept() -> anyhow::Result<()> {
        let config = Config::from_parts(&[("mwdb.ini", "[mwdb]\nsecret_key = a;b#c\\n\"d\"=e%f")], [])?;
        assert_eq!(config.secret_key.as_deref(), Some("a;b#c\\n\"d\"=e%f"));
        Ok(())
    }
}
