//! What there is room for: on one object, and for those who have no account yet.

use serde_json::{Value, json};

use crate::harness::{ADMIN, Server, id};
use crate::pages::Browser;

/// As many as one object may have.
const MOST: usize = 10_000;

/// Changes the database of a server that is stopped meanwhile.
async fn meddle(server: &mut Server, statement: &str, value: &str) {
    server.stop().await;
    let database = rusqlite::Connection::open(&server.config().sqlite_path).unwrap();
    // Made by hand, so nothing is counted along.
    database.execute(statement, [value]).unwrap();
    drop(database);
    server.start_again(|_| {}).await;
}

fn tags(range: std::ops::Range<usize>) -> Value {
    Value::Array(range.map(|number| json!({"tag": format!("tag{number}")})).collect())
}

#[tokio::test]
async fn tags_of_an_object_are_bounded_and_a_list_shows_the_first() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let upload = |tags: Value| admin.upload("a", "content", json!({"tags": tags}));
    let file = id(&upload(tags(0..MOST)).await.ok());
    let path = format!("file/{file}/tag");
    assert_eq!(upload(tags(MOST..MOST + 1)).await.refused(400), "An object can have at most 10000 tags");
    assert_eq!(admin.put(&path, json!({"tag": "other"})).await.refused(400), "An object can have at most 10000 tags");
    // Nobody is refused who adds nothing, or takes something away first.
    upload(tags(5..10)).await.ok();
    admin.put(&path, json!({"tag": "TAG7"})).await.ok();
    admin.delete(&format!("{path}?tag=tag9999")).await.ok();
    assert_eq!(admin.put(&path, json!({"tag": "other"})).await.ok().as_array().unwrap().len(), MOST);
    // The API shows all of them.
    let list = admin.get("file").await.ok();
    assert_eq!(list["files"][0]["tags"].as_array().unwrap().len(), MOST);
    assert_eq!(list["files"][0].get("more_tags"), None);
    let child = admin.child_of(&file, "child").await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    for path in ["/".to_owned(), "/objects".to_owned(), format!("/file/{child}")] {
        browser.get(&path).await.page(200).has("tag99<").lacks("tag100<").has("#tags\">and 9900 more</a>");
    }
    browser.get(&format!("/file/{file}")).await.page(200).has("tag9998<");

    // Many characters are as bad as many tags.
    let long = |count: usize| Value::Array((0..count).map(|number| json!({"tag": format!("{number:04096}")})).collect());
    let reply = admin.upload("a", "long", json!({"tags": long(257)})).await;
    assert_eq!(reply.refused(400), "An object can have at most 1048576 bytes of tags");
    admin.upload("a", "long", json!({"tags": long(256)})).await.ok();
}

#[tokio::test]
async fn attributes_of_an_object_are_bounded() {
    let server = Server::start().await;
    let admin = server.admin().await;
    admin.post("attribute", json!({"key": "key", "label": "", "description": "", "hidden": false})).await.ok();
    let values = |range: std::ops::Range<usize>| range.map(|number| json!({"key": "key", "value": number})).collect::<Value>();
    let upload = |values: Value| admin.upload("a", "content", json!({"attributes": values}));
    let path = format!("file/{}/attribute", id(&upload(values(1..MOST)).await.ok()));
    admin.post(&path, json!({"key": "key", "value": 0})).await.ok();
    let refusal = "An object can have at most 10000 attributes";
    assert_eq!(admin.post(&path, json!({"key": "key", "value": "other"})).await.refused(400), refusal);
    assert_eq!(upload(values(MOST..MOST + 1)).await.refused(400), refusal);
    assert_eq!(admin.post(&path.replace("attribute", "meta"), json!({"key": "key", "value": "other"})).await.refused(400), refusal);
    upload(values(0..5)).await.ok();
    admin.post(&path, json!({"key": "key", "value": 7})).await.ok();
}

#[tokio::test]
async fn comments_of_an_object_are_bounded() {
    let mut server = Server::start().await;
    let admin = server.admin().await;
    let (file, other) = (id(&admin.file("content").await), id(&admin.file("other").await));
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)";
    let insert = "INSERT INTO comment (object_id, comment, timestamp)";
    meddle(&mut server, &format!("{insert} {numbers} SELECT (SELECT id FROM object WHERE dhash = ?), 'comment', 0 FROM n"), &file).await;
    let half = "SELECT (SELECT id FROM object WHERE dhash = ?), printf('%.8388607c', 'x'), 0";
    meddle(&mut server, &format!("{insert} {half}"), &other).await;
    meddle(&mut server, &format!("{insert} {half}"), &other).await;
    let admin = server.admin().await;
    let comment = async |file: &str| admin.post(&format!("file/{file}/comment"), json!({"comment": "ab"})).await;
    comment(&file).await.ok();
    assert_eq!(comment(&file).await.refused(400), "An object can have at most 10000 comments");
    comment(&other).await.ok();
    assert_eq!(comment(&other).await.refused(400), "An object can have at most 16777216 bytes of comments");
    assert_eq!(admin.get(&format!("file/{file}/comment")).await.ok().as_array().unwrap().len(), MOST);
}

#[tokio::test]
async fn registrations_are_bounded_in_size_and_number() {
    let mut server = Server::with(|config| config.enable_registration = true).await;
    let ask = async |server: &Server, login: &str, info: &str| {
        let account = json!({"login": login, "email": "a@example.com", "additional_info": info});
        server.anonymous().post("auth/register", account).await
    };
    assert!(ask(&server, "alice", &"x".repeat(4097)).await.refused(400).contains("Longer than maximum length 4096."));
    ask(&server, "alice", &"x".repeat(4096)).await.ok();
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < CAST(? AS INTEGER))";
    let insert = "INSERT INTO users (login, email, additional_info, feed_quality, disabled, pending, password_ver, identity_ver)";
    meddle(&mut server, &format!("{insert} {numbers} SELECT 'waiting' || i, 'a@example.com', 'x', 'high', 0, 1, '', '' FROM n"), "998")
        .await;
    ask(&server, "bob", "x").await.ok();
    let refused = ask(&server, "carol", "x").await;
    assert_eq!(refused.refused(503), "Too many registrations wait for acceptance. Try again later.");
    assert_eq!(refused.header("retry-after"), "5");
    let form = [("login", "carol"), ("email", "a@example.com"), ("additional_info", "my story")];
    Browser::new(&server).post("/register", &form).await.page(503).has("Too many registrations wait").has("my story");
    // Administrators are not in the way of it, and make room.
    let admin = server.admin().await;
    admin.post("user/dave", json!({"email": "a@example.com", "additional_info": "x".repeat(5000)})).await.ok();
    admin.post_empty("user/alice/pending").await.ok();
    ask(&server, "carol", "x").await.ok();
}
