//! A redis-server of the test's own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
    child: Child,
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
        // Another process may take the port between our look and the start: then try another one.
        for _ in 0..20 {
            let port = free_port();
            let mut child = spawn(port, folder.path(), durable);
            if answers(&mut child, port).await {
                return Self { child, port, folder, durable };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("redis-server did not start; its log is in {}", folder.path().display());
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
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts the server again on the same port, after [`RedisServer::kill`].
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        // A client that tries to reconnect may get this very port for its own end, and hold it for a moment.
        for _ in 0..20 {
            self.kill();
            self.child = spawn(self.port, self.folder.path(), self.durable);
            if answers(&mut self.child, self.port).await {
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

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn spawn(port: u16, folder: &Path, durable: bool) -> Child {
    let log = folder.join("redis.log");
    let mut command = Command::new(program());
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", if durable { "yes" } else { "no" }]);
    command.args(["--appendfsync", "always", "--dir"]).arg(folder).arg("--logfile").arg(log);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("redis-server or valkey-server must be installed: apt-get install redis-server")
}

/// `redis-server`, or `valkey-server` where only that is installed.
fn program() -> &'static str {
    let installed = |name: &str| Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !installed("redis-server") && installed("valkey-server") { "valkey-server" } else { "redis-server" }
}

/// True when the server that answers on the port is this child.
async fn answers(child: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + Duration::from_secs(30);
    let Ok(client) = redis::Client::open(format!("redis://127.0.0.1:{port}")) else { return false };
    while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
        if let Ok(mut connection) = client.get_multiplexed_async_connection().await {
            let info: Result<String, _> = redis::cmd("INFO").arg("server").query_async(&mut connection).await;
            // While it loads what it has kept, it answers INFO and nothing else.
            let loaded: Result<String, _> = redis::cmd("PING").query_async(&mut connection).await;
            if let (Ok(info), Ok(_)) = (info, loaded) {
                return info.contains(&format!("process_id:{}\r", child.id()));
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
