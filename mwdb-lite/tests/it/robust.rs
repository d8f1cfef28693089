//! What must hold when many upload at once, when clients break off, and over restarts.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Api, Server, id};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_uploads_make_one_object_each_and_no_errors() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let clients = (0..8u8).map(|n| {
        let api = admin.clone();
        tokio::spawn(async move {
            for round in 0..8u8 {
                let same = api.upload(&format!("name-{n}"), format!("same {round}"), json!({"tags": [{"tag": format!("t{n}")}]})).await;
                let other = api.upload("other", format!("{n} {round}"), Value::Null).await;
                let blob = api.post("blob", json!({"blob_name": "n", "blob_type": "t", "content": format!("blob {round}")})).await;
                let config = api.config(json!({"family": "f", "cfg": {"round": round}})).await;
                for reply in [same, other, blob, config] {
                    reply.ok();
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    for (kind, count) in [("file", 8 + 64), ("blob", 8), ("config", 8)] {
        assert_eq!(admin.get(&format!("{kind}/count")).await.ok()["count"], count);
    }
    assert_eq!(server.stored_files().len(), 72);
    let same = id(&admin.file("same 0").await);
    let view = admin.get(&format!("file/{same}")).await.ok();
    assert_eq!(view["tags"].as_array().unwrap().len(), 8);
    assert_eq!(view["alt_names"].as_array().unwrap().len(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uploading_and_deleting_the_same_bytes_never_loses_content() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let hash = id(&admin.file("contested").await);
    let deleting = tokio::spawn({
        let (api, path) = (admin.clone(), format!("file/{hash}"));
        async move {
            for _ in 0..40 {
                let reply = api.delete(&path).await;
                assert!(reply.status == 200 || reply.status == 404, "{}", reply.text());
            }
        }
    });
    for _ in 0..40 {
        admin.upload("a", "contested", Value::Null).await.ok();
    }
    deleting.await.unwrap();
    admin.file("contested").await;
    assert_eq!(admin.get(&format!("file/{hash}/download")).await.text(), "contested");
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["adding_tags"]).await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let options = json!({"tags": [{"tag": "t"}], "attributes": [{"key": "k", "value": [1]}], "upload_as": "public"});
    let file = admin.upload("a", "content", options).await.ok();
    let path = format!("file/{}", id(&file));
    let shares = admin.get(&format!("{path}/share")).await.ok();
    server.restart().await;
    let again = |api: &Api| Api { url: server.url().to_owned(), ..api.clone() };
    let (admin, alice) = (again(&admin), again(&alice));
    assert_eq!(admin.get(&path).await.ok(), file);
    assert_eq!(admin.get(&format!("{path}/share")).await.ok(), shares);
    assert_eq!(alice.get(&format!("{path}/download")).await.text(), "content");
    server.admin().await;
}

#[tokio::test]
async fn a_later_start_does_not_reset_the_password() {
    let mut server = Server::start().await;
    server.stop().await;
    server.start_again(|config| config.admin_password = Some("something else".to_owned())).await;
    server.admin().await;
}

/// Sends the head and a piece of an upload, whose body never ends.
async fn half_an_upload(api: &Api) -> tokio::net::TcpStream {
    let address = api.url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: multipart/form-data; boundary=X\r\n\
         Content-Length: 1000000\r\n\r\n--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{}",
        api.token.as_ref().unwrap(),
        "half".repeat(50_000)
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let socket = half_an_upload(&admin).await;
    karton_rs::testing::eventually("a staged file", || async { (server.stored_files().len() == 1).then_some(()) }).await;
    drop(socket);
    karton_rs::testing::eventually("an empty folder", || async { server.stored_files().is_empty().then_some(()) }).await;
    assert_eq!(admin.get("file/count").await.ok()["count"], 0);
    // A body that ends without its last boundary.
    let body = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf a file";
    let request = admin.request(reqwest::Method::POST, "file").header("Content-Type", "multipart/form-data; boundary=X");
    admin.send(request.body(body)).await.refused(400);
    karton_rs::testing::eventually("an empty folder", || async { server.stored_files().is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn a_part_whose_head_never_ends_is_refused_while_it_comes() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let endless = "x".repeat(64 * 1024);
    // In the head of a part, and before the first boundary.
    for start in ["--X\r\nContent-Disposition: form-data; name=\"", "no boundary "] {
        let pieces = std::iter::once(start.to_owned()).chain(std::iter::repeat_n(endless.clone(), 1000));
        let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces.map(Ok::<_, std::io::Error>)));
        let request = admin.request(reqwest::Method::POST, "file").header("Content-Type", "multipart/form-data; boundary=X");
        let started = std::time::Instant::now();
        // The refusal comes before the end of the body, which a client may take for a connection that broke.
        if let Ok(reply) = request.body(body).send().await {
            assert_eq!(reply.status(), 400, "{start}");
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{start}: {:?}", started.elapsed());
    }
    // Other uploads go on, also of many small parts.
    let parts = (0..5000).map(|n| format!("--X\r\nContent-Disposition: form-data; name=\"{n}\"\r\n\r\n{}\r\n", "y".repeat(100)));
    let file = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\ncontent\r\n--X--\r\n";
    let request = admin.request(reqwest::Method::POST, "file").header("Content-Type", "multipart/form-data; boundary=X");
    let view = admin.send(request.body(parts.chain([file.to_owned()]).collect::<String>())).await.ok();
    assert_eq!(view["file_size"], 7);
}

#[tokio::test]
async fn a_start_cleans_up_after_a_crash() {
    let mut server = Server::start().await;
    server.stop().await;
    std::fs::write(server.staging().join("left"), "half").unwrap();
    server.start_again(|_| {}).await;
    assert!(server.stored_files().is_empty());
}

#[tokio::test]
async fn a_stop_lets_running_requests_end_and_is_prompt() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let mut socket = half_an_upload(&admin).await;
    let started = std::time::Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest).await;
    server.start_again(|_| {}).await;
    server.admin().await;
}
