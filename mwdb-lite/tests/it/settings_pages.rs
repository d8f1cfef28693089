//! The pages of the administrator: accounts, groups, attribute keys, links for passwords.

use reqwest::{Method, header, redirect::Policy};

use serde_json::json;

use crate::harness::{ADMIN, PASSWORD, Server};

/// A browser with the session of one account.
pub(crate) struct Browser {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) cookie: String,
}

impl Browser {
    pub(crate) async fn new(server: &Server, login: &str, password: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
        let mut browser = Self { http, url: server.url().to_owned(), cookie: String::new() };
        let answer = browser.request(Method::POST, "/login").form(&[("login", login), ("password", password)]).send().await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 303, "{login} logs in");
        let cookie = answer.headers().get(header::SET_COOKIE).expect("a cookie").to_str().expect("ASCII");
        cookie.split(';').next().unwrap_or_default().clone_into(&mut browser.cookie);
        browser
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).header(header::ORIGIN, &self.url).header(header::COOKIE, &self.cookie)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.request(Method::GET, path).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a page"))
    }

    /// Status, where the answer leads, and the page.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let answer = self.request(Method::POST, path).form(fields).send().await.expect("an answer");
        let place = answer.headers().get(header::LOCATION).map_or("", |place| place.to_str().expect("ASCII")).to_owned();
        (answer.status().as_u16(), place, answer.text().await.expect("a page"))
    }

    #[track_caller]
    pub(crate) fn done(outcome: (u16, String, String), place: &str) {
        assert_eq!((outcome.0, outcome.1.as_str()), (303, place), "{}", outcome.2);
    }
}

/// What follows `start` up to a quote.
pub(crate) fn quoted<'a>(html: &'a str, start: &str) -> &'a str {
    let at = html.find(start).unwrap_or_else(|| panic!("no `{start}` in {html}")) + start.len();
    html[at..].split('"').next().unwrap_or_default()
}

#[tokio::test]
async fn an_account_for_the_reporter_is_made_with_a_few_clicks() {
    let server = Server::start().await;
    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    let fields = [("login", "karton"), ("email", "karton@mwdb.local"), ("additional_info", "brings results"), ("reporter", "1")];
    Browser::done(admin.post("/settings/user", &fields).await, "/settings/user/karton");
    let (status, place, _) = admin.post("/user/karton/api_key", &[("name", "reporter")]).await;
    assert!(status == 303 && place.starts_with("/settings/user/karton?made="), "{status} {place}");
    let place = place.trim_end_matches("#keys");
    let (_, page) = admin.get(place).await;
    let key = quoted(&page, "data-copy=\"eyJ");
    let reporter = server.with_token(&format!("eyJ{key}"));
    let identity = reporter.get("auth/validate").await.ok();
    assert_eq!(identity["login"], "karton");
    let capabilities: Vec<&str> = identity["capabilities"].as_array().expect("a list").iter().filter_map(|name| name.as_str()).collect();
    for name in ["adding_files", "adding_configs", "adding_blobs", "adding_tags", "adding_parents", "karton_assign"] {
        assert!(capabilities.contains(&name), "{name} in {capabilities:?}");
    }
    assert!(!capabilities.contains(&"manage_users"));
    assert!(!admin.get(place).await.1.contains("data-copy=\"eyJ"), "the token is shown once");
    assert_eq!(server.admin().await.get("user/karton").await.ok()["api_keys"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_link_sets_a_password_once() {
    let server = Server::start().await;
    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    let fields = [("login", "alice"), ("email", "alice@example.test"), ("additional_info", "an analyst")];
    Browser::done(admin.post("/settings/user", &fields).await, "/settings/user/alice");
    let (_, _, page) = admin.post("/settings/user/alice/password", &[]).await;
    let link = quoted(&page, "data-copy=\"");
    let path = link.strip_prefix(server.url()).expect("an address of this server");
    let (status, form) = admin.get(path).await;
    assert_eq!(status, 200);
    let token = quoted(&form, "name=\"token\" value=\"");
    for (first, second, status) in [
        ("long enough 1", "long enough 2", 400),
        ("short", "short", 400),
        ("long enough 1", "long enough 1", 303),
        ("long enough 3", "long enough 3", 403),
    ] {
        let fields = [("token", token), ("password", first), ("again", second)];
        assert_eq!(admin.post("/setpasswd", &fields).await.0, status, "{first}, {second}");
    }
    Browser::new(&server, "alice", "long enough 1").await;
}

#[tokio::test]
async fn capabilities_and_groups_are_changed_by_forms() {
    let server = Server::start().await;
    let api = server.admin().await;
    let alice = server.user(&api, "alice", &[]).await;
    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    Browser::done(admin.post("/settings/group", &[("name", "team")]).await, "/settings/group/team");
    Browser::done(admin.post("/settings/group/team/member", &[("login", "alice")]).await, "/settings/group/team");
    let ticked = [("capability", "karton%5Freanalyze"), ("capability", "adding_tags")];
    Browser::done(admin.post("/settings/group/team/capabilities", &ticked).await, "/settings/group/team");
    let identity = alice.get("auth/validate").await.ok();
    assert!(identity["capabilities"].to_string().contains("karton_reanalyze"), "{identity}");
    assert!(identity["groups"].to_string().contains("team"), "{identity}");
    let (_, page) = admin.get("/settings/group/team").await;
    assert!(page.contains("value=\"karton_reanalyze\" checked") && !page.contains("value=\"manage_users\" checked"), "{page}");
    Browser::done(admin.post("/settings/group/team/member/remove", &[("login", "alice")]).await, "/settings/group/team");
    assert!(!alice.get("auth/validate").await.ok()["groups"].to_string().contains("team"));
    Browser::done(admin.post("/settings/user/alice/disable", &[]).await, "/settings/user/alice");
    alice.get("auth/validate").await.refused(401);
    Browser::done(admin.post("/settings/group/team/remove", &[]).await, "/settings#groups");
    assert_eq!(admin.get("/settings/group/team").await.0, 404);
    Browser::done(
        admin.post("/settings/attribute", &[("key", "Source"), ("label", "Source"), ("public", "1")]).await,
        "/settings#attributes",
    );
    let rights = api.get("attribute/source/permissions").await.ok();
    assert_eq!(rights["attribute_permissions"][0]["group_name"], "public", "{rights}");
}

#[tokio::test]
async fn a_refused_form_comes_back_with_what_was_typed_and_why() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    server.group(&admin, "team", &[]).await;
    admin.post("attribute", json!({"key": "source", "label": "", "description": "", "hidden": false})).await.ok();
    let browser = crate::pages::Browser::logged_in(&server, ADMIN).await;
    let account = |login| [("login", login), ("email", "a@b.test"), ("additional_info", "<who>"), ("reporter", "1")];
    for (login, status) in [("alice", 409), ("a b", 400)] {
        let page = browser.post("/settings/user", &account(login)).await;
        page.page(status).has("role=\"alert\"").has(&format!("name=\"login\" value=\"{login}\""));
        page.has("value=\"a@b.test\"").has("value=\"&#60;who&#62;\"").has("name=\"reporter\" value=\"1\" checked").has("<details open>");
    }
    for (path, fields, status, kept) in [
        ("/settings/group", vec![("name", "team")], 409, "name=\"name\" value=\"team\""),
        ("/settings/group", vec![("name", "a b")], 400, "name=\"name\" value=\"a b\""),
        ("/settings/attribute", vec![("key", "source"), ("label", "where")], 409, "name=\"label\" value=\"where\""),
        ("/settings/group/team/rename", vec![("name", "public")], 409, "name=\"name\" value=\"public\""),
        ("/settings/group/team/member", vec![("login", "nobody")], 404, "name=\"login\" value=\"nobody\""),
        ("/settings/user/alice/edit", vec![("email", ""), ("additional_info", "new")], 400, ">\nnew</textarea>"),
        ("/settings/attribute/source/rights", vec![("group", "nobody"), ("can_set", "1")], 404, "name=\"group\" value=\"nobody\""),
        ("/user/alice/api_key", vec![("name", &"x".repeat(101))], 400, &format!("value=\"{}\"", "x".repeat(101))),
        ("/user/admin/api_key", vec![("name", &"x".repeat(101))], 400, &format!("value=\"{}\"", "x".repeat(101))),
    ] {
        browser.post(path, &fields).await.page(status).has("role=\"alert\"").has(kept).lacks("data-copy=\"eyJ");
    }
    browser.get("/settings").await.page(200).lacks("role=\"alert\"").lacks("<details open>");
}

#[tokio::test]
async fn the_token_of_a_key_is_for_who_made_it() {
    let server = Server::start().await;
    let api = server.admin().await;
    server.user(&api, "bob", &["manage_users"]).await;
    let (admin, bob) = (Browser::new(&server, ADMIN, PASSWORD).await, Browser::new(&server, "bob", PASSWORD).await);
    let (_, place, _) = admin.post("/user/bob/api_key", &[("name", "k")]).await;
    let place = place.trim_end_matches("#keys");
    assert!(!bob.get(place).await.1.contains("data-copy=\"eyJ"));
    assert!(!bob.get(&place.replace("/settings/user/bob", "/profile")).await.1.contains("data-copy=\"eyJ"));
    assert!(admin.get(place).await.1.contains("data-copy=\"eyJ"));
}

#[tokio::test]
async fn settings_are_for_administrators_and_their_own_forms() {
    let server = Server::start().await;
    let api = server.admin().await;
    server.user(&api, "alice", &["adding_files"]).await;
    let alice = Browser::new(&server, "alice", PASSWORD).await;
    for path in ["/settings", "/settings/user/admin", "/settings/group/public"] {
        assert_eq!(alice.get(path).await.0, 403, "{path}");
    }
    assert!(!alice.get("/").await.1.contains("\"/settings\""));
    let grant = [("capability", "manage_users")];
    for path in ["/settings/group/alice/capabilities", "/settings/user/admin/disable", "/settings/user/admin/password", "/settings/group"] {
        assert_eq!(alice.post(path, &grant).await.0, 403, "{path}");
    }
    assert_eq!(alice.post("/user/admin/api_key", &[]).await.0, 403, "no key for others");
    let admin = Browser::new(&server, ADMIN, PASSWORD).await;
    let foreign = admin.http.post(format!("{}/settings/user/alice/remove", admin.url)).header(header::COOKIE, &admin.cookie);
    let answer = foreign.header(header::ORIGIN, "http://evil.test").send().await.expect("an answer");
    assert_eq!(answer.status(), 403, "a form of another site");
    assert_eq!(admin.get("/settings/user/alice").await.0, 200, "alice is still there");
    assert_eq!(admin.post("/settings/user/admin/remove", &[]).await.0, 403, "nobody removes themselves");
}

#[tokio::test]
async fn nobody_takes_manage_users_from_himself() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let browser = crate::pages::Browser::logged_in(&server, ADMIN).await;
    let held = admin.get("group/admin").await.ok()["capabilities"].clone();
    assert!(held.as_array().is_some_and(|held| held.contains(&json!("manage_users"))), "{held}");
    let form = "/settings/group/admin/capabilities";
    browser.post(form, &[("capability", "adding_tags")]).await.page(400).has("would take manage_users from your own account");
    assert_eq!(admin.get("group/admin").await.ok()["capabilities"], held);
    // Other capabilities may go, and those of others.
    browser.post(form, &[("capability", "manage_users")]).await.leads_to("/settings/group/admin");
    server.user(&admin, "alice", &["manage_users"]).await;
    browser.post("/settings/group/alice/capabilities", &[]).await.leads_to("/settings/group/alice");
    // Nor by a group that gives it.
    admin.post("group/helpers", json!({"capabilities": ["manage_users"]})).await.ok();
    admin.post_empty("group/helpers/member/alice").await.ok();
    let alice = crate::pages::Browser::logged_in(&server, "alice").await;
    for form in ["capabilities", "remove"] {
        alice.post(&format!("/settings/group/helpers/{form}"), &[]).await.page(400).has("would take manage_users");
    }
    alice.get("/settings").await.page(200).has("helpers");
}
