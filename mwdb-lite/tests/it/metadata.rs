//! Tags, comments, relations, saved searches. See MWDB API §O6 to §O8 and §O13.

use serde_json::{Value, json};

use crate::harness::{Server, each, id, keys};

#[tokio::test]
async fn tags_are_normalised_added_and_removed() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let path = format!("file/{}/tag", id(&admin.file("content").await));
    let put = |tag: &str| admin.put(&path, json!({"tag": tag}));
    assert_eq!(put("zeta").await.ok(), json!([{"tag": "zeta"}]));
    assert_eq!(put("  FOO  Bar ").await.ok(), json!([{"tag": "zeta"}, {"tag": "foo  bar"}]));
    assert_eq!(put("Zeta").await.ok(), json!([{"tag": "zeta"}, {"tag": "foo  bar"}]));
    put("ŻÓŁĆ").await.ok();
    assert_eq!(admin.get(&path).await.ok(), json!([{"tag": "zeta"}, {"tag": "foo  bar"}, {"tag": "żółć"}]));
    put("").await.refused(400);
    put(" \t").await.refused(400);
    admin.put(&path, json!({"tag": 1})).await.refused(400);
    admin.put(&path, json!({})).await.refused(400);
    admin.delete(&path).await.refused(400);
    assert_eq!(admin.delete(&format!("{path}?tag=Foo%20%20bar")).await.ok(), json!([{"tag": "zeta"}, {"tag": "żółć"}]));
    assert_eq!(admin.delete(&format!("{path}?tag=absent")).await.ok(), json!([{"tag": "zeta"}, {"tag": "żółć"}]));
    assert_eq!(admin.delete(&format!("{path}?tag=%C5%BB%C3%93%C5%81%C4%86")).await.ok(), json!([{"tag": "zeta"}]));
    let alice = server.user(&admin, "alice", &[]).await;
    alice.put(&path, json!({"tag": "x"})).await.refused(403);
    alice.delete(&format!("{path}?tag=x")).await.refused(403);
}

#[tokio::test]
async fn tags_are_completed_by_a_literal_prefix() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let tags = json!([{"tag": "feed:a"}, {"tag": "feed:b"}, {"tag": "fe%d"}, {"tag": "other"}]);
    admin.upload("a", "1", json!({"tags": tags, "upload_as": "public"})).await.ok();
    admin.upload("a", "2", json!({"tags": [{"tag": "feed:secret"}, {"tag": "feed:a"}], "upload_as": "private"})).await.ok();
    assert_eq!(alice.get("tag?query=feed").await.ok(), json!([{"tag": "feed:a"}, {"tag": "feed:b"}]));
    assert_eq!(admin.get("tag?query=feed").await.ok(), json!([{"tag": "feed:a"}, {"tag": "feed:b"}, {"tag": "feed:secret"}]));
    assert_eq!(alice.get("tag?query=fe%25").await.ok(), json!([{"tag": "fe%d"}]));
    assert_eq!(alice.get("tag?query=f_ed").await.ok(), json!([]));
    assert_eq!(alice.get("tag?query=FEED").await.ok(), json!([]));
    assert_eq!(alice.get("tag?query=f&count=2").await.ok(), json!([{"tag": "fe%d"}, {"tag": "feed:a"}]));
    assert_eq!(alice.get("tag").await.ok().as_array().unwrap().len(), 4);
    assert_eq!(alice.get("tag?count=18446744073709551615").await.ok().as_array().unwrap().len(), 4);
    alice.get("tag?query=f&count=x").await.refused(400);
}

#[tokio::test]
async fn comments_are_added_and_removed() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["adding_comments"]).await;
    let path = format!("file/{}/comment", id(&alice.file("content").await));
    let first = alice.post(&path, json!({"comment": "hello\nąę"})).await.ok();
    assert_eq!((&first["author"], &first["comment"]), (&json!("alice"), &json!("hello\nąę")));
    assert!(first["id"].is_u64() && first["timestamp"].as_str().unwrap().ends_with("+00:00"));
    alice.post(&path, json!({"comment": " "})).await.ok();
    alice.post(&path, json!({"comment": ""})).await.refused(400);
    alice.post(&path, json!({"comment": null})).await.refused(400);
    let list = admin.get(&path).await.ok();
    assert_eq!(each(&list, "comment"), [&json!("hello\nąę"), &json!(" ")]);
    let one = format!("{path}/{}", first["id"]);
    alice.delete(&one).await.refused(403);
    // A comment of another object is not there.
    let other = id(&admin.file("other").await);
    admin.delete(&format!("file/{other}/comment/{}", first["id"])).await.missing();
    admin.delete(&one).await.null();
    admin.delete(&one).await.missing();
    admin.delete(&format!("{path}/x")).await.no_route();
    let carol = server.user(&admin, "carol", &[]).await;
    carol.post(&path, json!({"comment": "x"})).await.refused(403);
}

#[tokio::test]
async fn relations_are_listed_newest_first_up_to_a_hundred() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let parent = id(&admin.file("parent").await);
    let mut last = String::new();
    for n in 0..102 {
        let blob = json!({"blob_name": "n", "blob_type": "t", "content": format!("blob {n}"), "parent": parent});
        last = id(&admin.post("blob", blob).await.ok());
    }
    let config = id(&admin.config(json!({"family": "f", "cfg": {}, "parent": parent})).await.ok());
    let relations = admin.get(&format!("file/{parent}/relations")).await.ok();
    let children = relations["children"].as_array().unwrap();
    assert_eq!(children.len(), 101);
    assert!(children.iter().any(|child| child["id"] == json!(config)));
    let first = children.iter().find(|child| child["type"] == "text_blob").unwrap();
    assert_eq!(first["id"], json!(last));
    assert_eq!(keys(first), ["id", "tags", "type", "upload_time"]);
    // The type word is that of the parent; the child is any object.
    admin.put_empty(&format!("blob/{parent}/child/{last}")).await.missing();
    admin.put_empty(&format!("blob/{last}/child/{parent}")).await.null();
    assert_eq!(admin.get(&format!("file/{parent}")).await.ok()["parents"][0]["id"], json!(last));
    admin.put_empty(&format!("file/{parent}/child/xyz")).await.no_route();
}

#[tokio::test]
async fn saved_searches_belong_to_user_and_type() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let body = json!({"name": "mine", "query": "tag:x AND (", "type": "blob"});
    let saved = alice.post("file/quick_query", body.clone()).await.ok();
    assert_eq!(saved, json!({"id": saved["id"], "name": "mine", "query": "tag:x AND (", "type": "file"}));
    assert_eq!(alice.get("file/quick_query").await.ok(), json!([saved]));
    assert_eq!(alice.get("blob/quick_query").await.ok(), json!([]));
    assert_eq!(admin.get("file/quick_query").await.ok(), json!([]));
    for missing in ["name", "query", "type"] {
        let mut bad = body.clone();
        bad[missing] = Value::Null;
        alice.post("file/quick_query", bad).await.refused(400);
    }
    alice.post("file/quick_query", json!({"name": "", "query": "", "type": "file"})).await.refused(400);
    let path = format!("quick_query/{}", saved["id"]);
    admin.delete(&path).await.missing();
    alice.delete(&path).await.null();
    alice.delete(&path).await.missing();
    admin.put("group/registered", json!({"capabilities": []})).await.ok();
    alice.post("file/quick_query", body).await.refused(403);
    alice.get("file/quick_query").await.ok();
}

#[tokio::test]
async fn no_number_of_tags_is_any() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let path = format!("file/{}/tag", id(&admin.file("content").await));
    for tag in ["aa", "ab", "b"] {
        admin.put(&path, json!({"tag": tag})).await.ok();
    }
    assert_eq!(admin.get("tag?query=a&count=0").await.ok(), json!([{"tag": "aa"}, {"tag": "ab"}]));
    assert_eq!(admin.get("tag?query=a&count=1&count=2").await.ok(), json!([{"tag": "aa"}]));
    admin.get("tag?query=a&count=-1").await.refused(400);
}

#[tokio::test]
async fn tags_and_comments_have_a_longest() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    let (fits, long) = ("\u{105}".repeat(4096), "x".repeat(4097));
    admin.put(&format!("file/{file}/tag"), json!({"tag": fits})).await.ok();
    admin.put(&format!("file/{file}/tag"), json!({"tag": long})).await.refused(400);
    admin.upload("a", "other", json!({"tags": [{"tag": long}]})).await.refused(400);
    // One from before there was a longest can be taken away.
    let request = admin.request(reqwest::Method::DELETE, &format!("file/{file}/tag")).query(&[("tag", &long)]);
    admin.send(request).await.ok();
    let (fits, long) = ("\u{105}".repeat(262_144), "x".repeat(262_145));
    admin.post(&format!("file/{file}/comment"), json!({"comment": fits})).await.ok();
    admin.post(&format!("file/{file}/comment"), json!({"comment": long})).await.refused(400);
    let many = vec![json!({"tag": "t"}); 10_001];
    admin.upload("a", "many", json!({"tags": many})).await.refused(400);
    assert_eq!(admin.get("file/count").await.ok()["count"], 1);
}

#[tokio::test]
async fn separators_of_python_are_blanks_around_a_tag() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("x").await);
    for tag in ["a", "\u{1f}a\u{1c}", "\u{a0}A\u{2003}", "a\u{85}", "\u{1e}\t a"] {
        let tags = admin.put(&format!("object/{file}/tag"), json!({"tag": tag})).await.ok();
        assert_eq!(tags, json!([{"tag": "a"}]), "{tag:?}");
    }
    admin.put(&format!("object/{file}/tag"), json!({"tag": "\u{1d} "})).await.refused(400);
}

#[tokio::test]
async fn the_type_of_a_saved_search_is_that_of_the_path() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let saved = admin.post("config/quick_query", json!({"name": "n", "query": "q", "type": "a\u{0}b"})).await.ok();
    assert_eq!(saved["type"], "config");
}
