//! The document of the API, and whether it is true. See MWDB API §A3.1.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Api, Server, id};

/// Everything that is only mounted with a setting.
async fn full() -> Server {
    Server::with(|config| config.enable_prometheus_metrics = true).await
}

#[tokio::test]
async fn only_who_is_logged_in_reads_it() {
    let server = Server::start().await;
    server.anonymous().get("docs").await.refused(401);
    server.admin().await.get("docs").await.ok();
}

#[tokio::test]
async fn every_mounted_route_is_in_it_and_the_other_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let config = mwdb_lite::Config {
        sqlite_path: folder.path().join("mwdb.sqlite"),
        uploads_folder: folder.path().join("uploads"),
        admin_password: Some("the password of the test".to_owned()),
        enable_3rd_party_sharing_consent: true,
        enable_prometheus_metrics: true,
        ..mwdb_lite::Config::default()
    };
    let rocket = mwdb_lite::build(mwdb_lite::App::open(config).await.unwrap());
    let mounted: BTreeSet<(String, String, BTreeSet<String>)> = rocket
        .routes()
        .filter(|route| route.uri.path().starts_with("/api/"))
        .map(|route| {
            let path = route.uri.path().replace('<', "{").replace('>', "}");
            let query = route.uri.query().map(ToString::to_string).unwrap_or_default();
            let query = query.split('&').filter(|name| !name.is_empty()).map(|name| name.trim_matches(['<', '>']).to_owned()).collect();
            (path, route.method.as_str().to_lowercase(), query)
        })
        .collect();
    let document = full().await.admin().await.get("docs").await.ok();
    let mut told = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let query = operation["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["in"] == "query");
            let query = query.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect();
            told.insert((path.clone(), method.clone(), query));
        }
    }
    assert_eq!(mounted.difference(&told).collect::<Vec<_>>(), Vec::<&(String, String, BTreeSet<String>)>::new(), "mounted, not told");
    assert_eq!(told.difference(&mounted).collect::<Vec<_>>(), Vec::<&(String, String, BTreeSet<String>)>::new(), "told, not mounted");
}

#[tokio::test]
async fn routes_that_are_switched_off_are_not_in_it() {
    let server = Server::with(|config| config.enable_3rd_party_sharing_consent = false).await;
    let paths = server.admin().await.get("docs").await.ok()["paths"].clone();
    assert!(paths.get("/api/varz").is_none() && paths.get("/api/object/{hash}/share_3rd_party").is_none());
}

/// Walks a schema as `OpenAPI` 3.0 has them.
fn check_schema(document: &Value, schema: &Value, place: &str) {
    let schema = schema.as_object().unwrap_or_else(|| panic!("{place}: no schema"));
    if let Some(reference) = schema.get("$ref") {
        assert_eq!(schema.len(), if schema.contains_key("nullable") { 2 } else { 1 }, "{place}");
        let path = reference.as_str().unwrap().strip_prefix('#').unwrap_or_else(|| panic!("{place}: {reference}"));
        assert!(document.pointer(path).is_some(), "{place}: {reference} leads nowhere");
        return;
    }
    let known = ["type", "format", "nullable", "enum", "pattern", "items", "properties", "required"];
    assert!(schema.keys().all(|key| known.contains(&key.as_str())), "{place}: {schema:?}");
    if let Some(kind) = schema.get("type") {
        assert!(["string", "integer", "boolean", "object", "array"].contains(&kind.as_str().unwrap()), "{place}: {kind}");
        assert_eq!(kind == "array", schema.contains_key("items"), "{place}");
    }
    if let Some(items) = schema.get("items") {
        check_schema(document, items, place);
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        check_schema(document, property, &format!("{place}.{name}"));
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        assert!(properties.unwrap().contains_key(name.as_str().unwrap()), "{place}: {name}");
    }
}

#[tokio::test]
async fn it_is_built_as_openapi_asks() {
    let document = full().await.admin().await.get("docs").await.ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.0."));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    assert!(document["servers"][0]["url"].is_string());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        check_schema(&document, schema, name);
    }
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let in_path: BTreeSet<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        for (method, operation) in operations.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(["get", "post", "put", "delete"].contains(&method.as_str()), "{place}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{place}: a second operation of this id");
            assert!(operation["tags"].as_array().unwrap().iter().all(|tag| tags.contains(&tag)), "{place}");
            let mut named = BTreeSet::new();
            for parameter in operation["parameters"].as_array().unwrap() {
                let kind = parameter["in"].as_str().unwrap();
                assert!(parameter["required"] == true || kind == "query", "{place}");
                check_schema(&document, &parameter["schema"], &place);
                if kind == "path" {
                    named.insert(parameter["name"].as_str().unwrap());
                }
            }
            assert_eq!(named, in_path, "{place}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("200"), "{place}");
            for content in responses.values().chain(operation.get("requestBody")).flat_map(|body| body["content"].as_object().unwrap()) {
                check_schema(&document, &content.1["schema"], &place);
            }
            for response in responses.values() {
                assert!(response["description"].is_string(), "{place}");
            }
            for scheme in operation["security"].as_array().into_iter().flatten().flat_map(|scheme| scheme.as_object().unwrap().keys()) {
                assert!(document["components"]["securitySchemes"].get(scheme).is_some(), "{place}");
            }
        }
    }
}

#[tokio::test]
async fn parameters_of_queries_are_what_it_says() {
    let server = full().await;
    let admin = server.admin().await;
    let document = admin.get("docs").await.ok();
    let file = id(&admin.file("content").await);
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let query = operation["parameters"].as_array().unwrap().iter().filter(|parameter| parameter["in"] == "query");
            let query: Vec<&Value> = query.collect();
            let path = path.trim_start_matches("/api/").replace("{kind}", "file").replace("{hash}", &file).replace(['{', '}'], "");
            let ask = async |values: &[(&str, &str)]| {
                let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                admin.send(admin.request(method, &path).query(values)).await
            };
            let names = |reply: &crate::harness::Reply, name: &str| reply.status == 400 && reply.text().contains(&format!("'{name}'"));
            for parameter in &query {
                let name = parameter["name"].as_str().unwrap();
                // Who leaves it out is told so, or it may be left out.
                assert_eq!(parameter["required"], names(&ask(&[]).await, name), "{method} {path} {name}");
                let schema = &parameter["schema"];
                if schema["type"] != "string" || schema["enum"].is_array() {
                    let others = query.iter().filter(|other| other["required"] == true).map(|other| (other["name"].as_str().unwrap(), "x"));
                    let values: Vec<_> = others.filter(|other| other.0 != name).chain([(name, "x!")]).collect();
                    assert!(names(&ask(&values).await, name), "{method} {path}: any {name} is taken");
                }
            }
        }
    }
}

/// Whether a value is what a schema says; unknown keys are refused.
fn fits(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        return fits(document, document.pointer(&reference[1..]).unwrap(), value, place);
    }
    if value.is_null() {
        assert_eq!(schema["nullable"], true, "{place} is null");
        return;
    }
    match schema["type"].as_str() {
        Some("string") => assert!(value.is_string(), "{place}: {value}"),
        Some("integer") => assert!(value.is_i64() || value.is_u64(), "{place}: {value}"),
        Some("boolean") => assert!(value.is_boolean(), "{place}: {value}"),
        Some("array") => {
            for (index, item) in value.as_array().unwrap_or_else(|| panic!("{place}: {value}")).iter().enumerate() {
                fits(document, &schema["items"], item, &format!("{place}[{index}]"));
            }
        }
        Some("object") => {
            let object = value.as_object().unwrap_or_else(|| panic!("{place}: {value}"));
            let Some(properties) = schema["properties"].as_object() else { return };
            for (key, item) in object {
                let property = properties.get(key).unwrap_or_else(|| panic!("{place}: `{key}` is not in the document"));
                fits(document, property, item, &format!("{place}.{key}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(object.contains_key(name.as_str().unwrap()), "{place}: {name} is missing");
            }
        }
        _ => {}
    }
}

async fn answers_as_told(api: &Api, document: &Value, method: &str, template: &str, path: &str, body: Value) {
    let request = api.request(method.to_uppercase().parse().unwrap(), path);
    let request = if body.is_null() { request } else { request.json(&body) };
    let answer = api.send(request).await.ok();
    let schema = &document["paths"][template][method]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {template}");
    if schema["enum"] == json!([null]) {
        assert_eq!(answer, Value::Null, "{method} {path}");
    } else {
        fits(document, schema, &answer, &format!("{method} {path}"));
    }
}

#[tokio::test]
async fn replies_are_what_it_says() {
    let server = full().await;
    let admin = server.admin().await;
    let document = admin.get("docs").await.ok();
    let alice = server.user(&admin, "alice", &["manage_profile"]).await;
    server.group(&admin, "team", &[&alice]).await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let options = json!({"attributes": [{"key": "k", "value": {"a": [1]}}], "tags": [{"tag": "t"}]});
    let file = id(&admin.upload("a.exe", "content", options).await.ok());
    let key = alice.post_empty("user/alice/api_key").await.ok();
    let config = id(&admin.config(json!({"family": "f", "cfg": {"a": 1}, "parent": file})).await.ok());
    let blob = id(&admin.blob("text").await);
    admin.put_empty(&format!("object/{config}/child/{blob}")).await.null();
    let quick = json!({"name": "n", "query": "q", "type": "file"});
    let get: &[(&str, &str)] = &[
        ("/api/ping", "ping"),
        ("/api/server", "server"),
        ("/api/server/admin", "server/admin"),
        ("/api/auth/validate", "auth/validate"),
        ("/api/auth/groups", "auth/groups"),
        ("/api/{kind}", "file"),
        ("/api/{kind}", "object"),
        ("/api/{kind}/count", "object/count"),
        ("/api/{kind}/{hash}", &format!("object/{file}")),
        ("/api/config/stats", "config/stats"),
        ("/api/tag", "tag?query=t"),
        ("/api/{kind}/{hash}/tag", &format!("file/{file}/tag")),
        ("/api/{kind}/{hash}/relations", &format!("config/{config}/relations")),
        ("/api/share", "share"),
        ("/api/{kind}/{hash}/share", &format!("file/{file}/share")),
        ("/api/{kind}/{hash}/attribute", &format!("file/{file}/attribute")),
        ("/api/attribute", "attribute?access=manage"),
        ("/api/attribute/{key}", "attribute/k"),
        ("/api/{kind}/{hash}/meta", &format!("file/{file}/meta")),
        ("/api/meta/list/set", "meta/list/set"),
        ("/api/meta/manage", "meta/manage"),
        ("/api/{kind}/{hash}/karton", &format!("file/{file}/karton")),
        ("/api/user", "user"),
        ("/api/user/{login}", "user/alice"),
        ("/api/user/{login}/change_password", "user/alice/change_password"),
        ("/api/profile/{login}", "profile/admin"),
        ("/api/profile/{login}", "profile/alice"),
        ("/api/group", "group"),
        ("/api/group/{name}", "group/team"),
        ("/api/remote", "remote"),
    ];
    for (template, path) in get {
        answers_as_told(&admin, &document, "get", template, path, Value::Null).await;
    }
    let uuid = "91a521d0-4696-4df1-9188-c07c525a0808";
    let change: &[(&str, &str, &str, Value)] = &[
        ("post", "/api/auth/login", "auth/login", json!({"login": "admin", "password": crate::harness::PASSWORD})),
        ("post", "/api/auth/refresh", "auth/refresh", Value::Null),
        ("post", "/api/user/{login}/api_key", "user/alice/api_key", Value::Null),
        ("post", "/api/config", "config", json!({"family": "f", "cfg": {}})),
        ("post", "/api/blob", "blob", json!({"blob_name": "n", "blob_type": "t", "content": "other"})),
        ("put", "/api/{kind}/{hash}/tag", &format!("file/{file}/tag"), json!({"tag": "u"})),
        ("post", "/api/{kind}/{hash}/comment", &format!("file/{file}/comment"), json!({"comment": "c"})),
        ("put", "/api/{kind}/{hash}/share", &format!("file/{file}/share"), json!({"group": "team"})),
        ("put", "/api/object/{hash}/favorite", &format!("object/{file}/favorite"), Value::Null),
        ("put", "/api/object/{hash}/share_3rd_party", &format!("object/{file}/share_3rd_party"), Value::Null),
        ("post", "/api/{kind}/quick_query", "file/quick_query", quick),
        (
            "put",
            "/api/attribute/{key}/permissions",
            "attribute/k/permissions",
            json!({"group_name": "team", "can_read": true, "can_set": false}),
        ),
        ("put", "/api/{kind}/{hash}/karton/{uuid}", &format!("file/{file}/karton/{uuid}"), Value::Null),
        ("post", "/api/file/{hash}/download", &format!("file/{file}/download"), Value::Null),
        ("put", "/api/group/{name}", "group/team", json!({"name": "crew"})),
        ("delete", "/api/api_key/{key}", &format!("api_key/{}", key["id"].as_str().unwrap()), Value::Null),
        ("delete", "/api/{kind}/{hash}", &format!("blob/{blob}"), Value::Null),
        ("delete", "/api/user/{login}", "user/alice", Value::Null),
    ];
    for (method, template, path, body) in change {
        answers_as_told(&admin, &document, method, template, path, body.clone()).await;
    }
    for (template, answer) in [
        ("/api/file", admin.upload("b", "another", Value::Null).await.ok()),
        ("/api/file", admin.upload("b", "content", Value::Null).await.ok()),
    ] {
        fits(
            &document,
            &document["paths"][template]["post"]["responses"]["200"]["content"]["application/json"]["schema"],
            &answer,
            "upload",
        );
    }
}
