//! What objects have to do with each other: the drawing of relations, and two blobs compared.

use serde_json::{Value, json};

use crate::harness::{ADMIN, Server, id};
use crate::pages::Browser;

#[tokio::test]
async fn relations_are_drawn_as_far_as_the_viewer_sees_them() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &[]).await;
    let public = json!({"upload_as": "public"});
    let parent = id(&admin.upload("parent.exe", "parent", Value::Null).await.ok());
    let middle = id(&admin.upload("<b>middle", "middle", public.clone()).await.ok());
    let secret = id(&admin.upload("secret.exe", "secret", Value::Null).await.ok());
    let config = id(&admin.config(json!({"family": "emotet", "cfg": {}, "upload_as": "public"})).await.ok());
    for (one, other) in [(&parent, &middle), (&middle, &config), (&secret, &config), (&config, &config)] {
        admin.put_empty(&format!("object/{one}/child/{other}")).await.ok();
    }
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get(&format!("/file/{middle}")).await.page(200).has(&format!("href=\"/object/{middle}/graph\""));
    let page = browser.get(&format!("/object/{middle}/graph")).await;
    page.page(200).has("<svg").has("parent.exe").has("emotet").has("secret.exe").has("bmiddle").lacks("<script>alert").lacks(" style=");
    page.has(&format!("href=\"/object/{parent}/graph\"")).has(&format!("href=\"/file/{middle}\"")).lacks("are not drawn");
    assert_eq!(page.html.matches("<path ").count(), 4, "one line a relation");
    // Neither a hidden object nor a hint of it.
    let alice = Browser::logged_in(&server, "alice").await;
    let page = alice.get(&format!("/object/{middle}/graph")).await;
    page.page(200).has("emotet").lacks("parent.exe").lacks("secret.exe").lacks(&parent).lacks("are not drawn");
    alice.get(&format!("/object/{parent}/graph")).await.page(404);
}

#[tokio::test]
async fn the_drawing_is_bounded_and_says_what_it_leaves_out() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let parent = id(&admin.file("parent").await);
    for number in 0..100 {
        admin.child_of(&parent, &format!("child {number}")).await;
    }
    let page = Browser::logged_in(&server, ADMIN).await.get(&format!("/object/{parent}/graph")).await;
    page.page(200).has("are not drawn");
    assert_eq!(page.html.matches("<rect ").count(), 80);
    // Nor does the page of an object show all that there may be; a search does.
    let browser = Browser::logged_in(&server, ADMIN).await;
    let search = format!("/objects?query=parent%3A%28dhash%3A{parent}%29");
    browser.get(&format!("/file/{parent}")).await.page(200).has("There may be more").has(&format!("href=\"{search}\""));
    browser.get(&search).await.page(200).has("100 found");
}

#[tokio::test]
async fn two_blobs_are_compared_line_by_line() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let left = id(&admin.blob("one\n<b>two</b>\nthree\n").await);
    let right = id(&admin.blob("one\n2\nthree\n").await);
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get(&format!("/blob/{left}")).await.page(200).has("action=\"/diff\"").has(&format!("name=\"a\" value=\"{left}\""));
    let path = format!("/diff/{left}/{right}");
    browser.get(&format!("/diff?a={left}&b=+{}", right.to_uppercase())).await.leads_to(&path);
    let page = browser.get(&path).await;
    page.page(200).has("<del>− &lt;b&gt;two&lt;/b&gt;</del>").has("<ins>+ 2</ins>").has("<span>  three</span>").lacks("<b>two");
    browser.get(&format!("/diff/{left}/{left}")).await.page(200).has("the same content");
    browser.get(&format!("/diff?a={left}&b=x")).await.page(400).has("no id of a blob");
    let file = id(&admin.file("content").await);
    browser.get(&format!("/diff/{left}/{file}")).await.page(404);
    server.user(&admin, "alice", &[]).await;
    Browser::logged_in(&server, "alice").await.get(&path).await.page(404);
}
