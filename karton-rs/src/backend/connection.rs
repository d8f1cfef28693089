//! One named connection to Redis that comes back after a break.
//!
//! The one rule: the name is set again each time the connection is opened, because names are how
//! Karton knows who is online. See Karton protocol §1.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisError, RedisResult, ServerError, ServerErrorKind, TlsCertificates, aio::MultiplexedConnection,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Patience, Script};
use crate::{
    config::{ConfigError, ConfigErrorKind, RedisSettings, TlsSettings},
    error::Error,
};

/// What keeps a reply for longer is no work that was asked for here: a pause, a stop, a network.
const LONGEST_WORK: Duration = Duration::from_millis(100);

/// A connection with a name, opened when it is first used and again after each break.
pub(crate) struct Connection {
    client: Client,
    config: AsyncConnectionConfig,
    connect_timeout: Duration,
    name: String,
    /// The address without credentials, for messages.
    server: String,
    current: Mutex<Option<MultiplexedConnection>>,
    /// Microseconds: see [`Self::busy`].
    busy: AtomicU64,
}

impl Connection {
    /// `reply_timeout` none: a reply may take for ever, which blocking pops need.
    pub(crate) fn new(settings: &RedisSettings, name: &str, reply_timeout: Option<Duration>) -> Result<Self, ConfigError> {
        let client = client(settings)?;
        let server = client.get_connection_info().addr().to_string();
        let connect_timeout = settings.connect_timeout;
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(connect_timeout)).set_response_timeout(reply_timeout);
        let (name, current, busy) = (name.to_owned(), Mutex::new(None), AtomicU64::default());
        Ok(Self { client, config, connect_timeout, name, server, current, busy })
    }

    /// Runs a pipeline once. After a break the next call opens a new connection.
    pub(crate) async fn run<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, Error> {
        let mut connection = self.open().await?;
        let began = Instant::now();
        let outcome = pipeline.query_async(&mut connection).await;
        let took = began.elapsed().min(LONGEST_WORK);
        self.busy.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.settle(outcome).await
    }

    /// Runs a script once, and gives its reply.
    pub(crate) async fn call<T: FromRedisValue>(&self, script: &Script, fill: impl Fn(&mut redis::Cmd)) -> Result<T, Error> {
        let (reply,) = match self.run(&script.by_digest(&fill)).await {
            Err(Error::Redis { source, .. }) if says(&source, is_unknown_script) => self.run(&script.by_text(&fill)).await?,
            outcome => outcome?,
        };
        Ok(reply)
    }

    /// Runs a pipeline once, and leaves the connection behind when there is no answer in time.
    pub(crate) async fn run_within<T: FromRedisValue>(&self, limit: Duration, pipeline: &Pipeline) -> Result<T, Error> {
        if let Ok(outcome) = tokio::time::timeout(limit, self.run(pipeline)).await {
            return outcome;
        }
        self.leave();
        Err(self.error(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    /// The server has fallen silent: whatever is asked from now on goes over a new connection.
    pub(crate) fn leave(&self) {
        // Who holds this now is opening a new one.
        if let Ok(mut current) = self.current.try_lock() {
            *current = None;
        }
    }

    /// Which server it is, without credentials.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// How long Redis has worked for this connection so far, about.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_micros(self.busy.load(Ordering::Relaxed))
    }

    /// Runs a pipeline, again and again while Redis is away. Only for what may happen twice.
    pub(crate) async fn retry<T: FromRedisValue>(&self, pipeline: &Pipeline, patience: &mut Patience) -> Result<T, Error> {
        loop {
            match self.run(pipeline).await {
                Err(error) if error.is_temporary() => patience.rest(error, true).await?,
                outcome => {
                    patience.over();
                    return outcome;
                }
            }
        }
    }

    /// Turns an answer into a result, and forgets a connection that broke.
    async fn settle<T>(&self, outcome: RedisResult<T>) -> Result<T, Error> {
        match outcome {
            Ok(value) => Ok(value),
            Err(source) => {
                // A late reply must not be taken for the answer to another command, so a timeout drops the connection too.
                // One that is told that nothing can be written now is as good as another.
                if (is_outage(&source) && !says(&source, is_full)) || source.is_unrecoverable_error() || source.is_timeout() {
                    *self.current.lock().await = None;
                }
                Err(self.error(source))
            }
        }
    }

    async fn open(&self) -> Result<MultiplexedConnection, Error> {
        let mut current = self.current.lock().await;
        if let Some(connection) = current.as_ref() {
            return Ok(connection.clone());
        }
        let connection = self.connect().await.map_err(|source| self.error(source))?;
        *current = Some(connection.clone());
        Ok(connection)
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        self.log_in(|client| async move {
            let mut connection = client.get_multiplexed_async_connection_with_config(&self.config).await?;
            if client.get_connection_info().redis_settings().password().is_none() {
                // Whoever shows no credentials is let in, and refused only when he asks for something.
                redis::cmd("PING").query_async::<()>(&mut connection).await?;
            }
            if !self.name.is_empty() {
                redis::cmd("CLIENT").arg("SETNAME").arg(&self.name).query_async::<()>(&mut connection).await?;
            }
            Ok(connection)
        })
        .await
    }

    /// Opens a connection within the time for it, without credentials when they are refused.
    async fn log_in<T, F: Future<Output = RedisResult<T>>>(&self, open: impl Fn(Client) -> F) -> RedisResult<T> {
        let open_in_time = |client| async {
            let outcome = tokio::time::timeout(self.connect_timeout, open(client)).await;
            outcome.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
        };
        match open_in_time(self.client.clone()).await {
            // A server without users refuses credentials: the reference then goes in without.
            Err(error) if error.kind() == ErrorKind::AuthenticationFailed => {
                // Why the login was refused counts for more than that nobody is let in without; that the server is full
                // or gone meanwhile counts for more than either.
                let without = open_in_time(self.without_credentials()?).await;
                without.map_err(|other| if refuses_login(&other) { error } else { other })
            }
            outcome => outcome,
        }
    }

    fn without_credentials(&self) -> RedisResult<Client> {
        let info = self.client.get_connection_info().clone();
        let settings = RedisConnectionInfo::default().set_db(info.redis_settings().db());
        Client::open(info.set_redis_settings(settings))
    }

    /// What answers say that hold the errors of their commands: the first refusal.
    ///
    /// # Errors
    /// When a command was refused; the others are done.
    pub(crate) fn accepted(&self, answers: Vec<redis::Value>) -> Result<(), Error> {
        answers.into_iter().try_for_each(|answer| answer.extract_error().map(drop)).map_err(|source| self.error(source))
    }

    pub(crate) fn error(&self, source: RedisError) -> Error {
        Error::Redis { server: self.server.clone(), source }
    }

    /// A connection of its own for a subscription; it is not named, and ends when it is dropped.
    pub(crate) async fn subscribe(&self, pattern: &str) -> Result<redis::aio::PubSub, Error> {
        let opened = self.log_in(|client| async move {
            let mut subscription = client.get_async_pubsub().await?;
            subscription.psubscribe(pattern).await?;
            Ok(subscription)
        });
        opened.await.map_err(|source| self.error(source))
    }
}

/// True when the server is away, not ready or lets us in no more, rather than a command wrong.
pub(crate) fn is_outage(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.is_timeout()
        || is_denied(error)
        || says(error, |error| is_not_ready(error) || is_full(error))
}

/// True when somebody has to change the login or the rights of its user, here or at the server.
pub(crate) fn is_denied(error: &RedisError) -> bool {
    refuses_login(error) || says(error, |error| tells(error, &["NOPERM"]))
}

/// What happened, in words that say what to do where the server's own do not.
pub(crate) fn reason(error: &RedisError) -> String {
    if says(error, |error| tells(error, &["OOM"])) { "full (maxmemory): raise it, or remove tasks".to_owned() } else { error.to_string() }
}

fn refuses_login(error: &RedisError) -> bool {
    let refused = |error: &ServerError| {
        // The second is the answer to a long command of somebody who is not logged in.
        tells(error, &["NOAUTH", "WRONGPASS"]) || error.details().is_some_and(|text| text.contains("unauthenticated"))
    };
    error.kind() == ErrorKind::AuthenticationFailed || says(error, refused)
}

/// Whether a command was refused so; of a transaction or pipeline one of those in it.
fn says(error: &RedisError, what: impl Fn(&ServerError) -> bool) -> bool {
    error.clone().into_server_errors().is_some_and(|errors| errors.iter().any(|(_, error)| what(error)))
}

fn is_not_ready(error: &ServerError) -> bool {
    let no_room = || error.details().is_some_and(|text| text.contains("max number of clients reached"));
    tells(error, &["LOADING", "MASTERDOWN", "TRYAGAIN", "READONLY", "CLUSTERDOWN", "BUSY"]) || no_room()
}

fn is_unknown_script(error: &ServerError) -> bool {
    error.kind() == Some(ServerErrorKind::NoScript)
}

/// Memory, disk or replicas take no more for now.
fn is_full(error: &ServerError) -> bool {
    tells(error, &["OOM", "MISCONF", "NOREPLICAS"])
}

/// Whether an error has one of these codes. A script of Redis 6 tells the code in its text.
fn tells(error: &ServerError, codes: &[&str]) -> bool {
    codes.iter().any(|code| error.code() == *code || error.details().is_some_and(|text| text.contains(&format!("-{code} "))))
}

fn bad_url(settings: &RedisSettings, error: &RedisError) -> ConfigError {
    ConfigError::new(ConfigErrorKind::BadRedisUrl, format!("{}: {}", settings.url_place, error.detail().unwrap_or("cannot be understood")))
}

/// A client that trusts and shows the certificates that the URL names.
fn client(settings: &RedisSettings) -> Result<Client, ConfigError> {
    let TlsSettings { unchecked, any_host, authorities, certificate, key } = &settings.tls;
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            ConfigError::new(
                ConfigErrorKind::Unreadable,
                format!("{}: cannot read `{}`, which it names: {error}", settings.url_place, path.display()),
            )
        })
    };
    let mut info = connection_info(settings)?;
    if authorities.is_some() || certificate.is_some() {
        let client_tls = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? }),
            _ => None,
        };
        let certificates = TlsCertificates { client_tls, root_cert: authorities.as_ref().map(read).transpose()? };
        info = Client::build_with_tls(info, certificates).map_err(|error| bad_url(settings, &error))?.get_connection_info().clone();
    }
    let mut address = info.addr().clone();
    if let (ConnectionAddr::TcpTls { insecure, .. }, true) = (&mut address, *unchecked) {
        *insecure = true;
    }
    if *any_host {
        address.set_danger_accept_invalid_hostnames(true);
    }
    Client::open(info.set_addr(address)).map_err(|error| bad_url(settings, &error))
}

pub(crate) fn connection_info(settings: &RedisSettings) -> Result<ConnectionInfo, ConfigError> {
    let info = match &settings.url {
        Some(url) => url.as_str().into_connection_info(),
        None if settings.ssl => {
            ConnectionAddr::TcpTls { host: settings.host.clone(), port: settings.port, insecure: false, tls_params: None }
                .into_connection_info()
        }
        None => ConnectionAddr::Tcp(settings.host.clone(), settings.port).into_connection_info(),
    };
    let info = info.map_err(|error| bad_url(settings, &error))?;
    // Credentials before the `@` of the URL win over the options.
    let mut redis = info.redis_settings().clone();
    if let Some(db) = settings.db {
        redis = redis.set_db(db);
    }
    if let (None, Some(username)) = (redis.username(), &settings.username) {
        redis = redis.set_username(username);
    }
    if let (None, Some(password)) = (redis.password(), &settings.password) {
        redis = redis.set_password(password);
    }
    Ok(info.set_redis_settings(redis))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{config::Config, testing::RedisServer};

    fn refusal(line: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        reply.extract_error().unwrap_err()
    }

    #[test]
    fn what_passes_without_a_change_of_the_command_is_an_outage() {
        for line in [
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "NOPERM this user has no permissions to run the 'set' command",
            "ERR Protocol error: unauthenticated multibulk length",
        ] {
            assert!(is_outage(&refusal(line)) && is_denied(&refusal(line)), "{line}");
        }
        for line in [
            "ERR max number of clients reached",
            "READONLY You can't write against a read only replica.",
            "ERR Error running script (call to f_1): @user_script:2: -READONLY You can't write against a read only replica.",
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script.",
            "OOM command not allowed when used memory > 'maxmemory'.",
        ] {
            assert!(is_outage(&refusal(line)) && !is_denied(&refusal(line)), "{line}");
        }
        for line in ["WRONGTYPE Operation against a key holding the wrong kind of value", "ERR unknown command 'X'"] {
            assert!(!is_outage(&refusal(line)), "{line}");
        }
    }

    #[test]
    fn a_full_server_is_told_in_words() {
        let told = Error::Redis { server: "h:1".to_owned(), source: refusal("OOM command not allowed when used memory > 'maxmemory'.") };
        assert_eq!(told.to_string(), "redis at h:1: full (maxmemory): raise it, or remove tasks");
    }

    #[tokio::test]
    async fn a_wrong_password_is_told_also_by_a_connection_without_a_name() {
        let server = RedisServer::start().await;
        let mut admin = server.connection().await;
        let () = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("good").query_async(&mut admin).await.unwrap();
        let file = format!("[redis]\nhost = 127.0.0.1\nport = {}\npassword = bad\n[s3]\naddress = http://s3\n", server.port());
        let config = Config::from_parts(&[("k", &file)], []).unwrap();
        let connection = Connection::new(&RedisSettings::from_config(&config).unwrap(), "", None).unwrap();
        let error = connection.run::<()>(redis::pipe().cmd("PING").ignore()).await.unwrap_err();
        let Error::Redis { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), ErrorKind::AuthenticationFailed, "{error}");
    }
}
