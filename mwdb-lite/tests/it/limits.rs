//! Limits, what is deprecated, and metrics. See MWDB API §A3.3 and §A3.4.

use serde_json::json;

use crate::harness::{ADMIN, PASSWORD, Server, id};

fn limit(config: &mut mwdb_lite::Config, key: &str, text: &str) {
    config.enable_rate_limit = true;
    config.rate_limits.insert(key.to_owned(), mwdb_lite::limits::parse(text).unwrap());
}

#[tokio::test]
async fn who_asks_too_often_has_to_wait() {
    let server = Server::with(|config| limit(config, "unauthenticated_pingresource_get", "3/minute")).await;
    for _ in 0..3 {
        server.anonymous().get("ping").await.ok();
    }
    let refused = server.anonymous().get("ping").await;
    refused.refused(429);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((5..=61).contains(&wait), "{wait}");
    server.anonymous().get("server").await.ok();
}

#[tokio::test]
async fn each_user_has_their_own_limit_and_some_have_none() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let (alice, bob) = (server.user(&admin, "alice", &[]).await, server.user(&admin, "bob", &["unlimited_requests"]).await);
    server.stop().await;
    server.start_again(|config| limit(config, "validatetokenresource_get", "2/minute")).await;
    let [admin, alice, bob] = [admin, alice, bob].map(|api| server.with_token(api.token.as_ref().unwrap()));
    for _ in 0..2 {
        alice.get("auth/validate").await.ok();
    }
    alice.get("auth/validate").await.refused(429);
    for _ in 0..4 {
        bob.get("auth/validate").await.ok();
        admin.get("auth/validate").await.ok();
    }
}

#[tokio::test]
async fn limits_of_a_group_count_for_its_members() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let (alice, bob) = (server.user(&admin, "alice", &[]).await, server.user(&admin, "bob", &[]).await);
    server.group(&admin, "Team", &[&alice]).await;
    server.stop().await;
    server.start_again(|config| limit(config, "group_team", "1/minute")).await;
    let [alice, bob] = [alice, bob].map(|api| server.with_token(api.token.as_ref().unwrap()));
    alice.get("share").await.ok();
    alice.get("auth/validate").await.refused(429);
    bob.get("share").await.ok();
    bob.get("auth/validate").await.ok();
}

#[tokio::test]
async fn a_limit_comes_before_the_login_and_after_the_route() {
    let server = Server::with(|config| limit(config, "get", "0/minute")).await;
    server.anonymous().get("auth/validate").await.refused(429);
    server.anonymous().get("nothing").await.no_route();
    server.anonymous().get("file/no-hash").await.no_route();
    server.anonymous().get("auth/login").await.refused(405);
    let told = server.login(ADMIN, PASSWORD).await.get("server/admin").await.ok();
    assert_eq!(told["rate_limit_enabled"], true);
}

#[tokio::test]
async fn a_proxy_tells_who_asks_only_where_it_is_trusted() {
    let server = Server::with(|config| limit(config, "unauthenticated", "1/minute")).await;
    let ask = async |server: &Server, address: &str| {
        let client = server.anonymous();
        client.send(client.request(reqwest::Method::GET, "ping").header("X-Forwarded-For", address)).await
    };
    ask(&server, "10.0.0.1").await.ok();
    ask(&server, "10.0.0.2").await.refused(429);
    let behind = Server::with(|config| {
        limit(config, "unauthenticated", "1/minute");
        config.use_x_forwarded_for = true;
    })
    .await;
    ask(&behind, "10.0.0.1").await.ok();
    ask(&behind, "10.0.0.2").await.ok();
    ask(&behind, "1.2.3.4, 10.0.0.2").await.refused(429);
}

#[tokio::test]
async fn who_guesses_a_password_has_to_wait_and_nobody_else() {
    let server = Server::with(|config| {
        config.max_failed_logins = 3;
        config.use_x_forwarded_for = true;
    })
    .await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let attempt = async |login: &str, password: &str, address: &str| {
        let client = server.anonymous();
        let request = client.request(reqwest::Method::POST, "auth/login").header("X-Forwarded-For", address);
        client.send(request.json(&json!({"login": login, "password": password}))).await
    };
    for _ in 0..3 {
        attempt("alice", "guess", "10.0.0.1").await.refused(403);
    }
    let refused = attempt("alice", PASSWORD, "10.0.0.1").await;
    refused.refused(429);
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 200));
    attempt("alice", PASSWORD, "10.0.0.2").await.ok();
    attempt("admin", PASSWORD, "10.0.0.1").await.ok();
    for _ in 0..3 {
        attempt("nobody", "guess", "10.0.0.3").await.refused(403);
    }
    attempt("nobody", "guess", "10.0.0.3").await.refused(429);
}

#[tokio::test]
async fn what_is_deprecated_is_refused_in_a_brownout() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    let key = admin.post_empty("user/admin/api_key").await.ok()["id"].clone();
    let legacy = |claims: serde_json::Value| {
        use jsonwebtoken::{Algorithm, EncodingKey, Header};
        jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &EncodingKey::from_secret(crate::harness::SECRET.as_bytes())).unwrap()
    };
    let old_keys = [legacy(json!({"login": "admin", "version_uid": null})), legacy(json!({"login": "admin", "api_key_id": key}))];
    server.with_token(&old_keys[0]).get("auth/validate").await.ok();
    server.stop().await;
    server.start_again(|config| config.enable_brownout = true).await;
    let admin = server.with_token(admin.token.as_ref().unwrap());
    for path in [
        format!("file/{file}/meta"),
        "meta/list/read".to_owned(),
        "meta/manage".to_owned(),
        "file?page=1".to_owned(),
        "download/x".to_owned(),
    ] {
        admin.get(&path).await.refused(400);
    }
    admin.post_empty(&format!("request/sample/{file}")).await.refused(400);
    admin.upload("a", "other", json!({"metakeys": [{"key": "k", "value": "v"}]})).await.refused(400);
    admin.put("config/root", json!({"family": "f", "cfg": {}})).await.refused(400);
    for token in old_keys {
        server.with_token(&token).get("auth/validate").await.refused(400);
    }
    // Before the login is asked for.
    server.anonymous().get("meta/manage").await.refused(400);
    admin.get("file").await.ok();
    admin.upload("a", "other", json!({"metakeys": []})).await.ok();
}

#[tokio::test]
async fn metrics_are_there_when_they_are_switched_on_for_who_may_read_them() {
    let off = Server::start().await;
    off.admin().await.get("varz").await.no_route();
    let server = Server::with(|config| config.enable_prometheus_metrics = true).await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    alice.get("varz").await.refused(403);
    server.anonymous().get("varz").await.refused(401);
    let file = id(&alice.file("content").await);
    alice.get(&format!("file/{file}/meta")).await.ok();
    alice.get(&format!("file/{}", "0".repeat(64))).await.missing();
    let reply = admin.get("varz").await;
    assert!(reply.header("content-type").starts_with("text/plain"));
    let text = reply.text();
    for line in [
        r#"mwdb_api_requests{endpoint="api.fileresource",method="POST",status_code="200",user="alice"} 1"#,
        r#"mwdb_api_requests{endpoint="api.fileitemresource",method="GET",status_code="404",user="alice"} 1"#,
        r#"mwdb_api_requests{endpoint="api.metricsresource",method="GET",status_code="401",user="127.0.0.1"} 1"#,
        r#"mwdb_deprecated_usage{feature="legacy_metakey_api",endpoint="api.metakeyresource",method="GET",user="alice"} 1"#,
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
}
