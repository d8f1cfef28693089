//! Bad input and missing servers: a clear error, everything lives on, nothing is lost.

use std::time::Duration;

use karton_rs::testing::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    pipeline::redis_connection,
    playground::{Playground, tags},
    samples,
};

#[tokio::test]
async fn bad_requests_get_a_message_and_good_ones_still_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut playground = Playground::start(folder.path()).await;
    let client = reqwest::Client::new();
    let wrong_token = client.get(format!("{}/file", playground.api())).bearer_auth("a.b.c").send().await.unwrap();
    assert_eq!(wrong_token.status(), 401);
    let unknown = playground.request(reqwest::Method::GET, &format!("file/{}", "0".repeat(64))).await.send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    assert!(unknown.json::<serde_json::Value>().await.unwrap()["message"].is_string());
    let malformed = playground.request(reqwest::Method::POST, "blob").await.body("{\"blob_name\": ").send().await.unwrap();
    assert_eq!(malformed.status(), 400);
    assert!(malformed.json::<serde_json::Value>().await.unwrap()["message"].is_string());
    assert!(truncated_upload(&playground).await.starts_with("HTTP/1.1 400"), "{}", playground.log());
    let sample = playground.upload("hello.elf", samples::elf()).await;
    let object = playground.finished(sample["id"].as_str().unwrap()).await;
    assert_eq!(tags(&object), ["runnable:linux:elf"]);
    assert!(playground.is_running());
}

/// A multipart body that ends in the middle of the file; the head of the answer.
async fn truncated_upload(playground: &Playground) -> String {
    let address = playground.mwdb.trim_start_matches("http://");
    let authorised = playground.request(reqwest::Method::POST, "file").await.build().unwrap();
    let token = authorised.headers()["authorization"].to_str().unwrap();
    let body = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\nhalf of it";
    let request = format!(
        "POST /api/file HTTP/1.1\r\nHost: {address}\r\nAuthorization: {token}\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn unreadable_tasks_and_binds_are_put_aside_and_the_pipeline_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut playground = Playground::start(folder.path()).await;
    let mut redis = redis_connection(&playground.redis).await;
    let bad = ["not json", "[]", "{\"uid\": \"x\"}", "\u{0}"];
    for (number, record) in bad.iter().enumerate() {
        let uid = format!("bad-{number}");
        let _: () =
            redis::pipe().set(format!("karton.task:{uid}"), *record).rpush("karton.tasks", &uid).query_async(&mut redis).await.unwrap();
    }
    let _: () = redis::cmd("HSET").arg("karton.binds").arg("karton.bad").arg("not json").query_async(&mut redis).await.unwrap();
    let sample = playground.upload("hello.elf", samples::elf()).await;
    let object = playground.finished(sample["id"].as_str().unwrap()).await;
    assert_eq!(tags(&object), ["runnable:linux:elf"]);
    within(Duration::from_secs(10), "the quarantine", || {
        let mut redis = redis.clone();
        async move {
            let aside: Vec<String> = redis::cmd("HKEYS").arg("karton.rs.quarantine").query_async(&mut redis).await.unwrap();
            (0..bad.len()).all(|number| aside.contains(&format!("bad-{number}"))).then_some(())
        }
    })
    .await;
    assert!(playground.is_running());
}

#[tokio::test]
async fn a_missing_object_crashes_its_task_with_a_clear_error_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground::start(folder.path()).await;
    let config = karton_rs::Config::load_from(&[], std::slice::from_ref(&playground.karton_ini), []).unwrap();
    let producer = karton_rs::Karton::connect(&config, "karton.test", None).await.unwrap();
    let mut task = karton_rs::Task::new(serde_json::json!({"type": "sample", "kind": "raw"}));
    let missing = r#"{"__karton_resource__": {"uid": "7a4e04b1-16c4-4d5a-a1f3-f3b2d2b5a3c1", "name": "gone.exe", "bucket": "karton", "size": 5, "metadata": {}, "flags": [], "sha256": null}}"#;
    task.set_payload("sample", karton_rs::json::Value::parse(missing).unwrap());
    let sent = producer.send_task(task).await.unwrap();
    let inspect = karton_rs::Inspect::of(&producer);
    let error = within(Duration::from_secs(10), "the crashed task", || async {
        let analysis = inspect.analysis(sent.root_uid()).await.unwrap();
        analysis.tasks().iter().find(|task| task.status() == karton_rs::TaskState::Crashed).map(|task| task.error().concat())
    })
    .await;
    assert!(error.contains("gone.exe") && error.contains("NoSuchKey"), "{error}");
    let sample = playground.upload("hello.elf", samples::elf()).await;
    playground.finished(sample["id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn uploads_succeed_while_redis_is_away_and_are_analysed_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = karton_rs::testing::RedisServer::start_durable().await;
    let mut playground = Playground::start_with_env(folder.path(), &[("REDIS_URL", &redis.url())]).await;
    let before = playground.upload("hello.elf", samples::elf()).await;
    playground.finished(before["id"].as_str().unwrap()).await;
    redis.kill();
    let sample = playground.upload("hello.elf", [samples::elf(), b"while away".to_vec()].concat()).await;
    let id = sample["id"].as_str().unwrap().to_owned();
    assert!(playground.is_running());
    redis.restart().await;
    let object = playground.finished(&id).await;
    assert_eq!(tags(&object), ["runnable:linux:elf"]);
    assert!(playground.is_running());
}
