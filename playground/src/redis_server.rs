//! The redis-server of the playground: a child process with its data in a folder of ours.
//!
//! The rule: we talk to our own child only, which is told by its process id; and it never outlives us,
//! not even when we are killed. Where `setpriv` is there the kernel sees to that, and in any case a
//! start first ends what an earlier one has left in the folder.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// Compatible servers, in order of preference.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
const PID_FILE: &str = "redis.pid";
const LOG_FILE: &str = "redis.log";
/// Loading the data of a long-lived playground takes a while.
const START_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_millis(1200);
const ORPHAN_LIMIT: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a free port may turn out to be taken between our look and the start of the server.
const PORT_ATTEMPTS: usize = 5;

/// A server that answers.
#[derive(Debug)]
pub(crate) struct RedisServer {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl RedisServer {
    /// Starts the server on a claimed port. With `any_port` another one may be taken if need be.
    pub(crate) async fn start(folder: &Path, mut claim: TcpListener, any_port: bool) -> anyhow::Result<Self> {
        let program = find_program(&PROGRAMS).context(
            "neither `redis-server` nor `valkey-server` is installed: run `sudo apt-get install redis-server`, \
             or name a Redis that you have with `--redis-url`",
        )?;
        end_orphan(folder).await?;
        let mut attempt = 1;
        loop {
            let port = claim.local_addr()?.port();
            drop(claim);
            match launch(&program, folder, port).await {
                Ok(child) => return Ok(Self { program, folder: folder.to_owned(), port, child }),
                Err(error) if any_port && attempt < PORT_ATTEMPTS => {
                    tracing::debug!(%error, "trying redis-server on another port");
                    attempt += 1;
                    claim = TcpListener::bind("127.0.0.1:0")?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stays with the server until `shutdown`, then stops it; starts it again should it end before.
    pub(crate) async fn keep_running(mut self, shutdown: CancellationToken) {
        let mut pause = Duration::from_secs(1);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return stop(self.child).await,
                status = self.child.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    tracing::error!("redis-server ended ({status}); starting it again");
                }
            }
            loop {
                match launch(&self.program, &self.folder, self.port).await {
                    Ok(child) => {
                        self.child = child;
                        pause = Duration::from_secs(1);
                        tracing::info!("redis-server is back");
                        break;
                    }
                    Err(error) => tracing::error!("{error:#}; trying again in {} s", pause.as_secs()),
                }
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
            }
        }
    }
}

async fn launch(program: &Path, folder: &Path, port: u16) -> anyhow::Result<Child> {
    let log = folder.join(LOG_FILE);
    let output =
        fs::OpenOptions::new().create(true).append(true).open(&log).with_context(|| format!("cannot write `{}`", log.display()))?;
    let log_start = output.metadata()?.len();
    // Told by the kernel when we die, however that happens.
    let mut command = match find_program(&["setpriv"]) {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    };
    // Relative names, because redis-server splits its arguments at spaces.
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--protected-mode", "yes", "--daemonize", "no"]);
    command.args(["--dir", ".", "--pidfile", PID_FILE, "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]);
    command.current_dir(folder).kill_on_drop(true);
    // Not in our process group: an interrupt at the terminal is ours to handle, Redis has to be the last to go.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", program.display()))?;
    let pid = child.id();
    let deadline = Instant::now() + START_LIMIT;
    loop {
        if let Some(status) = child.try_wait()? {
            bail!("redis-server did not start on port {port} ({status}): {}", last_lines(&log, log_start));
        }
        match ask(port).await {
            Ok(info) if field(&info, "process_id").and_then(|text| text.parse().ok()) != pid => {
                bail!("on port {port} another server answers than the one that was started");
            }
            Ok(info) if field(&info, "loading") == Some("0") => return Ok(child),
            Ok(_) | Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(10)).await,
            Ok(_) => bail!("redis-server is still loading its data after {} seconds", START_LIMIT.as_secs()),
            Err(error) => return Err(error).with_context(|| format!("redis-server on port {port} does not answer")),
        }
    }
}

/// What the server on the port says of itself.
async fn ask(port: u16) -> anyhow::Result<String> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    Ok(redis::cmd("INFO").query_async(&mut connection).await?)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// SIGTERM lets Redis write what it has; one that does not end is killed.
async fn stop(mut child: Child) {
    if let Some(pid) = child.id().and_then(pid) {
        match kill_process(pid, Signal::TERM) {
            Ok(()) if tokio::time::timeout(STOP_LIMIT, child.wait()).await.is_ok() => return,
            Ok(()) => tracing::warn!("redis-server did not stop in time and is killed"),
            Err(error) => tracing::warn!(%error, "cannot signal redis-server"),
        }
    }
    if let Err(error) = child.kill().await {
        tracing::debug!(%error, "cannot kill redis-server");
    }
}

/// Ends the server of an earlier playground that was killed: two on one folder would ruin the data, and it may hold
/// the port that is wanted.
pub(crate) async fn end_orphan(folder: &Path) -> anyhow::Result<()> {
    let Some(pid) = fs::read_to_string(folder.join(PID_FILE)).ok().and_then(|text| text.trim().parse().ok()).and_then(pid) else {
        return Ok(());
    };
    if !is_ours(pid, folder) {
        return Ok(());
    }
    tracing::warn!("ending redis-server ({}) that an earlier playground has left", pid.as_raw_nonzero());
    let deadline = Instant::now() + ORPHAN_LIMIT;
    let mut signal = Signal::TERM;
    while test_kill_process(pid).is_ok() && is_ours(pid, folder) {
        // It may end between the look and the signal.
        let _ = kill_process(pid, signal);
        if Instant::now() > deadline {
            if signal == Signal::KILL {
                bail!("redis-server ({}) of an earlier playground cannot be ended", pid.as_raw_nonzero());
            }
            signal = Signal::KILL;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Process ids are used again: only a Redis at home in our folder is meant.
fn is_ours(pid: Pid, folder: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
    let home = fs::read_link(process.join("cwd"));
    PROGRAMS.contains(&name.trim()) && home.is_ok_and(|home| folder.canonicalize().is_ok_and(|folder| home == folder))
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Where Debian has servers, should the account's path leave it out.
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file()))
}

/// The end of what was logged since `start`.
fn last_lines(log: &Path, start: u64) -> String {
    let read = || {
        let mut file = fs::File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(end.saturating_sub(2000))))?;
        let mut text = Vec::new();
        file.take(2000).read_to_end(&mut text)?;
        io::Result::Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn start(folder: &Path) -> RedisServer {
        let claim = TcpListener::bind("127.0.0.1:0").expect("a free port");
        RedisServer::start(folder, claim, true).await.expect("a running server")
    }

    async fn command(server: &RedisServer, words: &[&str]) -> String {
        let client = redis::Client::open(server.url()).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(word);
        });
        command.query_async(&mut connection).await.expect("an answer")
    }

    #[tokio::test]
    async fn data_outlives_the_server() {
        let folder = tempfile::tempdir().expect("a folder");
        let server = start(folder.path()).await;
        command(&server, &["SET", "key", "value"]).await;
        stop(server.child).await;
        let server = start(folder.path()).await;
        assert_eq!(command(&server, &["GET", "key"]).await, "value");
        stop(server.child).await;
    }

    #[tokio::test]
    async fn one_that_was_left_behind_is_ended_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = start(folder.path()).await;
        command(&first, &["SET", "key", "value"]).await;
        let old = first.child.id().and_then(pid).expect("a process");
        let second = start(folder.path()).await;
        assert!(!is_ours(old, folder.path()));
        assert_eq!(command(&second, &["GET", "key"]).await, "value");
        stop(second.child).await;
    }

    #[tokio::test]
    async fn a_server_that_dies_is_started_again_on_its_port() {
        let folder = tempfile::tempdir().expect("a folder");
        let server = start(folder.path()).await;
        let (port, old) = (server.port, server.child.id().and_then(pid).expect("a process"));
        let shutdown = CancellationToken::new();
        let keeper = tokio::spawn(server.keep_running(shutdown.clone()));
        kill_process(old, Signal::KILL).expect("our child");
        karton_rs::testing::eventually("the server to be back", || async {
            let info = ask(port).await.ok()?;
            (field(&info, "process_id") != Some(&old.as_raw_nonzero().to_string())).then_some(())
        })
        .await;
        shutdown.cancel();
        keeper.await.expect("a clean end");
        assert!(ask(port).await.is_err());
    }

    #[tokio::test]
    async fn a_foreign_server_on_the_port_is_never_used() {
        let (folder, other) = (tempfile::tempdir().expect("a folder"), karton_rs::testing::RedisServer::start().await);
        let program = find_program(&PROGRAMS).expect("redis-server");
        let error = launch(&program, folder.path(), other.port()).await.expect_err("the port is taken");
        let text = format!("{error:#}");
        assert!(text.contains("another server") || text.contains("did not start"), "{text}");
    }
}
