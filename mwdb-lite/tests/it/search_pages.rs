//! Searching in the pages, as a browser without scripts does it.

use serde_json::json;

use crate::harness::{ADMIN, Server, id};
use crate::pages::{Browser, Shown};

#[tokio::test]
async fn a_list_shows_what_a_query_finds_and_pages_keep_it() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for number in 0..30 {
        admin.upload("wanted.bin", format!("{number}"), json!({"tags": [{"tag": "x:y"}]})).await.ok();
    }
    let other = id(&admin.upload("other.bin", "other", json!({})).await.ok());
    let browser = Browser::logged_in(&server, ADMIN).await;
    let shown = browser.get("/?query=tag%3A%22x%3Ay%22").await;
    shown.page(200).has("value=\"tag:&#34;x:y&#34;\"").has("30 found").has("wanted.bin").lacks(&other);
    // To the same query on the next page, and on the other lists.
    let next = shown.html.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a next page");
    let next = next.replace("&#38;", "&").replace("&amp;", "&");
    assert!(next.starts_with("/?query=tag%3A%22x%3Ay%22&older="), "{next}");
    let second = browser.get(&next).await;
    assert_eq!(second.page(200).html.matches("wanted.bin</bdi>").count(), 5);
    second.has("30 found").lacks("rel=\"next\"");
    shown.has("href=\"/objects?query=tag%3A%22x%3Ay%22\"");
    browser.get("/?query=tag:none").await.page(200).has("0 found").has("Nothing that you can see");
    browser.get("/?query=").await.page(200).has(&other).lacks("found.");
}

/// The link in a page whose address contains `part`.
fn link(shown: &Shown, part: &str) -> String {
    let link = shown.html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).find(|link| link.contains(part));
    link.unwrap_or_else(|| panic!("no {part} in {}", shown.html)).replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn a_click_in_results_narrows_them() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for (name, tags) in [("both.bin", vec!["one", "two"]), ("one.bin", vec!["one"]), ("two.bin", vec!["two"])] {
        let tags: Vec<_> = tags.into_iter().map(|tag| json!({"tag": tag})).collect();
        admin.upload(name, name, json!({"tags": tags})).await.ok();
    }
    let browser = Browser::logged_in(&server, ADMIN).await;
    let results = browser.get("/?query=tag%3Aone+OR+name%3Aone.bin").await;
    let narrowed = link(&results, "AND%20tag%3A%22two%22");
    assert_eq!(narrowed, "/?query=%28tag%3Aone%20OR%20name%3Aone.bin%29%20AND%20tag%3A%22two%22");
    let narrowed = browser.get(&narrowed).await;
    narrowed.page(200).has("1 found").has("both.bin");
    // The same again changes nothing; a type narrows, too.
    link(&narrowed, "name%3Aone.bin%29%20AND%20tag%3A%22two%22");
    narrowed.lacks("%22two%22%29%20AND%20tag%3A%22two%22");
    browser.get(&link(&results, "AND%20type%3A")).await.page(200).has("2 found");
    let all = browser.get("/objects?query=tag%3Aone").await;
    browser.get(&link(&all, "%28tag%3Aone%29%20AND%20tag%3A%22two%22")).await.page(200).has("1 found");
    // Without a query as ever.
    link(&browser.get("/").await, "/?query=tag%3A%22two%22");
}

#[tokio::test]
async fn a_page_after_a_removed_object_is_the_newest() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let gone = id(&admin.file("gone").await);
    admin.upload("newest.bin", "newest", json!({})).await.ok();
    let browser = Browser::logged_in(&server, ADMIN).await;
    let path = format!("/?older={gone}&page=3");
    browser.get(&path).await.page(200).lacks("was removed");
    admin.delete(&format!("file/{gone}")).await.ok();
    browser.get(&path).await.page(200).has("newest.bin").has("was removed").lacks("« Newest");
    browser.get(&format!("/objects?older={gone}")).await.page(200).has("was removed");
}

#[tokio::test]
async fn pasted_hashes_are_searched_for() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let one = admin.upload("one.bin", "one", json!({})).await.ok();
    let two = admin.upload("two.bin", "two", json!({})).await.ok();
    admin.upload("other.bin", "other", json!({})).await.ok();
    let blob = id(&admin.blob("content").await);
    let text = |object: &serde_json::Value, name: &str| object[name].as_str().unwrap().to_owned();
    let browser = Browser::logged_in(&server, ADMIN).await;
    let words = format!("%20{}%0A+{}", text(&one, "md5").to_uppercase(), text(&two, "crc32"));
    browser.get(&format!("/?query={words}")).await.page(200).has("2 found").has("one.bin").has("two.bin").has("value=\"multi:");
    browser.get(&format!("/objects?query={}+{blob}", text(&one, "sha1"))).await.page(200).has("2 found").has(&blob);
    browser.get(&format!("/blobs?query={}", blob.to_uppercase())).await.page(200).has("1 found");
    browser.get("/?query=abc").await.page(400);
}

#[tokio::test]
async fn a_crc32_leads_to_its_file_or_to_all_that_have_it() {
    let server = Server::start().await;
    let admin = server.admin().await;
    // Two texts with the same CRC32, as is well known.
    let (one, two) = ("plumless", "buckeroo");
    let first = admin.upload("one.bin", one, json!({})).await.ok();
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get("/find?hash=+4DDB0C25+").await.leads_to(&format!("/file/{}", id(&first)));
    let second = admin.upload("two.bin", two, json!({})).await.ok();
    assert_eq!((&first["crc32"], &second["crc32"]), (&json!("4ddb0c25"), &json!("4ddb0c25")));
    browser.get("/find?hash=4ddb0c25").await.leads_to("/?query=multi%3A%224ddb0c25%22");
    // What is refused stays in the box, and is named.
    let missing = "0".repeat(40);
    let field = |text: &str| format!("name=\"hash\" value=\"{text}\"");
    browser.get("/find?hash=00000000").await.page(404).has(&field("00000000")).has("has the hash 00000000");
    browser.get(&format!("/find?hash={missing}")).await.page(404).has(&field(&missing)).has(&format!("has the hash {missing}"));
    browser.get("/find?hash=%3Cb%3E").await.page(400).has(&field("&#60;b&#62;")).has("is no hash").lacks("<b>");
}

#[tokio::test]
async fn tags_and_keys_that_one_may_see_are_suggested() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let tags: Vec<_> = (10..40).map(|number| json!({"tag": format!("feed:{number}")})).collect();
    admin.upload("private.bin", "private", json!({"tags": tags, "upload_as": "private"})).await.ok();
    admin.upload("shared.bin", "shared", json!({"tags": [{"tag": "feed:99"}], "upload_as": "public"})).await.ok();
    for key in ["open", "closed"] {
        admin.post("attribute", json!({"key": key, "label": "", "description": "", "hidden": false})).await.ok();
    }
    admin.put("attribute/open/permissions", json!({"group_name": "public", "can_read": true, "can_set": false})).await.ok();
    let browser = Browser::logged_in(&server, ADMIN).await;
    let list = async |browser: &Browser, path: &str| -> Vec<String> {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{}", answer.html);
        serde_json::from_str(&answer.html).expect("a list")
    };
    let found = list(&browser, "/suggest/tags?start=feed%3A").await;
    assert_eq!((found.len(), found[0].as_str()), (20, "feed:10"));
    assert_eq!(list(&browser, "/suggest/keys").await, ["closed", "open"]);
    server.user(&admin, "alice", &[]).await;
    let alice = Browser::logged_in(&server, "alice").await;
    assert_eq!(list(&alice, "/suggest/tags?start=f").await, ["feed:99"]);
    assert_eq!(list(&alice, "/suggest/tags?start=g").await, Vec::<String>::new());
    assert_eq!(list(&alice, "/suggest/keys").await, ["open"]);
    Browser::new(&server).get("/suggest/keys").await.leads_to("/login?back=%2Fsuggest%2Fkeys");
    // How conditions begin is in the page of the list.
    let fields = |shown: &Shown| shown.html.split("data-fields=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    assert!(fields(&browser.get("/configs").await).split(' ').any(|field| field == "cfg."));
    assert!(fields(&browser.get("/objects").await).split(' ').any(|field| field == "config.cfg."));
}

#[tokio::test]
async fn a_query_with_a_mistake_shows_where_it_is() {
    let server = Server::start().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let shown = browser.get("/objects?query=tag%3Aa+AND+%3Cb%3E%3A1+OR+x").await;
    shown.page(400).has("column 11").has("tag:a AND <mark>&lt;</mark>").lacks("<b>");
    browser.get("/configs?query=foo%3A1").await.page(400).has("There is no field").has("<mark>foo</mark>:1");
    browser.get("/?query=tag%3Aa+AND").await.page(400).has("tag:a AND<mark> </mark>");
}

#[tokio::test]
async fn the_help_page_lists_every_field_with_examples_that_work() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for key in ["source", "report", "urls"] {
        admin.post("attribute", json!({"key": key, "label": "", "description": "", "hidden": false})).await.ok();
    }
    let browser = Browser::logged_in(&server, ADMIN).await;
    let help = browser.get("/help/search").await;
    help.page(200)
        .has("<code>file.name</code>")
        .has("<code>config.cfg</code>")
        .has("<code>blob.content</code>")
        .has("or <code>meta</code>");
    let links: Vec<&str> = help.html.split("class=\"example\" href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() > 40, "{}", links.len());
    for link in links {
        browser.get(link).await.page(200);
    }
    browser.get("/").await.page(200).has("href=\"/help/search\"");
}

#[tokio::test]
async fn searches_are_saved_under_a_name_run_and_removed() {
    let server = Server::start().await;
    let admin = server.admin().await;
    id(&admin.upload("wanted.bin", "wanted", json!({"tags": [{"tag": "x:y"}]})).await.ok());
    let alice = server.user(&admin, "alice", &["personalize"]).await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    // Nothing to save yet: no query, or one without an answer.
    browser.get("/").await.page(200).lacks("action=\"/query\"").has("href=\"/?query=favorites%3A%22admin%22\"");
    browser.get("/?query=foo%3A1").await.page(400).lacks("action=\"/query\"");
    let shown = browser.get("/?query=tag%3A%22x%3Ay%22").await;
    shown.page(200).has("action=\"/query\"").has("name=\"list\" value=\"file\"");
    // What the page's own form holds.
    let field = shown.html.split("name=\"query\" value=\"").find_map(|rest| rest.split('"').next().filter(|text| text.contains("%3A")));
    let query = field.expect("the query in the form");
    let name = "<b>mine</b> & \u{202e}yours";
    browser.post("/query", &[("list", "file"), ("query", query), ("name", name)]).await.leads_to("/?query=tag%3A%22x%3Ay%22");
    let saved = admin.get("file/quick_query").await.ok();
    assert_eq!((&saved[0]["name"], &saved[0]["query"]), (&json!(name), &json!("tag:\"x:y\"")));
    // It is a link on this list alone, and cannot be saved twice.
    let shown = browser.get("/").await;
    shown.page(200).has("href=\"/?query=tag%3A%22x%3Ay%22\"").has("&lt;b&gt;mine&lt;/b&gt; &amp;").lacks("<b>mine").has("U+202E");
    browser.get("/configs").await.page(200).lacks("mine&lt;");
    browser.get("/?query=tag%3A%22x%3Ay%22").await.page(200).has("wanted.bin").has("aria-current=\"page\"").lacks("action=\"/query\"");
    // One saved by another client, on another list; the query is not judged before it is run.
    admin.post("object/quick_query", json!({"name": "broken", "query": "foo:\"", "type": "object"})).await.ok();
    browser.get("/objects").await.page(200).has("href=\"/objects?query=foo%3A%22\"").has(">broken<");
    // Others neither see nor remove it, and who may not personalize has no buttons.
    let path = format!("/query/{}/remove", saved[0]["id"]);
    let hers = Browser::logged_in(&server, "alice").await;
    hers.get("/").await.page(200).lacks("mine&lt;");
    hers.post(&path, &[("list", "file"), ("query", "")]).await.page(404);
    alice.post("file/quick_query", json!({"name": "hers", "query": "size:1", "type": "file"})).await.ok();
    admin.put("group/alice", json!({"capabilities": []})).await.ok();
    admin.put("group/registered", json!({"capabilities": []})).await.ok();
    hers.get("/?query=size%3A2").await.page(200).has(">hers<").lacks("/query").lacks("Remove");
    hers.post("/query", &[("list", "file"), ("query", "x"), ("name", "n")]).await.page(403);
    hers.post(&path, &[("list", "file"), ("query", "")]).await.page(403);
    // Forms that no page of ours made.
    for bad in [
        [("list", "sample"), ("query", "x"), ("name", "n")],
        [("list", "file"), ("query", "%zz"), ("name", "n")],
        [("list", "file"), ("query", "x"), ("name", " ")],
    ] {
        browser.post("/query", &bad).await.page(400);
    }
    browser.post(&path, &[("list", "file"), ("query", "tag%3Aa")]).await.leads_to("/?query=tag%3Aa");
    browser.get("/").await.page(200).lacks("mine&lt;");
    assert_eq!(admin.get("file/quick_query").await.ok(), json!([]));
}
