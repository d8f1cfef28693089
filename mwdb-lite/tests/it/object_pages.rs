//! The page of an object: what it shows when content is away, what forms answer, where links lead.

use std::io::{Cursor, Read};

use serde_json::{Value, json};

use crate::harness::{ADMIN, Server, id};
use crate::pages::{Browser, Shown};
use crate::storage::Bucket;

#[tokio::test]
async fn while_the_bucket_is_away_the_page_of_a_file_shows_all_else() {
    let mut bucket = Bucket::start().await;
    let server = bucket.server().await;
    let admin = server.admin().await;
    let file = id(&admin.upload("kept.bin", "content", json!({"tags": [{"tag": "kept"}]})).await.ok());
    let browser = Browser::logged_in(&server, ADMIN).await;
    let path = format!("/file/{file}");
    browser.get(&path).await.page(200).has("63 6f 6e 74").lacks("does not answer");
    bucket.s3.take().unwrap().stop().await;
    let page = browser.get(&path).await;
    page.page(200).has("kept.bin").has("kept</bdi>").has("does not answer at the moment").lacks("63 6f 6e 74");
    browser.post_and_look(&format!("/object/{file}/comment"), &[("comment", "still works")]).await.page(200).has("still works");
    browser.get(&format!("{path}/download")).await.page(503);
}

#[tokio::test]
async fn missing_content_is_said_and_the_page_stays() {
    let server = Server::start().await;
    let file = id(&server.admin().await.file("content").await);
    for stored in server.stored_files() {
        std::fs::remove_file(stored).unwrap();
    }
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get(&format!("/file/{file}")).await.page(200).has("is missing in the store").has("sample.bin");
}

#[tokio::test]
async fn a_form_says_once_what_it_has_done() {
    let server = Server::start().await;
    let file = id(&server.admin().await.file("content").await);
    let browser = Browser::logged_in(&server, ADMIN).await;
    let form = format!("/object/{file}/tag");
    let sent = browser.post(&form, &[("tag", "one")]).await;
    let cookie = sent.header("set-cookie");
    assert!(cookie.starts_with("mwdb_notice=tag-added;") && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let page = browser.post_and_look(&form, &[("tag", "two")]).await;
    page.page(200).has("The tag was added.").has("role=\"status\"");
    // The page takes it away.
    assert!(page.header("set-cookie").starts_with("mwdb_notice=;") && page.header("set-cookie").contains("Max-Age=0"));
    browser.get(&format!("/file/{file}")).await.page(200).lacks("The tag was added.");
    // Nobody puts words into a page by it.
    let mut forged = Browser::new(&server);
    forged.cookie = Some(format!("{}; mwdb_notice=<b>call-me</b>", browser.cookie.as_ref().unwrap()));
    forged.get(&format!("/file/{file}")).await.page(200).lacks("call-me");
}

#[tokio::test]
async fn a_refused_form_gives_the_page_back_with_the_reason_and_what_was_typed() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.post("attribute", json!({"key": "note", "label": "", "description": "", "hidden": false})).await.ok();
    let file = id(&admin.upload("refused.bin", "content", Value::Null).await.ok());
    let browser = Browser::logged_in(&server, ADMIN).await;
    let send = async |form: &str, fields: &[(&str, &str)]| -> Shown { browser.post(&format!("/object/{file}/{form}"), fields).await };
    let shown = send("attribute", &[("key", "note"), ("value", "{\"a\": <"), ("json", "1")]).await;
    shown
        .page(400)
        .has("notice told bad")
        .has("The value is not JSON")
        .has("refused.bin")
        .has("{&#34;a&#34;: &#60;")
        .has("name=\"json\" value=\"1\" checked");
    send("tag", &[("tag", " ")]).await.page(400).has("notice told bad").has("refused.bin");
    send("comment", &[("comment", " \r\n ")]).await.page(400).has("The comment is empty").has("refused.bin");
    let nobody = "0".repeat(64);
    send("relation", &[("role", "parent"), ("other", &nobody)]).await.page(404).has("Object not found").has("refused.bin").has(&nobody);
    send("share", &[("group", "no-such-group")]).await.page(404).has("no-such-group").has("refused.bin");
    // An object that is not there has no page to give back.
    browser.post(&format!("/object/{nobody}/tag"), &[("tag", "x")]).await.page(404).has("Object not found").lacks("refused.bin");
    // Elsewhere the way back is on the page of the refusal.
    let remove = || browser.request(reqwest::Method::POST, "/settings/group/public/remove");
    for (from, back) in [
        ("/settings/group/public", "/settings/group/public"),
        ("/settings/group/public/rename", "/settings/group/public"),
        ("/settings", "/settings"),
    ] {
        let request = remove().header("origin", &browser.url).header("referer", format!("{}{from}", browser.url));
        Shown::read(request.send().await.unwrap()).await.page(403).has(&format!("href=\"{back}\">Back to the form"));
    }
    let request = remove().header("referer", "http://evil.test/x");
    Shown::read(request.send().await.unwrap()).await.page(403).lacks("Back to the form").lacks("evil");
}

#[tokio::test]
async fn no_form_takes_null_characters() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    let browser = Browser::logged_in(&server, ADMIN).await;
    for (form, field) in [("tag", "tag"), ("comment", "comment"), ("share", "group")] {
        let shown = browser.post(&format!("/object/{file}/{form}"), &[(field, "a\0b")]).await;
        shown.page(400).has("Null characters are not allowed.");
    }
    let query = [("list", "file"), ("query", "tag%3Aa%00b"), ("name", "n")];
    browser.post("/query", &query).await.page(400).has("Null characters are not allowed.");
    let upload = reqwest::multipart::Form::new().text("blob_name", "n").text("blob_type", "t").text("content", "c").text("tags", "a, b\0");
    browser.send("/upload/blob", upload).await.page(400).has("Null characters are not allowed.");
    assert_eq!(admin.get(&format!("file/{file}/tag")).await.ok(), json!([]));
    assert_eq!(admin.get(&format!("file/{file}/comment")).await.ok(), json!([]));
}

#[tokio::test]
async fn refusals_are_told_in_words_and_a_tag_that_was_there_is_not_added() {
    let server = Server::start().await;
    let file = id(&server.admin().await.file("content").await);
    let browser = Browser::logged_in(&server, ADMIN).await;
    let form = format!("/object/{file}/tag");
    browser.post(&form, &[("tag", " ")]).await.page(400).has("Tag cannot be empty.").lacks("ValidationError");
    let long = reqwest::multipart::Form::new().text("family", "x".repeat(40)).text("cfg", "{}");
    browser.send("/upload/config", long).await.page(400).has("Family: Longer than maximum length 32.").lacks("ValidationError");
    browser.post_and_look(&form, &[("tag", "one")]).await.page(200).has("The tag was added.");
    browser.post_and_look(&form, &[("tag", " ONE")]).await.page(200).has("had this tag before").lacks("was added");
}

#[tokio::test]
async fn an_id_with_blanks_around_it_is_an_id() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let (one, two) = (id(&admin.blob("one").await), id(&admin.blob("two").await));
    let browser = Browser::logged_in(&server, ADMIN).await;
    // The fields have room for what is pasted.
    browser.get(&format!("/blob/{one}")).await.page(200).lacks("maxlength=\"64\"");
    let fields = [("role", "parent"), ("other", &*format!(" \t{two} "))];
    browser.post(&format!("/object/{one}/relation"), &fields).await.leads_to(&format!("/object/{one}#relations"));
    browser.get(&format!("/diff?a={one}&b=+{two}+")).await.leads_to(&format!("/diff/{one}/{two}"));
}

#[tokio::test]
async fn hidden_attributes_are_shown_on_request_to_who_may_read_all() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.post("attribute", json!({"key": "secret", "label": "", "description": "", "hidden": true})).await.ok();
    let file = id(&admin.upload("hiding.bin", "content", json!({"upload_as": "public"})).await.ok());
    admin.post(&format!("file/{file}/attribute"), json!({"key": "secret", "value": "hidden-value"})).await.ok();
    let browser = Browser::logged_in(&server, ADMIN).await;
    let page = format!("/file/{file}");
    browser.get(&page).await.page(200).lacks("hidden-value").has("Show hidden attributes").has(&format!("href=\"/object/{file}?hidden=1"));
    let shown = browser.get(&format!("/object/{file}?hidden=1")).await;
    shown.page(200).has("hidden-value").has("Leave out hidden attributes");
    let remove = shown.html.split("action=\"").filter_map(|rest| rest.split('"').next()).find(|action| action.contains("/attribute/"));
    browser.post(remove.expect("a form to remove it"), &[]).await.leads_to(&format!("/object/{file}#attributes"));
    browser.get(&format!("{page}?hidden=1")).await.page(200).lacks("hidden-value");
    server.user(&admin, "alice", &[]).await;
    let alice = Browser::logged_in(&server, "alice").await;
    alice.get(&page).await.page(200).lacks("hidden=1");
    alice.get(&format!("{page}?hidden=1")).await.page(403).has("reading_all_attributes");
}

#[tokio::test]
async fn tags_types_families_and_uploaders_lead_to_what_is_like_them() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let odd = "feed:a\"b\\c*d?(e) and f%20&g";
    let tags = json!({"tags": [{"tag": odd}], "upload_as": "public"});
    let file = id(&admin.upload("wanted.bin", "MZ", tags.clone()).await.ok());
    admin.upload("near.bin", vec![0_u8, 1, 2], json!({"tags": [{"tag": "feed:a\"b\\cxdy(e) and f%20&g"}]})).await.ok();
    let config = id(&admin.config(json!({"family": "fam *", "config_type": "dyn?", "cfg": {}})).await.ok());
    admin.config(json!({"family": "fam x", "config_type": "dynx", "cfg": {"a": 1}})).await.ok();
    let blob = json!({"blob_name": "n", "blob_type": "a:b", "content": "c", "tags": [{"tag": odd}]});
    let blob = id(&admin.post("blob", blob).await.ok());
    let browser = Browser::logged_in(&server, ADMIN).await;
    let follow = async |page: &str, marker: &str, found: &str| {
        let html = browser.get(page).await.page(200).html.clone();
        let link = html.split("href=\"").find_map(|rest| rest.split('"').next().filter(|link| link.contains(marker)));
        let link = link.unwrap_or_else(|| panic!("no {marker} in {html}")).replace("&#38;", "&").replace("&amp;", "&");
        browser.get(&link).await.page(200).has("1 found").has(found);
    };
    follow(&format!("/file/{file}"), "/?query=tag%3A%22feed%3Aa", "wanted.bin").await;
    // The newest of the list.
    follow("/", "/?query=tag%3A%22feed%3Aa", "near.bin").await;
    follow(&format!("/file/{file}"), "/?query=type", &file[..16]).await;
    follow(&format!("/config/{config}"), "/configs?query=family", &config[..16]).await;
    follow(&format!("/config/{config}"), "/configs?query=type", &config[..16]).await;
    follow(&format!("/blob/{blob}"), "/blobs?query=type", &blob[..16]).await;
    follow(&format!("/blob/{blob}"), "/blobs?query=tag%3A%22feed", &blob[..16]).await;
    let page = browser.get(&format!("/file/{file}")).await;
    page.has("href=\"/objects?query=uploader%3A%22admin%22\"");
    browser.get("/objects?query=uploader%3A%22admin%22").await.page(200).has("found");
}

#[tokio::test]
async fn contents_are_saved_under_a_name_and_files_in_a_zip() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let content = "\u{feff}a\r\nb\u{202e}";
    let blob = id(&admin.blob(content).await);
    let config = id(&admin.config(json!({"family": "f", "cfg": {"a": 1}})).await.ok());
    let file = id(&admin.upload("inside.bin", "content", Value::Null).await.ok());
    let browser = Browser::logged_in(&server, ADMIN).await;
    let saved = browser.get(&format!("/blob/{blob}/download")).await;
    assert_eq!(saved.header("content-disposition"), format!("attachment; filename={blob}.txt"));
    // The button copies from there: what is there is what was uploaded, byte for byte.
    let raw = browser.request(reqwest::Method::GET, &format!("/blob/{blob}/download")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(raw.as_ref(), content.as_bytes());
    browser.get(&format!("/blob/{blob}")).await.has(&format!("data-copy-from=\"/blob/{blob}/download\""));
    let saved = browser.get(&format!("/config/{config}/download")).await;
    assert_eq!(saved.header("content-disposition"), format!("attachment; filename={config}.json"));
    assert_eq!(saved.html, "{\n  \"a\": 1\n}");
    browser.get(&format!("/file/{file}")).await.has(&format!("href=\"/file/{file}/download/zip\""));
    let zip = browser.request(reqwest::Method::GET, &format!("/file/{file}/download/zip")).send().await.unwrap();
    assert_eq!(zip.headers()["content-disposition"], format!("attachment; filename={file}.zip"));
    let mut archive = zip::ZipArchive::new(Cursor::new(zip.bytes().await.unwrap())).unwrap();
    let mut unpacked = String::new();
    archive.by_name_decrypt("inside.bin", b"infected").unwrap().read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, "content");
    server.user(&admin, "alice", &[]).await;
    Browser::logged_in(&server, "alice").await.get(&format!("/file/{file}/download/zip")).await.page(404);
}

#[tokio::test]
async fn a_file_is_looked_at_piece_by_piece_as_bytes_text_or_strings() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let mut content = vec![0_u8; 5000];
    content[..6].copy_from_slice(b"start!");
    content[3000..3007].copy_from_slice(b"<b>mid ");
    content.extend_from_slice("the end ä".as_bytes());
    let file = id(&admin.upload("a", content, Value::Null).await.ok());
    let browser = Browser::logged_in(&server, ADMIN).await;
    let look = async |query: &str| browser.get(&format!("/file/{file}{query}")).await;
    let first = look("").await;
    first.page(200).has("73 74 61 72 74 21").has("00000000").has("Bytes 0 to 2,048 of 5,010 bytes").lacks("00000800");
    first.has("&#38;at=2048#content").lacks("« Start");
    look("?view=hex&at=2048").await.has("00000800").has("3c 62 3e 6d").has("« Start");
    look("?view=hex&at=4992").await.page(200).has("the end").lacks("After ›");
    look("?view=text").await.has("start!").has("&lt;b&gt;mid").lacks("<b>mid").has("the end ä").has("class=ctl>NUL");
    look("?view=strings").await.has("start!").has("00000bb8").has("&lt;b&gt;mid").has("the end");
    look("?view=nonsense&at=x").await.page(200).has("73 74 61 72 74 21");
    let empty = id(&admin.upload("b", "x", Value::Null).await.ok());
    browser.get(&format!("/file/{empty}?view=strings")).await.page(200).has("There are no strings here");
}

#[tokio::test]
async fn sharing_with_third_parties_is_shown_and_allowed_once() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.upload("a", "content", json!({"share_3rd_party": false, "upload_as": "public"})).await.ok());
    server.user(&admin, "alice", &[]).await;
    let action = format!("/object/{file}/share_3rd_party");
    let alice = Browser::logged_in(&server, "alice").await;
    alice.get(&format!("/file/{file}")).await.page(200).has("do not get it").lacks(&action);
    alice.post(&action, &[]).await.page(403).has("modify_3rd_party_sharing");
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get(&format!("/file/{file}")).await.has(&action);
    browser.post_and_look(&action, &[]).await.page(200).has("may be shared with third parties now").has("may have it").lacks(&action);
    assert_eq!(admin.get(&format!("file/{file}")).await.ok()["share_3rd_party"], true);
    let unasked = Server::with(|config| config.enable_3rd_party_sharing_consent = false).await;
    let file = id(&unasked.admin().await.upload("a", "content", json!({"share_3rd_party": false})).await.ok());
    let browser = Browser::logged_in(&unasked, ADMIN).await;
    let action = format!("/object/{file}/share_3rd_party");
    browser.get(&format!("/file/{file}")).await.page(200).lacks(&action);
    browser.post(&action, &[]).await.page(404);
}

#[tokio::test]
async fn an_attribute_is_shown_as_its_template_says_and_the_value_stays_text() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    let template = "**{{value.host}}** [look up](https://cases.test/{{value.host}})\n{{#value.ports}}\n- {{.}}\n{{/value.ports}}";
    let key = json!({"key": "c2", "label": "", "description": "", "hidden": false, "rich_template": template, "example_value": "{\"host\": \"example\"}"});
    admin.post("attribute", key).await.ok();
    let value = json!({"host": "<b>*evil*</b>", "ports": [443, "[x](http://evil.test)"]});
    admin.post(&format!("file/{file}/attribute"), json!({"key": "c2", "value": value})).await.ok();
    let browser = Browser::logged_in(&server, ADMIN).await;
    let page = browser.get(&format!("/file/{file}")).await;
    page.page(200)
        .has("<strong>&lt;b&gt;*evil*&lt;/b&gt;</strong>")
        .has("href=\"https://cases.test/%3Cb%3E%2Aevil%2A%3C%2Fb%3E\"")
        .has("<li>443</li><li>[x](http://evil.test)</li>")
        .has("As it is stored")
        .lacks("<b>*evil")
        .lacks("href=\"http://evil");
    browser.get("/settings/attribute/c2").await.page(200).has("<strong>example</strong>");
    // One that cannot be followed leaves the value as it is, and its page tells why.
    admin.put("attribute/c2", json!({"rich_template": "{{#value}}"})).await.ok();
    browser.get(&format!("/file/{file}")).await.page(200).has("&quot;host&quot;").lacks("class=\"rich\"");
    browser.get("/settings/attribute/c2").await.page(200).has("cannot be followed").has("does not end");
    // Nor is an example that is broken shown as nothing.
    admin.put("attribute/c2", json!({"rich_template": template, "example_value": "{\"host\": "})).await.ok();
    browser.get("/settings/attribute/c2").await.page(200).has("The example value is not JSON").has("{{#value}}\n- {{.}}\n{{/value}}");
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_asked_for_without_scripts() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.group(&admin, "team", &[]).await;
    admin.post("attribute", json!({"key": "note", "label": "", "description": "", "hidden": false})).await.ok();
    let options = json!({"share_3rd_party": false, "attributes": [{"key": "note", "value": "v"}], "tags": [{"tag": "t"}]});
    let file = id(&admin.upload("a.bin", "content", options).await.ok());
    admin.post(&format!("file/{file}/comment"), json!({"comment": "c"})).await.ok();
    admin.post("user/admin/api_key", json!({"name": "k"})).await.ok();
    let browser = Browser::logged_in(&server, ADMIN).await;
    // Each of these buttons is behind another click, in a box that is closed.
    let asked = |page: &Shown, part: &str| {
        let form = page.html.split("<form").skip(1).find(|form| form.split('>').next().is_some_and(|tag| tag.contains(part)));
        let before = page.html.find(form.unwrap_or_else(|| panic!("no form {part}"))).unwrap();
        let Some(opened) = page.html[..before].rfind("<details") else { return false };
        !page.html[opened..before].contains("</details>") && !page.html[opened..before].split('>').next().unwrap().contains(" open")
    };
    let page = browser.get(&format!("/file/{file}")).await;
    for part in ["/comment/", "/attribute/", "/share\"", "/share_3rd_party"] {
        assert!(asked(&page, part), "{part}");
    }
    for part in ["/tag/remove", "/favorite"] {
        assert!(!asked(&page, part), "{part} can be taken back");
    }
    assert!(asked(&browser.get("/profile").await, "/api_key/"));
}
