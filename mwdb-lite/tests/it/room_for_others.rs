//! What one account has at a time leaves room for the others.

use std::time::Duration;

use karton_rs::testing::eventually;
use reqwest::{Method, header};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::harness::{Api, Server, id};
use crate::pages::Browser;

const LONGEST: Duration = Duration::from_secs(30);

#[tokio::test]
async fn slow_searches_of_one_account_leave_lists_and_searches_to_others() {
    // Longer than a search waits for its turn: who waits for those that run is refused.
    let server = Server::with(|config| config.statement_timeout = 8000).await;
    let admin = server.admin().await;
    let (alice, bob) = (server.user(&admin, "alice", &["adding_blobs"]).await, server.user(&admin, "bob", &[]).await);
    let browser = Browser::logged_in(&server, "bob").await;
    alice.blob(&"ab".repeat(500_000)).await;
    let slow = json!({"query": format!("blob.content:*{}c*", "a?".repeat(20_000))});
    let searches: Vec<_> = (0..8)
        .map(|_| {
            let (alice, slow) = (alice.clone(), slow.clone());
            tokio::spawn(async move { alice.post("search", slow).await })
        })
        .collect();
    // As long as they are at it the others notice nothing, and neither does she where nothing is searched for.
    let mut looks = 0;
    while searches.iter().any(|search| !search.is_finished()) {
        bob.get("file/count?query=tag:a").await.ok();
        bob.get("tag?query=a").await.ok();
        browser.get("/?query=tag:a").await.page(200);
        for api in [&bob, &alice] {
            api.get("object").await.ok();
            api.get("blob/count").await.ok();
        }
        browser.get("/").await.page(200);
        looks += 1;
    }
    assert!(looks > 1);
    let mut refused = 0;
    for search in searches {
        let reply = search.await.unwrap();
        if reply.status == 429 {
            assert_eq!(reply.refused(429), "Too many of your searches are running");
            assert_eq!(reply.header("retry-after"), "5");
            refused += 1;
        } else {
            assert_eq!(reply.refused(503), "The query took too long");
        }
    }
    assert_eq!(refused, 6);
    alice.get("file/count?query=tag:a").await.ok();
}

/// A download of which nothing more is taken once its head has come.
async fn begin(api: &Api, path: &str) -> (u16, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    // As little as there is: what waits in the machine is no longer made.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(api.url.strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    let session = api.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET /api/{path} HTTP/1.1\r\nHost: x\r\n{session}\r\n").as_bytes()).await.unwrap();
    let mut line = [0; 12];
    timeout(LONGEST, stream.read_exact(&mut line)).await.expect("an answer").unwrap();
    (std::str::from_utf8(&line[9..]).unwrap().parse().unwrap(), stream)
}

#[tokio::test]
async fn zips_that_one_account_takes_slowly_leave_others_theirs() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let bob = server.user(&admin, "bob", &[]).await;
    // Nothing that could be packed, and more than fits between server and client.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    })
    .take(2 << 20)
    .flatten()
    .collect();
    let file = id(&admin.upload("noise", noise, json!({"upload_as": "public"})).await.ok());
    let path = format!("file/{file}/download/zip");
    let mut open = Vec::new();
    for _ in 0..8 {
        let (status, stream) = begin(&alice, &path).await;
        assert_eq!(status, 200);
        open.push(stream);
    }
    let refused = alice.get(&path).await;
    assert_eq!(refused.refused(429), "Too many zips are being made for you: end other downloads first");
    assert_eq!(refused.header("retry-after"), "5");
    // A token is hers wherever it is used.
    let token = alice.post_empty(&path).await.ok()["token"].as_str().unwrap().to_owned();
    server.anonymous().get(&format!("{path}?token={token}")).await.refused(429);
    assert_eq!(begin(&bob, &path).await.0, 200);
    alice.get(&format!("file/{file}/download")).await;
    open.pop();
    eventually("the place is given back", || async { (begin(&alice, &path).await.0 == 200).then_some(()) }).await;
}

#[tokio::test]
async fn pages_of_one_account_that_watch_leave_others_theirs() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for login in ["alice", "bob"] {
        server.user(&admin, login, &[]).await;
    }
    let file = id(&admin.upload("a", "content", json!({"upload_as": "public"})).await.ok());
    let (alice, bob) = (Browser::logged_in(&server, "alice").await, Browser::logged_in(&server, "bob").await);
    let watch = async |browser: &Browser| {
        let request = browser.request(Method::GET, &format!("/object/{file}/events")).header(header::ACCEPT, "text/event-stream");
        request.send().await.expect("an answer")
    };
    let mut open = Vec::new();
    for _ in 0..20 {
        let stream = watch(&alice).await;
        assert_eq!(stream.status(), 200);
        open.push(stream);
    }
    let refused = watch(&alice).await;
    assert_eq!(refused.status(), 429);
    assert!(refused.text().await.unwrap().contains("Too many of your pages are watching"));
    assert_eq!(watch(&bob).await.status(), 200);
    drop(open);
    eventually("the places are given back", || async { (watch(&alice).await.status() == 200).then_some(()) }).await;
}
