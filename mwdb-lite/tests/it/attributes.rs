//! Attribute definitions, rights, values and metakeys. See MWDB API §O9 and §O10.

use serde_json::{Value, json};

use crate::harness::{Api, Server, each, id, sorted};

async fn define(admin: &Api, key: &str, hidden: bool) {
    let definition = json!({"key": key, "label": "L", "description": "D", "hidden": hidden});
    admin.post("attribute", definition).await.ok();
}

async fn allow(admin: &Api, key: &str, group: &str, can_read: bool, can_set: bool) {
    let rights = json!({"group_name": group, "can_read": can_read, "can_set": can_set});
    admin.put(&format!("attribute/{key}/permissions"), rights).await.ok();
}

#[tokio::test]
async fn definitions_are_made_changed_and_removed() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let body = json!({"key": " My-Key_1 ", "label": "L", "description": "D", "hidden": false});
    let made = admin.post("attribute", body.clone()).await.ok();
    let expected = json!({"key": "my-key_1", "label": "L", "description": "D", "hidden": false, "url_template": "",
        "rich_template": "", "example_value": ""});
    assert_eq!(made, expected);
    admin.post("attribute", body).await.refused(409);
    for bad in [
        json!({"key": "a b", "label": "", "description": "", "hidden": false}),
        json!({"key": "", "label": "", "description": "", "hidden": false}),
        json!({"key": "x".repeat(33), "label": "", "description": "", "hidden": false}),
        json!({"key": "a", "description": "", "hidden": false}),
        json!({"key": "a", "label": "", "description": ""}),
        json!({"key": "a", "label": "", "description": "", "hidden": "maybe"}),
    ] {
        admin.post("attribute", bad).await.refused(400);
    }
    assert_eq!(admin.get("attribute/my-key_1").await.ok(), expected);
    admin.get("attribute/My-Key_1").await.missing();
    let changed = admin.put("attribute/my-key_1", json!({"url_template": "http://x/$value", "label": null, "hidden": true})).await.ok();
    assert_eq!((&changed["label"], &changed["url_template"], &changed["hidden"]), (&json!("L"), &json!("http://x/$value"), &json!(true)));
    admin.put("attribute/nothing", json!({})).await.missing();
    let file = id(&admin.file("content").await);
    admin.post(&format!("file/{file}/attribute"), json!({"key": "my-key_1", "value": 1})).await.ok();
    admin.delete("attribute/my-key_1").await.null();
    admin.delete("attribute/my-key_1").await.missing();
    admin.post(&format!("file/{file}/attribute"), json!({"key": "my-key_1", "value": 1})).await.missing();
    define(&admin, "my-key_1", false).await;
    assert_eq!(admin.get(&format!("file/{file}")).await.ok()["attributes"], json!([]));
    let alice = server.user(&admin, "alice", &[]).await;
    alice.post("attribute", json!({})).await.refused(403);
    for path in ["attribute/my-key_1", "attribute/my-key_1/permissions"] {
        alice.get(path).await.refused(403);
        alice.put(path, json!({})).await.refused(403);
        alice.delete(path).await.refused(403);
    }
}

#[tokio::test]
async fn reading_and_setting_are_separate_rights() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    for key in ["none", "read", "set", "both"] {
        define(&admin, key, false).await;
    }
    allow(&admin, "read", "public", true, false).await;
    allow(&admin, "set", "alice", false, true).await;
    allow(&admin, "both", "public", true, false).await;
    allow(&admin, "both", "alice", false, true).await;
    let path = format!("file/{}/attribute", id(&alice.file("content").await));
    for key in ["none", "read", "set", "both"] {
        let reply = alice.post(&path, json!({"key": key, "value": "by alice"})).await;
        if key == "set" || key == "both" {
            reply.ok()
        } else {
            Value::String(reply.refused(404))
        };
        admin.post(&path, json!({"key": key, "value": "by admin"})).await.ok();
    }
    assert_eq!(sorted(&alice.get(&path).await.ok()["attributes"], "key"), ["both", "both", "read"]);
    assert_eq!(admin.get(&path).await.ok()["attributes"].as_array().unwrap().len(), 6);
    let keys = |access: &'static str| {
        let alice = alice.clone();
        async move { sorted(&alice.get(&format!("attribute{access}")).await.ok()["attribute_definitions"], "key") }
    };
    assert_eq!(keys("").await, ["both", "read"]);
    assert_eq!(keys("?access=read").await, ["both", "read"]);
    assert_eq!(keys("?access=set").await, ["both", "set"]);
    alice.get("attribute?access=manage").await.refused(403);
    alice.get("attribute?access=other").await.refused(400);
    // Rights change and go.
    let rights = admin.get("attribute/both/permissions").await.ok()["attribute_permissions"].clone();
    assert_eq!(sorted(&rights, "group_name"), ["alice", "public"]);
    allow(&admin, "both", "alice", false, false).await;
    alice.post(&path, json!({"key": "both", "value": 2})).await.missing();
    admin.delete("attribute/both/permissions?group_name=public").await.null();
    admin.delete("attribute/both/permissions?group_name=public").await.missing();
    admin.delete("attribute/both/permissions?group_name=nothing").await.missing();
    admin.delete("attribute/both/permissions").await.refused(400);
    admin.put("attribute/both/permissions", json!({"group_name": "nothing", "can_read": true, "can_set": true})).await.missing();
    admin.put("attribute/both/permissions", json!({"group_name": "public", "can_read": true})).await.refused(400);
    admin.get("attribute/nothing/permissions").await.missing();
    assert_eq!(keys("").await, ["read"]);
}

#[tokio::test]
async fn hidden_values_show_only_on_request() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    define(&admin, "secret", true).await;
    allow(&admin, "secret", "public", true, true).await;
    let file = id(&alice.file("content").await);
    let path = format!("file/{file}/attribute");
    assert_eq!(alice.post(&path, json!({"key": "secret", "value": 1})).await.ok(), json!({"attributes": []}));
    for api in [&alice, &admin] {
        assert_eq!(api.get(&path).await.ok(), json!({"attributes": []}));
        assert_eq!(api.get(&format!("file/{file}")).await.ok()["attributes"], json!([]));
        assert_eq!(api.get("attribute").await.ok(), json!({"attribute_definitions": []}));
        assert_eq!(sorted(&api.get("attribute?access=set").await.ok()["attribute_definitions"], "key"), ["secret"]);
    }
    assert_eq!(each(&admin.get(&format!("{path}?hidden=1")).await.ok()["attributes"], "value"), [&json!(1)]);
    alice.get(&format!("{path}?hidden=1")).await.refused(403);
    alice.get(&format!("file/{}/attribute?hidden=1", "0".repeat(64))).await.refused(403);
    assert_eq!(each(&admin.get(&format!("file/{file}/meta?hidden=1")).await.ok()["metakeys"], "value"), [&json!("1")]);
}

#[tokio::test]
async fn equal_values_are_one_and_falsy_ones_are_values() {
    let server = Server::start().await;
    let admin = server.admin().await;
    define(&admin, "k", false).await;
    let path = format!("file/{}/attribute", id(&admin.file("content").await));
    let add = |text: &str| admin.raw(reqwest::Method::POST, &path, format!(r#"{{"key": " K", "value": {text}}}"#));
    for (text, count) in [
        ("0", 1),
        ("0.0", 1),
        ("false", 2),
        ("false", 2),
        (r#"{"a": 1, "b": [1, 2]}"#, 3),
        (r#"{"b": [1, 2], "a": 1.0}"#, 3),
        (r#"{"b": [2, 1], "a": 1}"#, 4),
        ("123456789012345678901234567890", 5),
        ("123456789012345678901234567891", 6),
        (r#""\u0001""#, 7),
        (r#""0""#, 8),
        ("[null]", 9),
    ] {
        let reply = add(text).await;
        assert_eq!(reply.ok()["attributes"].as_array().unwrap().len(), count, "{text}");
    }
    for empty in ["null", r#""""#, "[]", "{}"] {
        add(empty).await.refused(400);
    }
    admin.post(&path, json!({"key": "k"})).await.refused(400);
    admin.post(&path, json!({"value": 1})).await.refused(400);
    let text = admin.get(&path).await.text();
    assert!(text.contains(":123456789012345678901234567890}"), "{text}");
    let ids: Vec<u64> = each(&admin.get(&path).await.ok()["attributes"], "id").into_iter().map(|id| id.as_u64().unwrap()).collect();
    assert!(ids.is_sorted());
    let huge = "x".repeat(300 * 1024);
    let reply = admin.post(&path, json!({"key": "k", "value": {"a": huge, "b": huge}})).await.ok();
    assert_eq!(reply["attributes"][9]["value"]["b"], json!(huge));
}

#[tokio::test]
async fn values_are_removed_by_those_who_may_set_them() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    define(&admin, "k", false).await;
    allow(&admin, "k", "public", true, false).await;
    let file = id(&alice.file("content").await);
    let other = id(&admin.file("other").await);
    let value = admin.post(&format!("file/{file}/attribute"), json!({"key": "k", "value": 1})).await.ok()["attributes"][0]["id"].clone();
    let path = format!("file/{file}/attribute/{value}");
    alice.delete(&path).await.refused(403);
    admin.put("group/alice", json!({"capabilities": ["removing_attributes"]})).await.ok();
    alice.delete(&path).await.missing();
    admin.delete(&format!("file/{other}/attribute/{value}")).await.missing();
    allow(&admin, "k", "alice", false, true).await;
    alice.delete(&path).await.null();
    alice.delete(&path).await.missing();
}

#[tokio::test]
async fn metakeys_are_a_view_of_attributes() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    define(&admin, "k", false).await;
    admin.put("attribute/k", json!({"url_template": "http://x/${value}"})).await.ok();
    allow(&admin, "k", "public", true, true).await;
    let file = id(&alice.file("content").await);
    let path = format!("file/{file}/meta");
    let item = |value: &str| json!({"key": "k", "value": value, "url": format!("http://x/{value}"), "label": "L", "description": "D"});
    assert_eq!(alice.post(&path, json!({"key": "K", "value": "v"})).await.ok(), json!({"metakeys": [item("v")]}));
    alice.post(&path, json!({"key": "k", "value": 1})).await.refused(400);
    alice.post(&path, json!({"key": "k", "value": ""})).await.refused(400);
    alice.post(&path, json!({"key": "other", "value": "v"})).await.missing();
    for value in [json!(false), json!(0), json!({"a": [1, null]})] {
        alice.post(&format!("file/{file}/attribute"), json!({"key": "k", "value": value})).await.ok();
    }
    let values = admin.get(&path).await.ok()["metakeys"].clone();
    assert_eq!(each(&values, "value"), [&json!("v"), &json!("False"), &json!("0"), &json!("{'a': [1, None]}")]);
    // Analyses are metakeys too.
    let analysis = "91a521d0-4696-4df1-9188-c07c525a0808";
    alice.post(&path, json!({"key": "karton", "value": analysis})).await.missing();
    admin.post(&path, json!({"key": "karton", "value": "no uuid"})).await.refused(400);
    let all = admin.post(&path, json!({"key": "karton", "value": analysis.to_uppercase()})).await.ok();
    assert_eq!(all["metakeys"][4], json!({"key": "karton", "value": analysis}));
    assert_eq!(alice.get(&format!("file/{file}/karton")).await.ok()["analyses"][0]["id"], analysis);
    admin.delete(&format!("{path}?key=karton")).await.missing();
    admin.delete(&path).await.refused(400);
    admin.delete(&format!("{path}?key=k&value=0")).await.missing();
    admin.delete(&format!("{path}?key=k&value=v")).await.null();
    admin.delete(&format!("{path}?key=k")).await.null();
    admin.delete(&format!("{path}?key=k")).await.missing();
    alice.delete(&format!("{path}?key=k")).await.refused(403);
    let definition = json!({"key": "k", "label": "L", "description": "D", "template": "http://x/${value}", "hidden": false});
    assert_eq!(alice.get("meta/list/read").await.ok(), json!({"metakeys": [definition]}));
    assert_eq!(alice.get("meta/list/set").await.ok(), json!({"metakeys": [definition]}));
    alice.get("meta/list/other").await.no_route();
    // As options of an upload.
    let file = alice.upload("a", "2", json!({"metakeys": [{"key": "k", "value": "x"}]})).await.ok();
    assert_eq!(each(&file["attributes"], "value"), [&json!("x")]);
    let both = json!({"metakeys": [{"key": "k", "value": "x"}], "attributes": [{"key": "k", "value": "x"}]});
    alice.upload("a", "3", both).await.refused(400);
    let two = json!({"metakeys": [{"key": "karton", "value": analysis}], "karton_id": "b197bf85-e86e-421a-857b-eaafdff0b0d9"});
    admin.upload("a", "3", two).await.refused(400);
    let bad = json!({"metakeys": [{"key": "karton", "value": "x"}]});
    admin.upload("a", "3", bad).await.refused(400);
    alice.upload("a", "3", json!({"metakeys": [{"key": "karton", "value": analysis}]})).await.refused(403);
}

#[tokio::test]
async fn hidden_is_a_truth_value() {
    let server = Server::start().await;
    let admin = server.admin().await;
    define(&admin, "secret", true).await;
    let file = id(&admin.file("content").await);
    admin.post(&format!("file/{file}/attribute"), json!({"key": "secret", "value": 1})).await.ok();
    let alice = server.user(&admin, "alice", &["access_all_objects"]).await;
    for (list, name) in [("attribute", "attributes"), ("meta", "metakeys")] {
        for (text, shown) in [("1", 1), ("true", 1), ("yes", 1), ("0", 0), ("False", 0), ("no", 0), ("0&hidden=1", 0)] {
            let reply = admin.get(&format!("file/{file}/{list}?hidden={text}")).await.ok();
            assert_eq!(reply[name].as_array().unwrap().len(), shown, "{list} {text}");
        }
        for bad in ["", "x", "2", "-1"] {
            admin.get(&format!("file/{file}/{list}?hidden={bad}")).await.refused(400);
        }
        alice.get(&format!("file/{file}/{list}?hidden=true")).await.refused(403);
    }
}

#[tokio::test]
async fn metakeys_are_removed_by_key_or_value() {
    let server = Server::start().await;
    let admin = server.admin().await;
    define(&admin, "k", false).await;
    let path = format!("file/{}/meta", id(&admin.file("content").await));
    for value in ["1", "2", "3"] {
        admin.post(&path, json!({"key": "k", "value": value})).await.ok();
    }
    admin.delete(&format!("{path}?key=k&value=2")).await.null();
    assert_eq!(each(&admin.get(&path).await.ok()["metakeys"], "value"), ["1", "3"]);
    admin.delete(&format!("{path}?key=K&value=")).await.null();
    assert_eq!(admin.get(&path).await.ok(), json!({"metakeys": []}));
    for bad in ["", "?value=1", "?key=", "?key=&value=x", "?key=a%20b"] {
        admin.delete(&format!("{path}{bad}")).await.refused(400);
    }
    admin.delete(&format!("{path}?key=k")).await.missing();
}

#[tokio::test]
async fn an_analysis_is_checked_before_the_right_to_assign_it() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let path = format!("file/{}/meta", id(&alice.file("content").await));
    alice.post(&path, json!({"key": "karton", "value": "x"})).await.refused(400);
    alice.post(&path, json!({"key": "karton", "value": "11111111-1111-1111-1111-111111111111"})).await.missing();
}

#[tokio::test]
async fn values_that_clients_cannot_read_back_are_refused() {
    let server = Server::start().await;
    let admin = server.admin().await;
    define(&admin, "k", false).await;
    let file = id(&admin.file("content").await);
    for text in [r#""a\u0000b""#, r#""a\ud800b""#] {
        for value in [text.to_owned(), format!("[[{text}]]"), format!(r#"{{"a": {text}}}"#), format!(r"{{{text}: 1}}")] {
            let body = format!(r#"{{"key": "k", "value": {value}}}"#);
            admin.raw(reqwest::Method::POST, &format!("file/{file}/attribute"), body).await.refused(400);
            let options =
                format!(r#"{{"blob_name": "n", "blob_type": "t", "content": "c", "attributes": [{{"key": "k", "value": {value}}}]}}"#);
            admin.raw(reqwest::Method::POST, "blob", options).await.refused(400);
        }
        let body = format!(r#"{{"key": "k", "value": {text}}}"#);
        admin.raw(reqwest::Method::POST, &format!("file/{file}/meta"), body).await.refused(400);
    }
    assert_eq!(admin.get(&format!("file/{file}/attribute")).await.ok(), json!({"attributes": []}));
}

#[tokio::test]
async fn rights_are_told_without_the_group_that_was_named() {
    let server = Server::start().await;
    let admin = server.admin().await;
    define(&admin, "k", false).await;
    let rights = json!({"group_name": "public", "can_read": true, "can_set": false});
    let told = admin.put("attribute/k/permissions", rights.clone()).await.ok();
    assert_eq!(told, json!({"can_read": true, "can_set": false}));
    assert_eq!(admin.get("attribute/k/permissions").await.ok(), json!({"attribute_permissions": [rights]}));
}

#[tokio::test]
async fn what_can_be_no_key_is_refused_by_the_metakeys() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for key in ["a%20b", &"x".repeat(33)] {
        admin.put(&format!("meta/manage/{key}"), json!({"label": "x"})).await.refused(400);
    }
    admin.put("meta/manage/nokey", json!({"label": "x"})).await.missing();
}
