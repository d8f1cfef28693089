//! Refusals: their kinds, shapes and limits. See MWDB API §A1.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, id};

#[tokio::test]
async fn unknown_routes_are_404_for_every_method() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        for path in ["nothing", "", "file/fake", "object/a/b/c/d", "ping/", "thing/00000000000000000000000000000000"] {
            let reply = admin.send(admin.request(method.clone(), path)).await;
            let message = reply.refused(404);
            assert!(message.ends_with("If you entered the URL manually please check your spelling and try again."), "{method} {path}");
        }
    }
    // Outside the API too, when there are no pages.
    let bare = Server::with(|config| config.serve_web = false).await;
    let client = bare.anonymous();
    client.send(client.http.request(Method::GET, format!("{}/nothing", bare.url()))).await.no_route();
}

#[tokio::test]
async fn wrong_methods_are_405() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    for (method, path) in [
        (Method::POST, "ping".to_owned()),
        (Method::GET, "auth/login".to_owned()),
        (Method::PUT, "file".to_owned()),
        (Method::PATCH, format!("file/{file}")),
        (Method::POST, format!("object/{file}")),
        (Method::POST, format!("config/{file}")),
        (Method::PUT, format!("file/{file}/comment")),
        (Method::GET, format!("file/{file}/child/{file}")),
        (Method::GET, "api_key/x".to_owned()),
    ] {
        admin.send(admin.request(method.clone(), &path)).await.refused(405);
    }
    // Methods that no route can have.
    for method in ["PROPFIND", "get", "X"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let reply = admin.send(admin.request(method.clone(), &format!("file/{file}/tag"))).await;
        reply.refused(405);
        assert_eq!(reply.header("allow"), "DELETE, GET, OPTIONS, PUT", "{method}");
        admin.send(admin.request(method, "nothing")).await.no_route();
    }
    let head = admin.send(admin.request(Method::HEAD, "ping")).await;
    assert_eq!(head.status, 405);
    assert_eq!(admin.send(admin.request(Method::HEAD, "nothing")).await.status, 404);
    assert_eq!(server.anonymous().send(server.anonymous().request(Method::OPTIONS, "file")).await.status, 200);
}

#[tokio::test]
async fn bodies_are_json_whatever_they_say_they_are() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let request = admin.request(Method::POST, "blob").header("Content-Type", "text/plain");
    let body = r#"{"blob_name": "n", "blob_type": "t", "content": "c"}"#;
    admin.send(request.body(body)).await.ok();
    for bad in ["", "{", "nul", "{\"a\": 1,}", "{\"a\": 01}", "{'a': 1}", "\u{1}", "{} {}"] {
        let message = admin.raw(Method::POST, "blob", bad).await.refused(400);
        assert!(message.contains("JSONDecodeError"), "{bad}: {message}");
    }
    admin.raw(Method::POST, "blob", vec![b'{', 0xff, b'}']).await.refused(400);
    for no_object in ["null", "[]", "1", "\"x\""] {
        admin.raw(Method::POST, "blob", no_object).await.refused(400);
    }
    // The later of two equal keys wins.
    let twice = r#"{"blob_name": 1, "blob_name": "n", "blob_type": "t", "content": "twice"}"#;
    admin.raw(Method::POST, "blob", twice).await.ok();
}

#[tokio::test]
async fn deep_json_is_refused_or_stored_but_breaks_nothing() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for depth in [50, 1000, 100_000, 2_000_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(r#"{{"family": "f", "cfg": {{"v": {deep}}}}}"#);
        let reply = admin.raw(Method::POST, "config", body).await;
        if depth == 50 {
            reply.ok();
        } else if reply.status == 200 {
            let hash = id(&serde_json::from_slice::<Value>(&reply.bytes).unwrap_or_else(|_| json!({"id": "unread"})));
            assert_ne!(hash, "", "{depth}");
        } else {
            reply.refused(400);
        }
        let unclosed = format!(r#"{{"family": "f", "cfg": {{"v": {}"#, r#"{"a":["#.repeat(depth));
        admin.raw(Method::POST, "config", unclosed).await.refused(400);
        admin.get("ping").await.ok();
        assert_eq!(admin.get("config").await.status, 200);
    }
}

#[tokio::test]
async fn ten_megabytes_of_json_are_welcome() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let content = "abcdefg\n".repeat(10 << 17) + "ą";
    let blob = admin.blob(&content).await;
    assert_eq!(blob["blob_size"], json!(content.chars().count()));
    assert_eq!(admin.get(&format!("blob/{}", id(&blob))).await.ok()["content"].as_str(), Some(content.as_str()));
    let cfg = json!({"list": (0..30_000).map(|n| format!("http://example.com/{n}/some/path/{n}")).collect::<Vec<_>>()});
    let config = admin.config(json!({"family": "f", "cfg": cfg})).await.ok();
    assert_eq!(config["cfg"]["list"][29_999], cfg["list"][29_999]);
}

#[tokio::test]
async fn a_form_of_who_is_not_logged_in_is_short() {
    let server = Server::start().await;
    let form = |length: usize| reqwest::Client::new().post(format!("{}/login", server.url())).body(format!("login={}", "x".repeat(length)));
    let form = |length| form(length).header("Content-Type", "application/x-www-form-urlencoded").header("Origin", server.url());
    assert_eq!(form(100_000).send().await.unwrap().status(), 413);
    assert_ne!(form(1000).send().await.unwrap().status(), 413);
}

#[tokio::test]
async fn larger_than_allowed_is_413_and_leaves_nothing() {
    let server = Server::with(|config| config.max_upload_size = Some(100_000)).await;
    let admin = server.admin().await;
    admin.upload("a", vec![b'x'; 200_000], Value::Null).await.refused(413);
    admin.post("blob", json!({"blob_name": "n", "blob_type": "t", "content": "x".repeat(200_000)})).await.refused(413);
    admin.upload("a", vec![b'x'; 50_000], Value::Null).await.ok();
    karton_rs::testing::eventually("an empty staging folder", || async { (server.stored_files().len() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn bad_names_in_paths_are_missing_things() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for path in ["user/no%2Fbody", "user/%00", "user/%F0%9F", "group/%27%20OR%201=1", "attribute/%25", "profile/..%2f"] {
        let reply = admin.get(path).await;
        assert!(reply.status == 404 || reply.status == 400, "{path}: {}", reply.text());
        assert!(reply.json()["message"].is_string());
    }
}

#[tokio::test]
async fn refusals_are_not_affected_by_odd_headers() {
    let server = Server::start().await;
    let client = server.anonymous();
    let request = |name: &str, value: &str| client.request(Method::GET, "server").header(name, value);
    for (name, value) in [("Authorization", "Bearer \u{7f}"), ("Content-Length", "0"), ("Accept", "text/html"), ("X-Forwarded-For", "x")] {
        if let Ok(request) = request(name, value).build() {
            let reply = client.http.execute(request).await.unwrap();
            assert_eq!(reply.status(), 200, "{name}");
        }
    }
    let reply = client.send(client.request(Method::GET, "file").header("Accept", "text/html")).await;
    reply.refused(401);
}

#[tokio::test]
async fn all_that_is_missing_is_named_at_once() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let missing = |fields: &[&str]| {
        let fields: Vec<String> = fields.iter().map(|field| format!("'{field}': ['Missing data for required field.']")).collect();
        format!("ValidationError: {{{}}}", fields.join(", "))
    };
    let file = id(&admin.file("content").await);
    let metakeys = format!("file/{file}/meta");
    for (path, fields) in [
        ("auth/login", &["login", "password"][..]),
        ("auth/change_password", &["password", "token"]),
        ("auth/recover_password", &["login", "email"]),
        ("user/alice", &["email", "additional_info"]),
        ("blob", &["blob_name", "blob_type", "content"]),
        ("config", &["family", "cfg"]),
        ("attribute", &["key", "label", "description", "hidden"]),
        ("file/quick_query", &["query", "name", "type"]),
        (&metakeys, &["key", "value"]),
    ] {
        assert_eq!(admin.post(path, json!({})).await.refused(400), missing(fields), "{path}");
    }
    assert_eq!(admin.post("blob", json!({"blob_type": "t"})).await.refused(400), missing(&["blob_name", "content"]));
}

#[tokio::test]
async fn all_mistakes_are_told_with_their_places() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let options = json!({
        "parent": 5, "tags": [{"tag": "fine"}, {"tag": 1, "x": 1}, {}, "t"], "attributes": [{"key": "k"}], "unknown": 1,
    });
    let expected = "ValidationError: {'options': {'parent': ['Not a valid string.'], \
        'attributes': {0: {'value': ['Missing data for required field.']}}, \
        'tags': {1: {'tag': ['Not a valid string.'], 'x': ['Unknown field.']}, 2: {'tag': ['Missing data for required field.']}, \
        3: {'_schema': ['Invalid input type.']}}, 'unknown': ['Unknown field.']}}";
    assert_eq!(admin.upload("a", "content", options).await.refused(400), expected);
    let blob = json!({"blob_name": 1, "blob_type": "x".repeat(33), "tags": {}});
    let expected = "ValidationError: {'tags': ['Invalid type.'], 'blob_name': ['Not a valid string.'], \
        'blob_type': ['Longer than maximum length 32.'], 'content': ['Missing data for required field.']}";
    assert_eq!(admin.post("blob", blob).await.refused(400), expected);
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let options = json!({"attributes": [{"key": "k", "value": 1}, {"key": "k", "value": []}]});
    let expected = r#"ValidationError: {'options': {'attributes': {1: {'value': ["Value shouldn't be empty"]}}}}"#;
    assert_eq!(admin.upload("a", "content", options).await.refused(400), expected);
    // A request does not decide how long the answer is.
    let many = json!({"tags": vec![json!({}); 10_000]});
    assert!(admin.upload("a", "content", many).await.refused(400).len() < 10_000);
}

#[tokio::test]
async fn a_body_that_would_take_gigabytes_is_refused() {
    let server = Server::with(|config| config.enable_registration = true).await;
    // Whoever is not logged in has little to say.
    let anonymous = server.anonymous();
    for path in ["auth/login", "auth/recover_password", "auth/register", "auth/change_password"] {
        let long = json!({"login": "x".repeat(65_536)}).to_string();
        anonymous.raw(Method::POST, path, long).await.refused(413);
    }
    let admin = server.admin().await;
    let zeros = |count: usize| format!(r#"{{"family": "f", "cfg": {{"list": [{}0]}}}}"#, "0,".repeat(count));
    assert!(admin.raw(Method::POST, "config", zeros(1_000_000)).await.refused(400).contains("too many values"));
    let options = zeros(1_000_000);
    let part = reqwest::multipart::Part::bytes(b"content".to_vec()).file_name("a");
    let form = reqwest::multipart::Form::new().part("file", part).text("options", options);
    let reply = admin.send(admin.request(Method::POST, "file").multipart(form)).await;
    assert!(reply.refused(400).contains("too many values"));
    admin.raw(Method::POST, "config", zeros(100_000)).await.ok();
    // The form of the login page too.
    let fields = "a&".repeat(20_000);
    let request = admin.http.post(format!("{}/login", server.url())).header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(request.body(fields).send().await.unwrap().status(), 413);
}

#[tokio::test]
async fn a_path_may_be_written_in_several_ways() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("x").await);
    for path in ["%70ing", "/ping", "///ping"] {
        assert_eq!(admin.get(path).await.ok(), json!({"status": "ok"}), "{path}");
    }
    let escaped: String = file.bytes().map(|byte| format!("%{byte:02x}")).collect();
    admin.get(&format!("%66ile/{escaped}")).await.ok();
    admin.get(&format!("/file//{file}")).await.ok();
    // An escaped slash is one, so this is another route, and names keep their other escapes.
    for path in ["user/a%2Fb", "group/a%2Fb", "attribute/a%2Fb", "ping%2F", "ping//"] {
        admin.get(path).await.no_route();
    }
    admin.get("user/a%25b").await.missing();
}

#[tokio::test]
async fn ids_of_rows_are_digits_alone() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for id in ["-1", "+1", "1.0", "x", "%20"] {
        admin.delete(&format!("quick_query/{id}")).await.no_route();
    }
    for id in ["0", "007", "%31", "99999999999999999999"] {
        admin.delete(&format!("quick_query/{id}")).await.missing();
    }
}

#[tokio::test]
async fn mistakes_inside_something_are_told_with_it() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let upload = |options| admin.upload("x", "x", options);
    let refusal = upload(json!({"parent": 1, "karton_id": 1})).await.refused(400);
    assert_eq!(refusal, "ValidationError: {'options': {'parent': ['Not a valid string.'], 'karton_id': ['Not a valid UUID.']}}");
    let refusal = upload(json!({"attributes": [{"key": "a b", "value": ""}]})).await.refused(400);
    assert!(refusal.starts_with("ValidationError: {'options': {'attributes': {0: {'key': ["), "{refusal}");
    assert!(refusal.contains("'value': [\"Value shouldn't be empty\"]"), "{refusal}");
    assert!(upload(json!([])).await.refused(400).contains("{'options': {'_schema': "));
    let form = |text: &'static str| {
        let part = reqwest::multipart::Part::bytes(b"x".to_vec()).file_name("x");
        admin.request(Method::POST, "file").multipart(reqwest::multipart::Form::new().part("file", part).text("options", text))
    };
    assert!(admin.send(form("null")).await.refused(400).contains("{'options': ['Field may not be null.']}"));
    let refusal = admin.post("group/x", json!({"capabilities": ["a", null, 1]})).await.refused(400);
    assert_eq!(refusal, "ValidationError: {'capabilities': {1: ['Field may not be null.'], 2: ['Not a valid string.']}}");
    let blob = json!({"family": "f", "cfg": {"raw": {"in-blob": {"content": 1, "blob_name": null}}}});
    let refusal = admin.config(blob).await.refused(400);
    for place in ["'blob_name': ['Field may not be null.']", "'blob_type': ['Missing data", "'content': ['Not a valid string.']"] {
        assert!(refusal.contains(place), "{refusal}");
    }
}
