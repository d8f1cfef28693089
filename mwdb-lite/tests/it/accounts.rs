//! Users, groups and memberships. See MWDB API §U2 and §U3.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, id, keys, sorted};

#[tokio::test]
async fn a_new_user_joins_the_default_groups() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &["adding_tags"]).await;
    let user = admin.get("user/alice").await.ok();
    assert_eq!(sorted(&user["groups"], "name"), ["alice", "public", "registered"]);
    assert_eq!((&user["registrar_login"], &user["feed_quality"]), (&json!("admin"), &json!("high")));
    assert_eq!((&user["pending"], &user["disabled"]), (&json!(false), &json!(false)));
    assert_eq!(user["requested_on"], Value::Null);
    for date in ["registered_on", "logged_on", "set_password_on"] {
        assert!(user[date].as_str().unwrap().ends_with("+00:00"), "{user}");
    }
    let body = json!({"email": "a@example.com", "additional_info": "x"});
    admin.post("user/alice", body.clone()).await.refused(409);
    admin.post("user/public", body.clone()).await.refused(409);
    for login in ["private", "PRIVATE", "a%20b", "a%0A", &"x".repeat(33)] {
        admin.post(&format!("user/{login}"), body.clone()).await.refused(400);
    }
    for bad in [json!({"email": "a", "additional_info": "x"}), json!({"email": "a@example.com", "additional_info": ""}), json!({})] {
        admin.post("user/bob", bad).await.refused(400);
    }
    admin.get("user/bob").await.missing();
    // Names are case-sensitive.
    admin.post("user/Alice", body).await.ok();
}

#[tokio::test]
async fn an_update_leaves_what_it_does_not_name() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    admin.put("user/alice", json!({"email": "new@example.com", "additional_info": null, "feed_quality": "low"})).await.ok();
    let user = admin.get("user/alice").await.ok();
    assert_eq!(
        (&user["email"], &user["additional_info"], &user["feed_quality"]),
        (&json!("new@example.com"), &json!("test"), &json!("low"))
    );
    admin.put("user/alice", json!({"additional_info": ""})).await.refused(400);
    admin.put("user/nobody", json!({})).await.missing();
    // None of this touched `disabled`: the session lives.
    alice.get("auth/validate").await.ok();
}

#[tokio::test]
async fn administration_needs_manage_users() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    server.group(&admin, "team", &[&alice]).await;
    for path in ["user", "user/alice", "group", "group/team", "attribute?access=manage", "user/alice/change_password", "server/admin"] {
        alice.get(path).await.refused(403);
        server.anonymous().get(path).await.refused(401);
    }
    let account = json!({"email": "a@example.com", "additional_info": "x"});
    alice.post("user/bob", account).await.refused(403);
    // The right comes before the schema.
    alice.post("user/bob", json!({})).await.refused(403);
    alice.put("user/alice", json!({})).await.refused(403);
    alice.delete("user/alice").await.refused(403);
    alice.post("group/other", json!({})).await.refused(403);
    alice.put("group/team", json!({})).await.refused(403);
    alice.delete("group/team").await.refused(403);
    alice.post_empty("group/team/member/alice").await.refused(403);
    alice.put("group/team/member/alice", json!({"group_admin": true})).await.refused(403);
    alice.delete("group/team/member/alice").await.refused(403);
    admin.put("group/alice", json!({"capabilities": ["manage_users"]})).await.ok();
    alice.get("user").await.ok();
}

#[tokio::test]
async fn membership_rules() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    let bob = server.user(&admin, "bob", &[]).await;
    server.group(&admin, "team", &[&alice]).await;
    admin.post_empty("group/team/member/alice").await.refused(409);
    admin.delete("group/team/member/bob").await.refused(409);
    admin.post_empty("group/public/member/alice").await.refused(403);
    admin.delete("group/public/member/alice").await.refused(403);
    admin.post_empty("group/bob/member/alice").await.refused(403);
    admin.delete("group/alice/member/alice").await.refused(403);
    admin.post_empty("group/team/member/nobody").await.missing();
    admin.delete("group/team/member/nobody").await.missing();
    admin.post_empty("group/nothing/member/alice").await.missing();
    admin.put("group/team/member/bob", json!({"group_admin": true})).await.missing();
    admin.put("group/team/member/alice", json!({})).await.refused(400);
    // An administrator of the group removes others, not themselves.
    admin.put("group/team/member/alice", json!({"group_admin": true})).await.ok();
    admin.post_empty("group/team/member/bob").await.ok();
    let team = admin.get("group/team").await.ok();
    assert_eq!(team["admins"], json!(["alice"]));
    bob.delete("group/team/member/alice").await.refused(403);
    alice.delete("group/team/member/alice").await.refused(403);
    assert_eq!(alice.delete("group/team/member/bob").await.ok(), json!({"name": "team"}));
    assert_eq!(admin.get("group/team").await.ok()["users"], json!(["alice"]));
}

#[tokio::test]
async fn groups_are_made_renamed_and_removed() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    server.group(&admin, "team", &[&alice]).await;
    let team = json!({"name": "team", "capabilities": [], "private": false, "default": false, "workspace": true, "immutable": false,
        "users": ["alice"], "admins": []});
    assert_eq!(admin.get("group/team").await.ok(), team);
    assert_eq!(alice.get("auth/groups").await.ok(), json!({"groups": [team]}));
    for (name, status) in [("team", 409), ("alice", 409), ("public", 409), ("private", 400), ("a%20b", 400)] {
        admin.post(&format!("group/{name}"), json!({})).await.refused(status);
    }
    admin.post_empty("group/other").await.refused(400);
    admin.post("group/other", json!({"capabilities": ["made_up", "adding_tags"], "unknown": 1})).await.ok();
    assert_eq!(admin.get("group/other").await.ok()["capabilities"], json!(["made_up", "adding_tags"]));
    admin.put("group/team", json!({"name": "other"})).await.refused(409);
    admin.put("group/team", json!({"name": "private"})).await.refused(400);
    admin.put("group/team", json!({"capabilities": "adding_tags"})).await.refused(400);
    assert_eq!(admin.put("group/team", json!({"name": "crew"})).await.ok(), json!({"name": "crew"}));
    admin.get("group/team").await.missing();
    admin.put("group/crew", json!({"name": "team"})).await.ok();
    for immutable in ["alice", "public"] {
        admin.put(&format!("group/{immutable}"), json!({"name": "x"})).await.refused(403);
        admin.put(&format!("group/{immutable}"), json!({"workspace": false})).await.refused(403);
        admin.delete(&format!("group/{immutable}")).await.refused(403);
    }
    // The second one means something to the pages of MWDB Core 2.20 alone.
    admin.put("group/public", json!({"capabilities": ["adding_comments", "downloading_files"]})).await.ok();
    let capabilities = alice.get("auth/validate").await.ok()["capabilities"].clone();
    assert!(["adding_comments", "downloading_files"].iter().all(|name| capabilities.as_array().unwrap().contains(&json!(name))));
    // A default group takes in those who come later.
    admin.put("group/other", json!({"default": true})).await.ok();
    let bob = server.user(&admin, "bob", &[]).await;
    assert_eq!(sorted(&bob.get("auth/groups").await.ok()["groups"], "name"), ["other"]);
    assert_eq!(admin.delete("group/team").await.ok(), json!({"name": "team"}));
    admin.delete("group/team").await.missing();
}

#[tokio::test]
async fn profiles_are_for_group_mates() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &[]).await;
    server.user(&admin, "bob", &[]).await;
    let own = alice.get("profile/alice").await.ok();
    assert!(own["api_keys"].is_array() && own["groups"].is_array() && own["capabilities"].is_array());
    let other = alice.get("profile/bob").await.ok();
    assert_eq!(keys(&other), ["email", "logged_on", "login", "registered_on"]);
    admin.delete("group/registered/member/bob").await.ok();
    alice.get("profile/bob").await.missing();
    admin.get("profile/bob").await.ok();
    alice.get("profile/nobody").await.missing();
    alice.get("profile/a%20b").await.refused(400);
}

#[tokio::test]
async fn what_a_removed_user_wrote_stays() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let alice = server.user(&admin, "alice", &["adding_comments", "manage_users"]).await;
    let bob = server.user(&admin, "bob", &[]).await;
    let file = id(&alice.file("content").await);
    alice.post(&format!("file/{file}/comment"), json!({"comment": "hi"})).await.ok();
    alice.put(&format!("file/{file}/share"), json!({"group": "public"})).await.ok();
    let key = alice.post_empty("user/bob/api_key").await.ok();
    let own = alice.post_empty("user/alice/api_key").await.ok();
    alice.delete("user/alice").await.refused(403);
    assert_eq!(admin.delete("user/alice").await.ok(), json!({"login": "alice"}));
    admin.get("user/alice").await.missing();
    admin.get("group/alice").await.missing();
    alice.get("auth/validate").await.refused(401);
    server.with_token(own["token"].as_str().unwrap()).get("auth/validate").await.refused(401);
    let with_key = server.with_token(key["token"].as_str().unwrap());
    assert_eq!(with_key.get("profile/bob").await.ok()["api_keys"][0]["issuer_login"], Value::Null);
    assert_eq!(bob.get(&format!("file/{file}/comment")).await.ok()[0]["author"], Value::Null);
    let share = bob.get(&format!("file/{file}/share")).await.ok()["shares"][0].clone();
    assert_eq!((&share["group_name"], share.get("related_user_login")), (&json!("public"), Some(&Value::Null)));
}

#[tokio::test]
async fn nobody_says_of_themselves_whether_they_are_disabled() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for disabled in [true, false] {
        let message = admin.put("user/admin", json!({"additional_info": "changed", "disabled": disabled})).await.refused(403);
        assert_eq!(message, "You can't block yourself.");
    }
    assert_ne!(admin.get("user/admin").await.ok()["additional_info"], "changed");
    admin.put("user/admin", json!({"disabled": null})).await.ok();
    admin.get("auth/validate").await.ok();
}

#[tokio::test]
async fn bodies_of_accounts_are_checked_and_completed() {
    let server = Server::with(|config| config.enable_registration = true).await;
    let admin = server.admin().await;
    let body = json!({"email": "a@localhost", "additional_info": "x", "feed_quality": ""});
    admin.post("user/alice", body).await.ok();
    assert_eq!(admin.get("user/alice").await.ok()["feed_quality"], "high");
    for email in ["a..b@x.io", "a@-x.io", "a@x.i", "a.@x.io", "a@x_y.io", ""] {
        admin.post("user/bob", json!({"email": email, "additional_info": "x"})).await.refused(400);
        admin.put("user/alice", json!({"email": email})).await.refused(400);
        admin.post("auth/recover_password", json!({"login": "alice", "email": email})).await.refused(400);
    }
    admin.put("user/alice", json!({"send_email": "x"})).await.refused(400);
    admin.put("user/alice", json!({"send_email": true})).await.ok();
    admin.put("user/alice", json!({"send_email": null})).await.ok();
    let anonymous = server.anonymous();
    for login in ["", "a b", "private", &"x".repeat(33)] {
        anonymous.post("auth/recover_password", json!({"login": login, "email": "a@x.io"})).await.refused(400);
    }
    anonymous.post("auth/recover_password", json!({"login": "nobody", "email": "a@x.io"})).await.refused(403);
    for path in ["auth/recover_password", "auth/register"] {
        let body = json!({"login": "carol", "email": "a@x.io", "additional_info": "x", "recaptcha": null});
        anonymous.post(path, body).await.refused(400);
    }
}

#[tokio::test]
async fn what_can_be_no_name_is_refused_where_it_is_written() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    server.group(&admin, "g1", &[]).await;
    for login in ["a%20b", "private"] {
        admin.put(&format!("user/{login}"), json!({})).await.refused(400);
        admin.post_empty(&format!("user/{login}/request_password_change")).await.refused(400);
        admin.post_empty(&format!("user/{login}/pending")).await.refused(400);
        admin.delete(&format!("user/{login}/pending?send_email=0")).await.refused(400);
        admin.get(&format!("user/{login}")).await.missing();
        admin.delete(&format!("user/{login}")).await.missing();
    }
    for pair in ["a%20b/member/alice", "private/member/alice", "g1/member/a%20b", "g1/member/private", "public/member/a%20b"] {
        admin.post_empty(&format!("group/{pair}")).await.refused(400);
        admin.put(&format!("group/{pair}"), json!({"group_admin": true})).await.refused(400);
        admin.delete(&format!("group/{pair}")).await.refused(400);
    }
    for name in ["a%20b", "private"] {
        admin.put(&format!("group/{name}"), json!({})).await.refused(400);
        admin.get(&format!("group/{name}")).await.missing();
        admin.delete(&format!("group/{name}")).await.missing();
    }
}

#[tokio::test]
async fn groups_have_no_providers_and_some_keep_their_names() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    admin.post("group/g1", json!({"capabilities": null})).await.refused(400);
    admin.post("group/g1", json!({"capabilities": []})).await.ok();
    for group in ["public", "alice"] {
        for change in [json!({"provider": "x"}), json!({"name": "private"}), json!({"name": group}), json!({"default": true})] {
            let message = admin.put(&format!("group/{group}"), change).await.refused(403);
            assert!(message.ends_with("group is immutable"), "{message}");
        }
        admin.put(&format!("group/{group}"), json!({"name": "a b"})).await.refused(400);
        admin.put(&format!("group/{group}"), json!({"name": null, "provider": null})).await.ok();
    }
    for group in ["g1", "registered"] {
        let message = admin.put(&format!("group/{group}"), json!({"provider": "x"})).await.refused(404);
        assert_eq!(message, "Provider name 'x' not found");
    }
    admin.put("group/g1", json!({"provider": 1})).await.refused(400);
    admin.put("group/g1", json!({"name": "private"})).await.refused(400);
    admin.put("group/nothing", json!({"name": "private"})).await.missing();
}

#[tokio::test]
async fn one_and_zero_are_truth_values_however_they_are_written() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    for (literal, expected) in [("1.0", true), ("0.0", false), ("1", true), ("-0.0", false), ("1e0", true), ("0", false)] {
        admin.raw(Method::PUT, "user/alice", format!(r#"{{"disabled": {literal}}}"#)).await.ok();
        assert_eq!(admin.get("user/alice").await.ok()["disabled"], expected, "{literal}");
    }
    for literal in ["1.5", "2", "-1", "1e1"] {
        admin.raw(Method::PUT, "user/alice", format!(r#"{{"disabled": {literal}}}"#)).await.refused(400);
    }
}
