//! The whole service: on a real Redis and a real S3 server, with a stub of MWDB.

use std::time::Duration;

use karton_rs::{
    Config, Karton, LocalResource, Task, TaskState,
    testing::{RedisServer, eventually},
};
use playground_s3::Server;
use reporter::{IDENTITY, Settings};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::bench::impatient;
use crate::stub::{KEY, Stub, sha256};
use reporter::mwdb::Credentials;

pub struct World {
    pub redis: RedisServer,
    _s3: Server,
    _folder: tempfile::TempDir,
    pub config: Config,
    pub stop: CancellationToken,
}

impl World {
    pub async fn start(api_url: &str) -> Self {
        Self::with(api_url, "").await
    }

    /// Starts with more sections of `karton.ini`.
    pub async fn with(api_url: &str, sections: &str) -> Self {
        let redis = RedisServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let s3 = Server::start(folder.path(), "127.0.0.1:0".parse().unwrap(), "key", "secret").await.unwrap();
        s3.ensure_bucket("karton").await.unwrap();
        let text = format!(
            "[redis]\nurl = {}\n[s3]\naddress = {}\naccess_key = key\nsecret_key = secret\nbucket = karton\n[mwdb]\napi_url = {api_url}\napi_key = {KEY}\n{sections}",
            redis.url(),
            s3.url()
        );
        let config = Config::from_parts(&[("karton.ini", &text)], []).unwrap();
        Self { redis, _s3: s3, _folder: folder, config, stop: CancellationToken::new() }
    }

    /// The reporter and a broker, which routes to it.
    pub fn serve(&self, api_url: &str) -> tokio::task::JoinHandle<anyhow::Result<()>> {
        let mut settings = Settings::from_config(&self.config).unwrap();
        settings.mwdb = impatient(api_url, Credentials::api_key(KEY));
        let (config, stop) = (self.config.clone(), self.stop.clone());
        tokio::spawn(async move { reporter::run_with(settings, &config, stop).await })
    }

    /// Puts a task into the reporter's queue, as a broker would.
    pub async fn queue(&self, mut task: Task) -> String {
        let karton = Karton::connect(&self.config, "karton.test", None).await.unwrap();
        task.set_header("receiver", IDENTITY);
        let sent = karton.send_task(task).await.unwrap();
        let mut connection = self.redis.connection().await;
        let record: String = redis::cmd("GET").arg(format!("karton.task:{}", sent.uid())).query_async(&mut connection).await.unwrap();
        let record = record.replace("\"Declared\"", "\"Spawned\"");
        let () = redis::cmd("SET").arg(format!("karton.task:{}", sent.uid())).arg(record).query_async(&mut connection).await.unwrap();
        let () = redis::cmd("RPUSH").arg(queue_name()).arg(sent.uid()).query_async(&mut connection).await.unwrap();
        sent.uid().to_owned()
    }

    pub async fn wait_for_bind(&self) {
        let known = || async {
            let mut connection = self.redis.connection().await;
            let known: bool = redis::cmd("HEXISTS").arg("karton.binds").arg(IDENTITY).query_async(&mut connection).await.unwrap();
            known.then_some(())
        };
        eventually("the bind of the reporter", known).await;
    }

    /// Uid of the one task that a broker has made for the reporter.
    pub async fn routed(&self) -> String {
        let karton = Karton::connect(&self.config, "karton.test", None).await.unwrap();
        let look = || async {
            let mut connection = self.redis.connection().await;
            let keys: Vec<String> = redis::cmd("KEYS").arg("karton.task:*").query_async(&mut connection).await.unwrap();
            for key in keys {
                let uid = key.strip_prefix("karton.task:").unwrap();
                if karton.task(uid).await.unwrap().is_some_and(|task| task.header_str("receiver") == Some(IDENTITY)) {
                    return Some(uid.to_owned());
                }
            }
            None
        };
        eventually("the task to be routed", look).await
    }

    pub async fn status(&self, uid: &str) -> TaskState {
        let karton = Karton::connect(&self.config, "karton.test", None).await.unwrap();
        karton.task(uid).await.unwrap().unwrap().status()
    }

    pub async fn wait_for(&self, uid: &str, state: TaskState) {
        eventually(&format!("{uid} to be {state:?}"), || async { (self.status(uid).await == state).then_some(()) }).await;
    }
}

pub fn queue_name() -> String {
    format!("karton.queue.normal:{IDENTITY}")
}

pub fn sample(content: &str) -> Task {
    let mut task = Task::new(json!({"type": "sample", "stage": "recognized"}));
    task.attach("sample", LocalResource::from_bytes("s.bin", content.to_owned()).unwrap());
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_travels_from_s3_to_mwdb() {
    let stub = Stub::start().await;
    let world = World::start(&stub.url()).await;
    let service = world.serve(&stub.url());
    let uid = world.queue(sample("content")).await;
    world.wait_for(&uid, TaskState::Finished).await;
    assert!(stub.stored(&sha256(b"content")).is_some());

    let mut connection = world.redis.connection().await;
    let bind: String = redis::cmd("HGET").arg("karton.binds").arg(IDENTITY).query_async(&mut connection).await.unwrap();
    let bind = karton_rs::json::Value::parse(&bind).unwrap();
    assert_eq!(bind.get("service_version").unwrap().as_str(), Some("1.3.0"));
    assert_eq!(bind.get("persistent").unwrap().as_bool(), Some(true));
    let info = bind.get("info").unwrap().as_str().unwrap();
    assert!(info.starts_with("\n    Uploads analysis artifacts to MWDB.\n\n    Expected") && info.ends_with("\n    ```\n    "), "{info}");
    let filters = json!([
        {"type": "sample", "stage": "recognized"}, {"type": "sample", "stage": "analyzed"},
        {"type": "sample", "stage": "unrecognized"}, {"type": "config"}, {"type": "blob"},
    ]);
    assert_eq!(*bind.get("filters").unwrap(), karton_rs::json::Value::from(filters));
    world.stop.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_size_is_that_of_the_object_in_s3() {
    let stub = Stub::start().await;
    let world = World::start(&stub.url()).await;
    let service = world.serve(&stub.url());
    for size in [Some(1), Some(1 << 40), None] {
        let content = format!("content of the size {size:?}");
        let mut task = sample(&content);
        let mut resource = task.resource("sample").unwrap();
        resource.size = size;
        task.set_payload("sample", resource.to_value());
        let uid = world.queue(task).await;
        world.wait_for(&uid, TaskState::Finished).await;
        assert!(stub.stored(&sha256(content.as_bytes())).is_some());
    }
    world.stop.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_waits_for_mwdb_and_crashes_for_what_is_wrong_with_it() {
    let stub = Stub::start().await;
    let (url, address) = (stub.url(), stub.address());
    drop(stub);
    let world = World::start(&url).await;
    let service = world.serve(&url);
    let uid = world.queue(sample("content")).await;
    world.wait_for(&uid, TaskState::Started).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.status(&uid).await, TaskState::Started);
    let stub = Stub::start_at(address, "2.17.0").await;
    world.wait_for(&uid, TaskState::Finished).await;
    assert!(stub.stored(&sha256(b"content")).is_some());

    let mut bad = Task::new(json!({"type": "sample", "stage": "recognized"}));
    bad.set_payload("sample", 5);
    let uid = world.queue(bad).await;
    world.wait_for(&uid, TaskState::Crashed).await;
    world.stop.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_task_goes_back_to_its_queue_when_the_service_stops() {
    let stub = Stub::start().await;
    let url = stub.url();
    drop(stub);
    let world = World::start(&url).await;
    let service = world.serve(&url);
    let uid = world.queue(sample("content")).await;
    world.wait_for(&uid, TaskState::Started).await;
    world.stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), service).await.unwrap().unwrap().unwrap();
    let mut connection = world.redis.connection().await;
    let queued: Vec<String> = redis::cmd("LRANGE").arg(queue_name()).arg(0).arg(-1).query_async(&mut connection).await.unwrap();
    assert_eq!(queued, std::slice::from_ref(&uid));
    assert_eq!(world.status(&uid).await, TaskState::Spawned);
}

#[tokio::test]
async fn a_refused_password_ends_the_start() {
    let stub = Stub::start().await;
    let text = format!(
        "[redis]\nhost = 127.0.0.1\nport = 1\n[s3]\naddress = http://127.0.0.1:1\naccess_key = k\nsecret_key = s\nbucket = b\n[mwdb]\napi_url = {}\nusername = me\npassword = wrong\n",
        stub.url()
    );
    let config = Config::from_parts(&[("karton.ini", &text)], []).unwrap();
    let error = reporter::run(config, CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains("Invalid login or password"), "{error:#}");
}
