//! What clients rely on, request by request as they send it. See MWDB API §A5, §A8 and §A9.

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{Api, Server, each, id, sorted};

/// The account of the reporter with the rights that the guide gives it (MWDB API §K1), by its API key.
async fn reporter(server: &Server, admin: &Api) -> Api {
    let capabilities = [
        "adding_tags",
        "adding_comments",
        "adding_parents",
        "adding_all_attributes",
        "adding_files",
        "adding_configs",
        "adding_blobs",
        "karton_assign",
        "unlimited_requests",
    ];
    server.user(admin, "karton", &capabilities).await;
    let key = admin.post_empty("user/karton/api_key").await.ok();
    server.with_token(key["token"].as_str().unwrap())
}

fn sha256(content: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(content.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

const ANALYSIS: &str = "91a521d0-4696-4df1-9188-c07c525a0808";

#[tokio::test]
async fn the_reporter_uploads_a_new_sample_below_its_parent() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let reporter = reporter(&server, &admin).await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let (parent, child) = (sha256("parent"), sha256("child"));
    reporter.get(&format!("file/{parent}")).await.missing();
    reporter.get("server").await.ok();
    reporter.upload("parent.exe", "parent", json!({"upload_as": "*"})).await.ok();
    reporter.get(&format!("file/{child}")).await.missing();
    let options = json!({"parent": parent, "upload_as": "*", "tags": [{"tag": "ripped:x"}], "attributes": [{"key": "k", "value": "v"}],
        "karton_id": ANALYSIS});
    let view = reporter.upload("child.exe", "child", options).await.ok();
    assert_eq!((each(&view["parents"], "id"), each(&view["tags"], "tag")), (vec![&json!(parent)], vec![&json!("ripped:x")]));
    assert_eq!(admin.get(&format!("file/{child}")).await.ok()["attributes"][0]["value"], "v");
    assert_eq!(reporter.get(&format!("object/{child}/comment")).await.ok(), json!([]));
    reporter.post(&format!("object/{child}/comment"), json!({"comment": "found"})).await.ok();
    assert_eq!(each(&reporter.get(&format!("object/{child}/karton")).await.ok()["analyses"], "id"), [ANALYSIS]);
}

#[tokio::test]
async fn the_released_reporter_adds_what_an_existing_sample_lacks() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let reporter = reporter(&server, &admin).await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let parent = id(&reporter.file("parent").await);
    let child = id(&reporter.file("child").await);
    reporter.get(&format!("file/{child}")).await.ok();
    reporter.put_empty(&format!("object/{parent}/child/{child}")).await.null();
    reporter.put(&format!("object/{child}/tag"), json!({"tag": "x"})).await.ok();
    reporter.post(&format!("object/{child}/attribute"), json!({"key": "k", "value": [1]})).await.ok();
    reporter.post(&format!("object/{child}/comment"), json!({"comment": "found"})).await.ok();
    let view = reporter.get(&format!("file/{child}")).await.ok();
    assert_eq!((each(&view["parents"], "id"), each(&view["tags"], "tag")), (vec![&json!(parent)], vec![&json!("x")]));
    assert_eq!(admin.get(&format!("file/{child}")).await.ok()["attributes"][0]["value"], json!([1]));
}

#[tokio::test]
async fn the_newer_reporter_uploads_an_existing_sample_again_and_all_of_it_merges() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let reporter = reporter(&server, &admin).await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let parent = id(&reporter.file("parent").await);
    let child = id(&reporter.upload("child", "child", json!({"tags": [{"tag": "old"}]})).await.ok());
    let options = json!({"parent": parent, "tags": [{"tag": "new"}], "attributes": [{"key": "k", "value": 1}], "karton_id": ANALYSIS});
    for _ in 0..2 {
        let view = reporter.upload("other name", "child", options.clone()).await.ok();
        assert_eq!(each(&view["parents"], "id"), [&json!(parent)]);
        assert_eq!(sorted(&view["tags"], "tag"), ["new", "old"]);
    }
    assert_eq!(each(&admin.get(&format!("file/{child}")).await.ok()["attributes"], "value"), [1]);
    assert_eq!(reporter.get(&format!("object/{child}/karton")).await.ok()["analyses"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_reporter_tags_the_blobs_of_a_config_that_was_there() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let reporter = reporter(&server, &admin).await;
    let cfg = json!({"raw": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "hello"}}});
    let dhash = "9889bc58d1bbe3b329b631533079bb7ab52e9605177d6245b7ec82238e701a79";
    reporter.get(&format!("config/{dhash}")).await.missing();
    let config = reporter.config(json!({"family": "f", "cfg": cfg, "config_type": "static", "karton_id": ANALYSIS})).await.ok();
    assert_eq!(config["id"], dhash);
    reporter.get(&format!("config/{dhash}")).await.ok();
    let blob = id(&config["children"][0]);
    assert_eq!(each(&reporter.put(&format!("object/{blob}/tag"), json!({"tag": "t"})).await.ok(), "tag"), ["t"]);
}

#[tokio::test]
async fn the_reporter_looks_for_a_blob_by_the_hash_of_its_content() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let reporter = reporter(&server, &admin).await;
    let parent = id(&reporter.file("parent").await);
    reporter.get(&format!("object/{parent}")).await.ok();
    let hash = sha256("zażółć");
    reporter.get(&format!("blob/{hash}")).await.missing();
    let body = json!({"blob_name": "n", "blob_type": "t", "content": "zażółć", "parent": parent, "karton_id": ANALYSIS});
    assert_eq!(reporter.post("blob", body).await.ok()["id"], json!(hash));
    reporter.get(&format!("blob/{hash}")).await.ok();
}

#[tokio::test]
async fn the_reporter_needs_the_right_to_assign() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["adding_files"]).await;
    alice.upload("a", "content", json!({"karton_id": ANALYSIS})).await.refused(403);
    alice.get(&format!("file/{}", sha256("content"))).await.missing();
}

#[tokio::test]
async fn other_hashes_than_sha256_are_found_as_files_only() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = admin.file("content").await;
    let md5 = file["md5"].as_str().unwrap();
    admin.get(&format!("object/{md5}")).await.missing();
    assert_eq!(admin.get(&format!("file/{md5}")).await.ok()["id"], file["id"]);
}

#[tokio::test]
async fn old_clients_download_by_an_address_they_ask_for() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    let url = admin.post_empty(&format!("request/sample/{file}")).await.ok()["url"].as_str().unwrap().to_owned();
    let token = url.rsplit('/').next().unwrap();
    assert_eq!(server.anonymous().get(&format!("download/{token}")).await.bytes, b"content");
    server.anonymous().get("download/rubbish").await.refused(403);
    admin.post_empty("request/sample/anything").await.missing();
}

#[tokio::test]
async fn a_path_that_is_no_route_is_404_or_405_whoever_asks() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let weak = server.user(&admin, "alice", &[]).await;
    let hash = "0".repeat(64);
    for client in [&server.anonymous(), &weak, &admin] {
        client.get("file/no-hash").await.no_route();
        client.delete("object/no-hash").await.no_route();
        client.post_empty("object/no-hash/karton").await.no_route();
        client.put_empty("thing/root/tag").await.no_route();
        client.delete("quick_query/first").await.no_route();
        for path in ["blob/root", "config/root", &format!("object/{hash}"), &format!("config/{hash}")] {
            client.post_empty(path).await.refused(405);
        }
        client.put_empty(&format!("file/{hash}")).await.refused(405);
        client.put_empty(&format!("file/{hash}/favorite")).await.no_route();
    }
}

#[tokio::test]
async fn a_disabled_account_is_refused_on_every_route_by_its_key() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let key = admin.post_empty("user/alice/api_key").await.ok()["token"].as_str().unwrap().to_owned();
    admin.put("user/alice", json!({"disabled": true})).await.ok();
    let alice = server.with_token(&key);
    for path in ["ping", "server", "file", "download/x", "auth/validate"] {
        alice.get(path).await.refused(403);
    }
    alice.post("auth/login", json!({"login": "admin", "password": crate::harness::PASSWORD})).await.refused(403);
    // Nobody learns of routes by it that there are none.
    alice.get("nothing").await.no_route();
}

#[tokio::test]
async fn under_maintenance_anonymous_routes_go_on() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    server.stop().await;
    server.start_again(|config| config.enable_maintenance = true).await;
    server.anonymous().get("ping").await.ok();
    let refusal = server.with_token(alice.token.as_ref().unwrap()).get("ping").await.refused(403);
    assert!(refusal.contains("Maintenance underway"), "{refusal}");
    server.anonymous().get("auth/validate").await.refused(401);
}

#[tokio::test]
async fn a_token_of_another_server_is_anonymous_here() {
    let here = Server::start().await;
    let there = Server::with(|config| config.base_url = "http://elsewhere".to_owned()).await;
    let admin = there.admin().await;
    let key = admin.post_empty("user/admin/api_key").await.ok()["token"].clone();
    for token in [admin.token.as_deref().unwrap(), key.as_str().unwrap()] {
        there.with_token(token).get("auth/validate").await.ok();
        here.with_token(token).get("auth/validate").await.refused(401);
        assert_eq!(here.with_token(token).get("server").await.ok()["is_authenticated"], false);
    }
}

#[tokio::test]
async fn rights_of_public_and_of_the_own_group_add_up() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let file = id(&alice.file("content").await);
    let path = format!("object/{file}/attribute");
    let allow = async |group: &str, can_read: bool, can_set: bool| {
        admin.put("attribute/k/permissions", json!({"group_name": group, "can_read": can_read, "can_set": can_set})).await.ok();
    };
    alice.post(&path, json!({"key": "k", "value": 1})).await.missing();
    allow("alice", false, true).await;
    assert_eq!(alice.post(&path, json!({"key": "k", "value": 1})).await.ok(), json!({"attributes": []}), "set, not read");
    allow("public", true, false).await;
    assert_eq!(each(&alice.get(&path).await.ok()["attributes"], "value"), [1]);
    alice.post(&path, json!({"key": "k", "value": 2})).await.ok();
}

#[tokio::test]
async fn attributes_of_a_quarter_megabyte_are_values() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let file = id(&admin.file("content").await);
    let value = json!({"a": "x".repeat(128 << 10), "b": "y".repeat(128 << 10)});
    let path = format!("object/{file}/attribute");
    admin.post(&path, json!({"key": "k", "value": value})).await.ok();
    assert_eq!(admin.get(&path).await.ok()["attributes"][0]["value"], value);
}

#[tokio::test]
async fn parents_that_one_does_not_see_are_left_out() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let (alice, bob) = (server.user(&admin, "alice", &["adding_parents"]).await, server.user(&admin, "bob", &["adding_parents"]).await);
    let (one, other) = (id(&alice.file("alice's").await), id(&bob.file("bob's").await));
    let child = alice.child_of(&one, "child").await;
    assert_eq!(bob.child_of(&other, "child").await, child);
    let seen = |view: Value| sorted(&view["parents"], "id");
    assert_eq!(seen(alice.get(&format!("file/{child}")).await.ok()), std::slice::from_ref(&one));
    assert_eq!(seen(bob.get(&format!("file/{child}/relations")).await.ok()), std::slice::from_ref(&other));
    let mut both = [one, other];
    both.sort();
    assert_eq!(seen(admin.get(&format!("object/{child}")).await.ok()), both);
}

#[tokio::test]
async fn a_config_with_an_embedded_blob_is_one_analysis() {
    let bed = crate::karton::Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let cfg = json!({"raw": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "embedded"}}});
    let config = admin.config(json!({"family": "f", "cfg": cfg})).await.ok();
    assert_eq!(admin.get(&format!("config/{}/karton", id(&config))).await.ok()["analyses"].as_array().unwrap().len(), 1);
    let blob = id(&config["children"][0]);
    assert_eq!(admin.get(&format!("blob/{blob}/karton")).await.ok(), json!({"status": "not_analyzed", "analyses": []}));
}

#[tokio::test]
async fn metakey_karton_assigns_and_reads_analyses_but_is_no_attribute() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["removing_attributes"]).await;
    let file = id(&alice.file("content").await);
    let meta = format!("file/{file}/meta");
    let karton = json!({"key": "karton", "value": ANALYSIS});
    // A missing right looks like a key that cannot be set.
    alice.post(&meta, karton.clone()).await.missing();
    admin.post(&meta, json!({"key": "karton", "value": "no uuid"})).await.refused(400);
    assert_eq!(admin.post(&meta, karton.clone()).await.ok(), json!({"metakeys": [karton]}));
    assert_eq!(alice.get(&meta).await.ok(), json!({"metakeys": [karton]}), "whoever sees the object sees them");
    admin.post(&format!("file/{file}/attribute"), karton.clone()).await.missing();
    assert_eq!(admin.get(&format!("file/{file}/attribute")).await.ok(), json!({"attributes": []}));
    admin.delete(&format!("{meta}?key=karton")).await.missing();
    let other = id(&admin.upload("a", "other", json!({"metakeys": [karton]})).await.ok());
    assert_eq!(each(&admin.get(&format!("file/{other}/karton")).await.ok()["analyses"], "id"), [ANALYSIS]);
    admin.upload("a", "third", json!({"metakeys": [karton], "karton_id": "91a521d0-4696-4df1-9188-c07c525a0809"})).await.refused(400);
    admin.upload("a", "third", json!({"attributes": [karton]})).await.missing();
}

#[tokio::test]
async fn passwords_beyond_72_bytes_are_refused_before_anything_is_looked_up() {
    let server = Server::start().await;
    let long = json!({"login": "nobody", "password": "x".repeat(80)});
    server.anonymous().post("auth/login", long).await.refused(400);
}

#[tokio::test]
async fn the_session_of_the_web_interface_has_all_that_it_asks_for() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let session = admin.post_empty("auth/refresh").await.ok();
    for key in ["token", "login", "groups", "capabilities"] {
        assert!(session[key].is_string() || session[key].as_array().is_some_and(|list| !list.is_empty()), "{key}");
    }
    let header = session["token"].as_str().unwrap().split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&BASE64_STANDARD_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!(header["alg"], "HS512");
    assert_eq!(admin.get("remote").await.ok(), json!({"remotes": []}));
    assert_eq!(admin.get("user?pending=1").await.ok(), json!({"users": []}));
}

#[tokio::test]
async fn someone_who_sees_everything_sees_no_shares_by_that() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let watcher = server.user(&admin, "watcher", &["access_all_objects"]).await;
    let file = id(&alice.file("content").await);
    assert!(watcher.sees(&file).await);
    assert_eq!(watcher.get(&format!("file/{file}/share")).await.ok()["shares"], json!([]));
    admin.put("group/watcher", json!({"capabilities": []})).await.ok();
    assert!(!watcher.sees(&file).await, "a right is checked live");
}

#[tokio::test]
async fn an_upload_names_one_analysis_once() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let metakey = json!({"key": "karton", "value": ANALYSIS});
    for options in [
        json!({"metakeys": [metakey], "karton_id": ANALYSIS}),
        json!({"metakeys": [metakey, metakey]}),
        json!({"metakeys": [{"key": "karton", "value": "22222222-1111-1111-1111-111111111111"}], "karton_id": ANALYSIS}),
    ] {
        admin.upload("a", "content", options).await.refused(400);
    }
    admin.get(&format!("file/{}", sha256("content"))).await.missing();
    admin.upload("a", "content", json!({"metakeys": [metakey]})).await.ok();
}
