//! How the server stops: soon, and without cutting off what runs. Each has a grace that is longer than the test waits.

use std::time::Duration;

use rocket::futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Server, id};

const GRACE: Duration = Duration::from_mins(2);
const SOON: Duration = Duration::from_secs(20);

async fn server() -> Server {
    Server::with(|config| config.shutdown_grace = GRACE).await
}

async fn stops_soon(mut server: Server) {
    tokio::time::timeout(SOON, server.stop()).await.expect("it stops when nothing runs any more");
}

fn address(server: &Server) -> String {
    server.url().strip_prefix("http://").unwrap().to_owned()
}

#[tokio::test]
async fn connections_that_are_kept_open_hold_nobody_up() {
    let server = server().await;
    let mut silent = TcpStream::connect(address(&server)).await.unwrap();
    let mut used = TcpStream::connect(address(&server)).await.unwrap();
    used.write_all(b"GET /api/ping HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    used.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    stops_soon(server).await;
    // Both are told: the connection has an end.
    let mut rest = Vec::new();
    used.read_to_end(&mut rest).await.unwrap();
    silent.read_to_end(&mut rest).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_runs_is_stored_and_then_the_server_stops() {
    let server = server().await;
    let token = server.admin().await.token.unwrap();
    // Too large to be staged in memory.
    let content = "0123456789abcdef".repeat(64 << 10);
    let body = format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{content}\r\n--b--\r\n");
    let head = format!(
        "POST /api/file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut upload = TcpStream::connect(address(&server)).await.unwrap();
    let (first, rest) = body.split_at(body.len() - 1000);
    upload.write_all((head + first).as_bytes()).await.unwrap();
    // It runs once its staging file is there.
    let staged = || async { std::fs::read_dir(server.staging()).ok()?.next() };
    karton_rs::testing::within(SOON, "the upload to run", staged).await.unwrap();
    let stopping = tokio::spawn(stops_soon(server));
    upload.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(SOON, upload.read_to_end(&mut answer)).await.expect("an answer").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_download_that_runs_arrives_whole() {
    let server = server().await;
    let admin = server.admin().await;
    // More than the buffers between server and client hold.
    let content = "0123456789abcdef".repeat(2 << 20);
    let hash = id(&admin.file(&content).await);
    let response = admin.request(reqwest::Method::GET, &format!("file/{hash}/download")).send().await.unwrap();
    let mut body = response.bytes_stream();
    let mut got = body.next().await.unwrap().unwrap().len();
    let stopping = tokio::spawn(stops_soon(server));
    while let Some(piece) = tokio::time::timeout(SOON, body.next()).await.expect("more of it") {
        got += piece.expect("the download is not cut off").len();
    }
    assert_eq!(got, content.len());
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_database_whose_server_has_stopped_is_one_file() {
    let mut server = Server::start().await;
    server.admin().await.file("content").await;
    server.stop().await;
    let mut log = server.config().sqlite_path.clone().into_os_string();
    log.push("-wal");
    let settled = || async { std::fs::metadata(&log).map_or(true, |log| log.len() == 0).then_some(()) };
    karton_rs::testing::within(SOON, "the log to be empty", settled).await;
}
