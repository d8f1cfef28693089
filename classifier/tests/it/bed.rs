//! A pipeline of its own for a test: Redis, S3, broker, and a consumer of what the classifier sends.

use classifier::IDENTITY;
use karton_rs::{
    Config, Consumer, Karton, LocalResource, Task, system,
    testing::{RedisServer, eventually, within},
};
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub struct Bed {
    pub config: Config,
    pub karton: Karton,
    pub redis: RedisServer,
    pub s3: playground_s3::Server,
    answers: mpsc::UnboundedReceiver<Task>,
    shutdown: CancellationToken,
    _stop: DropGuard,
    _folder: tempfile::TempDir,
}

impl Bed {
    pub async fn start() -> Self {
        karton_rs::service::install_crypto();
        let redis = RedisServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let s3 = playground_s3::Server::start(folder.path(), "127.0.0.1:0".parse().unwrap(), "mwdb", "mwdbmwdb").await.unwrap();
        s3.ensure_bucket("karton").await.unwrap();
        // The collector waits: what failed must stay to be looked at.
        let ini = format!(
            "[redis]\nurl = {}\n[s3]\naddress = {}\naccess_key = mwdb\nsecret_key = mwdbmwdb\nbucket = karton\n[system]\ngc_interval = 3600\n",
            redis.url(),
            s3.url(),
        );
        let config = Config::from_parts(&[("karton.ini", &ini)], []).unwrap();
        let shutdown = CancellationToken::new();
        tokio::spawn(system::run(config.clone(), false, shutdown.clone()));
        let (sender, answers) = mpsc::unbounded_channel();
        let sink = Consumer::new("test.sink")
            .filters(json!([{"type": "sample", "stage": "recognized"}, {"type": "sample", "stage": "unrecognized"}]))
            .process(move |_, task| {
                let sender = sender.clone();
                async move { Ok(sender.send(task)?) }
            });
        let stop = shutdown.clone();
        let sink_config = config.clone();
        tokio::spawn(async move { sink.run(&sink_config, stop).await });
        let karton = Karton::connect(&config, "test.feeder", None).await.unwrap();
        let bed = Self { config, karton, redis, s3, answers, _stop: shutdown.clone().drop_guard(), shutdown, _folder: folder };
        bed.bind("test.sink").await;
        bed
    }

    /// Starts the service inside this process.
    pub async fn start_classifier(&self) {
        tokio::spawn(classifier::run(self.config.clone(), self.shutdown.clone()));
        self.bind(IDENTITY).await;
    }

    /// The registered bind of a service, once it is there.
    pub async fn bind(&self, identity: &str) -> String {
        let redis = self.redis.connection().await;
        eventually(&format!("the bind of {identity}"), || {
            let mut redis = redis.clone();
            async move { redis::cmd("HGET").arg("karton.binds").arg(identity).query_async::<Option<String>>(&mut redis).await.unwrap() }
        })
        .await
    }

    /// Sends a raw sample with `payload` beside it; gives the task as sent.
    pub async fn send(&self, name: &str, content: Vec<u8>, change: impl FnOnce(&mut Task)) -> Task {
        let mut task = Task::new(json!({"type": "sample", "kind": "raw"}));
        task.attach("sample", LocalResource::from_bytes(name, content).unwrap());
        change(&mut task);
        self.karton.send_task(task).await.unwrap()
    }

    /// How many samples are in the queue of the classifier.
    pub async fn waiting(&self) -> u64 {
        let mut redis = self.redis.connection().await;
        redis::cmd("LLEN").arg("karton.queue.normal:karton.classifier").query_async(&mut redis).await.unwrap()
    }

    /// The next task that the classifier sent.
    pub async fn answer(&mut self) -> Task {
        tokio::time::timeout(Duration::from_mins(1), self.answers.recv()).await.expect("an answer within a minute").unwrap()
    }

    /// Whether any task has crashed.
    pub async fn has_crashed(&self) -> bool {
        redis::cmd("EXISTS").arg("karton.metrics.crashed").query_async(&mut self.redis.connection().await).await.unwrap()
    }

    /// The record of a task of this analysis that crashed.
    pub async fn crashed(&self, root_uid: &str) -> Task {
        let redis = self.redis.connection().await;
        within(Duration::from_secs(30), "a crashed task", || {
            let mut redis = redis.clone();
            async move {
                let keys: Vec<String> = redis::cmd("KEYS").arg("karton.task:*").query_async(&mut redis).await.unwrap();
                for key in keys {
                    let record: Option<String> = redis::cmd("GET").arg(key).query_async(&mut redis).await.unwrap();
                    let task = record.and_then(|record| Task::from_json(&record).ok());
                    let task = task.filter(|task| task.root_uid() == root_uid && !task.error().is_empty());
                    if task.is_some() {
                        return task;
                    }
                }
                None
            }
        })
        .await
    }
}
