//! What Karton hears of uploads, and what the API tells of analyses. See MWDB API §K1 to §K5.

use std::process::Stdio;
use std::time::Duration;

use karton_rs::testing::{RedisServer, eventually, throughout, within};
use redis::AsyncCommands;
use serde_json::{Value, json};

use crate::harness::{Api, PASSWORD, Server, each, id};

/// Redis and S3 of the test's own.
pub(crate) struct Bed {
    pub(crate) redis: RedisServer,
    pub(crate) s3: playground_s3::Server,
    folder: tempfile::TempDir,
}

impl Bed {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let s3 = playground_s3::Server::start(&folder.path().join("s3"), "127.0.0.1:0".parse().unwrap(), "mwdb", "mwdbmwdb").await.unwrap();
        s3.ensure_bucket("karton").await.unwrap();
        Self { redis: RedisServer::start_durable().await, s3, folder }
    }

    pub(crate) fn ini(&self) -> String {
        format!(
            "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = {}\naccess_key = mwdb\nsecret_key = mwdbmwdb\nbucket = karton\n",
            self.redis.port(),
            self.s3.url()
        )
    }

    pub(crate) fn karton_config(&self) -> karton_rs::Config {
        karton_rs::Config::from_parts(&[("karton.ini", &self.ini())], []).unwrap()
    }

    pub(crate) async fn server(&self) -> Server {
        let karton = self.karton_config();
        Server::with(|config| {
            config.enable_karton = true;
            config.karton = Some(karton);
        })
        .await
    }

    /// Uids that wait for the broker.
    pub(crate) async fn announced(&self) -> Vec<String> {
        self.redis.connection().await.lrange("karton.tasks", 0, -1).await.unwrap()
    }

    pub(crate) async fn record(&self, uid: &str) -> Value {
        let text: String = self.redis.connection().await.get(format!("karton.task:{uid}")).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Puts a task of an analysis into Redis, as a service would leave it.
    async fn put(&self, root: &str, status: &str, headers: Value, last_update: f64) {
        let uid = format!("{{{root}}}:{}", uuid::Uuid::new_v4());
        let task = json!({"uid": uid, "root_uid": root, "parent_uid": null, "orig_uid": null, "status": status, "priority": "normal",
            "error": null, "headers": headers, "headers_persistent": {}, "payload": {}, "payload_persistent": {}, "last_update": last_update});
        let _: () = self.redis.connection().await.set(format!("karton.task:{uid}"), task.to_string()).await.unwrap();
    }

    async fn tasks_so_far(&self) -> Vec<Value> {
        let mut records = Vec::new();
        for uid in self.announced().await {
            records.push(self.record(&uid).await);
        }
        records
    }

    /// Waits for the tasks of so many uploads, and makes sure that no more come.
    pub(crate) async fn tasks(&self, count: usize) -> Vec<Value> {
        let uids = eventually("the announcements", || async { Some(self.announced().await).filter(|uids| uids.len() >= count) }).await;
        assert_eq!(uids.len(), count, "{uids:?}");
        let mut records = Vec::new();
        for uid in uids {
            records.push(self.record(&uid).await);
        }
        records
    }
}

async fn analyses(api: &Api, hash: &str) -> Value {
    api.get(&format!("object/{hash}/karton")).await.ok()
}

#[tokio::test]
async fn a_new_file_is_announced_once_with_all_that_services_need() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    for (key, hidden) in [("k", false), ("secret", true)] {
        admin.post("attribute", json!({"key": key, "label": "", "description": "", "hidden": hidden})).await.ok();
    }
    let attributes = json!([{"key": "k", "value": 2}, {"key": "k", "value": {"a": 1}}, {"key": "secret", "value": 1}]);
    let options =
        json!({"tags": [{"tag": "t1"}], "attributes": attributes, "share_3rd_party": false, "karton_arguments": {"execute": "yes"}});
    let file = admin.upload("naïve file.exe", "hello world\n", options.clone()).await.ok();
    let hash = id(&file);
    let list = analyses(&admin, &hash).await;
    assert_eq!((&list["status"], list["analyses"].as_array().unwrap().len()), (&json!("running"), 1));
    assert_eq!(list["analyses"][0]["arguments"], json!({"execute": "yes"}));
    let root = list["analyses"][0]["id"].as_str().unwrap();

    let task = bed.tasks(1).await.remove(0);
    let persistent = json!({"share_3rd_party": false, "quality": "high", "execute": "yes"});
    let resource = &task["payload"]["sample"]["__karton_resource__"];
    let expected = json!({
        "uid": format!("{{{root}}}:{root}"), "root_uid": root, "parent_uid": null, "orig_uid": null, "status": "Declared",
        "priority": "normal", "error": null,
        "headers": {"type": "sample", "kind": "raw", "origin": "karton.mwdb", "share_3rd_party": false, "quality": "high", "execute": "yes"},
        "headers_persistent": persistent,
        "payload": {"attributes": {"k": [2, {"a": 1}]}, "tags": ["t1"], "sample": {"__karton_resource__": {
            "uid": resource["uid"], "name": "naive_file.exe", "bucket": "karton", "size": 12, "sha256": hash,
            "metadata": {"sha256": hash}, "flags": []}}},
        "payload_persistent": {"__headers_persistent": persistent},
        "last_update": task["last_update"],
    });
    assert_eq!(task, expected);
    let produced: String = bed.redis.connection().await.hget("karton.metrics.produced", "karton.mwdb").await.unwrap();
    assert_eq!(produced, "1");
    // The sample is where the task says.
    let karton = karton_rs::Karton::connect(&bed.karton_config(), "karton.test", None).await.unwrap();
    let known = eventually("the task", || async { karton.task(task["uid"].as_str().unwrap()).await.unwrap() }).await;
    let content = karton.read(&known.resource("sample").unwrap(), 1000).await.unwrap();
    assert_eq!(content.as_ref(), b"hello world\n");

    // Neither a second upload nor later changes announce again.
    admin.upload("other.exe", "hello world\n", options).await.ok();
    admin.put(&format!("file/{hash}/tag"), json!({"tag": "t2"})).await.ok();
    admin.file("another file").await;
    bed.tasks(2).await;
    assert_eq!(analyses(&admin, &hash).await["analyses"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn configs_and_blobs_have_their_own_tasks() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let cfg = json!({"big": 1, "raw": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "text"}}});
    let config = admin.config(json!({"family": "fam", "config_type": "dynamic", "cfg": cfg})).await.ok();
    let task = bed.tasks(1).await.remove(0);
    assert_eq!(
        task["headers"],
        json!({"type": "config", "kind": "dynamic", "family": "fam", "origin": "karton.mwdb", "share_3rd_party": true})
    );
    assert_eq!(task["payload"], json!({"config": config["cfg"], "dhash": config["id"], "attributes": {}}));
    assert_eq!(task["priority"], "normal");
    // The embedded blob has no analysis, not even when it is uploaded by itself.
    let embedded = config["cfg"]["raw"]["in-blob"].as_str().unwrap();
    assert_eq!(analyses(&admin, embedded).await, json!({"status": "not_analyzed", "analyses": []}));
    admin.blob("text").await;
    let blob = admin.blob("other text").await;
    let task = bed.tasks(2).await.remove(1);
    assert_eq!(task["headers"], json!({"type": "blob", "kind": "raw", "origin": "karton.mwdb", "share_3rd_party": true}));
    assert_eq!(task["headers_persistent"], json!({"share_3rd_party": true}));
    assert_eq!(task["payload"], json!({"content": "other text", "dhash": blob["id"], "attributes": {}}));
}

#[tokio::test]
async fn feeds_of_low_quality_wait_longer() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let feed = server.user(&admin, "feed", &["karton_reanalyze"]).await;
    admin.put("user/feed", json!({"feed_quality": "low"})).await.ok();
    let hash = id(&feed.file("content").await);
    let task = bed.tasks(1).await.remove(0);
    assert_eq!((&task["priority"], &task["headers"]["quality"]), (&json!("low"), &json!("low")));
    // Who asks for a new analysis decides for that one.
    admin.post_empty(&format!("file/{hash}/karton")).await.ok();
    let task = bed.tasks(2).await.remove(1);
    assert_eq!((&task["priority"], &task["headers"]["quality"]), (&json!("normal"), &json!("high")));
}

#[tokio::test]
async fn an_analysis_that_comes_with_the_upload_makes_no_task() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let analysis = "b197bf85-e86e-421a-857b-eaafdff0b0d9";
    let file = admin.upload("a", "content", json!({"karton_id": analysis.to_uppercase()})).await.ok();
    let config = admin.config(json!({"family": "f", "cfg": {}, "karton_id": analysis})).await.ok();
    let metakey = json!({"metakeys": [{"key": "karton", "value": analysis}]});
    let other = admin.upload("a", "other", metakey).await.ok();
    for object in [&file, &config, &other] {
        let expected = json!({"id": analysis, "status": "finished", "arguments": {}, "last_update": null, "processing_in": {}});
        assert_eq!(analyses(&admin, &id(object)).await, json!({"status": "finished", "analyses": [expected]}));
    }
    admin.upload("a", "content", json!({"karton_id": analysis})).await.ok();
    admin.upload("a", "content", json!({"karton_id": "c197bf85-e86e-421a-857b-eaafdff0b0d9"})).await.ok();
    assert_eq!(analyses(&admin, &id(&file)).await["analyses"].as_array().unwrap().len(), 2);
    admin.file("to announce").await;
    bed.tasks(1).await;
}

#[tokio::test]
async fn reanalyze_assign_and_unassign() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let hash = id(&admin.upload("a", "content", json!({"upload_as": "public"})).await.ok());
    let other = id(&admin.file("other").await);
    let path = format!("file/{hash}/karton");
    let again = admin.post(&path, json!({"arguments": {"execute": "x"}})).await.ok();
    assert_eq!((&again["status"], &again["arguments"]), (&json!("running"), &json!({"execute": "x"})));
    let uuid = again["id"].as_str().unwrap();
    let list = analyses(&admin, &hash).await;
    assert_eq!(list["analyses"].as_array().unwrap().len(), 2);
    assert_eq!(list["analyses"][0]["id"], again["id"], "newest first");
    let tasks = bed.tasks(3).await;
    let task = tasks.iter().find(|task| task["root_uid"] == again["id"]).unwrap();
    assert_eq!(task["headers"]["execute"], "x");
    assert!(task["payload"].get("arguments").is_none());
    for bad in [json!({"arguments": null}), json!({"arguments": {"execute": 1}}), json!({"arguments": {"other": "x"}}), json!([])] {
        admin.post(&path, bad).await.refused(400);
    }
    admin.raw(reqwest::Method::POST, &path, "{").await.refused(400);
    alice.post_empty(&path).await.refused(403);
    admin.post_empty(&format!("blob/{hash}/karton")).await.missing();
    assert_eq!(admin.get(&format!("{path}/{uuid}")).await.ok()["id"], again["id"]);
    admin.get(&format!("file/{other}/karton/{uuid}")).await.missing();
    admin.get(&format!("{path}/no-uuid")).await.refused(400);

    let assign = format!("file/{other}/karton/{uuid}");
    assert_eq!(admin.put_empty(&assign).await.ok()["id"], again["id"]);
    admin.put_empty(&assign).await.ok();
    assert_eq!(analyses(&admin, &other).await["analyses"].as_array().unwrap().len(), 2);
    admin.put_empty(&format!("file/{other}/karton/no-uuid")).await.refused(400);
    admin.put_empty(&format!("file/{}/karton/no-uuid", "0".repeat(64))).await.missing();
    alice.put_empty(&format!("{path}/{uuid}")).await.refused(403);
    let unknown = admin.put_empty(&format!("{path}/91a521d0-4696-4df1-9188-c07c525a0808")).await.ok();
    assert_eq!(unknown["status"], "finished");
    alice.delete(&format!("{path}/{uuid}")).await.refused(403);
    admin.delete(&format!("{path}/no-uuid")).await.refused(400);
    admin.delete(&format!("file/{other}/karton/91a521d0-4696-4df1-9188-c07c525a0808")).await.missing();
    admin.delete(&assign).await.null();
    admin.delete(&assign).await.missing();
    assert_eq!(admin.get(&format!("{path}/{uuid}")).await.ok()["id"], again["id"], "the other object keeps it");
    // Ten at a time, and older ones by the last id.
    for _ in 0..12 {
        admin.post_empty(&path).await.ok();
    }
    let page = analyses(&admin, &hash).await["analyses"].clone();
    assert_eq!(page.as_array().unwrap().len(), 10);
    let next = admin.get(&format!("{path}?older_than={}", page[9]["id"].as_str().unwrap())).await.ok();
    assert_eq!((next["analyses"].as_array().unwrap().len(), &next["status"]), (5, &json!("running")));
    assert!(each(&page, "id").iter().all(|id| !each(&next["analyses"], "id").contains(id)));
    admin.get(&format!("{path}?older_than=x")).await.refused(400);
    admin.get(&format!("{path}?older_than=")).await.refused(400);
    let unknown = admin.get(&format!("{path}?older_than=00000000-0000-0000-0000-000000000000")).await.ok();
    assert_eq!(unknown["analyses"], json!([]));
}

#[tokio::test]
async fn the_state_of_an_analysis_is_that_of_its_tasks() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let root = uuid::Uuid::new_v4().to_string();
    let hash = id(&admin.upload("a", "content", json!({"karton_id": root})).await.ok());
    let bind = json!({"info": null, "version": "5.9.1", "filters": [], "persistent": true, "service_version": null, "is_async": false});
    let _: () = bed.redis.connection().await.hset("karton.binds", "karton.x", bind.to_string()).await.unwrap();
    let becomes = async |status: &str, last_update: Value, processing_in: Value| {
        let mut last = Value::Null;
        within(Duration::from_secs(30), &format!("{status} {processing_in}"), || async {
            analyses(&admin, &hash).await["analyses"][0]["status"].as_str().filter(|now| *now == status).map(|_| ())
        })
        .await;
        for _ in 0..100 {
            last = analyses(&admin, &hash).await["analyses"][0].clone();
            for queue in ["received_from", "status"] {
                if let Some(Value::Array(list)) = last.pointer_mut(&format!("/processing_in/karton.x/{queue}")) {
                    list.sort_by_key(ToString::to_string);
                }
            }
            if last["processing_in"] == processing_in && last["last_update"] == last_update {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{last} is not {status} {last_update} {processing_in}");
    };
    becomes("finished", Value::Null, json!({})).await;
    bed.put(&root, "Crashed", json!({"origin": "karton.mwdb", "receiver": "karton.x"}), 1_700_000_009.0).await;
    becomes("finished", Value::Null, json!({})).await;
    bed.put(&root, "Declared", json!({"type": "sample", "origin": "karton.mwdb"}), 1_700_000_000.0).await;
    becomes("running", json!("2023-11-14T22:13:29+00:00"), json!({})).await;
    bed.put(&root, "Spawned", json!({"origin": "karton.classifier", "receiver": "karton.x"}), 1_700_000_001.0).await;
    let one = json!({"karton.x": {"received_from": ["karton.classifier"], "status": ["Spawned"]}});
    becomes("running", json!("2023-11-14T22:13:29+00:00"), one).await;
    bed.put(&root, "Started", json!({"origin": "o2", "receiver": "karton.x"}), 1_700_000_010.0).await;
    let both = json!({"karton.x": {"received_from": ["karton.classifier", "o2"], "status": ["Spawned", "Started"]}});
    becomes("running", json!("2023-11-14T22:13:30+00:00"), both.clone()).await;
    // Queues without a bind do not appear.
    bed.put(&root, "Spawned", json!({"origin": "o3", "receiver": "karton.unknown"}), 1_700_000_002.0).await;
    becomes("running", json!("2023-11-14T22:13:30+00:00"), both).await;
}

#[tokio::test]
async fn an_upload_while_redis_is_away_is_announced_once_when_it_is_back() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    admin.file("before").await;
    bed.tasks(1).await;
    bed.redis.kill();
    let started = std::time::Instant::now();
    let hash = id(&admin.file("content").await);
    assert!(started.elapsed() < Duration::from_secs(6), "an upload waits for nobody: {:?}", started.elapsed());
    assert_eq!(analyses(&admin, &hash).await["status"], "running");
    let again = admin.post_empty(&format!("file/{hash}/karton")).await.ok();
    assert_eq!(again["status"], "running");
    tokio::time::sleep(Duration::from_millis(700)).await;
    bed.redis.restart().await;
    let tasks = bed.tasks(3).await;
    assert_eq!(tasks.iter().filter(|task| task["payload"]["sample"]["__karton_resource__"]["sha256"] == json!(hash)).count(), 2);
}

#[tokio::test]
async fn an_upload_while_s3_is_away_is_announced_when_it_is_back() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let (address, folder) = (bed.s3.addr(), bed.folder.path().join("s3"));
    bed.s3.stop().await;
    let hash = id(&admin.file("content").await);
    assert_eq!(analyses(&admin, &hash).await["status"], "running");
    assert_eq!(bed.redis.connection().await.llen::<_, usize>("karton.tasks").await.unwrap(), 0);
    bed.s3 = eventually("the port", || async { playground_s3::Server::start(&folder, address, "mwdb", "mwdbmwdb").await.ok() }).await;
    let task = bed.tasks(1).await.remove(0);
    assert_eq!(task["payload"]["sample"]["__karton_resource__"]["sha256"], json!(hash));
}

/// The server as a process of its own, which can die.
struct Process(tokio::process::Child);

impl Process {
    async fn start(bed: &Bed, port: u16) -> Self {
        let ini = bed.folder.path().join("karton.ini");
        std::fs::write(&ini, bed.ini()).unwrap();
        let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_mwdb-lite"))
            .args(["run", "--port", &port.to_string()])
            .current_dir(bed.folder.path())
            .env("MWDB_ADMIN_PASSWORD", PASSWORD)
            .env("MWDB_ENABLE_KARTON", "1")
            .env("KARTON_CONFIG_FILE", &ini)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        within(Duration::from_secs(20), "an answer", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
        Self(child)
    }
}

#[tokio::test]
async fn what_a_killed_server_had_not_announced_is_announced_by_the_next() {
    let mut bed = Bed::start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let helper = Server::start().await;
    let api = Api { url: format!("http://127.0.0.1:{port}"), token: None, ..helper.anonymous() };
    let mut process = Process::start(&bed, port).await;
    let session = api.post("auth/login", json!({"login": "admin", "password": PASSWORD})).await.ok();
    let admin = Api { token: Some(session["token"].as_str().unwrap().to_owned()), ..api };
    bed.redis.kill();
    let hash = id(&admin.file("content").await);
    let root = analyses(&admin, &hash).await["analyses"][0]["id"].clone();
    process.0.kill().await.unwrap();
    bed.redis.restart().await;
    assert_eq!(bed.announced().await.len(), 0);
    let _second = Process::start(&bed, port).await;
    let task = bed.tasks(1).await.remove(0);
    assert_eq!(task["root_uid"], root);
    assert_eq!(analyses(&admin, &hash).await["status"], "running");
}

#[tokio::test]
async fn what_was_announced_and_collected_is_not_announced_again() {
    let bed = Bed::start().await;
    let config = bed.karton_config();
    let stop = tokio_util::sync::CancellationToken::new();
    let broker = tokio::spawn(karton_rs::system::run(config, false, stop.clone()));
    let mut server = bed.server().await;
    let admin = server.admin().await;
    let hash = id(&admin.file("content").await);
    let root = analyses(&admin, &hash).await["analyses"][0]["id"].as_str().unwrap().to_owned();
    eventually("the end of the analysis", || async { (analyses(&admin, &hash).await["status"] == "finished").then_some(()) }).await;
    let mut redis = bed.redis.connection().await;
    let routed = async || -> Option<u64> { bed.redis.connection().await.hget("karton.metrics.produced", "karton.mwdb").await.unwrap() };
    eventually("the end of the task", || async { (routed().await == Some(1)).then_some(()) }).await;
    server.stop().await;
    // The row comes back, as after a power cut, and the task was collected meanwhile.
    let records: Vec<String> = redis.keys("karton.task:*").await.unwrap();
    let _: () = redis.del(records).await.unwrap();
    let c = rusqlite::Connection::open(&server.config().sqlite_path).unwrap();
    let insert = "INSERT INTO karton_outbox (analysis_id, object_id, quality, resource_uid, created) SELECT ?, id, 'high', 'uid', 0 FROM object WHERE dhash = ?";
    assert_eq!(c.execute(insert, [&root, &hash]).unwrap(), 1);
    server.start_again(|_| ()).await;
    let left = || c.query_row("SELECT count(*) FROM karton_outbox", [], |row| row.get::<_, u64>(0)).unwrap();
    eventually("an empty outbox", || async { (left() == 0).then_some(()) }).await;
    assert_eq!(routed().await, Some(1));
    stop.cancel();
    broker.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_announced_and_could_not_be_noted_is_not_announced_again() {
    let bed = Bed::start().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let broker = tokio::spawn(karton_rs::system::run(bed.karton_config(), false, stop.clone()));
    let server = bed.server().await;
    let admin = server.admin().await;
    // As on a full disk: an upload may still fit, and then nothing does.
    let c = rusqlite::Connection::open(&server.config().sqlite_path).unwrap();
    c.busy_timeout(Duration::from_secs(10)).unwrap();
    let full =
        |change: &str| format!("CREATE TRIGGER no_{change} BEFORE {change} ON karton_outbox BEGIN SELECT RAISE(ABORT, 'full'); END;");
    c.execute_batch(&(full("DELETE") + &full("UPDATE"))).unwrap();
    admin.file("content").await;
    let routed = async || -> Option<u64> { bed.redis.connection().await.hget("karton.metrics.produced", "karton.mwdb").await.unwrap() };
    // The collector takes what has ended.
    let ended = async || {
        let mut redis = bed.redis.connection().await;
        let keys: Vec<String> = redis.keys("karton.task:*").await.unwrap();
        let record: Option<String> = redis.get(keys.first()?).await.unwrap();
        record.is_some_and(|record| record.contains("\"status\": \"Finished\"")).then_some(keys)
    };
    let records = eventually("the end of the task", ended).await;
    let _: () = bed.redis.connection().await.del(records).await.unwrap();
    throughout(Duration::from_secs(2), "no second announcement", || async { routed().await == Some(1) }).await;
    c.execute_batch("DROP TRIGGER no_DELETE; DROP TRIGGER no_UPDATE").unwrap();
    let left = || c.query_row("SELECT count(*) FROM karton_outbox", [], |row| row.get::<_, u64>(0)).unwrap();
    eventually("an empty outbox", || async { (left() == 0).then_some(()) }).await;
    assert_eq!(routed().await, Some(1));
    stop.cancel();
    broker.await.unwrap().unwrap();
}

#[tokio::test]
async fn announcements_that_cannot_succeed_keep_nobody_waiting() {
    let mut bed = Bed::start().await;
    let mut server = bed.server().await;
    let admin = server.admin().await;
    bed.redis.kill();
    // More than are looked at together.
    for n in 0..70 {
        admin.file(&format!("lost {n}")).await;
    }
    server.stop().await;
    for file in server.stored_files() {
        std::fs::remove_file(file).unwrap();
    }
    server.start_again(|_| {}).await;
    let hash = id(&server.admin().await.file("content").await);
    // Tried once in vain: from now on it is one of those that are tried again.
    let row = rusqlite::Connection::open(&server.config().sqlite_path).unwrap();
    eventually("a first attempt", || async {
        let tried = "SELECT min(attempts) FROM karton_outbox";
        row.query_row(tried, [], |row| row.get::<_, u32>(0)).ok().filter(|least| *least > 0)
    })
    .await;
    bed.redis.restart().await;
    let task = within(Duration::from_mins(1), "the announcement", || async { bed.tasks_so_far().await.pop() }).await;
    assert_eq!(task["payload"]["sample"]["__karton_resource__"]["sha256"], json!(hash));
}

#[tokio::test]
async fn an_object_removed_before_its_announcement_is_not_announced() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    bed.redis.kill();
    let hash = id(&admin.file("content").await);
    admin.delete(&format!("file/{hash}")).await.null();
    let other = id(&admin.file("other").await);
    bed.redis.restart().await;
    let task = bed.tasks(1).await.remove(0);
    assert_eq!(task["payload"]["sample"]["__karton_resource__"]["sha256"], json!(other));
}

#[tokio::test]
async fn an_analysis_unassigned_before_its_announcement_is_not_announced() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    bed.redis.kill();
    let hash = id(&admin.file("content").await);
    let analysis = analyses(&admin, &hash).await["analyses"][0]["id"].as_str().unwrap().to_owned();
    admin.delete(&format!("file/{hash}/karton/{analysis}")).await.null();
    let again = admin.post_empty(&format!("file/{hash}/karton")).await.ok();
    bed.redis.restart().await;
    assert_eq!(bed.tasks(1).await[0]["root_uid"], again["id"]);
}

#[tokio::test]
async fn an_announcement_that_cannot_be_made_holds_up_no_other() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    bed.redis.kill();
    let broken = id(&admin.file("broken").await);
    let stored = server.stored_files().into_iter().find(|path| path.ends_with(&broken)).unwrap();
    std::fs::remove_file(stored).unwrap();
    bed.redis.restart().await;
    for n in 1..=3 {
        if n == 3 {
            // Time for the pauses between attempts at the broken one to grow beyond the deadline below.
            tokio::time::sleep(Duration::from_millis(4500)).await;
        }
        admin.file(&format!("file {n}")).await;
        let what = format!("the announcement of file {n}");
        within(Duration::from_millis(1500), &what, || async { (bed.announced().await.len() >= n).then_some(()) }).await;
    }
    bed.tasks(3).await;
}

#[tokio::test]
async fn a_redis_that_never_answers_delays_neither_uploads_nor_the_stop() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ini = format!(
        "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = http://127.0.0.1:1\naccess_key = a\nsecret_key = b\nbucket = karton\n",
        silent.local_addr().unwrap().port()
    );
    let karton = karton_rs::Config::from_parts(&[("karton.ini", &ini)], []).unwrap();
    let mut server = Server::with(|config| {
        config.enable_karton = true;
        config.karton = Some(karton);
    })
    .await;
    let admin = server.admin().await;
    let started = std::time::Instant::now();
    let hash = id(&admin.file("content").await);
    assert_eq!(analyses(&admin, &hash).await["status"], "running");
    admin.put_empty(&format!("file/{hash}/karton/b197bf85-e86e-421a-857b-eaafdff0b0d9")).await.refused(503);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(analyses(&admin, &hash).await["analyses"].as_array().unwrap().len(), 1, "what was refused is not stored");
    let started = std::time::Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test]
async fn without_karton_analyses_are_only_remembered() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let hash = id(&admin.file("content").await);
    assert_eq!(analyses(&admin, &hash).await, json!({"status": "not_analyzed", "analyses": []}));
    admin.post_empty(&format!("file/{hash}/karton")).await.refused(503);
    let analysis = "b197bf85-e86e-421a-857b-eaafdff0b0d9";
    assert_eq!(admin.put_empty(&format!("file/{hash}/karton/{analysis}")).await.ok()["status"], "finished");
    assert_eq!(analyses(&admin, &hash).await["status"], "finished");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_new_object_of_concurrent_uploads_is_announced_once() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let api = admin.clone();
            tokio::spawn(async move {
                for n in 0..5 {
                    api.upload("a", format!("file {n}"), Value::Null).await.ok();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let mut roots: Vec<String> = bed.tasks(5).await.iter().map(|task| task["root_uid"].as_str().unwrap().to_owned()).collect();
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), 5);
}

#[tokio::test]
async fn analyses_of_the_old_plugin_are_taken_over_once() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["karton_manage"]).await;
    let (first, second) = (id(&admin.file("first").await), id(&admin.file("second").await));
    admin.post("attribute", json!({"key": "karton", "label": "", "description": "", "hidden": false})).await.ok();
    let uuid = "91a521d0-4696-4df1-9188-c07c525a0808";
    for (file, value) in [(&first, uuid), (&second, &uuid.to_uppercase()), (&first, "no analysis")] {
        admin.post(&format!("file/{file}/attribute"), json!({"key": "karton", "value": value})).await.ok();
    }
    alice.post_empty(&format!("file/{first}/karton")).await.refused(403);
    server.stop().await;
    for _ in 0..2 {
        server.configure().await;
    }
    server.start_again(|_| {}).await;
    let [admin, alice] = [admin, alice].map(|api| server.with_token(api.token.as_ref().unwrap()));
    for file in [&first, &second] {
        let listed = analyses(&admin, file).await;
        assert_eq!(each(&listed["analyses"], "id"), [uuid]);
        assert_eq!(listed["analyses"][0]["arguments"], json!({}));
        assert_eq!(admin.get(&format!("file/{file}/meta")).await.ok()["metakeys"], json!([{"key": "karton", "value": uuid}]));
    }
    admin.get("attribute/karton").await.missing();
    // The old right stays beside the new one.
    assert_eq!(admin.get("group/alice").await.ok()["capabilities"], json!(["karton_manage", "karton_reanalyze"]));
    assert!(alice.get("auth/validate").await.ok()["capabilities"].to_string().contains("karton_reanalyze"));
}

#[tokio::test]
async fn an_object_is_looked_up_before_its_analyses() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("x").await);
    let missing = "0".repeat(64);
    for path in ["karton/x", "karton?older_than=x"] {
        admin.get(&format!("object/{missing}/{path}")).await.missing();
        admin.get(&format!("object/{file}/{path}")).await.refused(400);
    }
    admin.post_empty(&format!("object/{missing}/karton")).await.missing();
    admin.post_empty(&format!("object/{file}/karton")).await.refused(503);
    let refusal = admin.post(&format!("object/{file}/karton"), json!({"arguments": {"a": 1, "b": "x", "c": null}})).await.refused(400);
    assert!(
        refusal.ends_with("{'arguments': {'a': {'value': ['Not a valid string.']}, 'c': {'value': ['Field may not be null.']}}}"),
        "{refusal}"
    );
}
