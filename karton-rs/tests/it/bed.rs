//! A Karton of the test's own: Redis, S3, and whatever services the test starts.

use std::future::Future;

use karton_rs::{
    Analysis, Config, Consumer, Inspect, Karton, StopReason, Task, TaskState, system,
    testing::{RedisServer, eventually},
};
use playground_s3::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct Bed {
    pub redis: RedisServer,
    pub config: Config,
    s3: Option<Server>,
    s3_folder: tempfile::TempDir,
    s3_addr: std::net::SocketAddr,
}

/// A service that runs beside the test, and its end.
pub struct Running<T> {
    pub shutdown: CancellationToken,
    handle: JoinHandle<T>,
}

impl<T> Running<T> {
    pub fn spawn<F: Future<Output = T> + Send + 'static>(start: impl FnOnce(CancellationToken) -> F) -> Self
    where
        T: Send + 'static,
    {
        let shutdown = CancellationToken::new();
        Self { handle: tokio::spawn(start(shutdown.clone())), shutdown }
    }

    /// Drops what runs where it stands.
    pub fn abandon(self) {
        self.handle.abort();
    }

    pub fn is_running(&self) -> bool {
        !self.handle.is_finished()
    }

    /// Waits for the end without asking for it.
    pub async fn ended(self) -> T {
        self.handle.await.unwrap()
    }

    pub async fn stop(self) -> T {
        self.shutdown.cancel();
        self.handle.await.unwrap()
    }
}

impl Bed {
    pub async fn start() -> Self {
        Self::with(RedisServer::start().await).await
    }

    /// With a Redis that survives `kill` and `restart`.
    pub async fn durable() -> Self {
        Self::with(RedisServer::start_durable().await).await
    }

    async fn with(redis: RedisServer) -> Self {
        karton_rs::service::install_crypto();
        let s3_folder = tempfile::tempdir().unwrap();
        let s3 = Server::start(s3_folder.path(), "127.0.0.1:0".parse().unwrap(), "access", "secret-key").await.unwrap();
        let file = format!(
            "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = {}\naccess_key = access\nsecret_key = secret-key\nbucket = karton\n[karton]\nlease_timeout = 3\n[system]\ngc_interval = 86400\nsweep_interval = 1\n",
            redis.port(),
            s3.url()
        );
        let config = Config::from_parts(&[("karton.ini", &file)], []).unwrap();
        s3.ensure_bucket("karton").await.unwrap();
        Self { redis, config, s3_addr: s3.addr(), s3: Some(s3), s3_folder }
    }

    pub fn with_options(&self, options: &[(&str, &str, &str)]) -> Config {
        let mut config = self.config.clone();
        options.iter().for_each(|(section, option, value)| config.set(section, option, *value));
        config
    }

    /// The configuration as a file, for other processes.
    pub fn ini(&self, folder: &std::path::Path) -> std::path::PathBuf {
        Self::write_ini(&self.config, folder)
    }

    pub fn write_ini(config: &Config, folder: &std::path::Path) -> std::path::PathBuf {
        let mut text = String::new();
        for (section, options) in config.sections() {
            text.push_str(&format!("[{section}]\n"));
            options.iter().for_each(|(option, value)| text.push_str(&format!("{option} = {value}\n")));
        }
        let path = folder.join("karton.ini");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub async fn stop_s3(&mut self) {
        if let Some(server) = self.s3.take() {
            server.stop().await;
        }
    }

    pub async fn start_s3(&mut self) {
        self.s3 = Some(Server::start(self.s3_folder.path(), self.s3_addr, "access", "secret-key").await.unwrap());
    }

    pub async fn producer(&self) -> Karton {
        Karton::connect(&self.config, "karton.producer", None).await.unwrap()
    }

    pub fn broker(&self) -> Running<Result<(), karton_rs::Error>> {
        self.broker_with(self.config.clone())
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    pub fn broker_with(&self, config: Config) -> Running<Result<(), karton_rs::Error>> {
        Running::spawn(move |shutdown| system::run(config, true, shutdown))
    }

    /// Runs a consumer; gives it back when its bind is registered.
    pub async fn consumer(&self, consumer: Consumer) -> Running<Result<StopReason, karton_rs::Error>> {
        self.consumer_with(consumer, self.config.clone()).await
    }

    pub async fn consumer_with(&self, consumer: Consumer, config: Config) -> Running<Result<StopReason, karton_rs::Error>> {
        let identity = consumer.identity().to_owned();
        let start = || Running::spawn(move |shutdown| async move { consumer.run(&config, shutdown).await });
        self.once_bound(&identity, start).await
    }

    /// Runs a consumer that can be ended as if its process had died; gives it back when its bind is registered.
    pub async fn mortal(&self, consumer: Consumer, config: Config) -> Mortal {
        let identity = consumer.identity().to_owned();
        self.once_bound(&identity, || Mortal::start(consumer, config)).await
    }

    /// Waits for a bind to be registered: what is routed before goes to nobody.
    async fn once_bound<T>(&self, identity: &str, start: impl FnOnce() -> T) -> T {
        let before = self.bind_writes().await;
        let started = start();
        eventually("a bind", || async {
            let bound = self.bind_writes().await > before && self.command::<bool>(&["HEXISTS", "karton.binds", identity]).await;
            bound.then_some(())
        })
        .await;
        started
    }

    /// How often a bind was registered.
    async fn bind_writes(&self) -> u64 {
        let mut connection = self.redis.connection().await;
        let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_hset:calls="));
        line.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
    }

    /// Waits until nobody can think that a task was started before this Redis was, whose age is told in whole seconds.
    pub async fn outlives_doubt(&self) {
        let age = async || {
            let info: String = self.command(&["INFO", "server"]).await;
            info.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:")).unwrap().parse::<u64>().unwrap()
        };
        eventually("a Redis of some age", || async { (age().await >= 3).then_some(()) }).await;
    }

    pub async fn analysis(&self, task: &Task) -> Analysis {
        Inspect::new(&self.config, "karton.test", None).unwrap().analysis(task.root_uid()).await.unwrap()
    }

    /// Waits until nothing of the analysis is pending.
    pub async fn done(&self, task: &Task) -> Analysis {
        eventually("the end of an analysis", || async { Some(self.analysis(task).await).filter(Analysis::is_done) }).await
    }

    /// Waits for the routed task of a receiver to reach a status.
    pub async fn reached(&self, task: &Task, receiver: &str, status: TaskState) -> Task {
        eventually(&format!("{receiver} to be {status}"), || async {
            let analysis = self.analysis(task).await;
            analysis.tasks().iter().find(|task| task.header_str("receiver") == Some(receiver) && task.status() == status).cloned()
        })
        .await
    }

    pub async fn quarantine(&self) -> Vec<String> {
        redis::cmd("HKEYS").arg("karton.rs.quarantine").query_async(&mut self.redis.connection().await).await.unwrap()
    }

    pub async fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(*word);
        });
        command.query_async(&mut self.redis.connection().await).await.unwrap()
    }
}

impl Bed {
    pub fn bucket_exists(&self, name: &str) -> bool {
        self.s3_folder.path().join(name).exists()
    }

    /// Whether the default bucket has an object.
    pub fn object_exists(&self, uid: &str) -> bool {
        walk(&self.s3_folder.path().join("karton")).iter().any(|path| path.to_string_lossy().contains(uid))
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.flatten().flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] }).collect()
}

/// A consumer in a runtime of its own, which can be ended as if its process had died.
pub struct Mortal(Option<tokio::runtime::Runtime>);

impl Mortal {
    fn start(consumer: Consumer, config: Config) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move { consumer.run(&config, CancellationToken::new()).await });
        Self(Some(runtime))
    }

    pub fn die(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.end();
    }
}

/// A way to Redis that can fall silent: connections stay open, and nothing comes through any more.
pub struct Way {
    pub port: u16,
    silence: watch::Sender<u32>,
    /// Answers are held from when this is asked.
    held: watch::Sender<Option<&'static str>>,
}

impl Way {
    pub async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (silence, silenced) = watch::channel(0);
        let (held, holding) = watch::channel(None);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let (mut silenced, holding) = (silenced.clone(), holding.clone());
                silenced.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(to) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    pass(from, to, holding, silenced).await;
                });
            }
        });
        Self { port, silence, held }
    }

    /// What is open now falls silent; what is opened later is not.
    pub fn fall_silent(&self) {
        self.silence.send_modify(|times| *times += 1);
    }

    /// A connection over which this is asked gets no answers from then on.
    pub fn hold_answers_to(&self, words: &'static str) {
        self.held.send_replace(Some(words));
    }

    pub fn let_answers_go(&self) {
        self.held.send_replace(None);
    }
}

/// Passes on what comes from both sides, until one of them ends.
async fn pass(from: TcpStream, to: TcpStream, mut holding: watch::Receiver<Option<&'static str>>, mut silenced: watch::Receiver<u32>) {
    let ((mut asked, mut answers), (mut answered, mut ask)) = (from.into_split(), to.into_split());
    let (mut words, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut held = false;
    loop {
        tokio::select! {
            read = asked.read(&mut words) => {
                let Ok(length @ 1..) = read else { return };
                let is_asked = |wanted: &str| words[..length].windows(wanted.len()).any(|part| part == wanted.as_bytes());
                held |= holding.borrow().is_some_and(is_asked);
                if ask.write_all(&words[..length]).await.is_err() {
                    return;
                }
            }
            read = answered.read(&mut answer), if !held => {
                let Ok(length @ 1..) = read else { return };
                if answers.write_all(&answer[..length]).await.is_err() {
                    return;
                }
            }
            Ok(()) = holding.changed(), if held => held = holding.borrow().is_some(),
            // Held open until the test ends.
            Ok(()) = silenced.changed() => std::future::pending().await,
        }
    }
}
