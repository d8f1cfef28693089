//! The analyses on the page of an object: what crashed, starting it again, older ones, taking them away.

use std::time::Duration;

use redis::AsyncCommands;
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{ADMIN, Server, id};
use crate::karton::Bed;
use crate::pages::Browser;

/// Puts a task that a service has crashed on into Redis; gives its uid.
async fn crash(bed: &Bed, root: &str, receiver: &str, error: &[&str]) -> String {
    let uid = format!("{{{root}}}:{}", uuid::Uuid::new_v4());
    let task = json!({"uid": uid, "root_uid": root, "parent_uid": null, "orig_uid": null, "status": "Crashed", "priority": "normal",
        "error": error, "headers": {"origin": "karton.mwdb", "receiver": receiver}, "headers_persistent": {}, "payload": {},
        "payload_persistent": {}, "last_update": 1_700_000_000.0});
    let _: () = bed.redis.connection().await.set(format!("karton.task:{uid}"), task.to_string()).await.unwrap();
    uid
}

/// A server, a file in it, and an analysis of the file that Karton does not know yet.
async fn analyzed(bed: &Bed) -> (Server, String, String) {
    let server = bed.server().await;
    let root = uuid::Uuid::new_v4().to_string();
    let file = id(&server.admin().await.upload("a", "content", json!({"karton_id": root, "upload_as": "public"})).await.ok());
    (server, file, root)
}

#[tokio::test]
async fn a_crashed_analysis_tells_what_crashed_and_why() {
    let bed = Bed::start().await;
    let (server, file, root) = analyzed(&bed).await;
    for _ in 0..2 {
        crash(&bed, &root, "karton.a", &["Traceback (most recent call last):\n", "  File \"x\"\n", "ValueError: <b>no</b>\n"]).await;
    }
    crash(&bed, &root, "karton.b", &[&format!("Error: {}", "x".repeat(5000))]).await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let page = browser.get(&format!("/file/{file}")).await;
    page.page(200)
        .has("badge crashed\">3 tasks crashed")
        .has("karton.a")
        .has("2 tasks")
        .has("ValueError: &lt;b&gt;no&lt;/b&gt;")
        .has("karton.b");
    page.lacks(&"x".repeat(400)).has(&format!("/object/{file}/analysis/{root}/restart"));
    // All of it is folded away, once for both, and there is nothing to unfold of a single line.
    page.has("<summary>The whole error</summary><pre tabindex=\"0\">Traceback (most recent call last):\n");
    assert_eq!(page.html.matches("The whole error").count(), 1);
    // To the API it is finished, as in MWDB.
    let reply = server.admin().await.get(&format!("file/{file}/karton")).await.ok();
    assert_eq!(reply["status"], "finished");
    assert_eq!(crate::harness::keys(&reply["analyses"][0]), ["arguments", "id", "last_update", "processing_in", "status"]);
}

#[tokio::test]
async fn crashed_tasks_are_started_again_by_who_may_reanalyze() {
    let bed = Bed::start().await;
    let (server, file, root) = analyzed(&bed).await;
    let crashed = crash(&bed, &root, "karton.a", &["Error: no\n"]).await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let action = format!("/object/{file}/analysis/{root}/restart");
    let alice = Browser::logged_in(&server, "alice").await;
    alice.get(&format!("/file/{file}")).await.page(200).has("1 task crashed").lacks(&action);
    alice.post(&action, &[]).await.page(403).has("karton_reanalyze");
    let browser = Browser::logged_in(&server, ADMIN).await;
    let queue = "karton.queue.normal:karton.a";
    assert_eq!(bed.redis.connection().await.llen::<_, usize>(queue).await.unwrap(), 0);
    browser.post(&action, &[]).await.leads_to(&format!("/object/{file}#analyses"));
    let queued: Vec<String> = bed.redis.connection().await.lrange(queue, 0, -1).await.unwrap();
    assert_eq!(queued.len(), 1);
    let copy = bed.record(&queued[0]).await;
    assert_eq!((&copy["root_uid"], &copy["status"], &copy["headers"]["receiver"]), (&json!(root), &json!("Spawned"), &json!("karton.a")));
    assert_eq!(bed.record(&crashed).await["status"], "Finished");
    // At once, not after what was remembered has become old.
    browser.get(&format!("/file/{file}")).await.page(200).has("badge running").lacks("crashed\">").lacks(&action);
    browser.post_and_look(&action, &[]).await.page(200).has("There was no crashed task");
    // Only through an object that has the analysis.
    let other = id(&admin.file("other").await);
    browser.post(&format!("/object/{other}/analysis/{root}/restart"), &[]).await.page(404);
    browser.post(&format!("/object/{file}/analysis/no-uuid/restart"), &[]).await.page(400);
}

#[tokio::test]
async fn a_crash_is_told_to_who_watches_the_page() {
    let bed = Bed::start().await;
    let (server, file, root) = analyzed(&bed).await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let request = browser.request(Method::GET, &format!("/object/{file}/events")).header(header::ACCEPT, "text/event-stream");
    let mut stream = request.send().await.unwrap();
    let mut seen = String::new();
    let mut until = async |text: &str| {
        while !seen.contains(text) {
            let piece = stream.chunk().await.unwrap().expect("the stream goes on");
            seen.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until("data-summary=\"1 finished\"")).await.expect("the present state");
    crash(&bed, &root, "karton.a", &["Error: too late\n"]).await;
    tokio::time::timeout(Duration::from_secs(10), until("Error: too late")).await.expect("the crash");
    until("data-summary=\"1 finished, 1 task crashed\"").await;
}

#[tokio::test]
async fn only_ten_analyses_are_shown_and_the_older_ones_are_a_page_away() {
    let server = crate::pages::with_karton().await;
    let admin = server.admin().await;
    let file = id(&admin.file("content").await);
    let browser = Browser::logged_in(&server, ADMIN).await;
    for _ in 0..9 {
        admin.post_empty(&format!("file/{file}/karton")).await.ok();
    }
    let page = browser.get(&format!("/file/{file}")).await;
    assert_eq!(page.html.matches("class=\"analysis\"").count(), 10);
    page.lacks("Older analyses");
    admin.post_empty(&format!("file/{file}/karton")).await.ok();
    let page = browser.get(&format!("/file/{file}")).await;
    assert_eq!(page.html.matches("class=\"analysis\"").count(), 10);
    let link = page.html.split("href=\"").find_map(|rest| rest.split('"').next().filter(|link| link.contains("?older_than="))).unwrap();
    let older = browser.get(link).await;
    assert_eq!(older.page(200).html.matches("class=\"analysis\"").count(), 1);
    older.lacks("Older analyses");
    browser.get(&format!("/object/{file}/analyses?older_than={}", uuid::Uuid::new_v4())).await.page(404);
    browser.get(&format!("/object/{file}/analyses")).await.page(200);
}

#[tokio::test]
async fn an_analysis_is_taken_from_an_object_by_who_may() {
    let bed = Bed::start().await;
    let (server, file, root) = analyzed(&bed).await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let action = format!("/object/{file}/analysis/{root}/remove");
    let alice = Browser::logged_in(&server, "alice").await;
    alice.get(&format!("/file/{file}")).await.page(200).has(&root).lacks(&action);
    alice.post(&action, &[]).await.page(403).has("karton_unassign");
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get(&format!("/file/{file}")).await.has(&action);
    browser.post_and_look(&action, &[]).await.page(200).has("taken from the object").has("Not analyzed yet").lacks(&root);
    let left: Value = admin.get(&format!("file/{file}/karton")).await.ok();
    assert_eq!(left["analyses"], json!([]));
    browser.post(&action, &[]).await.page(404);
}
