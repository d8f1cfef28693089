//! `check`: finds what is wrong, repairs what can be repaired, loses nothing.

use std::path::{Path, PathBuf};

use mwdb_lite::check::{self, Mode, Report};
use serde_json::{Value, json};

use crate::harness::{Server, id};
use crate::storage::Bucket;

fn kinds(report: &Report) -> Vec<&str> {
    let mut kinds: Vec<&str> = report.problems.iter().map(|problem| problem.kind).collect();
    kinds.sort_unstable();
    kinds
}

fn place(folder: &Path, hash: &str) -> PathBuf {
    folder.join(&hash[..1]).join(&hash[1..2]).join(&hash[2..3]).join(&hash[3..4]).join(hash)
}

fn database(server: &Server) -> rusqlite::Connection {
    rusqlite::Connection::open(&server.config().sqlite_path).unwrap()
}

#[tokio::test]
async fn a_healthy_server_is_clean_also_while_it_runs() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let parent = id(&admin.file("parent").await);
    admin.child_of(&parent, "child").await;
    admin.blob("żółw\u{0}").await;
    admin
        .config(json!({"family": "f", "cfg": {"n": 1.0, "raw": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "x"}}}}))
        .await
        .ok();
    let report = check::run(server.config(), Mode::Look).await.unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    assert_eq!((report.objects, report.files, report.bytes), (5, 2, 11));
    let error = check::run(server.config(), Mode::Repair).await.unwrap_err();
    assert!(error.to_string().contains("stop it"), "{error:#}");
}

#[tokio::test]
async fn what_is_wrong_is_found_and_repaired_where_that_is_possible() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let mut hashes = Vec::new();
    for content in ["missing", "damaged", "wrong row", "forgotten", "healthy"] {
        hashes.push(id(&admin.file(content).await));
    }
    let child = admin.child_of(&hashes[4], "child").await;
    let blob = id(&admin.blob("text").await);
    server.stop().await;
    let folder = server.config().uploads_folder.clone();
    std::fs::remove_file(place(&folder, &hashes[0])).unwrap();
    std::fs::write(place(&folder, &hashes[1]), "DAMAGED").unwrap();
    let stray = place(&folder, &"0".repeat(64));
    std::fs::create_dir_all(stray.parent().unwrap()).unwrap();
    std::fs::write(stray, "stray").unwrap();
    // Not ours.
    std::fs::write(folder.join("README.txt"), "read me").unwrap();
    std::fs::write(folder.join(".staging/left"), "half").unwrap();
    {
        let c = database(&server);
        c.execute("UPDATE file SET md5 = 'x', file_size = 1 WHERE object_id = (SELECT id FROM object WHERE dhash = ?)", [&hashes[2]])
            .unwrap();
        c.execute("UPDATE blob SET blob_size = 77", []).unwrap();
        c.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        // As if deleted by hand: its child, tags and permissions are left dangling.
        c.execute("DELETE FROM file WHERE object_id = (SELECT id FROM object WHERE dhash = ?)", [&hashes[3]]).unwrap();
        c.execute("DELETE FROM object WHERE dhash = ?", [&hashes[3]]).unwrap();
        c.execute("INSERT INTO relation (parent_id, child_id, creation_time) SELECT 999, id, 0 FROM object WHERE dhash = ?", [&child])
            .unwrap();
    }
    let found = check::run(server.config(), Mode::Look).await.unwrap();
    let mut others = kinds(&found);
    others.retain(|kind| *kind != "dangling");
    assert_eq!(others, ["damaged", "hash", "leftover", "missing", "size", "stray", "stray"]);
    assert!(kinds(&found).contains(&"dangling"), "{found:?}");
    assert!(!found.is_clean() && found.repaired == 0);

    let repaired = check::run(server.config(), Mode::Repair).await.unwrap();
    let left: Vec<_> =
        repaired.problems.iter().filter(|problem| problem.repaired.is_none()).map(|problem| (problem.kind, &problem.subject)).collect();
    assert_eq!(left.len(), 2, "{repaired:?}");
    assert!(left.contains(&("missing", &hashes[0])) && left.contains(&("damaged", &hashes[1])), "{left:?}");
    // Nothing was thrown away.
    let aside: Vec<String> =
        std::fs::read_dir(folder.join(".strays")).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(aside.len(), 3);
    for content in ["DAMAGED", "stray", "forgotten"] {
        assert!(aside.iter().any(|text| text == content), "{content}: {aside:?}");
    }
    // What is left is what only a second upload can bring back.
    server.start_again(|_| {}).await;
    let admin = server.admin().await;
    admin.file("missing").await;
    admin.file("damaged").await;
    let clean = check::run(server.config(), Mode::Look).await.unwrap();
    assert!(clean.problems.is_empty(), "{clean:?}");
    assert_eq!(admin.get(&format!("blob/{blob}")).await.ok()["blob_size"], 4);
    assert_eq!(admin.get(&format!("file/{}", hashes[2])).await.ok()["file_size"], 9);
    assert_eq!(admin.get(&format!("file/{child}")).await.ok()["parents"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn strays_in_a_bucket_are_moved_aside_too() {
    let bucket = Bucket::start().await;
    let mut server = bucket.server().await;
    let admin = server.admin().await;
    admin.upload("a", "kept", Value::Null).await.ok();
    server.stop().await;
    let stray = "0".repeat(64);
    let key = format!("0/0/0/0/{stray}");
    let put = bucket.client().put_object().bucket("mwdb").key(&key).body(b"stray".to_vec().into());
    put.send().await.unwrap();
    let found = check::run(server.config(), Mode::Look).await.unwrap();
    assert_eq!(kinds(&found), ["stray"], "{found:?}");
    assert!(check::run(server.config(), Mode::Repair).await.unwrap().is_clean());
    let clean = check::run(server.config(), Mode::Look).await.unwrap();
    assert!(clean.problems.is_empty() && clean.files == 1, "{clean:?}");
    let objects = bucket.objects().await;
    assert!(objects.iter().any(|(key, size)| key.starts_with(".strays/") && *size == 5), "{objects:?}");
}

#[tokio::test]
async fn a_server_may_start_while_everything_is_looked_at() {
    let mut server = Server::start().await;
    let hash = id(&server.admin().await.file("content").await);
    server.stop().await;
    // A look at content that takes until somebody writes to it.
    let content = place(&server.config().uploads_folder, &hash);
    std::fs::remove_file(&content).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&content).status().unwrap().success());
    let config = server.config().clone();
    let mut looking = std::pin::pin!(check::run(&config, Mode::Look));
    let started = async {
        // Nothing tells from outside that it has come to the pipe: whoever opens that lets it go on.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        server.start_again(|_| {}).await;
        server.admin().await;
    };
    tokio::select! {
        report = &mut looking => panic!("it waits for the content: {report:?}"),
        () = started => {}
    }
    // A pipe is no file that can be read from its start: what comes of the look does not matter.
    drop(std::fs::File::options().read(true).write(true).open(&content).unwrap());
    let _ = looking.await;
}
