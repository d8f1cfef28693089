//! Files: upload, views, names, options. See MWDB API §O1, §O2 and §O5.

use reqwest::{Method, multipart};
use serde_json::{Value, json};

use crate::harness::{OBJECT_404, Server, each, id, keys};

#[tokio::test]
async fn a_file_is_shown_with_all_its_digests() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = admin.upload("a.bin", "hello world\n", Value::Null).await.ok();
    let expected = json!({
        "type": "file", "id": "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447",
        "sha256": "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447",
        "md5": "6f5902ac237024bdd0c176cb93063dc4", "sha1": "22596363b3de40b06f981fb85d82312e8c0ed511",
        "sha512": "db3974a97f2407b7cae1ae637c0030687a11913274d578492558e39c16c017de84eacdc8c62fe34ee4e12b4b1428817f09b6a2760c3f8a664ceae94d2434a593",
        "crc32": "af083b2d", "ssdeep": file["ssdeep"], "file_name": "a.bin", "file_size": 12, "file_type": "ASCII text", "alt_names": [],
        "tags": [], "attributes": [], "parents": [], "children": [], "latest_config": null, "favorite": false, "share_3rd_party": true,
        "upload_time": file["upload_time"],
    });
    assert_eq!(file, expected);
    assert!(file["ssdeep"].as_str().unwrap().starts_with("3:"), "{file}");
    assert!(file["upload_time"].as_str().unwrap().ends_with("+00:00"));
    let path = format!("file/{}", id(&file));
    assert_eq!(admin.get(&path).await.ok(), file);
    let generic = admin.get(&path.replace("file", "object")).await.ok();
    assert_eq!(keys(&generic), ["attributes", "children", "favorite", "id", "parents", "share_3rd_party", "tags", "type", "upload_time"]);
    let listed = admin.get("file").await.ok()["files"][0].clone();
    assert_eq!(keys(&listed), ["file_name", "file_size", "file_type", "id", "md5", "sha1", "sha256", "tags", "type", "upload_time"]);
}

#[tokio::test]
async fn files_are_found_by_any_of_their_digests() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = admin.file("content").await;
    for digest in ["id", "md5", "sha1", "sha256", "sha512"] {
        let digest = file[digest].as_str().unwrap();
        assert_eq!(admin.get(&format!("file/{digest}")).await.ok()["id"], file["id"]);
        assert_eq!(admin.get(&format!("file/{}", digest.to_uppercase())).await.ok()["id"], file["id"]);
    }
    let (md5, sha256) = (file["md5"].as_str().unwrap(), file["sha256"].as_str().unwrap());
    for path in [format!("object/{md5}"), format!("config/{sha256}"), format!("blob/{sha256}"), "file/root".to_owned()] {
        assert!(admin.get(&path).await.refused(404).contains(OBJECT_404), "{path}");
    }
    admin.get(&format!("file/{}", "0".repeat(33))).await.missing();
    for malformed in ["0".repeat(31), "0".repeat(129), "g".repeat(64), "fake".to_owned()] {
        admin.get(&format!("file/{malformed}")).await.no_route();
        admin.delete(&format!("file/{malformed}")).await.no_route();
        admin.post(&format!("blob/{malformed}/karton"), json!({})).await.no_route();
    }
}

#[tokio::test]
async fn crc32_is_zero_padded() {
    let server = Server::start().await;
    let admin = server.admin().await;
    // Found by trying numbers.
    let text = (0..1_000_000).map(|n: u32| n.to_string()).find(|text| crc32fast::hash(text.as_bytes()) < 0x0010_0000).unwrap();
    let crc32 = admin.file(&text).await["crc32"].as_str().unwrap().to_owned();
    assert!(crc32.starts_with("000") && crc32.len() == 8, "{crc32}");
}

#[tokio::test]
async fn names_are_made_plain_and_later_ones_are_alternatives() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for (given, stored) in [
        ("../../x y/ą b?.bin", "x_y_a_b.bin"),
        ("naïve file.exe", "naive_file.exe"),
        ("plain-1_2.txt", "plain-1_2.txt"),
        ("??", ""),
        (".._hidden_.", "hidden"),
        ("C:\\temp\\a.exe", "Ctempa.exe"),
    ] {
        let file = admin.upload(given, format!("content of {given}"), Value::Null).await.ok();
        assert_eq!(file["file_name"], stored, "{given}");
    }
    let first = admin.upload("one.bin", "the same", Value::Null).await.ok();
    assert_eq!(first["alt_names"], json!([]));
    for name in ["two.bin", "one.bin", "three.bin", "two.bin"] {
        admin.upload(name, "the same", Value::Null).await.ok();
    }
    let file = admin.get(&format!("file/{}", id(&first))).await.ok();
    assert_eq!((&file["file_name"], &file["alt_names"]), (&json!("one.bin"), &json!(["two.bin", "three.bin"])));
    assert_eq!(file["upload_time"], first["upload_time"]);
}

#[tokio::test]
async fn options_are_strict() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for bad in [
        json!({"unknown": 1}),
        json!({"parent": 1}),
        json!({"upload_as": null}),
        json!({"upload_as": 1}),
        json!({"attributes": null}),
        json!({"attributes": {}}),
        json!({"attributes": [{"key": "k"}]}),
        json!({"attributes": [{"key": "k", "value": 1, "more": 1}]}),
        json!({"attributes": ["x"]}),
        json!({"tags": [{"tag": ""}]}),
        json!({"tags": [{"tag": "  "}]}),
        json!({"tags": [{"tag": 1}]}),
        json!({"tags": [{"tag": "a", "x": 1}]}),
        json!({"tags": ["a"]}),
        json!({"metakeys": [{"key": "k", "value": ""}]}),
        json!({"metakeys": [{"key": "k", "value": 1}]}),
        json!({"karton_id": "x"}),
        json!({"karton_arguments": []}),
        json!({"karton_arguments": {"other": 1}}),
        json!({"share_3rd_party": "perhaps"}),
        json!([]),
        json!("x"),
    ] {
        admin.upload("a", "content", bad.clone()).await.refused(400);
        assert_eq!(admin.get("file/count").await.ok()["count"], 0, "{bad}");
    }
    let part = |text: &str| {
        let file = reqwest::multipart::Part::bytes(b"content".to_vec()).file_name("a");
        reqwest::multipart::Form::new().text("options", text.to_owned()).part("file", file)
    };
    for text in ["null", "{", "[1]", "{\"parent\": NaN}"] {
        admin.send(admin.request(reqwest::Method::POST, "file").multipart(part(text))).await.refused(400);
    }
    assert_eq!(server.stored_files().len(), 0, "{:?}", server.stored_files());
    // Empty text is no options; fields that only older routes know are ignored.
    let form = part("").text("upload_as", "nobody").text("parent", "x");
    admin.send(admin.request(reqwest::Method::POST, "file").multipart(form)).await.ok();
}

#[tokio::test]
async fn an_upload_without_a_file_is_refused() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.upload("a", "", Value::Null).await.refused(400);
    let form = reqwest::multipart::Form::new().text("options", "{}");
    admin.send(admin.request(reqwest::Method::POST, "file").multipart(form)).await.refused(400);
    let form = reqwest::multipart::Form::new().text("file", "no name");
    admin.send(admin.request(reqwest::Method::POST, "file").multipart(form)).await.refused(400);
    admin.post("file", json!({})).await.refused(400);
    admin.post_empty("file").await.refused(400);
    assert_eq!(server.stored_files().len(), 0);
    server.anonymous().upload("a", "content", Value::Null).await.refused(401);
}

#[tokio::test]
async fn checks_come_in_the_order_of_the_reference() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    // Options are judged before the file.
    alice.upload("a", "", json!({"parent": "0".repeat(64)})).await.refused(403);
    admin.upload("a", "", json!({"parent": "0".repeat(64)})).await.missing();
    alice.upload("a", "x", json!({"karton_id": "b197bf85-e86e-421a-857b-eaafdff0b0d9"})).await.refused(403);
    alice.upload("a", "x", json!({"attributes": [{"key": "undefined", "value": 1}]})).await.missing();
    alice.upload("a", "x", json!({"attributes": [{"key": "karton", "value": "x"}]})).await.missing();
    alice.upload("a", "x", json!({"upload_as": "nobody"})).await.missing();
    alice.upload("a", "x", json!({"upload_as": ""})).await.missing();
    for parent in ["", "root", "no hash"] {
        admin.upload("a", "x", json!({"parent": parent})).await.missing();
    }
    assert_eq!(admin.get("file/count").await.ok()["count"], 0);
    assert_eq!(server.stored_files().len(), 0);
}

#[tokio::test]
async fn a_second_upload_merges_into_the_first() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let parent = id(&admin.file("parent").await);
    let options = |tag: &str, value: u32| json!({"tags": [{"tag": tag}], "attributes": [{"key": "K ", "value": value}]});
    let file = admin.upload("a", "content", options(" ONE ", 1)).await.ok();
    assert_eq!(file["tags"], json!([{"tag": "one"}]));
    let mut again = options("two", 2);
    again["parent"] = json!(parent);
    let merged = admin.upload("a", "content", again).await.ok();
    assert_eq!(merged["id"], file["id"]);
    assert_eq!(merged["tags"], json!([{"tag": "one"}, {"tag": "two"}]));
    assert_eq!(each(&merged["attributes"], "value"), [&json!(1), &json!(2)]);
    assert_eq!(each(&merged["parents"], "id"), [&json!(parent)]);
    assert_eq!(admin.get("file/count").await.ok()["count"], 2);
}

#[tokio::test]
async fn tags_on_upload_need_no_right() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let file = alice.upload("a", "x", json!({"tags": [{"tag": "a"}, {"tag": "A"}]})).await.ok();
    assert_eq!(file["tags"], json!([{"tag": "a"}]));
}

#[tokio::test]
async fn the_third_party_flag_is_never_taken_back() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let upload = |share: Value| admin.upload("a", "content", json!({"share_3rd_party": share}));
    let file = upload(json!(false)).await.ok();
    assert_eq!(file["share_3rd_party"], false);
    assert_eq!(upload(json!("no")).await.ok()["share_3rd_party"], false);
    assert_eq!(upload(json!(1)).await.ok()["share_3rd_party"], true);
    assert_eq!(upload(json!(false)).await.ok()["share_3rd_party"], true);
    let other = admin.upload("a", "other", json!({"share_3rd_party": false})).await.ok();
    let path = format!("object/{}/share_3rd_party", id(&other));
    alice.put_empty(&path).await.refused(403);
    admin.put_empty(&path).await.null();
    assert_eq!(admin.get(&format!("file/{}", id(&other))).await.ok()["share_3rd_party"], true);
    admin.put_empty(&format!("object/{}/share_3rd_party", "0".repeat(64))).await.missing();
    let without = Server::with(|config| config.enable_3rd_party_sharing_consent = false).await;
    without.admin().await.put_empty(&path).await.no_route();
}

#[tokio::test]
async fn favourites_are_the_callers_own() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let file = id(&alice.file("content").await);
    let path = format!("object/{file}/favorite");
    alice.put_empty(&path).await.null();
    alice.put_empty(&path).await.null();
    assert_eq!(alice.get(&format!("file/{file}")).await.ok()["favorite"], true);
    assert_eq!(admin.get(&format!("file/{file}")).await.ok()["favorite"], false);
    alice.delete(&path).await.null();
    alice.delete(&path).await.null();
    assert_eq!(alice.get(&format!("file/{file}")).await.ok()["favorite"], false);
    alice.put_empty(&format!("file/{file}/favorite")).await.no_route();
}

#[tokio::test]
async fn a_removed_object_is_gone_with_what_hung_on_it() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["adding_parents"]).await;
    let parent = id(&alice.file("parent").await);
    let child = alice.child_of(&parent, "child").await;
    admin.post(&format!("file/{parent}/comment"), json!({"comment": "hi"})).await.ok();
    admin.put(&format!("file/{parent}/tag"), json!({"tag": "t"})).await.ok();
    alice.delete(&format!("file/{parent}")).await.refused(403);
    alice.delete(&format!("file/{}", "0".repeat(64))).await.refused(403);
    admin.delete(&format!("config/{parent}")).await.missing();
    assert_eq!(server.stored_files().len(), 2);
    admin.delete(&format!("file/{parent}")).await.null();
    admin.delete(&format!("file/{parent}")).await.missing();
    assert_eq!(server.stored_files().len(), 1, "the content goes too");
    let left = alice.get(&format!("file/{child}")).await.ok();
    assert_eq!(left["parents"], json!([]));
    assert_eq!(alice.get("tag?query=").await.ok(), json!([]));
    // The same content is a new object.
    let again = alice.file("parent").await;
    assert_eq!((&again["tags"], &again["children"]), (&json!([]), &json!([])));
    assert_eq!(alice.get(&format!("file/{parent}/download")).await.text(), "parent");
}

#[tokio::test]
async fn the_newest_visible_config_is_shown_with_the_file() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    for value in ["first", "second"] {
        admin.config(json!({"family": "fam", "cfg": {"v": value}, "parent": file})).await.ok();
    }
    let view = admin.get(&format!("file/{file}")).await.ok();
    let config = &view["latest_config"];
    assert_eq!((&config["cfg"], &config["family"], &config["config_type"]), (&json!({"v": "second"}), &json!("fam"), &json!("static")));
    assert_eq!(view["children"].as_array().unwrap().len(), 2);
    let blob = id(&admin.post("blob", json!({"blob_name": "n", "blob_type": "t", "content": "text"})).await.ok());
    let config = admin.config(json!({"family": "fam", "cfg": {"v": 1}, "parent": blob})).await.ok();
    let view = admin.get(&format!("blob/{blob}")).await.ok();
    assert_eq!(view["latest_config"]["id"], config["id"]);
    assert_eq!(view["latest_config"]["parents"][0]["id"], json!(blob));
}

#[tokio::test]
async fn legacy_uploads_still_work() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let form = || {
        let part = reqwest::multipart::Part::bytes(b"content".to_vec()).file_name("a");
        reqwest::multipart::Form::new().part("file", part)
    };
    let post = |path: String, form| admin.send(admin.request(reqwest::Method::POST, &path).multipart(form));
    let file = id(&post("file/root".to_owned(), form().text("upload_as", "private")).await.ok());
    let child = admin.put(&format!("config/{file}"), json!({"family": "f", "cfg": {"a": 1}})).await.ok();
    assert_eq!(child["parents"][0]["id"], json!(file));
    let blob = json!({"blob_name": "n", "blob_type": "t", "content": "c"});
    assert_eq!(admin.put("blob/root", blob.clone()).await.ok()["type"], "text_blob");
    let text = admin.request(reqwest::Method::PUT, "blob/root").form(&[("json", blob.to_string())]);
    assert_eq!(admin.send(text).await.ok()["type"], "text_blob");
    post(format!("file/{}", "0".repeat(64)), form()).await.missing();
    post("file/root".to_owned(), form().text("metakeys", "{")).await.refused(400);
    post("file/root".to_owned(), form().text("metakeys", "{}")).await.refused(400);
    let alice = server.user(&admin, "alice", &[]).await;
    for path in ["config/root", "blob/root"] {
        alice.post(path, json!({})).await.refused(405);
    }
    alice.put("file/root", json!({})).await.refused(405);
    alice.post(&format!("object/{file}"), json!({})).await.refused(405);
    let strict = Server::with(|config| config.enable_brownout = true).await;
    strict.admin().await.put("blob/root", blob).await.refused(400);
}

#[tokio::test]
async fn names_may_be_empty_or_hold_quotation_marks() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let send = |disposition: &'static str, content: &'static str| {
        let body = format!("--B\r\nContent-Disposition: form-data; name=\"file\"; {disposition}\r\n\r\n{content}\r\n--B--\r\n");
        admin.send(admin.request(reqwest::Method::POST, "file").header("Content-Type", "multipart/form-data; boundary=B").body(body))
    };
    for (content, disposition, expected) in [
        ("1", r#"filename="a%22b.bin""#, "ab.bin"),
        ("2", r#"filename="a%0Ab%41.bin""#, "a0Ab41.bin"),
        ("3", r#"filename="a\"b.bin""#, "ab.bin"),
        ("4", r#"filename="""#, ""),
        ("5", r#"filename=""; filename*=utf-8''y%22.bin"#, "y.bin"),
    ] {
        assert_eq!(send(disposition, content).await.ok()["file_name"], expected, "{disposition}");
    }
    send(r#"filename="""#, "").await.refused(400);
    send("x=1", "content").await.refused(400);
}

#[tokio::test]
async fn fuzzy_hashes_are_those_of_ssdeep() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let mut state = 1_u64;
    let mut noise = |count: usize, zeros: usize| {
        let mut bytes = Vec::new();
        for _ in 0..count {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.push(state.to_be_bytes()[0]);
        }
        bytes.resize(count + zeros, 0);
        bytes
    };
    for (content, expected) in [
        (b"first".to_vec(), "3:7:7"),
        (b"a".to_vec(), "3:E:E"),
        (vec![b'x'; 1024], "3:n:n"),
        (vec![b'x'; 10_000], "3:n:n"),
        (vec![0; 100], "3::"),
        // Nothing is left where all of the last seven bytes are 0.
        (b"first\0\0\0\0\0\0".to_vec(), "3:zX:j"),
        (b"first\0\0\0\0\0\0\0".to_vec(), "3:z:"),
        (noise(1, 0), "3:J:J"),
        (noise(3, 0), "3:i:i"),
        (noise(10, 0), "3:TJh:Tf"),
        (noise(20, 0), "3:+56MsHtZ:+cZ"),
        (noise(30, 0), "3:IGP8IXyn:IEyn"),
    ] {
        let size = content.len();
        assert_eq!(admin.upload("a", content, Value::Null).await.ok()["ssdeep"], expected, "{size} bytes");
    }
}

#[tokio::test]
async fn fields_of_a_legacy_form_win_over_its_document() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let metakeys = |value: &str| json!({"metakeys": [{"key": "k", "value": value}]}).to_string();
    let form = multipart::Form::new().part("file", multipart::Part::bytes(b"x".to_vec()).file_name("x"));
    let form = form.text("json", metakeys("of the document")).text("metakeys", metakeys("of the form"));
    let view = admin.send(admin.request(Method::POST, "file/root").multipart(form)).await.ok();
    assert_eq!(each(&view["attributes"], "value"), ["of the form"]);
    let form = multipart::Form::new()
        .text("json", json!({"family": "f"}).to_string())
        .text("metakeys", json!({"metakeys": [{"key": 1}]}).to_string());
    let refusal = admin.send(admin.request(Method::PUT, "config/root").multipart(form)).await.refused(400);
    for place in ["'cfg': ", "'metakeys': {0: {'key': ", "'value': "] {
        assert!(refusal.contains(place), "{refusal}");
    }
    let form = multipart::Form::new().text("metakeys", "{}");
    let refusal = admin.send(admin.request(Method::PUT, "config/root").multipart(form)).await.refused(400);
    assert!(refusal.contains("'_schema'"), "{refusal}");
    // The parent is looked up before the form is looked at.
    admin.post(&format!("file/{}", "0".repeat(64)), json!({})).await.missing();
    admin.post("file/root", json!({})).await.refused(400);
}

#[tokio::test]
async fn of_two_names_of_a_file_the_extended_one_counts() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let body =
        "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"plain\"; filename*=UTF-8''na%C3%AFve\r\n\r\nx\r\n--X--\r\n";
    let request = admin.request(Method::POST, "file").header("Content-Type", "multipart/form-data; boundary=X").body(body);
    assert_eq!(admin.send(request).await.ok()["file_name"], "naive");
}
