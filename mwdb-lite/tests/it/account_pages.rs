//! One's own account on the pages, and the pages that explain: families of configs, the API.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{ADMIN, PASSWORD, Server};
use crate::pages::{Browser, Shown};

#[tokio::test]
async fn who_knows_the_current_password_sets_another_and_stays_logged_in() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let key = admin.post("user/admin/api_key", json!({"name": "k"})).await.ok()["token"].as_str().unwrap().to_owned();
    let mut browser = Browser::logged_in(&server, ADMIN).await;
    browser.get("/profile").await.page(200).has("action=\"/profile/password\"");
    let new = "another password of the test";
    let form = |old: &'static str, new: &'static str, again: &'static str| [("old", old), ("password", new), ("again", again)];
    browser.post("/profile/password", &form("wrong", new, new)).await.page(403).has("not your current password").has("API keys");
    browser.post("/profile/password", &form(PASSWORD, new, "x")).await.page(400).has("differ");
    browser.post("/profile/password", &form(PASSWORD, "short", "short")).await.page(400).has("too short");
    admin.get("auth/validate").await.ok();
    let changed = browser.post("/profile/password", &form(PASSWORD, new, new)).await;
    changed.leads_to("/profile");
    // The other sessions have ended, this one goes on, and keys stay.
    admin.get("auth/validate").await.refused(401);
    browser.get("/profile").await.leads_to("/login?back=%2Fprofile");
    let cookies = changed.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    browser.cookie = Some(cookies.collect::<Vec<_>>().join("; "));
    browser.get("/profile").await.page(200).has("Your password was changed");
    server.with_token(&key).get("auth/validate").await.ok();
    server.login(ADMIN, new).await;
    server.anonymous().post("auth/login", json!({"login": ADMIN, "password": PASSWORD})).await.refused(403);
}

#[tokio::test]
async fn guesses_of_the_current_password_are_slowed_down_and_it_needs_the_right() {
    let server = Server::with(|config| config.max_failed_logins = 2).await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    for group in ["registered", "public"] {
        admin.put(&format!("group/{group}"), json!({"capabilities": []})).await.ok();
    }
    let alice = Browser::logged_in(&server, "alice").await;
    alice.get("/profile").await.page(200).lacks("/profile/password");
    let right = [("old", PASSWORD), ("password", "long enough"), ("again", "long enough")];
    alice.post("/profile/password", &right).await.page(403).has("manage_profile");
    let browser = Browser::logged_in(&server, ADMIN).await;
    let guess = [("old", "guess"), ("password", "long enough"), ("again", "long enough")];
    for _ in 0..2 {
        browser.post("/profile/password", &guess).await.page(403);
    }
    browser.post("/profile/password", &right).await.page(429);
    let form = browser.request(Method::POST, "/profile/password").form(&right).header(header::ORIGIN, "https://evil.test");
    Shown::read(form.send().await.unwrap()).await.page(403).has("not sent by a page of this server");
}

#[tokio::test]
async fn families_of_configs_are_counted_by_range_and_lead_to_their_configs() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for number in 0..3 {
        admin.config(json!({"family": "<b>emotet", "cfg": {"n": number}})).await.ok();
    }
    admin.config(json!({"family": "agenttesla", "cfg": {}})).await.ok();
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get("/configs").await.page(200).has("href=\"/configs/stats\"");
    let page = browser.get("/configs/stats?range=24h").await;
    page.page(200).has("&lt;b&gt;emotet").lacks("<b>emotet").has("/configs?query=family%3A%22%3Cb%3Eemotet%22").has(">3</td>");
    assert!(page.html.find("emotet").unwrap() < page.html.find("agenttesla").unwrap(), "the largest first");
    browser.get("/configs?query=family%3A%22%3Cb%3Eemotet%22").await.page(200).has("3 found");
    browser.get("/configs/stats?range=nonsense").await.page(200).has("agenttesla");
    Browser::new(&server).get("/configs/stats").await.leads_to("/login?back=%2Fconfigs%2Fstats");
}

#[tokio::test]
async fn the_api_is_explained_on_a_page_and_in_a_file() {
    let server = Server::start().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get("/about").await.page(200).has("href=\"/help/api\"");
    let page = browser.get("/help/api").await;
    page.page(200).has("GET /api/file/{hash}/download").has("PUT /api/{kind}/{hash}/tag").has("adding_tags").has("href=\"/help/api.json\"");
    let document: Value = serde_json::from_str(&browser.get("/help/api.json").await.html).unwrap();
    assert_eq!(document, server.admin().await.get("docs").await.ok());
    Browser::new(&server).get("/help/api.json").await.leads_to("/login?back=%2Fhelp%2Fapi.json");
}
