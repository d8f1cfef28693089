//! The query language through the API. See MWDB search.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Api, PASSWORD, Server, id};

/// How many objects of a type word a query finds: by count and by list, which must agree.
pub(crate) async fn found(api: &Api, word: &str, query: &str) -> u64 {
    let ask = |path: String| api.request(Method::GET, &path).query(&[("query", query), ("count", "1000")]);
    let count = api.send(ask(format!("{word}/count"))).await;
    assert_eq!(count.status, 200, "{query}: {}", count.text());
    let count = count.json()["count"].as_u64().unwrap();
    let list = api.send(ask(word.to_owned())).await.ok();
    assert_eq!(list[format!("{word}s")].as_array().unwrap().len() as u64, count, "{query}");
    count
}

/// The refusal of a query, which names the column.
#[track_caller]
pub(crate) fn refused(reply: crate::harness::Reply, query: &str) -> String {
    assert_eq!(reply.status.as_u16(), 400, "{query}: {}", reply.text());
    let message = reply.refused(400);
    assert!(message.contains("column"), "{query}: {message}");
    message
}

pub(crate) async fn refuse(api: &Api, word: &str, query: &str) -> String {
    let ask = |path: String| api.request(Method::GET, &path).query(&[("query", query)]);
    refused(api.send(ask(word.to_owned())).await, query);
    refused(api.send(ask(format!("{word}/count"))).await, query)
}

pub(crate) async fn define(admin: &Api, key: &str, hidden: bool) {
    let body = json!({"key": key, "label": "", "description": "", "hidden": hidden});
    admin.post("attribute", body).await.ok();
}

#[tokio::test]
async fn attributes_that_one_may_not_read_cannot_be_found_out() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    for (key, hidden) in [("secret", true), ("open", false), ("foreign", false)] {
        define(&admin, key, hidden).await;
        if key != "foreign" {
            admin
                .put(&format!("attribute/{key}/permissions"), json!({"group_name": "alice", "can_read": true, "can_set": false}))
                .await
                .ok();
        }
    }
    let attributes = json!([{"key": "secret", "value": "token"}, {"key": "open", "value": "token"}, {"key": "foreign", "value": "token"}]);
    admin.upload("a", "content", json!({"upload_as": "alice", "attributes": attributes})).await.ok();
    assert_eq!(found(&alice, "file", "attribute.open:tok*").await, 1);
    assert_eq!(found(&alice, "file", "attribute.secret:token").await, 1);
    for bad in ["attribute.secret:tok*", "attribute.secret:>a", "attribute.foreign:token", "attribute.missing:token"] {
        refuse(&alice, "file", bad).await;
    }
    let foreign = refuse(&alice, "file", "attribute.foreign:token").await.replace("foreign", "?");
    let missing = refuse(&alice, "file", "attribute.missing:token").await.replace("missing", "?");
    assert_eq!(foreign, missing);
    assert_eq!(found(&admin, "file", "attribute.secret:tok*").await, 1);
}

#[tokio::test]
async fn files_are_found_by_what_is_known_of_them() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = admin.upload("Invoice_100%.doc", "x".repeat(1331), json!({"tags": [{"tag": "Emotet"}, {"tag": "feed:mail"}]})).await.ok();
    admin.upload("second.exe", "x".repeat(1331), Value::Null).await.ok();
    admin.upload("other.bin", "y", json!({"tags": [{"tag": "emo"}]})).await.ok();
    admin.post(&format!("file/{}/comment", id(&file)), json!({"comment": "a packed one"})).await.ok();
    let text = |key: &str| file[key].as_str().unwrap().to_owned();
    let hashes = ["md5", "sha1", "sha256", "sha512", "crc32"].map(|key| (key, text(key)));
    for (key, hash) in &hashes {
        assert_eq!(found(&admin, "file", &format!("{key}:{hash}")).await, 1, "{key}");
        assert_eq!(found(&admin, "file", &format!("{key}:{}*", &hash[..6])).await, 1, "{key}");
        assert_eq!(found(&admin, "file", &format!("{key}:{}", hash.to_uppercase())).await, 0, "{key}");
        assert_eq!(found(&admin, "file", &format!("multi:{hash}")).await, 1, "{key}");
    }
    let all = hashes.iter().map(|(_, hash)| hash.as_str()).collect::<Vec<_>>().join(" ");
    assert_eq!(found(&admin, "file", &format!("multi:\"{all}\"")).await, 1);
    assert_eq!(found(&admin, "file", &format!("NOT multi:\"{all}\"")).await, 1);
    let escaped = text("ssdeep").replace(':', "\\:").replace('/', "\\/").replace('+', "\\+");
    let queries = [
        (format!("ssdeep:{escaped}"), 1),
        (format!("dhash:{}", id(&file)), 1),
        (format!("dhash:{}*", &id(&file)[..10]), 1),
        ("name:Invoice_100.doc".into(), 1),
        ("name:second.exe".into(), 1),
        ("name:*.exe".into(), 1),
        ("name:invoice*".into(), 0),
        ("name:*voice*".into(), 1),
        ("name:*_*".into(), 1),
        ("name:*%*".into(), 0),
        ("name:S*".into(), 0),
        ("name:s*".into(), 1),
        ("name:*e".into(), 1),
        ("name:\"*bin\"".into(), 1),
        ("name:?ther.bin".into(), 1),
        ("name:\\*.exe".into(), 0),
        ("NOT name:*.exe".into(), 1),
        ("file.name:other.bin".into(), 1),
        ("object.tag:emotet".into(), 1),
        ("tag:emotet".into(), 1),
        ("tag:Emotet".into(), 0),
        ("tag:emo*".into(), 2),
        ("tag:e*".into(), 2),
        ("tag:*".into(), 2),
        ("tag:\"feed:*\"".into(), 1),
        ("tag:feed\\:mail".into(), 1),
        ("NOT tag:emotet".into(), 1),
        ("tag:none".into(), 0),
        ("NOT tag:none".into(), 2),
        ("tag:emotet AND NOT tag:emo".into(), 1),
        ("tag:emotet OR tag:emo AND tag:none".into(), 1),
        ("(tag:emotet OR tag:emo) AND tag:none".into(), 0),
        ("tag:emotet AND -tag:emo".into(), 1),
        ("comment:*packed*".into(), 1),
        ("comment:\"a packed one\"".into(), 1),
        ("comment:packed".into(), 0),
        ("comment:?*".into(), 1),
        ("NOT comment:*".into(), 1),
        ("comment_author:admin".into(), 1),
        ("size:1331".into(), 1),
        ("size:1.30kb".into(), 1),
        ("size:\"1.30 KB\"".into(), 1),
        ("size:>1".into(), 1),
        ("size:>=1b".into(), 2),
        ("size:[1 TO 1331]".into(), 2),
        ("size:[1331 TO 1]".into(), 2),
        ("size:{1 TO 1331]".into(), 1),
        ("size:{1 TO 1331}".into(), 0),
        ("size:{1331 TO 1]".into(), 1),
        ("size:[* TO *]".into(), 2),
        ("NOT size:[* TO *]".into(), 0),
        ("size:[* TO 5}".into(), 1),
        ("size:>=\"1 gb\"".into(), 0),
        ("size:<1tb".into(), 2),
        ("type:*ASCII*".into(), 1),
        ("upload_count:1".into(), 2),
        ("upload_count:>1".into(), 0),
        ("upload_count:[1 TO *]".into(), 2),
        ("upload_time:>=1h".into(), 2),
        ("upload_time:<=1h".into(), 0),
        ("upload_time:[1d TO *]".into(), 2),
        ("upload_time:>=2020-01-01".into(), 2),
        ("upload_time:2020-01-01".into(), 0),
        ("upload_time:[2020-01-01 TO \"2020-01-02 10:00:00\"]".into(), 0),
        ("upload_time:<=1m5d".into(), 0),
        ("config.family:x".into(), 0),
        ("NOT config.family:x".into(), 0),
        ("NOT config.cfg:*x*".into(), 2),
        ("favorites:admin".into(), 0),
        ("karton:*".into(), 0),
        ("karton:91a521d046964df191 88c07c525a0808".replace(' ', ""), 0),
        ("shared:admin".into(), 2),
        ("uploader:admin".into(), 2),
        ("sharer:admin".into(), 0),
    ];
    for (query, expected) in queries {
        assert_eq!(found(&admin, "file", &query).await, expected, "{query}");
    }
    admin.put_empty(&format!("object/{}/favorite", id(&file))).await.null();
    assert_eq!(found(&admin, "file", "favorites:admin").await, 1);
    // What is gone is not found any more, by any index.
    admin.delete(&format!("file/{}", id(&file))).await.null();
    for query in ["name:*voice*", "tag:emo*t*", "comment:*packed*", "size:1331", "type:*long*lines*"] {
        assert_eq!(found(&admin, "file", query).await, 0, "{query}");
    }
}

#[tokio::test]
async fn blobs_and_configs_have_fields_of_their_own() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let blob =
        admin.post("blob", json!({"blob_name": "strings.txt", "blob_type": "raw", "content": "http://evil.example/\0ąć\n"})).await.ok();
    let config = admin.config(json!({"family": "emotet", "config_type": "dynamic", "cfg": {"c2": ["10.0.0.1"]}})).await.ok();
    for (word, query, expected) in [
        ("blob", "name:strings*", 1),
        ("blob", "type:raw", 1),
        ("blob", "size:24", 1),
        ("blob", "content:*evil*", 1),
        ("blob", r"content:*\x00*", 1),
        ("blob", "content:*ąć*", 1),
        ("blob", r"content:*\n", 1),
        ("blob", r"content:*\u0105*", 1),
        ("blob", "content:evil", 0),
        ("blob", "multi:\"nothing evil.example\"", 1),
        ("blob", "multi:nothing", 0),
        ("blob", "NOT multi:nothing", 1),
        ("blob", "first_seen:>=1h", 1),
        ("blob", "last_seen:>=1h", 1),
        ("blob", "last_seen:<=1h", 0),
        ("blob", "upload_count:1", 1),
        ("config", "family:emotet", 1),
        ("config", "family:em*et", 1),
        ("config", "type:dynamic", 1),
        ("config", "multi:10.0.0.1", 1),
        ("config", "multi:10.0.0.2", 0),
        ("config", "multi:\"zz 10.0\"", 1),
        ("config", "cfg.c2:10.0.0.1", 1),
        ("object", "blob.content:*evil* OR config.family:emotet", 2),
        ("object", "NOT config.family:x", 1),
        ("object", "NOT blob.name:x", 1),
        ("object", "NOT (config.family:x OR tag:y)", 1),
        ("object", "NOT (config.family:x AND tag:y)", 2),
        ("object", "NOT config.cfg:*x*", 2),
        ("object", "config.cfg:*", 1),
        ("object", "file.size:[* TO *]", 2),
        ("blob", "config.family:emotet", 0),
    ] {
        assert_eq!(found(&admin, word, query).await, expected, "{word}: {query}");
    }
    assert_eq!(found(&admin, "blob", &format!("multi:{}", id(&blob))).await, 1);
    assert_eq!(found(&admin, "config", &format!("multi:\"{} x\"", id(&config))).await, 1);
    for (word, query) in [("object", "family:a"), ("file", "family:a"), ("object", "size:1"), ("config", "name:a"), ("object", "multi:a")] {
        refuse(&admin, word, query).await;
    }
}

#[tokio::test]
async fn relatives_that_one_does_not_see_prove_nothing() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let parent = id(&admin.upload("secret.bin", "parent", json!({"tags": [{"tag": "secret"}]})).await.ok());
    let child = id(&admin.upload("child.bin", "child", json!({"parent": parent})).await.ok());
    let grandchild = id(&admin.post("blob", json!({"blob_name": "b", "blob_type": "t", "content": "x", "parent": child})).await.ok()["id"]
        .as_str()
        .map(|id| json!({"id": id}))
        .unwrap());
    admin.put(&format!("object/{child}/share"), json!({"group": "alice"})).await.ok();
    assert_eq!(found(&admin, "object", "parent:(tag:secret)").await, 1);
    assert_eq!(found(&admin, "object", "parent:(parent:(file.name:secret*))").await, 1);
    assert_eq!(found(&admin, "object", "child:(child:(blob.name:b))").await, 1);
    assert_eq!(found(&admin, "object", "NOT parent:(tag:secret)").await, 2);
    assert_eq!(found(&alice, "object", "").await, 2);
    for query in [
        "parent:(tag:secret)",
        "parent:(file.name:secret*)",
        "parent:(file.size:>0 AND child:(file.size:>0))",
        "parent:(parent:(tag:secret))",
    ] {
        assert_eq!(found(&alice, "object", query).await, 0, "{query}");
    }
    assert_eq!(found(&alice, "object", &format!("parent:(dhash:{parent})")).await, 0);
    assert_eq!(found(&alice, "object", "NOT parent:(tag:secret)").await, 2);
    assert_eq!(found(&alice, "object", &format!("child:(dhash:{grandchild})")).await, 1);
    for bad in ["parent:a", "parent:[a TO b]", "child:(a)", "child:(name:a)", "parent.x:(tag:a)", "parent:()"] {
        refuse(&admin, "object", bad).await;
    }
    refuse(&admin, "file", "parent:(name:a)").await;
}

#[tokio::test]
async fn people_are_known_to_those_who_share_a_group_with_them() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["adding_files"]).await;
    let bob = server.user(&admin, "bob", &["adding_files"]).await;
    let carol = server.user(&admin, "carol", &["adding_files"]).await;
    let manager = server.user(&admin, "manager", &["manage_users", "access_all_objects"]).await;
    server.group(&admin, "team", &[&alice, &bob]).await;
    let alice = server.login("alice", PASSWORD).await;
    let bob = server.login("bob", PASSWORD).await;
    let shared = id(&alice.file("of alice").await);
    carol.upload("c", "of carol", json!({"upload_as": "public"})).await.ok();
    for (api, query, expected) in [
        (&bob, "uploader:alice", 1),
        (&bob, "uploader:team", 1),
        (&bob, "uploader:bob", 0),
        (&alice, "uploader:alice", 1),
        (&bob, "shared:team", 1),
        (&bob, "shared:public", 1),
        (&bob, "sharer:alice", 1),
        (&carol, "uploader:carol", 1),
        (&admin, "uploader:carol", 1),
        (&admin, "uploader:team", 1),
        (&admin, "sharer:carol", 1),
        (&admin, "shared:team", 1),
        (&bob, "NOT uploader:alice", 1),
        (&manager, "uploader:alice", 0),
        (&manager, "shared:team", 1),
        (&manager, "favorites:alice", 0),
        (&bob, "favorites:bob", 0),
        (&bob, "comment_author:alice", 0),
    ] {
        assert_eq!(found(api, "file", query).await, expected, "{}: {query}", api.login);
    }
    for (api, bad) in [
        (&bob, "uploader:carol"),
        (&bob, "uploader:public"),
        (&admin, "uploader:public"),
        (&bob, "uploader:nobody"),
        (&carol, "uploader:alice"),
        (&carol, "shared:team"),
        (&bob, "shared:carol"),
        (&bob, "sharer:carol"),
        (&bob, "favorites:alice"),
        (&admin, "favorites:nobody"),
        (&bob, "comment_author:nobody"),
        (&bob, "uploader:ali*"),
        (&bob, "shared:[a TO b]"),
    ] {
        refuse(api, "file", bad).await;
    }
    let [foreign, missing] = ["uploader:carol", "uploader:nobody"];
    assert_eq!(
        refuse(&bob, "file", foreign).await.replace("carol", "?"),
        refuse(&bob, "file", missing).await.replace("nobody", "?").replace("15", "14")
    );
    // Uploaded by two.
    bob.file("of alice").await;
    assert_eq!(found(&admin, "file", "upload_count:2").await, 1);
    assert_eq!(found(&admin, "file", "uploader:bob AND uploader:alice").await, 1);
    assert_eq!(found(&admin, "file", &format!("upload_count:[2 TO 3] AND dhash:{shared}")).await, 1);
}

#[tokio::test]
async fn the_search_of_old_gives_a_bare_list() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let one = id(&admin.file("one").await);
    let two = id(&admin.blob("two").await);
    let reply = admin.post("search", json!({"query": "upload_time:>=1h"})).await.ok();
    assert_eq!(reply.as_array().unwrap().iter().map(id).collect::<Vec<_>>(), [two, one]);
    assert_eq!(crate::harness::keys(&reply[0]), ["id", "tags", "type", "upload_time"]);
    assert_eq!(alice.post("search", json!({"query": "upload_time:>=1h"})).await.ok(), json!([]));
    for bad in [json!({}), json!({"query": ""}), json!({"query": null}), json!({"query": 5}), json!([])] {
        admin.post("search", bad).await.refused(400);
    }
    server.anonymous().post("search", json!({"query": "tag:a"})).await.refused(401);
    admin.get("search").await.refused(405);
}

#[tokio::test]
async fn a_query_and_a_page_go_together() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let mut tagged = Vec::new();
    for number in 0..30 {
        let tags = if number % 2 == 0 { json!([{"tag": "even"}]) } else { json!([{"tag": "odd"}]) };
        let file = id(&admin.upload("page.bin", format!("{number}"), json!({"tags": tags})).await.ok());
        if number % 2 == 0 {
            tagged.insert(0, file);
        }
    }
    for query in ["tag:even", "tag:e*", "name:page* AND tag:even", "NOT tag:odd", "tag:even OR tag:none"] {
        let mut walked: Vec<String> = Vec::new();
        loop {
            let mut request = admin.request(Method::GET, "file").query(&[("query", query), ("count", "4")]);
            if let Some(last) = walked.last() {
                request = request.query(&[("older_than", last)]);
            }
            let page = admin.send(request).await.ok();
            let page = page["files"].as_array().unwrap();
            if page.is_empty() {
                break;
            }
            walked.extend(page.iter().map(id));
        }
        assert_eq!(walked, tagged, "{query}");
        let page = admin.send(admin.request(Method::GET, "file").query(&[("query", query), ("page", "2")])).await.ok();
        assert_eq!(page["files"].as_array().unwrap().iter().map(id).collect::<Vec<_>>(), tagged[10..], "{query}");
    }
}

#[tokio::test]
async fn what_says_nothing_in_a_query_is_taken() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = admin.upload("TO", "content", json!({"tags": [{"tag": "to"}]})).await.ok();
    admin.blob("text").await;
    admin.config(json!({"family": "nine", "cfg": {"a": 1}})).await.ok();
    define(&admin, "k", false).await;
    let day = file["upload_time"].as_str().unwrap().split('T').next().unwrap().to_owned();
    let short = day.replace("-0", "-");
    let queries: &[(&str, u64)] = &[
        ("blob.first_seen:>=1h", 3),
        ("NOT blob.first_seen:>=1h", 0),
        ("NOT blob.first_seen:2020-1-1", 3),
        ("blob.last_seen:>=1h", 1),
        ("file.name:TO AND blob.first_seen:>=1h", 1),
        (&format!("upload_time:{short}"), 3),
        (&format!("upload_time:\"{short} 0:0\" OR upload_time:>\"{short}  0:0:1\""), 3),
        ("upload_time:>2026-1-1", 3),
        ("upload_time:2020-1-1", 0),
        ("upload_time:>=*", 3),
        ("file.size:<*", 3),
        ("NOT file.size:<*", 0),
        ("upload_count:>=\"*\"", 3),
        ("blob.last_seen:<=*", 3),
        ("config.multi:\"\"", 1),
        ("blob.multi:\" \"", 1),
        ("NOT blob.multi:\"\"", 0),
        ("file.name*:TO", 1),
        ("file**.name:TO", 1),
        ("config.family*:nine", 1),
        ("config*.cfg.a:1", 1),
        ("tag*:t*", 1),
        ("attribute*.k:1", 0),
        ("parent*:(tag:to)", 0),
        ("shared*:admin", 3),
        ("tag:TO", 0),
        ("file.name:TO", 1),
        ("tag:TO OR tag:*", 1),
    ];
    for (query, count) in queries {
        assert_eq!(found(&admin, "object", query).await, *count, "{query}");
    }
    assert_eq!(found(&admin, "file", "blob.first_seen:>=1h").await, 1);
    assert_eq!(found(&admin, "blob", "first_seen:>=1h AND multi:\"\"").await, 1);
}

#[tokio::test]
async fn values_are_written_as_in_the_reference() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let tags = json!({"tags": [{"tag": "t12:30:40"}]});
    let file = id(&admin.upload("x", "x", tags).await.ok());
    for query in [
        "upload_count:\" 1\"",
        "upload_count:\"+1\"",
        "upload_count:[\"0_1\" TO 2]",
        "NOT tag:T12:30:40",
        "tag:t12\\:30\\:40",
        "NOT karton:\\*",
    ] {
        assert_eq!(found(&admin, "object", query).await, 1, "{query}");
    }
    for query in ["upload_count:\"-1\"", "upload_count:1__0", "tag:T12:3", "tag:T12:30:4", "tag:T12:30:40:50"] {
        refuse(&admin, "object", query).await;
    }
    admin.put_empty(&format!("object/{file}/karton/7b0e3b6e-0c5b-4d0e-9d52-0c8f3a2f6c11")).await.ok();
    assert_eq!(found(&admin, "object", "karton:\\*").await, 1);
}
