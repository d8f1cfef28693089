//! The pages, as a browser without scripts uses them.

use std::time::Duration;

use reqwest::{Method, Response, header, multipart, redirect::Policy};
use serde_json::json;

use crate::harness::{ADMIN, Api, PASSWORD, Server, id};

/// A browser: keeps the cookie, says where its forms come from, follows no redirect.
pub(crate) struct Browser {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) cookie: Option<String>,
}

/// An answer, read.
pub(crate) struct Shown {
    pub(crate) status: u16,
    pub(crate) headers: header::HeaderMap,
    pub(crate) html: String,
}

impl Shown {
    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, html: response.text().await.expect("a whole page") }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    #[track_caller]
    pub(crate) fn has(&self, text: &str) -> &Self {
        assert!(self.html.contains(text), "no `{text}` in {}: {}", self.status, self.html);
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, text: &str) -> &Self {
        assert!(!self.html.contains(text), "`{text}` in {}", self.html);
        self
    }

    /// A page with this status.
    #[track_caller]
    pub(crate) fn page(&self, status: u16) -> &Self {
        assert_eq!((self.status, self.header("content-type")), (status, "text/html; charset=utf-8"), "{}", self.html);
        self
    }

    /// Where the answer to a form leads.
    #[track_caller]
    pub(crate) fn leads_to(&self, path: &str) {
        assert_eq!((self.status, self.header("location")), (303, path), "{}", self.html);
    }
}

impl Browser {
    pub(crate) fn new(server: &Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(Duration::from_secs(30)).build();
        Self { http: http.expect("a client"), url: server.url().to_owned(), cookie: None }
    }

    pub(crate) async fn logged_in(server: &Server, login: &str) -> Self {
        let mut browser = Self::new(server);
        browser.log_in(login, PASSWORD).await.leads_to("/");
        browser
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Shown {
        Shown::read(self.request(Method::GET, path).send().await.expect("an answer")).await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.request(Method::POST, path).form(fields)
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let form = self.form(path, fields).header(header::ORIGIN, &self.url);
        Shown::read(form.send().await.expect("an answer")).await
    }

    /// Sends a form and follows it to the page that tells what became of it.
    pub(crate) async fn post_and_look(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let answer = self.post(path, fields).await;
        if answer.status != 303 {
            return answer;
        }
        let place = answer.header("location").split('#').next().unwrap_or_default().to_owned();
        let notice = answer.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        let cookies: Vec<&str> = self.cookie.as_deref().into_iter().chain(notice).collect();
        let request = self.http.get(format!("{}{place}", self.url)).header(header::COOKIE, cookies.join("; "));
        Shown::read(request.send().await.expect("an answer")).await
    }

    /// Sends a form in parts; a part with a file name is a file.
    pub(crate) async fn send(&self, path: &str, form: multipart::Form) -> Shown {
        let request = self.request(Method::POST, path).header(header::ORIGIN, &self.url).multipart(form);
        Shown::read(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn log_in(&mut self, login: &str, password: &str) -> Shown {
        let shown = self.post("/login", &[("login", login), ("password", password), ("back", "/")]).await;
        let cookie = shown.header("set-cookie").split(';').next().unwrap_or_default();
        self.cookie = Some(cookie.to_owned()).filter(|cookie| !cookie.is_empty());
        shown
    }
}

/// A server that has Karton, with a Redis that is away: announcements wait.
pub(crate) async fn with_karton() -> Server {
    let file = "[redis]\nhost = 127.0.0.1\nport = 1\n[s3]\naddress = http://127.0.0.1:1\naccess_key = a\nsecret_key = b\nbucket = karton\n";
    let karton = karton_rs::Config::from_parts(&[("karton.ini", file)], []).expect("a configuration");
    Server::with(move |config| {
        config.enable_karton = true;
        config.karton = Some(karton);
    })
    .await
}

async fn file_of(admin: &Api, content: &str) -> String {
    id(&admin.file(content).await)
}

#[tokio::test]
async fn a_form_without_a_session_says_so_and_leads_back_to_its_page() {
    let server = Server::start().await;
    let file = file_of(&server.admin().await, "content").await;
    let browser = Browser::new(&server);
    let send = async |referer: &str| {
        let form = browser.request(Method::POST, &format!("/object/{file}/comment")).header(header::ORIGIN, &browser.url);
        let form = form.header(header::REFERER, referer).form(&[("comment", "typed")]);
        Shown::read(form.send().await.expect("an answer")).await
    };
    let own = |path: &str| format!("{}{path}", browser.url);
    let page = format!("/file/{file}?view=text");
    let sent = send(&own(&page)).await;
    sent.leads_to(&format!("/login?back=%2Ffile%2F{file}%3Fview%3Dtext"));
    let cookie = sent.header("set-cookie").split(';').next().unwrap().to_owned();
    let login = browser.http.get(own(sent.header("location"))).header(header::COOKIE, cookie).send().await.expect("an answer");
    let login = Shown::read(login).await;
    login.page(200).has("Your session has ended. What you sent was not stored.").has(&format!("name=\"back\" value=\"{page}\""));
    // A refused form is shown at its own address, where no page is.
    send(&own(&format!("/object/{file}/tag"))).await.leads_to(&format!("/login?back=%2Fobject%2F{file}"));
    for elsewhere in ["https://evil.test/file/x", &own("//evil.test"), &own("/nowhere"), "", &own("/login")] {
        send(elsewhere).await.leads_to("/login");
    }
    // Whoever only looks has lost nothing.
    assert_eq!(browser.get(&page).await.header("set-cookie"), "");
}

#[tokio::test]
async fn who_is_not_logged_in_is_sent_to_the_login_and_back() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    browser.get("/").await.leads_to("/login");
    browser.get("/configs?page=1").await.leads_to("/login?back=%2Fconfigs%3Fpage%3D1");
    browser.get("/login?back=%2Fconfigs").await.page(200).has(r#"name="back" value="/configs""#);
    let fields = [("login", ADMIN), ("password", PASSWORD), ("back", "/configs")];
    browser.post("/login", &fields).await.leads_to("/configs");
    for elsewhere in ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"] {
        browser.post("/login", &[("login", ADMIN), ("password", PASSWORD), ("back", elsewhere)]).await.leads_to("/");
    }
    browser.get("/login?back=https%3A%2F%2Fevil.test%2F").await.page(200).has(r#"name="back" value="/""#).lacks("evil");
    browser.log_in(ADMIN, PASSWORD).await;
    browser.get("/").await.page(200).has("Files");
}

#[tokio::test]
async fn the_cookie_of_a_session_stays_with_this_server_and_out_of_scripts() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    browser.log_in(ADMIN, "a wrong password").await.page(403).has("Invalid login or password");
    assert_eq!(browser.cookie, None);
    let shown = browser.log_in(ADMIN, PASSWORD).await;
    let cookie = shown.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.split("; ").any(|given| given == part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "the server speaks http: {cookie}");
    let gone = browser.post("/logout", &[]).await;
    gone.leads_to("/login");
    assert!(gone.header("set-cookie").contains("Max-Age=0"), "{}", gone.header("set-cookie"));
    browser.cookie = Some("mwdb_session=rubbish".to_owned());
    browser.get("/").await.leads_to("/login");
}

#[tokio::test]
async fn a_file_is_uploaded_by_form_and_its_page_shows_it() {
    let server = with_karton().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let part = multipart::Part::bytes(b"content of the file".to_vec()).file_name("sample.bin");
    let form = multipart::Form::new().part("file", part).text("tags", "One, two,").text("upload_as", "*").text("parent", "");
    let request = browser.request(Method::POST, "/upload").header(header::ORIGIN, &browser.url).multipart(form);
    let sent = Shown::read(request.send().await.unwrap()).await;
    let admin = server.admin().await;
    let known = admin.get("file").await.ok()["files"][0].clone();
    sent.leads_to(&format!("/file/{}", id(&known)));
    let page = browser.get(&format!("/file/{}", id(&known))).await;
    page.page(200).has("sample.bin").has("one").has("two").has("Karton analyses").has("queued for Karton");
    for hash in ["md5", "sha1", "sha256"] {
        page.has(known[hash].as_str().unwrap());
    }
    // By any of its digests, and by the kind that fits only.
    browser.get(&format!("/file/{}", known["md5"].as_str().unwrap())).await.page(200);
    browser.get(&format!("/blob/{}", id(&known))).await.page(404);
    browser.get(&format!("/find?hash={}", known["sha1"].as_str().unwrap())).await.leads_to(&format!("/file/{}", id(&known)));
    let content = browser.get(&format!("/file/{}/download", id(&known))).await;
    assert_eq!((content.status, content.html.as_str()), (200, "content of the file"));
    assert!(content.header("content-disposition").starts_with("attachment"));
    browser.get("/").await.page(200).has("sample.bin").has("<tr class=\"recent\"");
}

#[tokio::test]
async fn a_refused_upload_gives_the_form_back() {
    let server = Server::start().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let send = async |parent: &str| {
        let part = multipart::Part::bytes(b"content".to_vec()).file_name("sample.bin");
        let form = multipart::Form::new().part("file", part).text("tags", "kept").text("parent", parent.to_owned());
        let request = browser.request(Method::POST, "/upload").header(header::ORIGIN, &browser.url).multipart(form);
        Shown::read(request.send().await.unwrap()).await
    };
    let parent = "0".repeat(64);
    send(&parent).await.page(404).has("Parent object not found").has(r#"value="kept""#).has(&format!(r#"value="{parent}""#));
    send("").await;
    assert_eq!(server.admin().await.get("file/count").await.ok()["count"], 1);
}

#[tokio::test]
async fn the_button_to_reanalyze_is_for_those_who_may() {
    let server = with_karton().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &["access_all_objects"]).await;
    server.user(&admin, "bob", &["access_all_objects", "karton_reanalyze"]).await;
    let file = file_of(&admin, "content").await;
    let (path, action) = (format!("/file/{file}"), format!("/object/{file}/reanalyze"));
    let (alice, bob) = (Browser::logged_in(&server, "alice").await, Browser::logged_in(&server, "bob").await);
    alice.get(&path).await.page(200).has("Karton analyses").lacks(&action);
    alice.post(&action, &[]).await.page(403).has("karton_reanalyze");
    bob.get(&path).await.page(200).has(&action);
    bob.post(&action, &[]).await.leads_to(&format!("/object/{file}#analyses"));
    let analyses = admin.get(&format!("file/{file}/karton")).await.ok()["analyses"].as_array().unwrap().len();
    assert_eq!(analyses, 2);
    assert_eq!(bob.get(&path).await.html.matches("class=\"analysis\"").count(), 2);
}

#[tokio::test]
async fn without_karton_there_is_nothing_to_reanalyze() {
    let server = Server::start().await;
    let file = file_of(&server.admin().await, "content").await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get(&format!("/file/{file}")).await.page(200).has("Karton is not enabled").lacks("/reanalyze");
    browser.post(&format!("/object/{file}/reanalyze"), &[]).await.page(503);
}

#[tokio::test]
async fn what_people_and_samples_write_is_shown_and_not_run() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let attack = "<script>alert(1)</script>";
    let blob = json!({"blob_name": attack, "blob_type": "raw", "content": format!("{attack} in text")});
    let blob = id(&admin.post("blob", blob).await.ok());
    admin.post("attribute", json!({"key": "note", "label": attack, "description": "", "hidden": false})).await.ok();
    admin.post(&format!("object/{blob}/attribute"), json!({"key": "note", "value": {"a": attack}})).await.ok();
    admin.put(&format!("object/{blob}/tag"), json!({"tag": attack})).await.ok();
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.post(&format!("/object/{blob}/comment"), &[("comment", attack)]).await.leads_to(&format!("/object/{blob}#comments"));
    assert_eq!(admin.get(&format!("blob/{blob}/comment")).await.ok()[0]["comment"], attack);
    for path in [format!("/blob/{blob}"), "/blobs".to_owned(), "/objects".to_owned()] {
        let page = browser.get(&path).await;
        page.page(200).lacks("<script>alert").lacks("onerror=");
        assert!(page.html.contains("&#60;script&#62;") || page.html.contains("&lt;script&gt;"), "{}", page.html);
    }
    let raw = browser.get(&format!("/blob/{blob}/download")).await;
    assert_eq!(raw.header("content-type"), "application/octet-stream");
}

#[tokio::test]
async fn an_attribute_is_a_link_only_where_its_key_says_so() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = file_of(&admin, "content").await;
    let plain = json!({"key": "c2", "label": "Called home", "description": "", "hidden": false});
    let linked = json!({"key": "case", "label": "", "description": "", "hidden": false, "url_template": "https://cases.test/${value}"});
    admin.post("attribute", plain).await.ok();
    admin.post("attribute", linked).await.ok();
    for (key, value) in [("c2", "http://evil.test/gate.php"), ("case", "42")] {
        admin.post(&format!("file/{file}/attribute"), json!({"key": key, "value": value})).await.ok();
    }
    let page = Browser::logged_in(&server, ADMIN).await.get(&format!("/file/{file}")).await;
    page.has("Called home").has("http://evil.test/gate.php").lacks("href=\"http://evil.test").has("href=\"https://cases.test/42\"");
}

#[tokio::test]
async fn forms_of_an_object_change_it_as_the_api_does() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let (file, other) = (file_of(&admin, "one").await, file_of(&admin, "two").await);
    let browser = Browser::logged_in(&server, ADMIN).await;
    let post = async |path: &str, fields: &[(&str, &str)]| {
        let shown = browser.post(&format!("/object/{file}/{path}"), fields).await;
        assert_eq!(shown.status, 303, "{path}: {}", shown.html);
    };
    let detail = async || admin.get(&format!("file/{file}")).await.ok();
    post("tag", &[("tag", " Emotet+ ")]).await;
    assert_eq!(detail().await["tags"], json!([{"tag": "emotet+"}]));
    post("tag/remove", &[("tag", "emotet%2B")]).await;
    assert_eq!(detail().await["tags"], json!([]));
    post("relation", &[("role", "parent"), ("other", &other.to_uppercase())]).await;
    assert_eq!(detail().await["children"][0]["id"], other);
    browser.get(&format!("/file/{file}")).await.has("Children").has(&other);
    post("child/remove", &[("other", &other)]).await;
    assert_eq!(detail().await["children"], json!([]));
    admin.post("attribute", json!({"key": "note", "label": "", "description": "", "hidden": false})).await.ok();
    post("attribute", &[("key", "note"), ("value", "[1, 2]"), ("json", "1")]).await;
    assert_eq!(detail().await["attributes"][0]["value"], json!([1, 2]));
    post("favorite", &[]).await;
    assert_eq!(detail().await["favorite"], true);
    post("comment", &[("comment", "one\r\ntwo")]).await;
    let comment = admin.get(&format!("file/{file}/comment")).await.ok()[0].clone();
    assert_eq!(comment["comment"], "one\ntwo");
    post(&format!("comment/{}/remove", comment["id"]), &[]).await;
    assert_eq!(admin.get(&format!("file/{file}/comment")).await.ok(), json!([]));
    admin.post("group/team", json!({})).await.ok();
    post("share", &[("group", "team")]).await;
    browser.get(&format!("/file/{file}")).await.has("team");
    browser.get(&format!("/object/{file}/remove")).await.page(200).has("cannot be undone");
    post("remove", &[]).await;
    admin.get(&format!("file/{file}")).await.missing();
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = file_of(&admin, "content").await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let path = format!("/object/{file}/comment");
    let fields = [("comment", "hello")];
    let own = browser.url.clone();
    for (name, value) in
        [("origin", "https://evil.test"), ("origin", "null"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
    {
        let form = browser.form(&path, &fields).header(name, value);
        Shown::read(form.send().await.unwrap()).await.page(403).has("not sent by a page of this server");
    }
    let form = browser.form(&path, &fields).header("origin", &own).header("sec-fetch-site", "cross-site");
    Shown::read(form.send().await.unwrap()).await.page(403);
    let login = Browser::new(&server).form("/login", &[("login", ADMIN), ("password", PASSWORD)]).header("origin", "https://evil.test");
    let login = Shown::read(login.send().await.unwrap()).await;
    assert_eq!((login.status, login.header("set-cookie")), (403, ""));
    assert_eq!(admin.get(&format!("file/{file}/comment")).await.ok(), json!([]));
    browser.post(&path, &fields).await.leads_to(&format!("/object/{file}#comments"));
}

#[tokio::test]
async fn the_api_takes_no_cookie() {
    let server = Server::start().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let shown = browser.get("/api/file").await;
    assert_eq!((shown.status, shown.header("content-type")), (401, "application/json"));
}

#[tokio::test]
async fn what_is_not_there_is_a_page_outside_the_api() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    browser.get("/nothing/here").await.page(404).has("There is no such page").has("/login");
    browser.log_in(ADMIN, PASSWORD).await;
    browser.get("/nothing/here").await.page(404).has("Log out");
    browser.get(&format!("/file/{}", "0".repeat(64))).await.page(404).has("Object not found");
    browser.get("/file/nonsense").await.page(404);
    browser.post("/nothing", &[]).await.page(404);
    let api = browser.get("/api/nothing/at/all").await;
    assert_eq!((api.status, api.header("content-type")), (404, "application/json"));
}

#[tokio::test]
async fn who_may_not_see_an_object_does_not_learn_of_it() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let file = file_of(&admin, "content").await;
    let alice = Browser::logged_in(&server, "alice").await;
    for path in ["", "/download"] {
        alice.get(&format!("/file/{file}{path}")).await.page(404).has("Object not found");
    }
    alice.get(&format!("/object/{file}/events")).await.page(404);
    alice.get("/").await.page(200).lacks(&file);
    // Forms that the page does not offer are refused, too.
    let shared = id(&admin.upload("shared.bin", "shared", json!({"upload_as": "public"})).await.ok());
    alice.get(&format!("/file/{shared}")).await.page(200).lacks("/tag\"").lacks("/comment\"").lacks("/remove\"");
    for (form, field) in [("tag", "tag"), ("comment", "comment"), ("remove", "x")] {
        alice.post(&format!("/object/{shared}/{form}"), &[(field, "x")]).await.page(403);
    }
}

#[tokio::test]
async fn pages_carry_headers_that_protect_them() {
    let server = Server::start().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    for path in ["/", "/nothing", "/profile"] {
        let shown = browser.get(path).await;
        let policy = shown.header("content-security-policy");
        for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"] {
            assert!(policy.split("; ").any(|given| given == rule), "{rule}: {policy}");
        }
        assert_eq!(shown.header("x-content-type-options"), "nosniff");
        assert_eq!(shown.header("x-frame-options"), "DENY");
        assert_eq!(shown.header("cache-control"), "no-store");
        // What such a policy forbids is not in the page.
        shown.lacks(" style=").lacks("<style").lacks(" onclick=");
    }
    let style = browser.get("/").await.html.split('"').find(|part| part.starts_with("/static/style.css?v=")).unwrap().to_owned();
    let style = Browser::new(&server).get(&style).await;
    assert_eq!((style.status, style.header("content-type")), (200, "text/css; charset=utf-8"));
    assert!(style.header("cache-control").contains("immutable"));
    Browser::new(&server).get("/static/../Cargo.toml").await.page(404);
}

#[tokio::test]
async fn the_box_of_analyses_follows_what_happens() {
    let server = with_karton().await;
    let admin = server.admin().await;
    let file = file_of(&admin, "content").await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let request = browser.request(Method::GET, &format!("/object/{file}/events")).header(header::ACCEPT, "text/event-stream");
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut seen = String::new();
    let mut analyses = async |count: usize| {
        while seen.rsplit("event:analyses").next().unwrap_or_default().matches("class=\"analysis\"").count() != count {
            let piece = stream.chunk().await.unwrap().expect("the stream goes on");
            seen.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    // The page may be older than the stream: it gets the present state at once.
    tokio::time::timeout(Duration::from_secs(10), analyses(1)).await.expect("the first box");
    admin.post_empty(&format!("file/{file}/karton")).await.ok();
    tokio::time::timeout(Duration::from_secs(10), analyses(2)).await.expect("a box with the second analysis");
}

#[tokio::test]
async fn an_open_stream_does_not_keep_the_server_from_stopping() {
    let mut server = with_karton().await;
    let file = file_of(&server.admin().await, "content").await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let mut stream = browser.request(Method::GET, &format!("/object/{file}/events")).send().await.unwrap();
    stream.chunk().await.unwrap().expect("a first event");
    tokio::time::timeout(Duration::from_secs(10), server.stop()).await.expect("the server stops");
}

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let server = Server::start().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let page = browser.post_and_look(&format!("/user/{ADMIN}/api_key"), &[("name", "for <scripts>")]).await;
    page.page(200).has("not shown again").lacks("<scripts>");
    let token = page.html.split("data-copy=\"").find(|part| part.starts_with("eyJ")).and_then(|part| part.split('"').next()).unwrap();
    let key = server.with_token(token);
    let id = key.get(&format!("profile/{ADMIN}")).await.ok()["api_keys"][0]["id"].as_str().unwrap().to_owned();
    for again in ["/profile".to_owned(), format!("/profile?made={id}")] {
        browser.get(&again).await.page(200).has(&id).lacks(token);
    }
    browser.post(&format!("/api_key/{id}/remove"), &[("owner", ADMIN)]).await.leads_to("/profile#keys");
    key.get("file").await.refused(401);
}

#[tokio::test]
async fn the_configuration_turns_the_pages_off_or_over_to_a_folder() {
    let server = Server::with(|config| config.serve_web = false).await;
    let shown = Browser::new(&server).get("/").await;
    assert_eq!((shown.status, shown.header("content-type")), (404, "application/json"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("index.html"), "another interface").unwrap();
    std::fs::write(folder.path().join("app.js"), "1").unwrap();
    let path = folder.path().to_owned();
    let server = Server::with(|config| config.web_folder = Some(path)).await;
    let browser = Browser::new(&server);
    for path in ["/", "/file/abc", "/login"] {
        browser.get(path).await.page(200).has("another interface");
    }
    let script = browser.get("/app.js").await;
    // Nothing that other pages could not live with.
    for path in ["/", "/app.js"] {
        let shown = browser.get(path).await;
        let headers = ["content-security-policy", "referrer-policy"].map(|name| shown.header(name));
        assert_eq!(headers, ["frame-ancestors 'none'", "same-origin"], "{path}");
    }
    assert_eq!((script.html.as_str(), script.header("content-length"), script.header("cache-control")), ("1", "1", "no-cache"));
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(browser.request(method, path), |request, (name, value)| request.header(*name, *value));
        Shown::read(request.send().await.expect("an answer")).await
    };
    // Who has it is told so, by tag or by date, and gets it again once it is another one.
    let (tag, date) = (script.header("etag").to_owned(), script.header("last-modified").to_owned());
    for headers in [
        vec![("if-none-match", tag.clone())],
        vec![("if-none-match", format!("\"x\", W/{tag}"))],
        vec![("if-none-match", "*".to_owned())],
        vec![("if-modified-since", date.clone())],
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for method in [Method::GET, Method::HEAD] {
            let known = ask(method, "/app.js", &headers).await;
            assert_eq!((known.status, known.html.as_str(), known.header("etag")), (304, "", tag.as_str()), "{headers:?}");
        }
    }
    let old = "Thu, 01 Jan 1970 00:00:00 GMT";
    for headers in [vec![("if-none-match", "\"x\""), ("if-modified-since", date.as_str())], vec![("if-modified-since", old)]] {
        assert_eq!(ask(Method::GET, "/app.js", &headers).await.html, "1", "{headers:?}");
    }
    let head = ask(Method::HEAD, "/app.js", &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.header("etag"), head.html.as_str()), (200, "1", tag.as_str(), ""));
    std::fs::write(folder.path().join("app.js"), "22").unwrap();
    assert_eq!(ask(Method::GET, "/app.js", &[("if-none-match", &tag)]).await.html, "22");
    browser.get("/api/ping").await.has("ok");
    assert_eq!(browser.get("/api/nothing").await.header("content-type"), "application/json");
}
