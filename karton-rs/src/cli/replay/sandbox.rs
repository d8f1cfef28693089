//! A Redis and an S3 for one task, in a folder that goes away.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::objects::Objects;
use crate::{
    Config,
    backend::Backend,
    cli::output::escape,
    redis_server::{Launch, Server},
    task::Task,
};

/// Key pair of the sandbox; it is not checked.
const KEY: &str = "replay";

pub(super) struct Sandbox {
    redis: Server,
    folder: tempfile::TempDir,
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
        let launch = Launch { folder: folder.path(), durable: false, apart: true };
        let redis = launch.start().await.context("replay needs a redis-server of its own")?;
        let variables = variables(redis.port, &objects.url(), &bucket);
        let file = folder.path().join("karton.ini");
        std::fs::write(&file, ini(config))?;
        let backend = Backend::new(&Config::load_from(&[], std::slice::from_ref(&file), variables.clone())?, crate::cli::IDENTITY, "")?;
        let mut variables = variables;
        variables.push(("KARTON_CONFIG_FILE".to_owned(), file.display().to_string()));
        variables.push(("NO_PROXY".to_owned(), "127.0.0.1".to_owned()));
        Ok(Self { redis, folder, objects, backend, variables, given })
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
    pub(super) fn end(self, keep: bool) -> Option<PathBuf> {
        drop(self.redis);
        keep.then(|| self.folder.keep())
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

fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
