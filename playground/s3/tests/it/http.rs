use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Bed;

async fn raw(bed: &Bed, request: &str) -> String {
    let mut stream = TcpStream::connect(bed.server.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).to_lowercase()
}

#[tokio::test]
async fn requests_without_a_signature_are_403() {
    let bed = Bed::start().await;
    bed.put("k", b"secret").await;
    let answer = raw(&bed, "GET /box/k HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 403") && !answer.contains("secret"), "{answer}");
}

/// botocore hangs on its next upload if this connection is used again.
#[tokio::test]
async fn an_expectation_without_a_body_closes_the_connection() {
    let bed = Bed::start().await;
    let answer = raw(&bed, "PUT /box/k HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.contains("connection: close"), "{answer}");
    let answer = raw(&bed, "PUT /box/k HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert!(!answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn health_is_told_without_a_signature() {
    let bed = Bed::start().await;
    let answer = raw(&bed, "GET /.health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
}
