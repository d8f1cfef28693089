//! What the configuration means for Redis, S3 and a service; checked when it is needed, as in karton-core.

use std::time::Duration;

use super::{
    Config, ConfigError, ConfigErrorKind as Kind,
    redis_url::{TlsSettings, UrlOptions},
};

/// How long a connection to Redis may take to open, unless its URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How to reach Redis. See Karton protocol §11.5.
///
/// ```
/// # use karton_rs::{Config, RedisSettings};
/// # let config = Config::from_parts(&[("k", "[redis]\nhost = queue\n[s3]\naddress = http://s3\n")], [])?;
/// assert_eq!(RedisSettings::from_config(&config)?.port, 6379);
/// # Ok::<(), karton_rs::ConfigError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisSettings {
    /// `redis://`, `rediss://` or `unix://`; then host, port and ssl are not used. Options in its query
    /// are in the fields here already.
    pub url: Option<String>,
    /// Name or address of the server.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Number of the database; none: the one in the path of the URL.
    pub db: Option<i64>,
    /// TLS with the usual checks of certificates.
    pub ssl: bool,
    /// ACL user.
    pub username: Option<String>,
    /// Password of the user, or of the server.
    pub password: Option<String>,
    /// How long a reply may take; none: for ever.
    pub socket_timeout: Option<Duration>,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    pub(crate) tls: TlsSettings,
    /// How messages name what holds the URL.
    pub(crate) url_place: String,
}

impl RedisSettings {
    /// Reads `[redis]`.
    ///
    /// # Errors
    /// When neither `url` nor `host` is set, or a number or boolean is none.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let text = |option| config.get("redis", option).filter(|value| !value.is_empty()).map(str::to_owned);
        // An empty URL is a URL that cannot be used, not an absent one.
        let url = config.get("redis", "url").map(str::to_owned);
        let socket_timeout = config.int("redis", "socket_timeout")?.unwrap_or(30);
        let socket_timeout = u64::try_from(socket_timeout).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let url_place = config.place("redis", "url");
        let of_url = url.as_deref().map(|url| UrlOptions::read(url, &url_place)).transpose()?.unwrap_or_default();
        let mut settings = Self {
            host: String::new(),
            port: 6379,
            db: of_url.db,
            ssl: false,
            username: of_url.username.or_else(|| text("username")),
            password: of_url.password.or_else(|| text("password")),
            socket_timeout: of_url.socket_timeout.or(socket_timeout),
            connect_timeout: of_url.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            tls: of_url.tls,
            url,
            url_place,
        };
        if settings.url.is_none() {
            settings.host = config.get("redis", "host").map(str::to_owned).ok_or_else(|| {
                let way = config.way_to_set("redis", "host");
                ConfigError::new(Kind::RedisWithoutHost, format!("[redis] host is not set, and no [redis] url either: {way}"))
            })?;
            let port = config.int("redis", "port")?.unwrap_or(6379);
            settings.port = u16::try_from(port)
                .map_err(|_| ConfigError::new(Kind::BadInteger, format!("{}: {port} is not a port", config.place("redis", "port"))))?;
            settings.db = Some(config.int("redis", "db")?.unwrap_or(0));
            settings.ssl = config.bool("redis", "ssl")?.unwrap_or(false);
        }
        Ok(settings)
    }

    /// How long the reply to a command that waits at the server may take. Such waits are short, so this
    /// only tells a server that has gone silent from a patient one.
    pub(crate) fn patient_timeout(&self) -> Option<Duration> {
        self.socket_timeout.map(|timeout| timeout.max(Duration::from_secs(5)))
    }
}

/// Where objects are kept. See Karton protocol §11.5.
///
/// ```
/// # use karton_rs::{Config, S3Settings};
/// # let config = Config::from_parts(&[("k", "[redis]\nhost = h\n[s3]\naddress = http://s3\naccess_key = a\nsecret_key = s\n")], [])?;
/// let s3 = S3Settings::from_config(&config)?;
/// assert_eq!(s3.endpoint, "http://s3");
/// assert!(s3.bucket().is_err());
/// # Ok::<(), karton_rs::ConfigError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct S3Settings {
    /// URL of the server, with its scheme.
    pub endpoint: String,
    /// The key pair; none only when `iam_auth` is set.
    pub keys: Option<S3Keys>,
    /// `[s3] iam_auth`: credentials of the container or instance come first.
    pub iam_auth: bool,
    /// `AWS_REGION`, `AWS_DEFAULT_REGION`, or `us-east-1`.
    pub region: String,
    bucket: Option<String>,
}

/// Access key and secret key.
#[derive(Clone)]
#[non_exhaustive]
pub struct S3Keys {
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
}

impl S3Settings {
    /// Reads `[s3]`; an absent or empty option is taken from `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`.
    ///
    /// # Errors
    /// When there is no address, or no key pair and no `iam_auth`.
    pub fn from_config(config: &Config) -> Result<Self, ConfigError> {
        let value = |option: &str, variable: &str| {
            config.get("s3", option).filter(|value| !value.is_empty()).or_else(|| config.aws(variable)).map(str::to_owned)
        };
        let endpoint = value("address", "AWS_ENDPOINT_URL").ok_or_else(|| {
            let way = config.way_to_set("s3", "address");
            ConfigError::new(Kind::S3WithoutEndpoint, format!("[s3] address is not set, and no AWS_ENDPOINT_URL either: {way}"))
        })?;
        if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            let of_section = config.get("s3", "address").is_some_and(|value| !value.is_empty());
            let place = if of_section { config.place("s3", "address") } else { "AWS_ENDPOINT_URL".to_owned() };
            return Err(ConfigError::new(
                Kind::Unusable,
                format!("{place}: `{endpoint}` has no scheme: write `http://{endpoint}`, or `https://`"),
            ));
        }
        let iam_auth = config.bool("s3", "iam_auth")?.unwrap_or(false);
        let pair = (value("access_key", "AWS_ACCESS_KEY_ID"), value("secret_key", "AWS_SECRET_ACCESS_KEY"));
        let keys = match pair {
            (Some(access_key), Some(secret_key)) => Some(S3Keys { access_key, secret_key }),
            _ => None,
        };
        let region = config.aws("AWS_REGION").or_else(|| config.aws("AWS_DEFAULT_REGION")).unwrap_or("us-east-1").to_owned();
        Ok(Self {
            endpoint,
            keys,
            iam_auth,
            region,
            bucket: config.get("s3", "bucket").filter(|bucket| !bucket.is_empty()).map(str::to_owned),
        })
    }

    /// The key pair.
    ///
    /// # Errors
    /// When a key is not set.
    pub fn keys(&self) -> Result<&S3Keys, ConfigError> {
        self.keys.as_ref().ok_or_else(|| {
            ConfigError::new(
                Kind::S3WithoutKeys,
                "[s3] access_key and secret_key are not set, and no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY either: set both there, or as KARTON_S3_ACCESS_KEY and KARTON_S3_SECRET_KEY",
            )
        })
    }

    /// The default bucket, which the broker's collector owns.
    ///
    /// # Errors
    /// When it is not set.
    pub fn bucket(&self) -> Result<&str, ConfigError> {
        self.bucket.as_deref().ok_or_else(|| {
            ConfigError::new(
                Kind::S3WithoutBucket,
                "[s3] bucket is not set: name the bucket of Karton's objects there, or by KARTON_S3_BUCKET",
            )
        })
    }
}

/// What `[karton]`, `[logging]` and `[signaling]` mean for a service. See Karton protocol §8.2.
///
/// ```
/// # use karton_rs::{Config, ServiceSettings};
/// # let config = Config::from_parts(&[("k", "[redis]\nhost = h\n[s3]\naddress = http://s3\n")], [])?;
/// let settings = ServiceSettings::from_config(&config, "karton.strings")?;
/// assert_eq!(settings.identity, "karton.strings");
/// # Ok::<(), karton_rs::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceSettings {
    /// Who the service is; a debug run carries a random suffix.
    pub identity: String,
    /// Not persistent, no log publishing, an identity of its own.
    pub debug: bool,
    /// Whether log records are published to Karton's log channels.
    pub publish_logs: bool,
    /// Least number of a log record that counts: 10 DEBUG, 20 INFO, 30 WARNING, 40 ERROR, 50 CRITICAL.
    pub log_level: i64,
    /// Whether the bind outlives the service; none: the service's own choice.
    pub persistent: Option<bool>,
    /// Longest time for one task; 0: no limit; none: not configured.
    pub task_timeout: Option<Duration>,
    /// How many tasks run at once; none: not configured.
    pub concurrency: Option<usize>,
}

impl ServiceSettings {
    /// Reads the settings for a service whose own identity is `identity`.
    ///
    /// # Errors
    /// When a value cannot be understood, or the identity has characters that Karton or Redis refuses.
    pub fn from_config(config: &Config, identity: &str) -> Result<Self, ConfigError> {
        let debug = config.bool("karton", "debug")?.unwrap_or(false);
        let mut identity = config.get("karton", "identity").unwrap_or(identity).to_owned();
        if debug {
            let random = uuid::Uuid::new_v4().simple().to_string();
            identity = format!("{identity}-{}-dev", &random[..8]);
        }
        check_identity(&identity, config)?;
        let persistent = config.bool("karton", "persistent")?;
        let timeout = config.int("karton", "task_timeout")?;
        let option = if config.get("karton", "concurrency_limit").is_some() { "concurrency_limit" } else { "concurrency" };
        let concurrency = config.int("karton", option)?;
        let concurrency = concurrency.map(|limit| {
            usize::try_from(limit).ok().filter(|limit| *limit > 0).ok_or_else(|| {
                ConfigError::new(
                    Kind::BadInteger,
                    format!("{}: {limit} is not a number of tasks (1 or more)", config.place("karton", option)),
                )
            })
        });
        Ok(Self {
            debug,
            publish_logs: !debug && config.bool("logging", "enable_publish")?.unwrap_or(true),
            log_level: log_level(config)?,
            persistent: if debug { Some(false) } else { persistent },
            task_timeout: timeout.map(|seconds| Duration::from_secs(seconds.try_into().unwrap_or(0))),
            concurrency: concurrency.transpose()?,
            identity,
        })
    }
}

impl ServiceSettings {
    /// The settings of a service that runs in a loop, which must have a name.
    pub(crate) fn of_loop(config: &Config, identity: &str) -> Result<Self, ConfigError> {
        let settings = Self::from_config(config, identity)?;
        if settings.identity.is_empty() {
            return Err(ConfigError::new(
                Kind::BadIdentity,
                format!("{}: the identity of a service must not be empty", config.place("karton", "identity")),
            ));
        }
        Ok(settings)
    }
}

/// Characters that Karton refuses, and those that `CLIENT SETNAME` does.
fn check_identity(identity: &str, config: &Config) -> Result<(), ConfigError> {
    let place = if config.get("karton", "identity").is_some() { config.place("karton", "identity") } else { "identity".to_owned() };
    match identity.chars().find(|character| !matches!(character, '!'..='~') || *character == '?') {
        Some(character) => {
            Err(ConfigError::new(Kind::BadIdentity, format!("{place}: `{identity}` holds {character:?}; use ASCII without blanks and `?`")))
        }
        None => Ok(()),
    }
}

/// The least level of log records as Python counts: 20 for INFO, unless `[logging] level` says otherwise.
pub(crate) fn log_level(config: &Config) -> Result<i64, ConfigError> {
    let Some(text) = config.get("logging", "level") else { return Ok(20) };
    match text {
        "CRITICAL" | "FATAL" => Ok(50),
        "ERROR" => Ok(40),
        "WARNING" | "WARN" => Ok(30),
        "INFO" => Ok(20),
        "DEBUG" => Ok(10),
        "NOTSET" => Ok(0),
        _ => parse_integer(text).ok_or_else(|| {
            let place = config.place("logging", "level");
            ConfigError::new(Kind::UnknownLogLevel, format!("{place}: `{text}` is not DEBUG, INFO, WARNING, ERROR, CRITICAL or a number"))
        }),
    }
}

/// Python's `int()` of a text: blanks around, a sign, single underscores between digits.
pub(super) fn parse_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let grouped = !digits.is_empty() && digits.split('_').all(|group| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit()));
    grouped.then(|| text.replace('_', "").parse().ok()).flatten()
}
