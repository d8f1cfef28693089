use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use playground_s3::Server;

use crate::harness::{Bed, client, start};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let bed = Bed::start().await;
    let keys = ["plain", "a/b", "żółć", ".hidden", &"long/".repeat(200)];
    for key in keys {
        bed.put(key, key.as_bytes()).await;
    }
    bed.server.stop().await;
    let server = start(bed.folder.path()).await;
    let s3 = client(&server.url(), "mwdb", "mwdbmwdb");
    let listed = s3.list_objects_v2().bucket("box").send().await.unwrap();
    assert_eq!(listed.contents().len(), keys.len());
    for key in keys {
        let got = s3.get_object().bucket("box").key(key).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec(), key.as_bytes());
    }
}

#[tokio::test]
async fn one_folder_has_one_server() {
    let bed = Bed::start().await;
    let second = Server::start(bed.folder.path(), "127.0.0.1:0".parse().unwrap(), "a", "b").await;
    let message = format!("{:#}", second.unwrap_err());
    assert!(message.contains("another S3 server uses this folder"), "{message}");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let bed = Bed::start().await;
    let folder = tempfile::tempdir().unwrap();
    let second = Server::start(folder.path(), bed.server.addr(), "a", "b").await;
    assert!(format!("{:#}", second.unwrap_err()).contains("cannot listen on 127.0.0.1:"));
}

#[tokio::test]
async fn stopping_does_not_wait_for_idle_or_stuck_clients() {
    let bed = Bed::start().await;
    bed.put("k", b"x").await;
    let mut stuck = tokio::net::TcpStream::connect(bed.server.addr()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stuck, b"PUT /box/k HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(4), bed.server.stop()).await.unwrap();
}

/// Resident memory of this process in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn two_hundred_mebibytes_pass_in_flat_memory() {
    let bed = Bed::start().await;
    let file = bed.folder.path().join("source");
    let chunk = vec![0x5a; 1024 * 1024];
    let mut writer = std::fs::File::create(&file).unwrap();
    for _ in 0..200 {
        std::io::Write::write_all(&mut writer, &chunk).unwrap();
    }
    let before = resident_mib();
    let body = ByteStream::from_path(&file).await.unwrap();
    bed.s3.put_object().bucket("box").key("big").body(body).send().await.unwrap();
    let after_put = resident_mib();
    let mut body = bed.s3.get_object().bucket("box").key("big").send().await.unwrap().body;
    let (mut n_bytes, mut peak) = (0, 0);
    while let Some(bytes) = body.try_next().await.unwrap() {
        let bytes: Bytes = bytes;
        assert!(bytes.iter().all(|&byte| byte == 0x5a));
        n_bytes += bytes.len();
        peak = peak.max(resident_mib());
    }
    assert_eq!(n_bytes, 200 * 1024 * 1024);
    // Other tests run in this process at the same time: the bound is far above them and far below the object.
    assert!(after_put < before + 80 && peak < before + 80, "before {before}, after put {after_put}, peak {peak} MiB");
}
