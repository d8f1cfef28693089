//! What Karton hears of uploads, and what the API tells of analyses; `announcements.rs` has what goes wrong on the way. See MWDB API §K1 to §K5.

use std::time::Duration;

use karton_rs::testing::{RedisServer, eventually, within};
use redis::AsyncCommands;
use serde_json::{Value, json};

use crate::harness::{Api, Server, each, id};

/// Redis and S3 of the test's own.
pub(crate) struct Bed {
    pub(crate) redis: RedisServer,
    pub(crate) s3: playground_s3::Server,
    pub(crate) folder: tempfile::TempDir,
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

    pub(crate) async fn tasks_so_far(&self) -> Vec<Value> {
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

pub(crate) async fn analyses(api: &Api, hash: &str) -> Value {
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
