//! Encrypted zips, and the deprecated administration of metakeys. See MWDB API §O12 and §O10.

use std::io::{Cursor, Read};

use serde_json::{Value, json};

use crate::harness::{Server, each, id};

fn unpacked(zip: Vec<u8>, name: &str, password: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).expect("a zip");
    assert_eq!(archive.len(), 1);
    let mut content = Vec::new();
    archive.by_name_decrypt(name, password.as_bytes()).expect("the entry").read_to_end(&mut content).expect("the password");
    content
}

#[tokio::test]
async fn a_zip_holds_the_file_under_its_name_and_the_known_password() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let content = b"MZ this could be harmful".repeat(1000);
    let file = admin.upload("sam ple.bin", content.clone(), Value::Null).await.ok();
    let path = format!("file/{}/download/zip", id(&file));
    let reply = admin.get(&path).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-disposition"), format!("attachment; filename={}", id(&file)));
    assert!(unpacked(reply.bytes, "sam_ple.bin", "infected") == content);
    server.anonymous().get(&path).await.refused(401);
    let token = admin.post_empty(&path).await.ok()["token"].as_str().expect("a token").to_owned();
    let by_token = server.anonymous().get(&format!("{path}?token={token}")).await;
    assert!(unpacked(by_token.bytes, "sam_ple.bin", "infected") == content);
    server.anonymous().get(&format!("{path}?token=x{token}")).await.refused(403);
    assert_eq!(server.stored_files().len(), 1, "nothing is left in the staging folder");
}

#[tokio::test]
async fn the_zip_password_is_a_setting_and_a_file_without_name_goes_by_its_hash() {
    let server = Server::with(|config| config.zip_download_password = "other".to_owned()).await;
    let admin = server.admin().await;
    let file = id(&admin.upload("施也", "content", Value::Null).await.ok());
    let zip = admin.get(&format!("file/{file}/download/zip")).await.bytes;
    assert_eq!(unpacked(zip, &file, "other"), b"content");
}

#[tokio::test]
async fn metakeys_are_administered_under_their_old_names() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let user = server.user(&admin, "alice", &[]).await;
    let body = json!({"template": "http://x/$value", "label": "L", "description": "D", "hidden": false});
    let defined = admin.post("meta/manage/Source", body.clone()).await.ok();
    assert_eq!(defined, json!({"key": "source", "template": "http://x/$value", "label": "L", "description": "D", "hidden": false}));
    admin.post("meta/manage/source", body).await.refused(409);
    user.get("meta/manage").await.refused(403);
    let rights = json!({"can_read": true, "can_set": false});
    let shared = admin.put("meta/manage/source/permissions/public", rights).await.ok();
    assert_eq!(shared["permissions"], json!([{"group_name": "public", "can_read": true, "can_set": false}]));
    assert_eq!(each(&user.get("meta/list/read").await.ok()["metakeys"], "key"), ["source"]);
    assert_eq!(user.get("meta/list/set").await.ok(), json!({"metakeys": []}));
    let changed = admin.put("meta/manage/source", json!({"label": "M"})).await.ok();
    assert_eq!((&changed["label"], &changed["description"]), (&json!("M"), &json!("D")));
    assert_eq!(each(&admin.get("meta/manage").await.ok()["metakeys"], "label"), ["M"]);
    admin.delete("meta/manage/source/permissions/public").await.null();
    assert_eq!(admin.get("meta/manage/source").await.ok()["permissions"], json!([]));
    admin.delete("meta/manage/source").await.null();
    admin.delete("meta/manage/source").await.missing();
}
