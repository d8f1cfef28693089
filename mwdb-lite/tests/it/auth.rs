//! Logins, tokens and what ends them. See MWDB API §U4.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::harness::{Api, BASE_URL, PASSWORD, SECRET, Server};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn signed(algorithm: Algorithm, key: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

fn forge(claims: &Value) -> String {
    signed(Algorithm::HS512, SECRET, claims)
}

/// What a token says, read as mwdblib does it: with the standard base64 alphabet.
fn claims(token: &str) -> Value {
    use base64::{Engine, engine::GeneralPurposeConfig, engine::general_purpose::GeneralPurpose};
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    serde_json::from_slice(&engine.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

async fn is_known(server: &Server, token: &str) -> bool {
    let reply = server.with_token(token).get("auth/validate").await;
    if reply.status == 200 {
        return true;
    }
    reply.refused(401);
    // Never an error by itself.
    assert_eq!(server.with_token(token).get("server").await.ok()["is_authenticated"], false);
    false
}

async fn set_password(server: &Server, admin: &Api, login: &str, password: &str) {
    let link = admin.get(&format!("user/{login}/change_password")).await.ok();
    let reply = server.anonymous().post("auth/change_password", json!({"token": link["token"], "password": password})).await.ok();
    assert_eq!(reply, json!({"login": login}));
}

#[tokio::test]
async fn login_gives_token_capabilities_and_groups() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &["adding_tags"]).await;
    let reply = server.anonymous().post("auth/login", json!({"login": "alice", "password": PASSWORD})).await.ok();
    assert_eq!(reply["login"], "alice");
    assert_eq!(reply["provider"], Value::Null);
    assert_eq!(reply["capabilities"], json!(["adding_files", "adding_tags", "manage_profile", "personalize"]));
    let mut groups: Vec<&str> = reply["groups"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    groups.sort_unstable();
    assert_eq!(groups, ["alice", "public", "registered"]);
    let claims = claims(reply["token"].as_str().unwrap());
    assert_eq!((&claims["login"], &claims["sub"], &claims["scope"]), (&json!("alice"), &json!("alice"), &json!("session")));
    assert_eq!(claims["aud"], BASE_URL);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 24 * 3600);
}

#[tokio::test]
async fn admin_has_all_26_capabilities() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let group = admin.get("group/admin").await.ok();
    assert_eq!(group["capabilities"].as_array().unwrap().len(), 26);
    assert_eq!((&group["private"], &group["immutable"], &group["workspace"]), (&json!(true), &json!(true), &json!(true)));
    let detail = admin.get("user/admin").await.ok();
    assert_eq!((&detail["registered_on"], &detail["email"]), (&Value::Null, &json!("admin@mwdb.local")));
}

#[tokio::test]
async fn bad_credentials_are_403_and_bad_bodies_400() {
    let server = Server::start().await;
    let anonymous = server.anonymous();
    let login = |login: Value, password: Value| {
        let anonymous = anonymous.clone();
        async move { anonymous.post("auth/login", json!({"login": login, "password": password})).await }
    };
    assert!(login(json!("admin"), json!("wrong")).await.refused(403).contains("Invalid login or password"));
    assert!(login(json!("nobody"), json!("wrong")).await.refused(403).contains("Invalid login or password"));
    login(json!("a b"), json!("wrong")).await.refused(400);
    login(json!("admin"), json!("x".repeat(73))).await.refused(400);
    login(json!(1), json!("wrong")).await.refused(400);
    login(Value::Null, json!("wrong")).await.refused(400);
    anonymous.post("auth/login", json!({"login": "admin"})).await.refused(400);
    assert!(anonymous.raw(reqwest::Method::POST, "auth/login", "{").await.refused(400).contains("JSONDecodeError"));
}

#[tokio::test]
async fn the_bearer_word_is_case_sensitive() {
    let server = Server::start().await;
    let token = server.admin().await.token.unwrap();
    let anonymous = server.anonymous();
    for header in [format!("bearer {token}"), format!("Basic {token}"), token.clone(), "Bearer".to_owned(), String::new()] {
        let request = anonymous.request(reqwest::Method::GET, "auth/validate").header("Authorization", header);
        anonymous.send(request).await.refused(401);
    }
}

#[tokio::test]
async fn forged_tokens_are_anonymous() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let good = claims(admin.token.as_ref().unwrap());
    assert!(is_known(&server, &forge(&good)).await, "a token like the server's own");

    let but = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    assert!(is_known(&server, &forge(&but("aud", json!(["x", BASE_URL])))).await, "one of several audiences");
    assert!(is_known(&server, &forge(&without("exp"))).await, "no expiry");
    assert!(is_known(&server, &forge(&but("other", json!({"x": 1})))).await, "claims of others");
    for bad in [
        but("aud", json!("http://other")),
        but("aud", json!([])),
        but("aud", json!(1)),
        but("exp", json!(now() - 1)),
        but("exp", json!("never")),
        but("iat", json!(now() + 1000)),
        but("scope", json!("download_file")),
        but("scope", json!("api_key")),
        but("scope", json!(["session"])),
        but("sub", json!("nobody")),
        but("sub", json!(5)),
        but("password_ver", json!("0")),
        but("identity_ver", Value::Null),
        without("aud"),
        without("scope"),
        without("sub"),
        without("password_ver"),
        without("identity_ver"),
        json!({}),
        json!([]),
        json!("text"),
    ] {
        assert!(!is_known(&server, &forge(&bad)).await, "{bad}");
    }
    assert!(!is_known(&server, &signed(Algorithm::HS512, "another key", &good)).await);
    assert!(!is_known(&server, &signed(Algorithm::HS256, SECRET, &good)).await);
    // alg none, with and without the old signature.
    let (_, rest) = admin.token.as_ref().unwrap().split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    assert!(!is_known(&server, &format!("{none}.{rest}")).await);
    assert!(!is_known(&server, &format!("{none}.{}.", rest.split('.').next().unwrap())).await);
    for rubbish in ["", ".", "..", "a.b.c", "ąę", &"x".repeat(4000)] {
        assert!(!is_known(&server, &rubbish.replace("ąę", "%C4")).await);
    }
}

#[tokio::test]
async fn a_password_change_ends_sessions_but_not_keys() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let key = alice.post_empty("user/alice/api_key").await.ok()["token"].as_str().unwrap().to_owned();
    let link = admin.get("user/alice/change_password").await.ok();
    // The link is no session.
    assert!(!is_known(&server, link["token"].as_str().unwrap()).await);
    let change = json!({"token": link["token"], "password": "another password"});
    server.anonymous().post("auth/change_password", change.clone()).await.ok();
    alice.get("auth/validate").await.refused(401);
    assert!(is_known(&server, &key).await);
    // It works once.
    server.anonymous().post("auth/change_password", change).await.refused(403);
    server.anonymous().post("auth/login", json!({"login": "alice", "password": PASSWORD})).await.refused(403);
    server.login("alice", "another password").await;
}

#[tokio::test]
async fn passwords_have_a_least_and_a_largest_length() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let link = admin.get("user/alice/change_password").await.ok();
    for password in ["short12", &"x".repeat(73), &"ą".repeat(37)] {
        server.anonymous().post("auth/change_password", json!({"token": link["token"], "password": password})).await.refused(400);
    }
    server.anonymous().post("auth/change_password", json!({"token": "rubbish", "password": "long enough"})).await.refused(403);
    set_password(&server, &admin, "alice", &"x".repeat(72)).await;
    server.login("alice", &"x".repeat(72)).await;
}

#[tokio::test]
async fn disabling_ends_sessions_for_good_and_keys_for_a_while() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let key = server.with_token(alice.post_empty("user/alice/api_key").await.ok()["token"].as_str().unwrap());
    key.get("auth/validate").await.ok();
    admin.put("user/alice", json!({"disabled": true})).await.ok();
    alice.get("auth/validate").await.refused(401);
    key.get("auth/validate").await.refused(403);
    key.get("server").await.refused(403);
    let refusal = server.anonymous().post("auth/login", json!({"login": "alice", "password": PASSWORD})).await.refused(403);
    assert!(refusal.contains("User account is disabled"), "{refusal}");
    admin.put("user/alice", json!({"disabled": false})).await.ok();
    alice.get("auth/validate").await.refused(401);
    key.get("auth/validate").await.ok();
    admin.put("user/admin", json!({"disabled": true})).await.refused(403);
}

#[tokio::test]
async fn api_keys_are_issued_and_revoked() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let (alice, bob) = (server.user(&admin, "alice", &[]).await, server.user(&admin, "bob", &[]).await);
    let key = alice.post("user/alice/api_key", json!({"name": "laptop"})).await.ok();
    assert_eq!((&key["name"], &key["issuer_login"]), (&json!("laptop"), &json!("alice")));
    assert_eq!(alice.post_empty("user/alice/api_key").await.ok()["name"], "");
    alice.post("user/alice/api_key", json!({"name": null})).await.refused(400);
    alice.post("user/alice/api_key", json!({"name": "x".repeat(101)})).await.refused(400);
    alice.raw(reqwest::Method::POST, "user/alice/api_key", "{").await.refused(400);
    alice.post_empty("user/bob/api_key").await.refused(403);
    admin.post_empty("user/nobody/api_key").await.missing();
    assert_eq!(admin.post_empty("user/alice/api_key").await.ok()["issuer_login"], "admin");

    let id = key["id"].as_str().unwrap();
    let with_key = server.with_token(key["token"].as_str().unwrap());
    assert_eq!(with_key.get("auth/validate").await.ok()["login"], "alice");
    let session = with_key.post_empty("auth/refresh").await.ok();
    assert_eq!(claims(session["token"].as_str().unwrap())["scope"], "session");
    let keys = alice.get("profile/alice").await.ok()["api_keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 3);
    assert!(keys[0].get("token").is_none());

    bob.delete(&format!("api_key/{id}")).await.missing();
    bob.delete("api_key/rubbish").await.refused(400);
    alice.delete(&format!("api_key/{id}")).await.null();
    with_key.get("auth/validate").await.refused(401);
    alice.delete(&format!("api_key/{id}")).await.missing();
}

#[tokio::test]
async fn legacy_keys_work_only_with_their_exact_claims() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let id = admin.post_empty("user/admin/api_key").await.ok()["id"].clone();
    assert!(is_known(&server, &forge(&json!({"login": "admin", "version_uid": null}))).await);
    assert!(is_known(&server, &forge(&json!({"login": "admin", "api_key_id": id}))).await);
    for bad in [
        json!({"login": "admin", "version_uid": "x"}),
        json!({"login": "nobody", "version_uid": null}),
        json!({"login": "admin"}),
        json!({"version_uid": null}),
        json!({"login": "admin", "version_uid": null, "scope": "session"}),
        json!({"login": "admin", "api_key_id": id, "scope": "api_key"}),
        json!({"login": "admin", "api_key_id": "00000000-0000-0000-0000-000000000000"}),
    ] {
        assert!(!is_known(&server, &forge(&bad)).await, "{bad}");
    }
}

#[tokio::test]
async fn refresh_gives_a_new_session_and_needs_one() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let fresh = admin.post_empty("auth/refresh").await.ok();
    assert!(is_known(&server, fresh["token"].as_str().unwrap()).await);
    server.anonymous().post_empty("auth/refresh").await.refused(401);
    server.anonymous().get("auth/validate").await.refused(401);
}

#[tokio::test]
async fn maintenance_locks_out_all_but_the_administrator() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["manage_users"]).await;
    server.stop().await;
    server.start_again(|config| config.enable_maintenance = true).await;
    let (admin, alice) = (server.with_token(&admin.token.unwrap()), server.with_token(&alice.token.unwrap()));
    admin.get("auth/validate").await.ok();
    assert!(alice.get("server").await.refused(403).contains("Maintenance underway"));
    assert_eq!(server.anonymous().get("server").await.ok()["is_maintenance_set"], true);
    let refusal = server.anonymous().post("auth/login", json!({"login": "alice", "password": PASSWORD})).await.refused(403);
    assert!(refusal.contains("Maintenance underway"), "{refusal}");
    server.admin().await;
}

#[tokio::test]
async fn another_secret_ends_all_tokens_and_a_made_one_is_kept() {
    let mut server = Server::with(|config| config.secret_key = None).await;
    let token = server.admin().await.token.unwrap();
    server.restart().await;
    assert!(is_known(&server, &token).await);
    server.stop().await;
    server.start_again(|config| config.secret_key = Some("other".to_owned())).await;
    assert!(!is_known(&server, &token).await);
}

#[tokio::test]
async fn registration_waits_for_acceptance() {
    let server = Server::with(|config| config.enable_registration = true).await;
    let admin = server.admin().await;
    let form = |login: &str| json!({"login": login, "email": "a@example.com", "additional_info": "please"});
    let anonymous = server.anonymous();
    assert_eq!(anonymous.post("auth/register", form("alice")).await.ok(), json!({"login": "alice"}));
    anonymous.post("auth/register", form("alice")).await.refused(409);
    anonymous.post("auth/register", form("public")).await.refused(409);
    anonymous.post("auth/register", form("Private")).await.refused(400);
    anonymous.post("auth/register", json!({"login": "x", "email": "a@example.com", "additional_info": ""})).await.refused(400);
    anonymous.post("auth/register", json!({"login": "x", "email": "nobody", "additional_info": "x"})).await.refused(400);
    assert_eq!(admin.get("user?pending=1").await.ok()["users"][0]["login"], "alice");
    assert_eq!(admin.get("user").await.ok()["users"].as_array().unwrap().len(), 1);
    admin.put("user/alice", json!({"email": "b@example.com"})).await.refused(403);
    server.group(&admin, "team", &[]).await;
    admin.post_empty("group/team/member/alice").await.refused(403);
    // Groups of those who wait are no targets.
    let file = admin.file("x").await;
    let path = format!("file/{}/share", crate::harness::id(&file));
    admin.put(&path, json!({"group": "alice"})).await.missing();
    assert!(!admin.get("share").await.ok()["groups"].as_array().unwrap().contains(&json!("alice")));

    set_password(&server, &admin, "alice", PASSWORD).await;
    let refusal = anonymous.post("auth/login", json!({"login": "alice", "password": PASSWORD})).await.refused(403);
    assert!(refusal.contains("User registration is pending"), "{refusal}");
    anonymous.post_empty("user/alice/pending").await.refused(401);
    assert_eq!(admin.post_empty("user/alice/pending").await.ok(), json!({"login": "alice"}));
    admin.post_empty("user/alice/pending").await.missing();
    server.login("alice", PASSWORD).await;

    anonymous.post("auth/register", form("bob")).await.ok();
    admin.delete("user/bob/pending").await.refused(400);
    admin.delete("user/bob/pending?send_email=false").await.ok();
    admin.get("user/bob").await.missing();
    admin.delete("user/alice/pending?send_email=false").await.missing();
    let closed = Server::start().await;
    closed.anonymous().post("auth/register", form("alice")).await.refused(403);
}

#[tokio::test]
async fn tokens_are_refused_before_their_time_and_under_a_name_that_is_none() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let token = admin.token.clone().unwrap();
    let own = claims(&token);
    for (name, value, known) in [
        ("nbf", json!(now() - 100), true),
        ("nbf", json!(now() + 100), false),
        ("nbf", json!("soon"), false),
        ("jti", json!("x"), true),
        ("jti", json!(1), false),
    ] {
        let mut changed = own.clone();
        changed[name] = value;
        assert_eq!(is_known(&server, &forge(&changed)).await, known, "{name}: {}", changed[name]);
    }
    assert!(is_known(&server, &token).await);
    assert!(!is_known(&server, &format!(" {token}")).await, "two blanks");
}

#[tokio::test]
async fn only_a_login_is_told_in_the_words_that_clients_look_for() {
    let mut server = Server::with(|config| config.enable_registration = true).await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let token = admin.post_empty("user/alice/api_key").await.ok()["token"].as_str().unwrap().to_owned();
    admin.put("user/alice", json!({"disabled": true})).await.ok();
    let refusal = server.with_token(&token).get("auth/validate").await.refused(403);
    assert!(!refusal.contains("User account is disabled"), "{refusal}");
    let account = json!({"login": "bob", "email": "bob@example.com", "additional_info": "x"});
    server.anonymous().post("auth/register", account).await.ok();
    let refusal = admin.put("user/bob", json!({"feed_quality": "low"})).await.refused(403);
    assert!(!refusal.contains("User registration is pending"), "{refusal}");
    let token_with_nul = json!({"token": "a\u{0}b", "password": "long enough"});
    server.anonymous().post("auth/change_password", token_with_nul).await.refused(403);
    server.stop().await;
    server.start_again(|config| config.enable_maintenance = true).await;
    let refusal = server.with_token(&token).get("auth/validate").await.refused(403);
    assert!(refusal.contains("Maintenance underway"), "{refusal}");
}

#[tokio::test]
async fn the_own_group_comes_first() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.group(&admin, "crew", &[]).await;
    let alice = server.user(&admin, "alice", &[]).await;
    admin.post_empty("group/crew/member/alice").await.ok();
    assert_eq!(alice.get("auth/validate").await.ok()["groups"], json!(["alice", "public", "registered", "crew"]));
}
