//! The pages for who has no account yet or lost the way in, and those of accounts, groups and keys.

use reqwest::{Method, header, redirect::Policy};
use serde_json::json;

use crate::harness::{ADMIN, PASSWORD, Server};
use crate::mail::{PostOffice, token};
use crate::settings_pages::Browser;

/// A browser that is not logged in.
fn visitor(server: &Server) -> Browser {
    let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
    Browser { http, url: server.url().to_owned(), cookie: String::new() }
}

#[tokio::test]
async fn a_visitor_registers_and_an_administrator_accepts_by_form() {
    let office = PostOffice::open().await;
    let mail = office.config();
    let server = Server::with(|config| {
        config.enable_registration = true;
        config.mail = Some(mail);
    })
    .await;
    let visitor = visitor(&server);
    assert!(visitor.get("/login").await.1.contains("href=\"/register\""));
    assert!(visitor.get("/register").await.1.contains("action=\"/register\""));
    let form = |login: &'static str| [("login", login), ("email", "alice@example.com"), ("additional_info", "a <b>friend</b>")];
    let (status, _, page) = visitor.post("/register", &form("alice")).await;
    assert!(status == 200 && page.contains("has arrived"), "{page}");
    let (status, _, page) = visitor.post("/register", &form("alice")).await;
    assert!(status == 409 && page.contains("already exists") && page.contains("value=\"alice\""), "{page}");
    assert_eq!(visitor.post("/register", &form("a b")).await.0, 400);
    office.take();

    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    let page = admin.get("/settings").await.1;
    assert!(page.contains("Waiting for acceptance") && page.contains("a &lt;b&gt;friend"), "{page}");
    assert!(admin.get("/about").await.1.contains("registrations wait"));
    Browser::done(admin.post("/settings/user/alice/accept", &[]).await, "/settings/user/alice");
    assert!(!admin.get("/settings").await.1.contains("Waiting for acceptance"));
    let link = token(&office.take()[0]);
    let change = [("token", link.as_str()), ("password", "my first password"), ("again", "my first password")];
    Browser::done(visitor.post("/setpasswd", &change).await, "/login");
    let alice = Browser::new(&server, "alice", "my first password").await;
    assert!(!admin.get("/about").await.1.contains("registrations wait"));

    visitor.post("/register", &form("bob")).await;
    office.take();
    assert!(!alice.get("/about").await.1.contains("registrations wait"), "it is nothing to her");
    Browser::done(admin.post("/settings/user/bob/reject", &[("mail", "1")]).await, "/settings");
    assert!(office.take()[0].text.contains("not accepted"));
    assert_eq!(admin.get("/settings/user/bob").await.0, 404);
}

#[tokio::test]
async fn a_password_is_recovered_by_form() {
    let office = PostOffice::open().await;
    let mail = office.config();
    let server = Server::with(|config| config.mail = Some(mail)).await;
    let visitor = visitor(&server);
    assert!(visitor.get("/login").await.1.contains("href=\"/recover_password\""));
    assert!(visitor.get("/recover_password").await.1.contains("action=\"/recover_password\""));
    let (status, _, page) = visitor.post("/recover_password", &[("login", "admin"), ("email", "wrong@example.com")]).await;
    assert!(status == 403 && page.contains("Invalid login or e-mail"), "{page}");
    let (status, _, page) = visitor.post("/recover_password", &[("login", "admin"), ("email", "admin@mwdb.local")]).await;
    assert!(status == 200 && page.contains("on its way"), "{page}");
    token(&office.take()[0]);
    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    assert!(admin.get("/profile").await.1.contains("action=\"/profile/mail_link\""));
    Browser::done(admin.post("/profile/mail_link", &[]).await, "/profile");
    Browser::done(admin.post("/settings/user/admin/mail_link", &[]).await, "/settings/user/admin");
    assert_eq!(office.take().len(), 2);
}

#[tokio::test]
async fn what_the_server_does_not_offer_is_not_offered() {
    let server = Server::start().await;
    let visitor = visitor(&server);
    let login = visitor.get("/login").await.1;
    assert!(!login.contains("/register") && !login.contains("/recover_password"), "{login}");
    for path in ["/register", "/recover_password"] {
        assert_eq!(visitor.get(path).await.0, 403, "{path}");
        assert_eq!(visitor.post(path, &[("login", "x"), ("email", "x@example.com")]).await.0, 403, "{path}");
    }
    assert!(!Browser::new(&server, ADMIN, PASSWORD).await.get("/profile").await.1.contains("mail_link"));
}

#[tokio::test]
async fn registration_by_form_is_refused_to_other_sites() {
    let server = Server::with(|config| config.enable_registration = true).await;
    let visitor = visitor(&server);
    let request = visitor.http.request(Method::POST, format!("{}/register", visitor.url)).header(header::ORIGIN, "http://evil.test");
    let answer = request.form(&[("login", "x"), ("email", "x@example.com"), ("additional_info", "x")]).send().await.unwrap();
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn who_guesses_by_form_has_to_wait() {
    let server = Server::with(|config| config.max_failed_logins = 2).await;
    let visitor = visitor(&server);
    for _ in 0..2 {
        assert_eq!(visitor.post("/login", &[("login", "admin"), ("password", "guess")]).await.0, 403);
    }
    let (status, _, page) = visitor.post("/login", &[("login", "admin"), ("password", PASSWORD)]).await;
    assert!(status == 429 && page.contains("Too many requests"), "{page}");
}

#[tokio::test]
async fn an_account_is_changed_by_form() {
    let server = Server::start().await;
    let api = server.admin().await;
    server.user(&api, "alice", &[]).await;
    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    let form = [("email", "new@example.com"), ("additional_info", "new"), ("feed_quality", "low")];
    Browser::done(admin.post("/settings/user/alice/edit", &form).await, "/settings/user/alice");
    let user = api.get("user/alice").await.ok();
    assert_eq!(
        (&user["email"], &user["additional_info"], &user["feed_quality"]),
        (&json!("new@example.com"), &json!("new"), &json!("low"))
    );
    assert_eq!(admin.post("/settings/user/alice/edit", &[("email", "x"), ("additional_info", "x"), ("feed_quality", "")]).await.0, 400);
}

#[tokio::test]
async fn a_group_admin_is_made_by_form_and_removes_members_on_their_profile() {
    let server = Server::start().await;
    let api = server.admin().await;
    let (alice_api, bob_api) = (server.user(&api, "alice", &[]).await, server.user(&api, "bob", &[]).await);
    server.group(&api, "team", &[&alice_api, &bob_api]).await;
    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    let alice = Browser::new(&server, "alice", PASSWORD).await;
    assert_eq!(alice.post("/profile/group/team/remove", &[("login", "bob")]).await.0, 403);
    Browser::done(admin.post("/settings/group/team/rename", &[("name", "crew")]).await, "/settings/group/crew");
    Browser::done(admin.post("/settings/group/crew/member/admin", &[("login", "alice"), ("admin", "1")]).await, "/settings/group/crew");
    assert!(admin.get("/settings/group/crew").await.1.contains("No longer group admin"));
    assert!(alice.get("/profile").await.1.contains("/profile/group/crew/remove"));
    Browser::done(alice.post("/profile/group/crew/remove", &[("login", "bob")]).await, "/profile");
    assert_eq!(api.get("group/crew").await.ok()["users"], json!(["alice"]));
    Browser::done(admin.post("/settings/group/crew/member/admin", &[("login", "alice")]).await, "/settings/group/crew");
    assert_eq!(api.get("group/crew").await.ok()["admins"], json!([]));
}

#[tokio::test]
async fn attribute_keys_and_their_rights_are_changed_by_form() {
    let server = Server::start().await;
    let api = server.admin().await;
    api.post("attribute", json!({"key": "source", "label": "", "description": "", "hidden": false})).await.ok();
    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    assert!(admin.get("/settings").await.1.contains("/settings/attribute/source"));
    let form = [("label", "Source"), ("url_template", "https://x/$value"), ("rich_template", "a\r\n{{b}}"), ("hidden", "1")];
    Browser::done(admin.post("/settings/attribute/source", &form).await, "/settings/attribute/source");
    let definition = api.get("attribute/source").await.ok();
    assert_eq!(
        (&definition["label"], &definition["rich_template"], &definition["hidden"]),
        (&json!("Source"), &json!("a\n{{b}}"), &json!(true))
    );
    let rights = [("group", "public"), ("can_read", "1"), ("can_set", "1")];
    Browser::done(admin.post("/settings/attribute/source/rights", &rights).await, "/settings/attribute/source");
    assert!(admin.get("/settings/attribute/source").await.1.contains("reads and sets"));
    Browser::done(admin.post("/settings/attribute/source/rights/remove", &[("group", "public")]).await, "/settings/attribute/source");
    assert_eq!(api.get("attribute/source/permissions").await.ok(), json!({"attribute_permissions": []}));
    Browser::done(admin.post("/settings/attribute/source/remove", &[]).await, "/settings#attributes");
    api.get("attribute/source").await.missing();
    server.user(&api, "alice", &[]).await;
    assert_eq!(Browser::new(&server, "alice", PASSWORD).await.get("/settings/attribute/source").await.0, 403);
}
