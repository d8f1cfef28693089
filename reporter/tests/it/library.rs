//! The client by itself, on a real MWDB: what tools outside of the service use it for.

use futures::TryStreamExt as _;
use reporter::mwdb::{Client, Credentials, FileContent, FileUpload, Object, ObjectType, Problem, Settings, UploadOptions};
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use crate::mwdb::{ACCOUNT, Mwdb};
use crate::stub::{Answer, Stub};

fn client(mwdb: &Mwdb) -> Client {
    let mut settings = Settings::new(&mwdb.api, Credentials::password(ACCOUNT.0, ACCOUNT.1)).unwrap();
    settings.limits.page = 2;
    Client::new(settings, CancellationToken::new()).unwrap()
}

async fn upload(client: &Client, folder: &std::path::Path, name: &str, options: &UploadOptions) -> Object {
    let path = folder.join(name);
    std::fs::write(&path, format!("content of {name}")).unwrap();
    let content = FileContent::new(&path);
    client.upload_file(&FileUpload::new(name, &content), options).await.unwrap()
}

#[tokio::test]
async fn listings_come_page_by_page_and_content_comes_back() {
    let (mwdb, folder) = (Mwdb::start(None).await, tempfile::tempdir().unwrap());
    let client = client(&mwdb);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(upload(&client, folder.path(), &format!("{number}.txt"), &UploadOptions::default()).await.id);
    }
    let all: Vec<Object> = client.search(ObjectType::Object, "").try_collect().await.unwrap();
    assert_eq!(all.iter().map(|object| object.id.as_str()).collect::<Vec<_>>(), ids.iter().rev().collect::<Vec<_>>());
    assert!(all.iter().all(|object| object.kind() == Some(ObjectType::File)));
    assert_eq!((client.count(ObjectType::File, "").await.unwrap(), client.count(ObjectType::Config, "").await.unwrap()), (5, 0));

    let mut download = client.download(&ids[3]).await.unwrap();
    let mut content = String::new();
    download.reader.read_to_string(&mut content).await.unwrap();
    assert_eq!((download.size, content.as_str()), (Some(16), "content of 3.txt"));
    let missing = client.download(&"0".repeat(64)).await.unwrap_err();
    assert!(matches!(missing.problem(), Problem::NotFound(_)), "{missing}");

    client.remove(ObjectType::File, &ids[3]).await.unwrap();
    client.remove(ObjectType::File, &ids[3]).await.unwrap();
    assert!(client.query(ObjectType::File, &ids[3]).await.unwrap().is_none());
}

#[tokio::test]
async fn metadata_is_added_found_and_removed() {
    let (mwdb, folder) = (Mwdb::start(None).await, tempfile::tempdir().unwrap());
    mwdb.define_attribute("feed").await;
    let client = client(&mwdb);
    let account = client.account().await.unwrap();
    assert!(account.login == "admin" && account.may("adding_files") && !account.may("flying"));
    let none = UploadOptions::default();
    let (parent, child) = (upload(&client, folder.path(), "p", &none).await.id, upload(&client, folder.path(), "c", &none).await.id);

    client.add_child(&parent, &child).await.unwrap();
    let relations = client.relations(&parent).await.unwrap();
    assert_eq!((relations.parents.len(), relations.children[0].id.as_str()), (0, child.as_str()));
    client.remove_child(&parent, &child).await.unwrap();
    assert!(client.relations(&child).await.unwrap().parents.is_empty());

    client.add_tag(&child, "a b&c").await.unwrap();
    assert_eq!(client.tags(&child).await.unwrap(), ["a b&c"]);
    client.remove_tag(&child, "a b&c").await.unwrap();
    assert!(client.tags(&child).await.unwrap().is_empty());

    for _ in 0..2 {
        client.add_attribute(&child, "feed", &serde_json::json!({"n": 1}).into()).await.unwrap();
    }
    let attributes = client.attributes(&child).await.unwrap();
    assert_eq!(attributes.len(), 1);
    client.remove_attribute(&child, attributes[0].id.unwrap()).await.unwrap();
    assert!(client.attributes(&child).await.unwrap().is_empty());

    let texts = ["one", "two", "one"].map(str::to_owned);
    assert_eq!(client.ensure_comments(&child, &texts).await.unwrap(), 2);
    assert_eq!(client.ensure_comments(&child, &texts).await.unwrap(), 0);
    let comments = client.comments(&child).await.unwrap();
    assert_eq!(
        comments.iter().map(|comment| (comment.author.as_deref(), comment.text.as_str())).collect::<Vec<_>>(),
        [(Some("admin"), "one"), (Some("admin"), "two")]
    );
    client.remove_comment(&child, comments[0].id).await.unwrap();
    assert_eq!(client.comments(&child).await.unwrap().len(), 1);

    client.share_with(&child, "public").await.unwrap();
    assert!(client.shares(&child).await.unwrap().iter().any(|share| share.group == "public"));

    let uid = "6fb91d1a-0000-4000-8000-000000000001";
    assert_eq!(client.analyses(&child).await.unwrap().status, "not_analyzed");
    client.assign_analysis(&child, uid).await.unwrap();
    client.assign_analysis(&child, uid).await.unwrap();
    let analyses = client.analyses(&child).await.unwrap();
    assert_eq!((analyses.status.as_str(), analyses.analyses.len(), analyses.analyses[0].id.as_str()), ("finished", 1, uid));
    client.unassign_analysis(&child, uid).await.unwrap();
    assert!(client.analyses(&child).await.unwrap().analyses.is_empty());
}

#[tokio::test]
async fn a_query_goes_along_with_each_page() {
    let stub = Stub::start().await;
    let client = crate::bench::client_of(&stub);
    stub.answer("GET file?", 1, Answer::json(r#"{"files": [{"id": "aa", "file_name": "x"}, {"id": "bb"}]}"#));
    stub.answer("GET file?", 1, Answer::json(r#"{"files": []}"#));
    let found: Vec<Object> = client.search(ObjectType::File, "tag:\"a&b\" AND size:<1MB").try_collect().await.unwrap();
    assert_eq!(found.iter().map(|file| (file.id.as_str(), file.text("file_name"))).collect::<Vec<_>>(), [("aa", Some("x")), ("bb", None)]);
    let query = "query=tag%3A%22a%26b%22+AND+size%3A%3C1MB";
    assert_eq!(stub.lines(), [format!("GET file?count=100&{query}"), format!("GET file?count=100&{query}&older_than=bb")]);
    stub.answer("GET config/count?query=family%3Ax", 1, Answer::json(r#"{"count": 12}"#));
    assert_eq!(client.count(ObjectType::Config, "family:x").await.unwrap(), 12);
    stub.answer("GET file?", 1, Answer::status(400));
    let error = client.search(ObjectType::File, "tag:(").try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error.problem(), Problem::Refused { status: 400, .. }), "{error}");
}

#[tokio::test]
async fn older_servers_are_asked_the_older_way() {
    let stub = Stub::start_version("2.1.0").await;
    let client = crate::bench::client_of(&stub);
    let (id, uid) = ("a".repeat(64), "6fb91d1a-0000-4000-8000-000000000001");
    stub.store(&id, crate::stub::Stored::default());
    client.assign_analysis(&id, uid).await.unwrap();
    assert_eq!(*stub.lines().last().unwrap(), format!("POST object/{id}/meta"));
    let no_route = br#"{"message": "The requested URL was not found on the server."}"#.to_vec();
    stub.answer("GET file", 1, Answer::Status(404, &[], no_route));
    stub.answer("POST request", 1, Answer::json(r#"{"url": "/download/secret-token"}"#));
    stub.answer("GET download/secret-token", 1, Answer::Status(200, &[], b"content".to_vec()));
    let mut content = Vec::new();
    client.download(&id).await.unwrap().reader.read_to_end(&mut content).await.unwrap();
    assert_eq!(content, b"content");
}

#[tokio::test]
async fn a_download_that_falls_silent_and_a_listing_without_end_are_errors() {
    let stub = Stub::start().await;
    let client = crate::bench::client_of(&stub);
    stub.answer("GET file", 1, Answer::Stall);
    let mut content = Vec::new();
    let error = client.download(&"a".repeat(64)).await.unwrap().reader.read_to_end(&mut content).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    stub.answer("GET config?", 100, Answer::json(r#"{"configs": [{"id": "x"}]}"#));
    let error = client.search(ObjectType::Config, "").try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.to_string().contains("same page again"), "{error}");
}
