//! Pages count against the same limits as the API, and in the same metrics. See MWDB API §A3.3 and §A3.4.

use mwdb_lite::Config;
use serde_json::json;

use crate::harness::{ADMIN, PASSWORD, Server, id};
use crate::pages::Browser;

fn limit(config: &mut Config, key: &str, text: &str) {
    config.enable_rate_limit = true;
    config.rate_limits.insert(key.to_owned(), mwdb_lite::limits::parse(text).unwrap());
}

#[tokio::test]
async fn logging_in_by_form_and_by_api_uses_up_one_limit() {
    let server = Server::with(|config| limit(config, "unauthenticated_loginresource_post", "2/minute")).await;
    let login = [("login", ADMIN), ("password", "a guess")];
    let browser = Browser::new(&server);
    browser.post("/login", &login).await.page(403);
    server.anonymous().post("auth/login", json!({"login": ADMIN, "password": "a guess"})).await.refused(403);
    let refused = browser.post("/login", &login).await;
    refused.page(429).has("Too many requests");
    assert!((5..=61).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    server.anonymous().post("auth/login", json!({"login": ADMIN, "password": PASSWORD})).await.refused(429);
    // The form itself is another request, and so are the style sheet and the icon.
    browser.get("/login").await.page(200);
}

#[tokio::test]
async fn registering_and_downloading_by_page_are_limited() {
    let server = Server::with(|config| {
        config.enable_registration = true;
        limit(config, "registerresource", "1/minute");
        limit(config, "filedownloadresource_get", "2/minute");
    })
    .await;
    let visitor = Browser::new(&server);
    let form = |login: &'static str| [("login", login), ("email", "x@example.com"), ("additional_info", "x")];
    visitor.post("/register", &form("one")).await.page(200);
    visitor.post("/register", &form("two")).await.page(429);
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    server.user(&admin, "bob", &["unlimited_requests"]).await;
    let file = id(&admin.upload("a", "content", json!({"upload_as": "public"})).await.ok());
    let (alice, bob) = (Browser::logged_in(&server, "alice").await, Browser::logged_in(&server, "bob").await);
    let path = format!("/file/{file}/download");
    alice.get(&path).await.has("content");
    alice.get(&path).await.has("content");
    alice.get(&path).await.page(429).has("alice");
    for _ in 0..4 {
        bob.get(&path).await.has("content");
    }
}

#[tokio::test]
async fn metrics_count_what_pages_are_asked_for() {
    let server = Server::with(|config| config.enable_prometheus_metrics = true).await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get(&format!("/file/{file}")).await.page(200);
    browser.get(&format!("/file/{}", "0".repeat(64))).await.page(404);
    browser.post(&format!("/object/{file}/tag"), &[("tag", "x")]).await;
    let text = admin.get("varz").await.text();
    for line in [
        r#"mwdb_api_requests{endpoint="api.loginresource",method="POST",status_code="303",user="127.0.0.1"} 1"#,
        r#"mwdb_api_requests{endpoint="api.fileitemresource",method="GET",status_code="200",user="admin"} 1"#,
        r#"mwdb_api_requests{endpoint="api.fileitemresource",method="GET",status_code="404",user="admin"} 1"#,
        r#"mwdb_api_requests{endpoint="api.tagresource",method="PUT",status_code="303",user="admin"} 1"#,
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
}

#[tokio::test]
async fn an_api_key_in_the_cookie_opens_no_session() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let key = admin.post("user/admin/api_key", json!({"name": "k"})).await.ok()["token"].as_str().unwrap().to_owned();
    server.with_token(&key).get("file").await.ok();
    let mut browser = Browser::new(&server);
    browser.cookie = Some(format!("mwdb_session={key}"));
    browser.get("/profile").await.leads_to("/login?back=%2Fprofile");
    browser.cookie = Some(format!("mwdb_session={}", admin.token.as_ref().unwrap()));
    browser.get("/profile").await.page(200);
}
