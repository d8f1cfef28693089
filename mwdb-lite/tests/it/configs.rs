//! Configs and blobs. See MWDB API §O3 and §O4.

use serde_json::{Value, json};

use crate::harness::{Server, each, id};

#[tokio::test]
async fn the_id_of_a_config_is_its_dhash() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for (cfg, dhash) in [
        ("{}", "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"),
        (r#"{"a":"b"}"#, "48a6fc78b03ab9f32b04cd735c4ba09fbfaf4894ca0b039375e15b59d4b3d979"),
        (r#"{"domains":["spamhaus.com","google.com"]}"#, "93b6befcc25bb339eb449d6aa7db47bc3a661f20026e4cb4124388b539336d81"),
        (r#"{"value":1}"#, "141767ab98a062fcd5bbfb48ddd5d5c2bb3556d64006d774372f15d045d0ba89"),
        (r#"{"v":1.0}"#, "b5483808d228acb669bb07fc1b0ca8583667d3851f53cbf2e52455c76d04ec70"),
        (r#"{"v":1e5}"#, "ba7405e2fe4f01dbccf8558313a32766563312ca038e7a0316ca324d865fbbe2"),
        (r#"{"v":1e16}"#, "5b5bb890f1aadcb686540adbbd3ed4d0e4eeef886cd6e30334ae9ef06da799b5"),
        (r#"{"v":null}"#, "acdc4d0768a36bea0ba9182f8087d67fb68e01aac9171532d827cd39d707a0bc"),
        (r#"{"b":1,"a":[1,"2",null]}"#, "c9bbfdff83513febc1f31139a83c7387802885d6785bad06719d88e4f6ee9785"),
        (
            r#"{"raw":{"in-blob":{"blob_name":"n","blob_type":"t","content":"hello"}}}"#,
            "9889bc58d1bbe3b329b631533079bb7ab52e9605177d6245b7ec82238e701a79",
        ),
    ] {
        let body = format!(r#"{{"family": "f", "cfg": {cfg}}}"#);
        assert_eq!(admin.raw(reqwest::Method::POST, "config", body).await.ok()["id"], dhash, "{cfg}");
    }
    // The text "1" is the number 1 to the hash.
    let again = admin.config(json!({"family": "other", "cfg": {"value": "1"}})).await.ok();
    assert_eq!((&again["family"], &again["cfg"]), (&json!("f"), &json!({"value": 1})));
}

#[tokio::test]
async fn numbers_and_texts_come_back_as_they_were_sent() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let cfg = concat!(
        r#"{"huge":123456789012345678901234567890,"negative":-99999999999999999999,"float":1.0,"integer":1,"exponent":1e+16,"#,
        r#""small": 5e-324,"zero":-0.0,"precise":0.1,"text":"\u0000\u001f\\\"/\u20ac😀","nested":[[],{},[1.50,[2]]],"":"empty key","#,
        r#""true":true,"null":null}"#
    );
    let body = format!(r#"{{"family":"f","cfg":{cfg}}}"#);
    let reply = admin.raw(reqwest::Method::POST, "config", body).await;
    let hash = id(&reply.ok());
    let view = admin.get(&format!("config/{hash}")).await;
    for text in [&reply.text(), &view.text()] {
        for number in [
            r#""huge": 123456789012345678901234567890"#,
            r#""negative": -99999999999999999999"#,
            r#""float": 1.0"#,
            r#""integer": 1"#,
            r#""small": 5e-324"#,
            r#""zero": -0.0"#,
        ] {
            let at = text.find(number).unwrap_or_else(|| panic!("{number} in {text}"));
            let after = text.as_bytes()[at + number.len()];
            assert!(after == b',' || after == b'}', "{number} in {text}");
        }
    }
    let sent: Value = serde_json::from_str(cfg).unwrap();
    assert_eq!(view.ok()["cfg"]["text"], sent["text"]);
    assert_eq!(view.ok()["cfg"]["nested"], sent["nested"]);
    assert_eq!(view.ok()["cfg"][""], "empty key");
    for bad in [r#"{"v":NaN}"#, r#"{"v":1e400}"#, r#"{"v":-Infinity}"#] {
        admin.raw(reqwest::Method::POST, "config", format!(r#"{{"family":"f","cfg":{bad}}}"#)).await.refused(400);
    }
}

#[tokio::test]
async fn halves_of_characters_are_refused() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let half = r#""\ud800 and more""#;
    for (path, body) in [
        ("config", format!(r#"{{"family": "f", "cfg": {{"v": {half}}}}}"#)),
        ("config", format!(r#"{{"family": "f", "cfg": {{{half}: 1}}}}"#)),
        ("config", format!(r#"{{"family": {half}, "cfg": {{}}}}"#)),
        ("config", format!(r#"{{"family": "f", "cfg": {{"v": {{"in-blob": {half}}}}}}}"#)),
        ("blob", format!(r#"{{"blob_name": "n", "blob_type": "t", "content": {half}}}"#)),
        ("blob", format!(r#"{{"blob_name": {half}, "blob_type": "t", "content": ""}}"#)),
        ("blob", format!(r#"{{"blob_name": "n", "blob_type": "t", "content": "", "tags": [{{"tag": {half}}}]}}"#)),
    ] {
        admin.raw(reqwest::Method::POST, path, body).await.refused(400);
    }
    assert_eq!(admin.get("object").await.ok(), json!({"objects": []}));
}

#[tokio::test]
async fn config_views_and_schema() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let config = admin.config(json!({"family": "fam", "cfg": {"a": 1}, "config_type": "dynamic", "unknown": 1})).await.ok();
    let expected = json!({"type": "static_config", "id": config["id"], "family": "fam", "config_type": "dynamic", "cfg": {"a": 1},
        "tags": [], "attributes": [], "parents": [], "children": [], "favorite": false, "share_3rd_party": true,
        "upload_time": config["upload_time"]});
    assert_eq!(config, expected);
    assert_eq!(admin.get(&format!("config/{}", id(&config))).await.ok(), expected);
    let item = json!({"type": "static_config", "id": config["id"], "family": "fam", "config_type": "dynamic", "tags": [],
        "upload_time": config["upload_time"]});
    assert_eq!(admin.get("config").await.ok(), json!({"configs": [item]}));
    for bad in [
        json!({"cfg": {}}),
        json!({"family": "f"}),
        json!({"family": "f", "cfg": []}),
        json!({"family": "f", "cfg": null}),
        json!({"family": 1, "cfg": {}}),
        json!({"family": "x".repeat(33), "cfg": {}}),
        json!({"family": "f", "cfg": {}, "config_type": null}),
        json!({"family": "f", "cfg": {}, "tags": [{"tag": "a", "b": 1}]}),
        json!([]),
    ] {
        admin.config(bad).await.refused(400);
    }
    let alice = server.user(&admin, "alice", &[]).await;
    alice.config(json!({})).await.refused(403);
    let again = admin.config(json!({"family": "other", "cfg": {"a": 1}, "tags": [{"tag": "t"}]})).await.ok();
    assert_eq!((&again["family"], &again["tags"]), (&json!("fam"), &json!([{"tag": "t"}])));
}

#[tokio::test]
async fn embedded_blobs_become_children() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let spec = json!({"in-blob": {"blob_name": "n", "blob_type": "t", "content": "text", "more": 1}});
    let deep = json!({"in-blob": {"not": "looked at"}});
    let body = json!({"family": "f", "cfg": {"a": spec, "z": [spec], "d": {"e": deep}}, "upload_as": "private",
        "tags": [{"tag": "t"}], "attributes": [{"key": "k", "value": 1}]});
    let config = admin.config(body).await.ok();
    let blob = config["cfg"]["a"]["in-blob"].as_str().unwrap().to_owned();
    assert_eq!(each(&config["children"], "id"), [&json!(blob)]);
    assert_eq!((&config["cfg"]["z"], &config["cfg"]["d"]["e"]), (&json!([spec]), &deep));
    let view = admin.get(&format!("blob/{blob}")).await.ok();
    assert_eq!((&view["content"], &view["tags"]), (&json!("text"), &json!([])));
    assert_eq!(each(&view["attributes"], "value"), [&json!(1)]);
    assert_eq!(view["parents"][0]["id"], config["id"]);
    // A reference means the same config.
    let again = admin.config(json!({"family": "f", "cfg": {"a": {"in-blob": blob}, "z": [spec], "d": {"e": deep}}})).await.ok();
    assert_eq!(again["id"], config["id"]);
    // A reference to what an earlier key makes.
    let both = json!({"family": "f", "cfg": {"1": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "new"}},
        "2": {"in-blob": "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"}}});
    assert_eq!(admin.config(both).await.ok()["children"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_embedded_blobs_leave_nothing_behind() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("a file").await);
    let good = json!({"blob_name": "n", "blob_type": "t", "content": "text"});
    for (spec, status) in [
        (json!({"in-blob": good, "other": 1}), 400),
        (json!({"in-blob": {"blob_name": "n", "blob_type": "t"}}), 400),
        (json!({"in-blob": {"blob_name": "n", "blob_type": 1, "content": ""}}), 400),
        (json!({"in-blob": 1}), 400),
        (json!({"in-blob": null}), 400),
        (json!({"in-blob": "0".repeat(64)}), 404),
        (json!({"in-blob": file}), 404),
        (json!({"in-blob": {"blob_name": "n", "blob_type": "t", "content": "a file"}}), 409),
    ] {
        let reply = admin.config(json!({"family": "f", "cfg": {"0": {"in-blob": good}, "1": spec}})).await;
        reply.refused(status);
        assert_eq!(admin.get("object/count").await.ok()["count"], 1, "{spec}");
    }
    let alice = server.user(&admin, "alice", &["adding_configs"]).await;
    let blob = id(&admin.blob("text").await);
    admin.put(&format!("blob/{blob}/share"), json!({"group": "public"})).await.ok();
    alice.config(json!({"family": "f", "cfg": {"1": {"in-blob": blob}}})).await.refused(403);
    alice.config(json!({"family": "f", "cfg": {"1": {"in-blob": good}}})).await.refused(403);
    alice.config(json!({"family": "f", "cfg": {"1": {"2": {"in-blob": good}}}})).await.ok();
}

#[tokio::test]
async fn blob_views_and_schema() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let content = "ąść\u{0}\t\\ iskdyjnuji\u{1f}😀\r\n";
    let blob = admin.post("blob", json!({"blob_name": "n1", "blob_type": "t", "content": content})).await.ok();
    let expected = json!({"type": "text_blob", "id": blob["id"], "blob_name": "n1", "blob_type": "t",
        "blob_size": content.chars().count(), "content": content, "last_seen": blob["last_seen"], "upload_time": blob["upload_time"],
        "latest_config": null, "parents": [], "children": [], "tags": [], "attributes": [], "favorite": false, "share_3rd_party": true});
    assert_eq!(blob, expected);
    assert_eq!(admin.get(&format!("blob/{}", id(&blob))).await.ok(), expected);
    let again = admin.post("blob", json!({"blob_name": "n2", "blob_type": "u", "content": content})).await.ok();
    assert_eq!((&again["blob_name"], &again["blob_type"], &again["upload_time"]), (&json!("n1"), &json!("t"), &blob["upload_time"]));
    assert!(again["last_seen"].as_str() > blob["last_seen"].as_str(), "{again}");
    assert!(admin.get("blob").await.ok()["blobs"][0].get("content").is_none());
    // Empty content is content.
    let empty = admin.blob("").await;
    assert_eq!((&empty["blob_size"], id(&empty).as_str()), (&json!(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    for bad in [
        json!({"blob_name": "n", "blob_type": "t"}),
        json!({"blob_name": "n", "blob_type": "t", "content": 1}),
        json!({"blob_name": null, "blob_type": "t", "content": ""}),
        json!({"blob_name": "n", "blob_type": "x".repeat(33), "content": ""}),
    ] {
        admin.post("blob", bad).await.refused(400);
    }
}

#[tokio::test]
async fn one_hash_belongs_to_one_type() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.file("content").await;
    admin.post("blob", json!({"blob_name": "n", "blob_type": "t", "content": "content"})).await.refused(409);
    admin.blob("text").await;
    admin.upload("a", "text", Value::Null).await.refused(409);
    assert_eq!(server.stored_files().len(), 1);
    assert_eq!(admin.get("object/count").await.ok()["count"], 2);
}

#[tokio::test]
async fn statistics_count_families() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    for (family, value) in [("one", 1), ("one", 2), ("two", 3)] {
        admin.config(json!({"family": family, "cfg": {"v": value}, "upload_as": "private"})).await.ok();
    }
    let all = alice.get("config/stats").await.ok();
    let mut counts: Vec<(&str, u64)> = all["families"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["family"].as_str().unwrap(), item["count"].as_u64().unwrap()))
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [("one", 2), ("two", 1)]);
    assert_eq!(all["families"][0]["last_upload"].as_str().unwrap().len(), "2026-11-24".len());
    assert_eq!(alice.get("config/stats?range=24h").await.ok()["families"].as_array().unwrap().len(), 2);
    assert_eq!(alice.get("config/stats?range=30d").await.ok()["families"].as_array().unwrap().len(), 2);
    assert_eq!(alice.get("config/stats?range=0h").await.ok(), json!({"families": []}));
    for bad in ["ah", "h", "1", "1m", "99999999999999999999d", "9223372036854775807d"] {
        let reply = alice.get(&format!("config/stats?range={bad}")).await;
        assert!(reply.status == 400 || (bad.starts_with('9') && reply.status == 200), "{bad}: {}", reply.text());
    }
}

#[tokio::test]
async fn nul_is_stored_where_texts_are_content() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let nul = "a\0b";
    assert_eq!(admin.config(json!({"family": "f", "cfg": {"a": nul}})).await.ok()["cfg"], json!({"a": nul}));
    let embedded = json!({"in-blob": {"blob_name": "n", "blob_type": "t", "content": nul}});
    let blob = id(&admin.config(json!({"family": "f", "cfg": {"b": embedded}})).await.ok()["children"][0]);
    assert_eq!(admin.get(&format!("blob/{blob}")).await.ok()["content"], nul);
    for (path, body) in [
        ("config", json!({"family": "f", "cfg": {nul: 1}})),
        ("config", json!({"family": "f", "cfg": {"a": [{nul: 1}]}})),
        ("config", json!({"family": nul, "cfg": {"a": 1}})),
        ("config", json!({"family": "f", "config_type": nul, "cfg": {"a": 1}})),
        ("config", json!({"family": "f", "cfg": {"b": {"in-blob": {"blob_name": nul, "blob_type": "t", "content": "c"}}}})),
        ("config", json!({"family": "f", "cfg": {"b": {"in-blob": {"blob_name": "n", "blob_type": nul, "content": "c"}}}})),
        ("blob", json!({"blob_name": nul, "blob_type": "t", "content": "c"})),
        ("blob", json!({"blob_name": "n", "blob_type": nul, "content": "c"})),
        ("blob", json!({"blob_name": "n", "blob_type": "t", "content": "c", "tags": [{"tag": nul}]})),
    ] {
        admin.post(path, body).await.refused(400);
    }
    admin.put(&format!("blob/{blob}/tag"), json!({"tag": nul})).await.refused(400);
    admin.post(&format!("blob/{blob}/comment"), json!({"comment": nul})).await.refused(400);
    admin.post("user/admin/api_key", json!({"name": nul})).await.refused(400);
    assert_eq!(admin.get("object/count").await.ok(), json!({"count": 3}));
}

#[tokio::test]
async fn an_empty_type_is_the_usual_one() {
    let server = Server::start().await;
    let admin = server.admin().await;
    assert_eq!(admin.config(json!({"family": "f", "config_type": "", "cfg": {"a": 1}})).await.ok()["config_type"], "static");
}

#[tokio::test]
async fn ranges_of_statistics_are_numbers_of_python() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.config(json!({"family": "f", "cfg": {}})).await.ok();
    for (range, families) in [("%201d", 1), ("1%20d", 1), ("1_0d", 1), ("%2B1h", 1), ("-1d", 0), ("-0h", 0)] {
        let stats = admin.get(&format!("config/stats?range={range}")).await.ok();
        assert_eq!(each(&stats["families"], "family").len(), families, "{range}");
    }
    for range in ["1.5h", "h", "1", "1dh", "d1"] {
        admin.get(&format!("config/stats?range={range}")).await.refused(400);
    }
}
