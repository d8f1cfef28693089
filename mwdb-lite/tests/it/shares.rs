//! Shares, as different callers see them. See MWDB API §U8.

use serde_json::{Value, json};

use crate::harness::{Api, Server, each, id, sorted};

async fn rows(api: &Api, file: &str) -> Vec<(String, String)> {
    let shares = api.get(&format!("file/{file}/share")).await.ok()["shares"].clone();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    shares.as_array().unwrap().iter().map(|row| (text(row, "group_name"), text(row, "reason_type"))).collect()
}

fn row(group: &str, reason: &str) -> (String, String) {
    (group.to_owned(), reason.to_owned())
}

#[tokio::test]
async fn shares_are_shown_to_those_they_concern() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let bob = server.user(&admin, "bob", &[]).await;
    let carol = server.user(&admin, "carol", &[]).await;
    server.group(&admin, "team", &[&alice, &bob]).await;
    let file = id(&alice.file("content").await);
    assert_eq!(rows(&alice, &file).await, [row("alice", "added"), row("team", "shared")]);
    assert_eq!(rows(&bob, &file).await, [row("alice", "added"), row("team", "shared")]);
    let path = format!("file/{file}/share");
    let reply = alice.put(&path, json!({"group": "public"})).await.ok();
    assert_eq!(sorted(&reply["shares"], "group_name"), ["public", "team"]);
    assert_eq!(reply.as_object().unwrap().len(), 1);
    alice.put(&path, json!({"group": "public"})).await.ok();
    // A stranger sees the public row and not the uploader.
    assert_eq!(rows(&carol, &file).await, [row("public", "shared")]);
    let shares = carol.get(&path).await.ok();
    let expected = json!({"group_name": "public", "access_time": shares["shares"][0]["access_time"], "reason_type": "shared",
        "related_object_dhash": file, "related_object_type": "file", "related_user_login": "alice",
        "access_reason": format!("shared file:{file} by user:alice")});
    assert_eq!(shares["shares"], json!([expected]));
    let mut groups: Vec<&str> = shares["groups"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    groups.sort_unstable();
    assert_eq!(groups, ["public", "registered"]);
    // With the rights, everything.
    assert_eq!(rows(&admin, &file).await, [row("alice", "added"), row("team", "shared"), row("public", "shared")]);
    admin.put("group/carol", json!({"capabilities": ["access_uploader_info"]})).await.ok();
    assert_eq!(rows(&carol, &file).await, [row("alice", "added"), row("public", "shared")]);
    // A second uploader.
    carol.file("content").await;
    assert_eq!(rows(&carol, &file).await, [row("alice", "added"), row("carol", "added"), row("public", "shared")]);
}

#[tokio::test]
async fn sharing_has_its_refusals() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let bob = server.user(&admin, "bob", &[]).await;
    server.group(&admin, "team", &[&bob]).await;
    let file = id(&alice.file("content").await);
    let path = format!("file/{file}/share");
    alice.put(&path, json!({"group": "nothing"})).await.missing();
    alice.put(&path, json!({"group": "team"})).await.missing();
    alice.put(&path, json!({"group": "bob"})).await.missing();
    alice.put(&path, json!({"group": "alice"})).await.refused(403);
    alice.put(&path, json!({"group": "a b"})).await.refused(400);
    alice.put(&path, json!({})).await.refused(400);
    alice.put(&path, json!({"group": null})).await.refused(400);
    bob.put(&path, json!({"group": "public"})).await.missing();
    assert!(!bob.sees(&file).await);
    admin.put("group/alice", json!({"capabilities": ["sharing_with_all"]})).await.ok();
    alice.put(&path, json!({"group": "bob"})).await.ok();
    assert!(bob.sees(&file).await);
}

#[tokio::test]
async fn groups_to_share_with() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    server.user(&admin, "bob", &[]).await;
    server.group(&admin, "team", &[&alice]).await;
    server.group(&admin, "other", &[]).await;
    let names = |reply: Value| {
        let mut names: Vec<String> = reply["groups"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(alice.get("share").await.ok()), ["alice", "public", "registered", "team"]);
    assert_eq!(names(admin.get("share").await.ok()), ["admin", "alice", "bob", "other", "public", "registered", "team"]);
}

#[tokio::test]
async fn the_row_of_the_uploader_comes_first() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.group(&admin, "crew", &[]).await;
    let alice = server.user(&admin, "alice", &["adding_files"]).await;
    admin.post_empty("group/crew/member/alice").await.ok();
    let file = id(&alice.file("x").await);
    let shares = alice.get(&format!("object/{file}/share")).await.ok()["shares"].clone();
    let times: Vec<&str> = each(&shares, "access_time").into_iter().filter_map(Value::as_str).collect();
    assert_eq!(each(&shares, "group_name"), ["alice", "crew"]);
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn an_upload_that_is_gone_leaves_access_but_no_row() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["adding_files", "adding_parents", "removing_objects"]).await;
    let parent = id(&alice.file("parent").await);
    let child = id(&admin.upload("child", "child", json!({"parent": parent})).await.ok());
    alice.put(&format!("object/{parent}/share"), json!({"group": "public"})).await.ok();
    assert!(rows(&alice, &child).await.contains(&("alice".to_owned(), "added".to_owned())));
    alice.delete(&format!("object/{parent}")).await.null();
    assert!(alice.sees(&child).await);
    assert_eq!(rows(&alice, &child).await, [("public".to_owned(), "shared".to_owned())]);
}
