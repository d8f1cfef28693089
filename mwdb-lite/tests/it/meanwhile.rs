//! What changes while a request is under way: it ends with the rights of then, and leaves room for others.

use std::time::Duration;

use karton_rs::testing::eventually;
use reqwest::header;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{Api, PASSWORD, Server, each, id};

/// An upload of which all but the end has arrived.
struct Slow(TcpStream);

const LONGEST: Duration = Duration::from_secs(10);
const END: &str = "\r\n--X--\r\n";

impl Slow {
    /// Waits until the server has it in its staging folder, which must hold nothing else.
    async fn start(server: &Server, api: &Api) -> Self {
        // A small file would wait in memory.
        let content = "x".repeat(200 << 10);
        let body = format!("--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{content} of {}", api.login);
        let head = format!(
            "POST /api/file HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
             Content-Type: multipart/form-data; boundary=X\r\nContent-Length: {}\r\n\r\n{body}",
            api.token.as_ref().unwrap(),
            body.len() + END.len(),
        );
        let mut socket = TcpStream::connect(api.url.strip_prefix("http://").unwrap()).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let staged = || async { (std::fs::read_dir(server.staging()).unwrap().count() == 1).then_some(()) };
        eventually("a staged file", staged).await;
        Self(socket)
    }

    /// Sends the end, and gives status and body of the answer.
    async fn end(mut self) -> (u16, Value) {
        self.0.write_all(END.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(LONGEST, self.0.read_to_string(&mut answer)).await.expect("an answer").unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

#[tokio::test]
async fn an_upload_ends_with_the_rights_of_its_end() {
    let server = Server::start().await;
    let admin = server.admin().await;

    // Everybody may add files as a member of `registered`.
    let alice = server.user(&admin, "alice", &[]).await;
    let slow = Slow::start(&server, &alice).await;
    admin.delete("group/registered/member/alice").await.ok();
    let (status, body) = slow.end().await;
    assert!(status == 403 && body["message"].as_str().unwrap().contains("adding_files"), "{status} {body}");

    let bob = server.user(&admin, "bob", &["adding_files", "manage_profile"]).await;
    let key = bob.post("user/bob/api_key", json!({"name": ""})).await.ok();
    let with_key = Api { login: "bob".to_owned(), ..server.with_token(key["token"].as_str().unwrap()) };
    let slow = Slow::start(&server, &with_key).await;
    admin.put("user/bob", json!({"disabled": true})).await.ok();
    assert_eq!(slow.end().await.0, 403);

    let carol = server.user(&admin, "carol", &["adding_files"]).await;
    let slow = Slow::start(&server, &carol).await;
    admin.delete("user/carol").await.ok();
    assert_eq!(slow.end().await.0, 401);

    let dave = server.user(&admin, "dave", &["adding_files"]).await;
    let slow = Slow::start(&server, &dave).await;
    let link = admin.get("user/dave/change_password").await.ok();
    server.anonymous().post("auth/change_password", json!({"token": link["token"], "password": format!("{PASSWORD}!")})).await.ok();
    assert_eq!(slow.end().await.0, 401);

    // A group that is gone is no reason to fail.
    let eve = server.user(&admin, "eve", &["adding_files"]).await;
    server.group(&admin, "team", &[&eve]).await;
    let slow = Slow::start(&server, &eve).await;
    admin.delete("group/team").await.ok();
    let (status, body) = slow.end().await;
    assert_eq!(status, 200, "{body}");
    let shares = eve.get(&format!("file/{}/share", id(&body))).await.ok();
    assert_eq!(each(&shares["shares"], "group_name"), ["eve"]);

    // Nothing is left of the others.
    assert_eq!(admin.get("file/count").await.ok()["count"], 1);
    eventually("one stored file", || async { (server.stored_files().len() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn a_page_that_watches_is_told_nothing_after_its_session() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["adding_files"]).await;
    let file = id(&alice.file("watched").await);
    let request = alice.http.get(format!("{}/object/{file}/events", server.url()));
    let cookie = format!("mwdb_session={}", alice.token.as_ref().unwrap());
    let mut events = request.header(header::COOKIE, cookie).send().await.unwrap();
    assert_eq!(events.status(), 200);
    assert!(events.chunk().await.unwrap().is_some());
    admin.put("user/alice", json!({"disabled": true})).await.ok();
    timeout(LONGEST, async { while events.chunk().await.unwrap().is_some() {} }).await.expect("the end of the stream");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_many_values_goes_by_and_by() {
    let mut server = Server::start().await;
    server.stop().await;
    mwdb_lite::fill_database(server.config(), 12_500).await.unwrap();
    server.start_again(|_| {}).await;
    let admin = server.admin().await;
    let seen = rusqlite::Connection::open(&server.config().sqlite_path).unwrap();
    let count = move || seen.query_row("SELECT count(*) FROM attribute", [], |row| row.get::<_, u32>(0)).unwrap();
    assert_eq!(count(), 2500);
    let deleting = tokio::spawn(async move { admin.delete("attribute/open").await.null() });
    let watching = tokio::task::spawn_blocking(move || {
        let mut counts = vec![];
        while counts.last() != Some(&0) {
            let now = count();
            if counts.last() != Some(&now) {
                counts.push(now);
            }
        }
        counts
    });
    deleting.await.unwrap();
    // In between others could write.
    let counts = watching.await.unwrap();
    assert!(counts.len() > 2 && counts.iter().all(|count| [2500, 1500, 500, 0].contains(count)), "{counts:?}");
    server.admin().await.get("attribute/open").await.missing();
}
