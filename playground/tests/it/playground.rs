//! One running playground: its own data folder, free ports, stopped on drop.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use karton_rs::testing::within;
use serde_json::{Value, json};

pub struct Playground {
    pub mwdb: String,
    pub redis: String,
    pub karton_ini: PathBuf,
    pub ready_after: Duration,
    child: Child,
    log: PathBuf,
    http: reqwest::Client,
    token: tokio::sync::OnceCell<String>,
}

impl Playground {
    /// Starts on a fresh folder that lives as long as `folder`.
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[]).await
    }

    #[expect(clippy::unused_async, reason = "all starts look alike")]
    pub async fn start_with(folder: &Path, extra: &[&str]) -> Self {
        Self::launch(folder, extra, &[])
    }

    #[expect(clippy::unused_async, reason = "all starts look alike")]
    pub async fn start_with_env(folder: &Path, env: &[(&str, &str)]) -> Self {
        Self::launch(folder, &[], env)
    }

    fn launch(folder: &Path, extra: &[&str], env: &[(&str, &str)]) -> Self {
        let started = Instant::now();
        let log = folder.join(format!("playground-{}.log", std::process::id()));
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
        command.args(["up", "--json"]);
        for port in ["--mwdb-port", "--s3-port", "--redis-port"] {
            if !extra.contains(&port) {
                command.args([port, "0"]);
            }
        }
        command.arg("--data").arg(folder.join("data")).args(extra).current_dir(folder);
        for variable in ["REDIS_URL", "S3_ENDPOINT", "RUST_LOG", "KARTON_CONFIG_FILE"] {
            command.env_remove(variable);
        }
        command.envs(env.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("no readiness line but {line:?}; the log:\n{}", std::fs::read_to_string(&log).unwrap_or_default()));
        let text = |key: &str| ready[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {ready}")).to_owned();
        Self {
            mwdb: text("mwdb").trim_end_matches('/').to_owned(),
            redis: text("redis"),
            karton_ini: text("karton_ini").into(),
            ready_after: started.elapsed(),
            child,
            log,
            http: reqwest::Client::new(),
            token: tokio::sync::OnceCell::new(),
        }
    }

    pub fn api(&self) -> String {
        format!("{}/api", self.mwdb)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM and waits; gives the exit status and how long it took.
    pub fn stop(&mut self) -> (std::process::ExitStatus, Duration) {
        let started = Instant::now();
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, started.elapsed());
            }
            assert!(started.elapsed() < Duration::from_secs(30), "the playground does not stop; its log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    async fn token(&self) -> &str {
        let login = || async {
            let body = json!({"login": "admin", "password": "admin"});
            let answer = self.http.post(format!("{}/auth/login", self.api())).json(&body).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
        };
        self.token.get_or_init(login).await
    }

    pub async fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.api())).bearer_auth(self.token().await)
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request(reqwest::Method::GET, path).await.send().await.unwrap();
        assert_eq!(answer.status(), 200, "GET {path}");
        answer.json().await.unwrap()
    }

    pub async fn upload(&self, name: &str, content: impl Into<reqwest::Body>) -> Value {
        let part = reqwest::multipart::Part::stream(content.into()).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("file", part).text("options", "{}");
        let answer = self.request(reqwest::Method::POST, "file").await.multipart(form).send().await.unwrap();
        let status = answer.status();
        let body = answer.text().await.unwrap();
        assert_eq!(status, 200, "{body}\nlog of the playground:\n{}", self.log());
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until the object has an analysis and all its analyses are finished; gives the object. How long that takes
    /// is no matter here: other tests use the same processors and disk.
    pub async fn finished(&self, id: &str) -> Value {
        within(Duration::from_mins(3), &format!("the analysis of {id}"), || async {
            let state = self.get(&format!("object/{id}/karton")).await;
            (state["status"] == "finished").then_some(())
        })
        .await;
        self.get(&format!("file/{id}")).await
    }

    /// The most memory that a process has held, in MiB. Mapped files (the program itself, which is
    /// large in a debug build) are not counted.
    pub fn peak_mib(pid: u32) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        (kib("VmHWM:") - kib("RssFile:")) / 1024
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        if self.is_running() {
            if std::thread::panicking() {
                eprintln!("log of the playground:\n{}", self.log());
            }
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
            let deadline = Instant::now() + Duration::from_secs(8);
            while self.is_running() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            self.kill();
        }
    }
}

/// The tags of an object, sorted.
pub fn tags(object: &Value) -> Vec<String> {
    let mut tags: Vec<String> = object["tags"].as_array().unwrap().iter().map(|tag| tag["tag"].as_str().unwrap().to_owned()).collect();
    tags.sort();
    tags
}
