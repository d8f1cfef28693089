//! The upload forms of files, configs and blobs, with what they ask for.

use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::harness::{ADMIN, Server};
use crate::pages::Browser;

fn file(name: &'static str) -> Form {
    Form::new().part("file", Part::bytes(name.as_bytes().to_vec()).file_name(name))
}

#[tokio::test]
async fn third_parties_get_what_was_allowed_and_nothing_else() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get("/upload").await.page(200).has("<input type=\"checkbox\" name=\"share_3rd_party\" value=\"1\">");
    let flag = async || admin.get("file").await.ok()["files"][0]["id"].as_str().unwrap().to_owned();
    browser.send("/upload", file("unticked")).await;
    let unticked = flag().await;
    assert_eq!(admin.get(&format!("file/{unticked}")).await.ok()["share_3rd_party"], false);
    browser.send("/upload", file("ticked").text("share_3rd_party", "1")).await;
    assert_eq!(admin.get(&format!("file/{}", flag().await)).await.ok()["share_3rd_party"], true);
    let unasked = Server::with(|config| config.enable_3rd_party_sharing_consent = false).await;
    let browser = Browser::logged_in(&unasked, ADMIN).await;
    browser.get("/upload").await.page(200).lacks("share_3rd_party");
    browser.send("/upload", file("unasked")).await;
    let reply = unasked.admin().await.get("file").await.ok();
    let path = format!("file/{}", reply["files"][0]["id"].as_str().unwrap());
    assert_eq!(unasked.admin().await.get(&path).await.ok()["share_3rd_party"], true);
}

#[tokio::test]
async fn configs_and_blobs_are_uploaded_by_form() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    let form = || Form::new().text("family", "emotet").text("config_type", "").text("tags", "a, B").text("upload_as", "*");
    let sent = browser.send("/upload/config", form().text("cfg", "{\"c2\": [1.0, 12345678901234567890123],\r\n \"k\": \"v\"}")).await;
    let config = admin.get("config").await.ok()["configs"][0].clone();
    sent.leads_to(&format!("/config/{}", config["id"].as_str().unwrap()));
    assert_eq!(
        (&config["family"], &config["config_type"], &config["tags"]),
        (&json!("emotet"), &json!("static"), &json!([{"tag": "a"}, {"tag": "b"}]))
    );
    let reply = admin.get(&format!("config/{}", config["id"].as_str().unwrap())).await;
    assert!(reply.text().contains("12345678901234567890123") && reply.text().contains("1.0"), "{}", reply.text());
    let refused = browser.send("/upload/config", form().text("cfg", "{\"c2\": ")).await;
    refused.page(400).has("The content is not JSON").has("{&#34;c2&#34;: ").has("value=\"emotet\"").has("value=\"a, B\"");
    browser.send("/upload/config", form().text("cfg", "[1]")).await.page(400);
    // What the API refuses, because no client could read it.
    browser.send("/upload/config", form().text("cfg", "{\"c2\": NaN}")).await.page(400).has("The content is not JSON");
    browser.send("/upload/config", Form::new().text("family", "x".repeat(40)).text("cfg", "{}")).await.page(400);

    let blob = Form::new().text("blob_name", "strings").text("blob_type", "raw").text("content", "one\r\n<two>\r\n");
    let sent = browser.send("/upload/blob", blob).await;
    let blob = admin.get("blob").await.ok()["blobs"][0].clone();
    sent.leads_to(&format!("/blob/{}", blob["id"].as_str().unwrap()));
    assert_eq!(admin.get(&format!("blob/{}", blob["id"].as_str().unwrap())).await.ok()["content"], "one\n<two>\n");
}

#[tokio::test]
async fn a_form_given_back_keeps_the_first_line_break() {
    let server = Server::start().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    // HTML drops the line break that follows the tag, so there is one more.
    let form = Form::new().text("blob_name", "n").text("blob_type", "x".repeat(40)).text("content", "\r\n\r\none");
    browser.send("/upload/blob", form).await.page(400).has("aria-describedby=\"content-hint\">\n\n\none</textarea>");
    let form = Form::new().text("family", "f").text("cfg", "\r\n{");
    browser.send("/upload/config", form).await.page(400).has("aria-describedby=\"cfg-hint\">\n\n{</textarea>");
}

#[tokio::test]
async fn who_may_upload_only_some_kinds_is_offered_those() {
    let server = Server::start().await;
    let admin = server.admin().await;
    server.user(&admin, "alice", &["adding_blobs"]).await;
    for group in ["registered", "public"] {
        admin.put(&format!("group/{group}"), json!({"capabilities": []})).await.ok();
    }
    let alice = Browser::logged_in(&server, "alice").await;
    alice.get("/").await.page(200).has("href=\"/upload/blob\"").lacks("href=\"/upload\"");
    alice.get("/upload/blob").await.page(200).lacks("/upload/config");
    alice.get("/upload").await.page(403).has("adding_files");
    alice.get("/upload/config").await.page(403);
    alice.send("/upload/config", Form::new().text("family", "f").text("cfg", "{}")).await.page(403).has("adding_configs");
    alice.send("/upload/blob", Form::new().text("blob_name", "n").text("blob_type", "t").text("content", "c")).await;
    assert_eq!(admin.get("blob/count").await.ok()["count"], 1);
}

#[tokio::test]
async fn attributes_come_with_the_upload() {
    let server = Server::start().await;
    let admin = server.admin().await;
    let browser = Browser::logged_in(&server, ADMIN).await;
    browser.get("/upload").await.page(200).lacks("name=\"key0\"");
    for key in ["source", "report"] {
        admin.post("attribute", json!({"key": key, "label": "", "description": "", "hidden": false})).await.ok();
    }
    browser.get("/upload").await.page(200).has("name=\"key0\"").has("<option value=\"report\"");
    let form =
        file("one").text("key0", "source").text("value0", "feed").text("key1", "report").text("value1", "{\"a\": 1}").text("json1", "1");
    browser.send("/upload", form.text("key2", "source").text("value2", "")).await;
    let id = admin.get("file").await.ok()["files"][0]["id"].as_str().unwrap().to_owned();
    let attributes = admin.get(&format!("file/{id}/attribute")).await.ok()["attributes"].clone();
    let pairs: Vec<_> =
        attributes.as_array().unwrap().iter().map(|attribute| (attribute["key"].clone(), attribute["value"].clone())).collect();
    assert_eq!(pairs, [(json!("source"), json!("feed")), (json!("report"), json!({"a": 1}))]);
    let refused = browser.send("/upload", file("two").text("key0", "report").text("value0", "{").text("json0", "1")).await;
    refused.page(400).has("The value is not JSON").has("<option value=\"report\" selected>").has("name=\"json0\" value=\"1\" checked");
    browser.send("/upload", file("two").text("key0", "report").text("value0", "[NaN]").text("json0", "1")).await.page(400).has("not JSON");
    browser.send("/upload", file("three").text("key0", "undefined").text("value0", "x")).await.page(404);
    assert_eq!(admin.get("file/count").await.ok()["count"], 1);
}
