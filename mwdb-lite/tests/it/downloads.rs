//! Downloads: whole, in part, by token. See MWDB API §O12.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Server, id};

fn content() -> Vec<u8> {
    (0..655_361u32).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_sent() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let content = content();
    let file = admin.upload("a", content.clone(), Value::Null).await.ok();
    let hash = id(&file);
    let path = format!("file/{hash}/download");
    let reply = admin.get(&path).await;
    assert_eq!(reply.status, 200);
    assert!(reply.bytes == content);
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    assert_eq!(reply.header("content-length"), "655361");
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(reply.header("content-disposition"), format!("attachment; filename={hash}"));
    let turned: Vec<u8> = content.iter().map(|byte| !byte).collect();
    assert!(admin.get(&format!("{path}?obfuscate=1")).await.bytes == turned);
    assert!(admin.get(&format!("{path}?obfuscate=0&token=")).await.bytes == content);
    assert!(admin.get(&format!("file/{}/download", file["md5"].as_str().unwrap())).await.bytes == content);
    server.anonymous().get(&path).await.refused(401);
    admin.get(&format!("file/{}/download", "0".repeat(64))).await.missing();
    let blob = id(&admin.blob("text").await);
    admin.get(&format!("file/{blob}/download")).await.missing();
}

#[tokio::test]
async fn parts_are_served_and_bad_ranges_refused() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let content = content();
    let path = format!("file/{}/download", id(&admin.upload("a", content.clone(), Value::Null).await.ok()));
    let range = |query: &'static str, range: &'static str| {
        let request = admin.request(reqwest::Method::GET, &format!("{path}{query}")).header("Range", range);
        let admin = admin.clone();
        async move { admin.send(request).await }
    };
    let check = |reply: Reply, start: usize, end: usize| {
        assert_eq!(reply.status, 206);
        assert_eq!(reply.header("content-range"), format!("bytes {start}-{end}/655361"));
        assert!(reply.bytes == content[start..=end]);
    };
    check(range("", "bytes=0-9").await, 0, 9);
    check(range("", "bytes=655360-").await, 655_360, 655_360);
    check(range("", "BYTES = 10 - 9999999").await, 10, 655_360);
    check(range("", "bytes=-100").await, 655_261, 655_360);
    for whole in ["", "bytes=-0"] {
        let reply = range("", whole).await;
        assert!(reply.status == 200 && reply.bytes == content, "{whole}");
    }
    let reply = range("?obfuscate=1", "bytes=100-199").await;
    assert!(reply.bytes == content[100..200].iter().map(|byte| !byte).collect::<Vec<u8>>());
    for bad in ["bytes=655361-", "bytes=5-4", "bytes=-100-", "bytes=a-b", "bytes=0-1,5-6", "lines=0-1", "rubbish"] {
        let reply = range("", bad).await;
        reply.refused(416);
        assert_eq!(reply.header("content-range"), "bytes */655361");
    }
}

#[tokio::test]
async fn a_token_downloads_without_login() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = admin.file("content").await;
    let hash = id(&file);
    let other = id(&admin.file("other").await);
    let path = format!("file/{hash}/download");
    let anonymous = server.anonymous();
    let token = admin.post_empty(&path).await.ok()["token"].as_str().unwrap().to_owned();
    anonymous.post_empty(&path).await.refused(401);
    assert_eq!(anonymous.get(&format!("{path}?token={token}")).await.text(), "content");
    let sha512 = file["sha512"].as_str().unwrap();
    assert_eq!(anonymous.get(&format!("file/{sha512}/download?token={token}")).await.text(), "content");
    anonymous.get(&format!("file/{other}/download?token={token}")).await.refused(403);
    anonymous.get(&format!("{path}?token=rubbish")).await.refused(403);
    let session = admin.token.clone().unwrap();
    anonymous.get(&format!("{path}?token={session}")).await.refused(403);
    // A download token is no login.
    server.with_token(&token).get("auth/validate").await.refused(401);
    // The older way.
    let url = admin.post_empty(&format!("request/sample/{hash}")).await.ok()["url"].as_str().unwrap().to_owned();
    assert_eq!(anonymous.get(url.trim_start_matches('/')).await.text(), "content");
    admin.post_empty("request/sample/nothing").await.missing();
    anonymous.get("download/rubbish").await.refused(403);
    let expired = {
        let claims = json!({"iat": 1, "exp": 2, "aud": "http://127.0.0.1", "scope": "download_file", "identifier": hash});
        let key = jsonwebtoken::EncodingKey::from_secret(crate::harness::SECRET.as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS512), &claims, &key).unwrap()
    };
    anonymous.get(&format!("{path}?token={expired}")).await.refused(403);
}

#[tokio::test]
async fn only_one_value_turns_content_over() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let path = format!("file/{}/download", id(&admin.file("content").await));
    for plain in ["", "x", "0", "true", "2", "-1", "%201", "0&obfuscate=1"] {
        assert_eq!(admin.get(&format!("{path}?obfuscate={plain}")).await.bytes, b"content", "{plain}");
    }
    assert_ne!(admin.get(&format!("{path}?obfuscate=1&obfuscate=0")).await.bytes, b"content");
}

#[tokio::test]
async fn old_addresses_give_whole_files_and_say_so() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("0123456789").await);
    let url = admin.post_empty(&format!("request/sample/{file}")).await.ok()["url"].as_str().unwrap().to_owned();
    let request = server.anonymous().request(Method::GET, url.trim_start_matches('/')).header("Range", "bytes=0-3");
    let reply = admin.send(request).await;
    assert_eq!((reply.status.as_u16(), reply.text().as_str(), reply.header("accept-ranges")), (200, "0123456789", ""));
    assert_eq!(admin.get(&format!("file/{file}/download")).await.header("accept-ranges"), "bytes");
}

#[tokio::test]
async fn a_range_may_end_beyond_all_numbers() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("0123456789").await);
    let ask = |range: &'static str| admin.request(Method::GET, &format!("file/{file}/download")).header("Range", range);
    let reply = admin.send(ask("bytes=4-99999999999999999999")).await;
    assert_eq!((reply.status.as_u16(), reply.text().as_str(), reply.header("content-range")), (206, "456789", "bytes 4-9/10"));
    admin.send(ask("bytes=99999999999999999999-")).await.refused(416);
}
