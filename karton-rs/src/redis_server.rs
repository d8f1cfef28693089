//! A redis-server of one's own, in a folder of one's own: for tests, and for the replay of a task.
//!
//! The one rule: a server is used once it has told that it is the child that was started. Another
//! process may take the port between our look and the start.

use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What may be installed, the usual one first.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// How long a server may take to answer.
const START: Duration = Duration::from_secs(30);

/// A running server; it is killed with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

/// How a server is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Launch<'a> {
    /// Where it keeps its data and its log.
    pub(crate) folder: &'a Path,
    /// It keeps what it is told, whatever happens to it.
    pub(crate) durable: bool,
    /// Ctrl-C is not for it.
    pub(crate) apart: bool,
}

impl Launch<'_> {
    /// On a free port.
    pub(crate) async fn start(self) -> io::Result<Server> {
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            if let Some(server) = self.start_on(port).await? {
                return Ok(server);
            }
        }
        Err(io::Error::other("redis-server does not start: run it by hand to see why"))
    }

    /// None when it does not answer on this port.
    pub(crate) async fn start_on(self, port: u16) -> io::Result<Option<Server>> {
        let mut server = Server { child: self.spawn(port)?, port };
        Ok(server.answers().await.then_some(server))
    }

    fn spawn(self, port: u16) -> io::Result<Child> {
        for program in PROGRAMS {
            let mut command = Command::new(program);
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
            command.args(["--appendonly", if self.durable { "yes" } else { "no" }, "--appendfsync", "always", "--dir"]).arg(self.folder);
            command.arg("--logfile").arg(self.folder.join("redis.log"));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if self.apart {
                command.process_group(0);
            }
            match command.spawn() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => return outcome,
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "there is no redis-server in PATH: apt-get install redis-server"))
    }
}

impl Server {
    /// The process.
    #[cfg(any(test, feature = "test-util"))]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// True when the server that answers on the port is this child.
    async fn answers(&mut self) -> bool {
        let deadline = Instant::now() + START;
        let Ok(client) = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)) else { return false };
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await {
                let info: Result<String, _> = redis::cmd("INFO").arg("server").query_async(&mut connection).await;
                // While it loads what it has kept, it answers INFO and nothing else.
                let loaded: Result<String, _> = redis::cmd("PING").query_async(&mut connection).await;
                if let (Ok(info), Ok(_)) = (info, loaded) {
                    return info.contains(&format!("process_id:{}\r", self.child.id()));
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
