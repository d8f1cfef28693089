//! A Redis and an S3 for one task, in a folder that goes away.

use std::collections::HashSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::objects::Objects;
use crate::{Config, backend::Backend, cli::output::escape, task::Task};

/// How long redis-server may take to answer.
const START: Duration = Duration::from_secs(10);
/// Key pair of the sandbox; it is not checked.
const KEY: &str = "replay";

pub(super) struct Sandbox {
    folder: tempfile::TempDir,
    redis: Child,
    objects: Objects,
    backend: Backend,
    variables: Vec<(String, String)>,
    /// Files that were there from the start.
    given: HashSet<PathBuf>,
}

impl Sandbox {
    pub(super) async fn start(config: &Config, real: &Backend, task: &Task) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("karton-replay-").tempdir().context("a temporary folder")?;
        let store = folder.path().join("objects");
        let given = fetch(real, task, &store).await?;
        let bucket = real.storage().bucket()?.to_owned();
        std::fs::create_dir_all(store.join(&bucket))?;
        let objects = Objects::serve(&store).await?;
        let (redis, port) = start_redis(folder.path()).await?;
        let variables = variables(port, &objects.url(), &bucket);
        let file = folder.path().join("karton.ini");
        std::fs::write(&file, ini(config))?;
        let backend = Backend::new(&Config::load_from(&[], std::slice::from_ref(&file), variables.clone())?, crate::cli::IDENTITY, "")?;
        let mut variables = variables;
        variables.push(("KARTON_CONFIG_FILE".to_owned(), file.display().to_string()));
        variables.push(("NO_PROXY".to_owned(), "127.0.0.1".to_owned()));
        Ok(Self { folder, redis, objects, backend, variables, given })
    }

    pub(super) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// What a service must have in its environment; nothing of it is secret.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        self.variables.clone()
    }

    /// Files that the service has put into S3, with their sizes.
    pub(super) fn uploaded(&self) -> anyhow::Result<Vec<(String, u64)>> {
        let mut uploaded = Vec::new();
        for path in files(&self.objects.folder)? {
            if !self.given.contains(&path) {
                let name = path.strip_prefix(&self.objects.folder).unwrap_or(&path).display().to_string();
                uploaded.push((name, path.metadata()?.len()));
            }
        }
        uploaded.sort();
        Ok(uploaded)
    }

    /// Stops the servers; gives the folder when it is to be kept.
    pub(super) async fn end(mut self, keep: bool) -> anyhow::Result<Option<PathBuf>> {
        self.redis.kill().await.context("redis-server")?;
        Ok(keep.then(|| self.folder.keep()))
    }
}

/// Copies the files of the task; one that is gone is told of, and the service sees it missing.
async fn fetch(real: &Backend, task: &Task, store: &Path) -> anyhow::Result<HashSet<PathBuf>> {
    let mut given = HashSet::new();
    for resource in task.resources() {
        let bucket = match &resource.bucket {
            Some(bucket) => bucket.clone(),
            None => real.storage().bucket()?.to_owned(),
        };
        let Some(path) = Objects::path(store, &bucket, &resource.uid) else {
            bail!("file `{}` has a name that S3 does not know: {bucket}/{}", resource.name, resource.uid);
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if let Err(error) = real.storage().download(&resource, &path).await {
            if error.is_temporary() {
                return Err(error.into());
            }
            note!("left out: {}", escape(&error.to_string()));
            // Nothing, rather than a part of it.
            let _ = std::fs::remove_file(&path);
            continue;
        }
        given.insert(path);
    }
    Ok(given)
}

/// What a service needs beside Redis and S3: all that the configuration says of the rest.
fn ini(config: &Config) -> String {
    let mut ini = String::new();
    for (section, options) in config.sections().filter(|(section, _)| !matches!(*section, "redis" | "s3" | "minio" | "DEFAULT")) {
        ini.push_str(&format!("[{section}]\n"));
        for (option, value) in options {
            // A `%` refers to other options, and a line that is not indented begins one.
            ini.push_str(&format!("{option} = {}\n", value.replace('%', "%%").replace('\n', "\n  ")));
        }
    }
    ini
}

/// Variables are stronger than any file that the service may read.
fn variables(port: u16, s3: &str, bucket: &str) -> Vec<(String, String)> {
    let variable = |name: &str, value: &str| (format!("KARTON_{name}"), value.to_owned());
    vec![
        // Of an URL in a file, one here is stronger; versions that know none take the others.
        variable("REDIS_URL", &format!("redis://127.0.0.1:{port}/0")),
        variable("REDIS_HOST", "127.0.0.1"),
        variable("REDIS_PORT", &port.to_string()),
        variable("REDIS_DB", "0"),
        variable("REDIS_SSL", "0"),
        variable("REDIS_USERNAME", ""),
        variable("REDIS_PASSWORD", ""),
        variable("S3_ADDRESS", s3),
        variable("S3_ACCESS_KEY", KEY),
        variable("S3_SECRET_KEY", KEY),
        variable("S3_BUCKET", bucket),
        variable("S3_IAM_AUTH", "0"),
    ]
}

async fn start_redis(folder: &Path) -> anyhow::Result<(Child, u16)> {
    // Another process may take the port between our look and the start: then another one is tried.
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut child = spawn_redis(folder, port)?;
        let deadline = Instant::now() + START;
        while Instant::now() < deadline && child.try_wait()?.is_none() {
            if answers(port, child.id()).await {
                return Ok((child, port));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        child.kill().await?;
    }
    bail!("redis-server does not start: run it by hand to see why")
}

fn spawn_redis(folder: &Path, port: u16) -> anyhow::Result<Child> {
    for program in ["redis-server", "valkey-server"] {
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"]).arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is for this tool, which looks into it once more.
        command.process_group(0).kill_on_drop(true);
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).context(program),
        }
    }
    bail!("replay needs a redis-server of its own, and there is none in PATH: apt-get install redis-server")
}

/// Whether the server on the port is this child.
async fn answers(port: u16, id: Option<u32>) -> bool {
    let ask = async {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).ok()?;
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await.ok()?;
        Some(info.contains(&format!("process_id:{}\r", id?)))
    };
    ask.await.unwrap_or(false)
}

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
