//! A redis-server of the test's own.

use std::time::Duration;

use crate::redis_server::{Launch, Server};

/// A running redis-server without persistence, or with an append-only file in a temporary folder.
///
/// ```no_run
/// # async fn example() {
/// let server = karton_rs::testing::RedisServer::start().await;
/// println!("{}", server.url());
/// # }
/// ```
#[derive(Debug)]
pub struct RedisServer {
    /// None: it was killed.
    server: Option<Server>,
    port: u16,
    folder: tempfile::TempDir,
    durable: bool,
}

impl RedisServer {
    /// Starts a server that keeps nothing.
    ///
    /// # Panics
    /// When redis-server is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_with(false).await
    }

    /// Starts a server that keeps its data over [`RedisServer::restart`].
    ///
    /// # Panics
    /// When redis-server is not installed or does not start.
    pub async fn start_durable() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(durable: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Launch { folder: folder.path(), durable, apart: false }.start().await.expect("a redis-server");
        Self { port: server.port, server: Some(server), folder, durable }
    }

    /// Address as `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, to send it signals.
    ///
    /// # Panics
    /// When it was killed.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("a server that runs").pid()
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the server again on the same port, after [`RedisServer::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        // A client that tries to reconnect may get this very port for its own end, and hold it for a moment.
        for _ in 0..20 {
            self.kill();
            let launch = Launch { folder: self.folder.path(), durable: self.durable, apart: false };
            self.server = launch.start_on(self.port).await.expect("a redis-server");
            if self.server.is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("redis-server did not start again; its log is in {}", self.folder.path().display());
    }

    /// A connection for looking into the server.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a valid address");
        // A busy machine is no reason to fail.
        let patient = Some(Duration::from_secs(30));
        let config = redis::AsyncConnectionConfig::new().set_connection_timeout(patient).set_response_timeout(patient);
        client.get_multiplexed_async_connection_with_config(&config).await.expect("a connection to our redis-server")
    }
}
