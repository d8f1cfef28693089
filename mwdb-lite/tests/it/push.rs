//! `push`: everything arrives at another MWDB, once, whatever happens on the way.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use karton_rs::testing::{eventually, within};
use mwdb_lite::push::{self, Options};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::harness::{Api, Server, each, id, sorted};

/// Makes objects of all kinds with all that can belong to them.
async fn fill(server: &Server, files: usize) -> Api {
    let admin = server.admin().await;
    server.user(&admin, "alice", &["adding_parents", "adding_tags", "adding_files"]).await;
    for (key, hidden) in [("open", false), ("secret", true)] {
        admin
            .post("attribute", json!({"key": key, "label": "L", "description": "D", "hidden": hidden, "url_template": "u/$value"}))
            .await
            .ok();
    }
    let alice = server.login("alice", crate::harness::PASSWORD).await;
    let mut parent = Value::Null;
    for n in 0..files {
        let options = json!({
            "parent": parent, "tags": [{"tag": format!("t{}", n % 7)}, {"tag": "all"}], "share_3rd_party": n % 2 == 0,
            "attributes": [{"key": "open", "value": {"n": n}}, {"key": "secret", "value": n}],
        });
        let hash = id(&admin.upload(&format!("name {n}"), format!("content {n}"), options).await.ok());
        admin.post(&format!("file/{hash}/comment"), json!({"comment": format!("comment {n}")})).await.ok();
        admin.post(&format!("file/{hash}/comment"), json!({"comment": "twice"})).await.ok();
        admin.post(&format!("file/{hash}/comment"), json!({"comment": "twice"})).await.ok();
        if n % 5 == 0 {
            admin.put(&format!("file/{hash}/share"), json!({"group": "public"})).await.ok();
        }
        parent = json!(hash);
    }
    let of_alice = id(&alice.upload("hers", "of alice", Value::Null).await.ok());
    admin.put(&format!("file/{of_alice}/tag"), json!({"tag": "hers"})).await.ok();
    let blob = id(&admin.blob("a text").await);
    let cfg =
        json!({"n": 1.0, "big": 3, "raw": {"in-blob": blob}, "made": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "x"}}});
    admin.config(json!({"family": "fam", "config_type": "dynamic", "cfg": cfg, "parent": parent})).await.ok();
    admin
}

async fn key_of(admin: &Api) -> String {
    let key = admin.post("user/admin/api_key", json!({"name": "push"})).await.ok();
    key["token"].as_str().expect("a key").to_owned()
}

fn options(target: &Server, api_key: String, folder: &tempfile::TempDir) -> Options {
    Options {
        url: target.url().to_owned(),
        api_key,
        state: folder.path().join("state.json"),
        restart: false,
        dry_run: false,
        jobs: 4,
        verify_ssl: true,
    }
}

/// Everything that an administrator sees of every object, without what a copy cannot have: times, numbers
/// and the authors of comments.
async fn everything(admin: &Api) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let mut older_than = String::new();
    loop {
        let page = admin.get(&format!("object?count=100{older_than}")).await.ok();
        let ids = each(&page["objects"], "id");
        let Some(last) = ids.last() else { return all };
        older_than = format!("&older_than={}", last.as_str().unwrap());
        for hash in ids {
            let hash = hash.as_str().unwrap();
            let kind = match admin.get(&format!("object/{hash}")).await.ok()["type"].as_str().unwrap() {
                "file" => "file",
                "static_config" => "config",
                _ => "blob",
            };
            let view = admin.get(&format!("{kind}/{hash}")).await.ok();
            let mut told = view.clone();
            let map = told.as_object_mut().unwrap();
            for volatile in ["upload_time", "last_seen", "latest_config"] {
                map.remove(volatile);
            }
            for list in ["parents", "children"] {
                map.insert(list.to_owned(), json!(sorted(&view[list], "id")));
            }
            map.insert("tags".to_owned(), json!(sorted(&view["tags"], "tag")));
            let values = admin.get(&format!("object/{hash}/attribute?hidden=1")).await.ok();
            let mut values: Vec<String> =
                values["attributes"].as_array().unwrap().iter().map(|item| format!("{}={}", item["key"], item["value"])).collect();
            values.sort();
            map.insert("attributes".to_owned(), json!(values));
            map.insert("comments".to_owned(), json!(sorted(&admin.get(&format!("object/{hash}/comment")).await.ok(), "comment")));
            let shares = admin.get(&format!("object/{hash}/share")).await.ok();
            let groups: Vec<&Value> = each(&shares["shares"], "group_name").into_iter().filter(|name| **name != "admin").collect();
            let mut groups: Vec<&str> = groups.into_iter().map(|name| name.as_str().unwrap()).collect();
            groups.sort_unstable();
            map.insert("groups".to_owned(), json!(groups));
            if kind == "file" {
                map.insert("content".to_owned(), json!(admin.get(&format!("file/{hash}/download")).await.text()));
            }
            all.insert(hash.to_owned(), told);
        }
    }
}

#[tokio::test]
async fn all_objects_with_all_that_belongs_to_them_arrive_and_a_second_push_changes_nothing() {
    let (source, target) = (Server::start().await, Server::start().await);
    let admin = fill(&source, 8).await;
    let there = target.admin().await;
    target.user(&there, "alice", &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let options = options(&target, key_of(&there).await, &folder);

    let dry = push::run(source.config(), &Options { dry_run: true, ..options.clone() }, CancellationToken::new()).await.unwrap();
    assert_eq!((dry.files, dry.blobs, dry.configs, dry.relations, dry.notes.len()), (9, 2, 1, 10, 2), "{dry:?}");
    assert_eq!(there.get("object/count").await.ok()["count"], 0);
    assert!(!options.state.exists());

    let sent = push::run(source.config(), &options, CancellationToken::new()).await.unwrap();
    assert!(sent.is_complete() && sent.notes.is_empty(), "{sent:?}");
    assert_eq!((sent.files, sent.blobs, sent.configs, sent.relations), (9, 2, 1, 10));
    let (ours, theirs) = (everything(&admin).await, everything(&there).await);
    assert_eq!(ours, theirs);
    let of_alice = theirs.values().find(|object| object["file_name"] == "hers").unwrap();
    assert_eq!(of_alice["groups"], json!(["alice"]), "it belongs to its uploader there too");
    let definitions = |api: Api| async move { api.get("attribute?access=manage").await.ok() };
    assert_eq!(definitions(admin.clone()).await, definitions(there.clone()).await);

    let again = push::run(source.config(), &Options { restart: true, ..options.clone() }, CancellationToken::new()).await.unwrap();
    assert!(again.is_complete() && again.files == 9, "{again:?}");
    assert_eq!(everything(&there).await, ours);
    // Only what is new is sent by the next one.
    admin.file("one more").await;
    let next = push::run(source.config(), &options, CancellationToken::new()).await.unwrap();
    assert_eq!((next.files, next.blobs, next.configs, next.relations), (1, 0, 0, 0));
}

#[tokio::test]
async fn what_the_account_may_not_do_is_told_and_left_out() {
    let (source, target) = (Server::start().await, Server::start().await);
    fill(&source, 3).await;
    let there = target.admin().await;
    let pusher = target.user(&there, "pusher", &["adding_files", "manage_profile"]).await;
    let key = pusher.post("user/pusher/api_key", json!({"name": "push"})).await.ok()["token"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let options = options(&target, key, &folder);
    let dry = Options { dry_run: true, ..options.clone() };
    let told = push::run(source.config(), &dry, CancellationToken::new()).await.unwrap();
    assert_eq!((told.files, told.blobs, told.configs, told.relations), (4, 0, 0, 0), "{told:?}");
    assert!(told.notes.iter().any(|note| note.contains("adding_blobs")), "{told:?}");
    let sent = push::run(source.config(), &options, CancellationToken::new()).await.unwrap();
    assert_eq!((sent.files, sent.blobs, sent.configs), (4, 0, 0), "{sent:?}");
    assert!(!sent.is_complete());
    assert!(
        sent.notes.iter().any(|note| note.contains("adding_parents")) && sent.notes.iter().any(|note| note.contains("`secret`")),
        "{sent:?}"
    );
    assert!(sent.notes.iter().any(|note| note.contains("group `alice`")), "{sent:?}");
    // With the rights granted, what has failed goes through.
    let all = there.get("user/admin").await.ok()["capabilities"].clone();
    there.put("group/pusher", json!({"name": null, "capabilities": all})).await.ok();
    let rest = push::run(source.config(), &options, CancellationToken::new()).await.unwrap();
    assert!(rest.is_complete() && rest.configs == 1, "{rest:?}");
    let wrong = Options { api_key: key_of(&there).await.replace('.', ".a"), ..options.clone() };
    assert!(push::run(source.config(), &wrong, CancellationToken::new()).await.is_err());
    let elsewhere = Options { url: "http://127.0.0.1:1".to_owned(), ..options };
    let error = tokio::time::timeout(Duration::from_secs(20), async {
        let stop = CancellationToken::new();
        let pushing = push::run(source.config(), &elsewhere, stop.clone());
        let (outcome, ()) = tokio::join!(pushing, async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            stop.cancel();
        });
        outcome.unwrap_err()
    });
    assert!(error.await.is_ok(), "a push that waits for a server can be stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_that_was_killed_goes_on_without_duplicates() {
    let (source, target) = (Server::start().await, Server::start().await);
    let admin = fill(&source, 60).await;
    let there = target.admin().await;
    target.user(&there, "alice", &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let key = key_of(&there).await;
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mwdb-lite"));
        command.args(["push", target.url(), "--jobs", "2", "--json"]).current_dir(folder.path());
        command.env_clear().env("HOME", folder.path()).env("MWDB_PUSH_API_KEY", &key).stdin(Stdio::null());
        command.env("MWDB_SQLITE_PATH", &source.config().sqlite_path).env("MWDB_UPLOADS_FOLDER", &source.config().uploads_folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    };
    let count = || async { there.get("object/count").await.ok()["count"].as_u64().unwrap() };
    for wanted in [10, 25, 45] {
        let mut pushing = command().spawn().unwrap();
        within(Duration::from_secs(30), "some objects", || async { (count().await >= wanted).then_some(()) }).await;
        pushing.kill().await.unwrap();
    }
    assert!(count().await < 64, "it was killed in the middle");
    let output = tokio::time::timeout(Duration::from_mins(1), command().output()).await.expect("an end").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["failed"], json!([]));
    assert_eq!(everything(&admin).await, everything(&there).await);
}

#[tokio::test]
async fn a_server_that_asks_for_patience_gets_it() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (source, target) = (Server::start().await, Server::start().await);
    source.admin().await.file("a sample").await;
    let there = target.admin().await;
    // In front of the target: every second request is refused at first.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let behind = target.url().strip_prefix("http://").unwrap().to_owned();
    let refused = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = std::sync::Arc::clone(&refused);
    let proxy = tokio::spawn(async move {
        for n in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            if n % 2 == 0 {
                counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let mut some = vec![0; 65_536];
                let _ = client.read(&mut some).await;
                let answer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                let _ = client.write_all(answer.as_bytes()).await;
                continue;
            }
            let mut server = tokio::net::TcpStream::connect(&behind).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let options = Options { url: format!("http://{address}/api"), jobs: 1, ..options(&target, key_of(&there).await, &folder) };
    let sent = push::run(source.config(), &options, CancellationToken::new()).await.unwrap();
    proxy.abort();
    assert!(sent.is_complete() && sent.files == 1, "{sent:?}");
    assert!(refused.load(std::sync::atomic::Ordering::SeqCst) > 0);
    eventually("the sample", || async { (there.get("file/count").await.ok()["count"] == 1).then_some(()) }).await;
}

#[tokio::test]
async fn a_relation_is_tried_again_when_its_objects_are_there() {
    let (source, target) = (Server::start().await, Server::start().await);
    let admin = source.admin().await;
    let there = target.admin().await;
    let parent = id(&admin.file("parent").await);
    let folder = tempfile::tempdir().unwrap();
    let options = options(&target, key_of(&there).await, &folder);
    assert!(push::run(source.config(), &options, CancellationToken::new()).await.unwrap().is_complete());
    let child = admin.child_of(&parent, "child").await;
    // As if the relation had been tried by a push that did not see the child any more.
    let mut state: Value = serde_json::from_slice(&std::fs::read(&options.state).unwrap()).unwrap();
    state["relations"] = json!(1000);
    state["failed"] = json!({format!("{parent} {child}"): "Object not found"});
    std::fs::write(&options.state, state.to_string()).unwrap();
    let report = push::run(source.config(), &options, CancellationToken::new()).await.unwrap();
    assert!(report.is_complete() && report.relations == 1, "{report:?}");
    assert_eq!(each(&there.get(&format!("file/{child}")).await.ok()["parents"], "id"), [&json!(parent)]);
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_told_at_once() {
    let server = Server::start().await;
    let key = key_of(&server.admin().await).await;
    let folder = tempfile::tempdir().unwrap();
    for dry_run in [true, false] {
        let options = Options { url: "http://127.0.0.1:1".to_owned(), dry_run, ..options(&server, key.clone(), &folder) };
        let pushed = tokio::time::timeout(Duration::from_secs(15), push::run(server.config(), &options, CancellationToken::new())).await;
        let error = format!("{:#}", pushed.expect("an end").unwrap_err());
        assert!(error.contains("ask the other MWDB who we are there") && error.contains("127.0.0.1:1"), "{error}");
    }
}
