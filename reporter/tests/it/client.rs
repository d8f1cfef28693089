//! The client by itself: logging in, addresses, what is sent and what is made of answers.

use reporter::mwdb::{Client, Credentials, ObjectType, Problem, UploadOptions, Version};
use tokio_util::sync::CancellationToken;

use crate::bench::{client_of, impatient};
use crate::stub::{Answer, KEY, Stored, Stub};

fn hash() -> String {
    "a".repeat(64)
}

#[tokio::test]
async fn an_api_key_needs_no_login() {
    let stub = Stub::start().await;
    client_of(&stub).query(ObjectType::File, &hash()).await.unwrap();
    let requests = stub.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].token.as_deref(), Some(KEY));
    assert!(requests[0].head.to_lowercase().contains("user-agent: karton-mwdb-reporter/"), "{}", requests[0].head);
}

#[tokio::test]
async fn a_password_logs_in_before_the_first_request_and_once() {
    let stub = Stub::start().await;
    let client = Client::new(impatient(&stub.url(), Credentials::password("me", "secret")), CancellationToken::new()).unwrap();
    let lookups = (0..5).map(|_| async { client.query(ObjectType::File, &hash()).await.map(|_| ()) });
    for looked_up in futures::future::join_all(lookups).await {
        looked_up.unwrap();
    }
    assert_eq!(stub.lines().iter().filter(|line| *line == "POST auth/login").count(), 1);
    assert_eq!(stub.lines()[0], "POST auth/login");
}

#[tokio::test]
async fn a_refused_token_is_renewed_with_a_password() {
    let stub = Stub::start().await;
    let client = Client::new(impatient(&stub.url(), Credentials::password("me", "secret")), CancellationToken::new()).unwrap();
    client.query(ObjectType::File, &hash()).await.unwrap();
    stub.change_token(Some("another"));
    stub.forget();
    client.query(ObjectType::File, &hash()).await.unwrap();
    let query = format!("GET file/{}", hash());
    assert_eq!(stub.lines(), [&query, "POST auth/login", &query]);
}

#[tokio::test]
async fn a_token_that_stays_refused_is_an_error_after_one_renewal() {
    let stub = Stub::start().await;
    stub.answer("GET file", 10, Answer::status(401));
    let client = Client::new(impatient(&stub.url(), Credentials::password("me", "secret")), CancellationToken::new()).unwrap();
    let error = client.query(ObjectType::File, &hash()).await.unwrap_err();
    assert!(matches!(error.problem(), Problem::NotAuthenticated(_)), "{error}");
    assert_eq!(stub.lines().len(), 4);
}

#[tokio::test]
async fn a_refused_api_key_is_an_error_that_does_not_show_it() {
    let stub = Stub::start().await;
    stub.change_token(None);
    let error = client_of(&stub).query(ObjectType::File, &hash()).await.unwrap_err();
    assert!(matches!(error.problem(), Problem::NotAuthenticated(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains(KEY));
    assert_eq!(stub.lines().len(), 1);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_that_does_not_show_it() {
    let stub = Stub::start().await;
    let client = Client::new(impatient(&stub.url(), Credentials::password("me", "hunter2")), CancellationToken::new()).unwrap();
    let error = client.log_in().await.unwrap_err();
    assert!(matches!(error.problem(), Problem::Refused { status: 403, .. }), "{error}");
    assert!(!format!("{error} {error:?} {client:?}").contains("hunter2"));
}

#[tokio::test]
async fn missing_objects_and_missing_calls_are_told_apart() {
    let stub = Stub::start().await;
    let client = client_of(&stub);
    assert!(client.query(ObjectType::Blob, &hash()).await.unwrap().is_none());
    let text = r#"{"message": "The requested URL was not found on the server. If you"}"#;
    for body in [text, "<html>404</html>"] {
        stub.answer("GET blob", 1, Answer::Status(404, &[], body.as_bytes().to_vec()));
        let error = client.query(ObjectType::Blob, &hash()).await.unwrap_err();
        assert!(matches!(error.problem(), Problem::EndpointNotFound(_)), "{error}");
    }
}

#[tokio::test]
async fn refusals_have_their_own_kinds() {
    let stub = Stub::start().await;
    let client = client_of(&stub);
    for (status, expected) in [(400, "Refused"), (403, "Refused"), (409, "TypeConflict"), (413, "TooLarge"), (418, "Refused")] {
        stub.answer("POST blob", 1, Answer::status(status));
        let error = client.upload_blob("n", "t", "c", &UploadOptions::default()).await.unwrap_err();
        assert!(format!("{:?}", error.problem()).starts_with(expected), "{error:?}");
        assert!(status == 413 || error.to_string().contains("as the test wants it"), "{error}");
    }
    assert_eq!(stub.lines().len(), 5, "none of them is repeated");
}

#[tokio::test]
async fn a_redirect_is_explained_and_not_followed() {
    let stub = Stub::start().await;
    stub.answer("GET file", 1, Answer::Status(301, &[("Location", "https://mwdb.example/api/file/x")], vec![]));
    let error = client_of(&stub).query(ObjectType::File, &hash()).await.unwrap_err().to_string();
    assert!(error.contains("https://mwdb.example/api/file/x") && error.contains("[mwdb] api_url"), "{error}");
}

#[tokio::test]
async fn an_address_without_its_last_slash_works() {
    let stub = Stub::start().await;
    let url = stub.url();
    let settings = impatient(url.trim_end_matches('/'), Credentials::api_key(KEY));
    let client = Client::new(settings, CancellationToken::new()).unwrap();
    assert_eq!(*client.server_version().await.unwrap(), Version::parse("2.17.0").unwrap());
    client.server_version().await.unwrap();
    assert_eq!(stub.lines(), ["GET server"]);
}

#[tokio::test]
async fn single_calls_reach_their_routes() {
    let stub = Stub::start().await;
    let client = client_of(&stub);
    let (id, parent, uid) = (hash(), "b".repeat(64), "6fb91d1a-0000-4000-8000-000000000001");
    stub.store(&id, Stored::default());
    client.add_tag(&id, "t").await.unwrap();
    client.add_child(&parent, &id).await.unwrap();
    client.add_attribute(&id, "k", &"v".into()).await.unwrap();
    client.add_comment(&id, "c").await.unwrap();
    assert_eq!(client.tags(&id).await.unwrap(), ["t"]);
    assert_eq!(client.comments(&id).await.unwrap()[0].text, "c");
    let attributes = client.attributes(&id).await.unwrap();
    assert_eq!((attributes.len(), attributes[0].key.as_str(), &attributes[0].value), (1, "k", &"v".into()));
    let object = client.query(ObjectType::Object, &id).await.unwrap().unwrap();
    assert_eq!((object.parents.unwrap(), object.tags.unwrap()), (vec![parent], vec!["t".to_owned()]));
    client.assign_analysis(&id, uid).await.unwrap();
    assert_eq!(*stub.lines().last().unwrap(), format!("PUT object/{id}/karton/{uid}"));
}

#[tokio::test]
async fn attributes_fall_back_to_metakeys_where_the_call_is_missing() {
    let stub = Stub::start().await;
    let id = hash();
    stub.store(&id, Stored::default());
    let text = br#"{"message": "The requested URL was not found on the server."}"#;
    stub.answer("POST object", 1, Answer::Status(404, &[], text.to_vec()));
    stub.answer("GET object", 1, Answer::Status(404, &[], text.to_vec()));
    let client = client_of(&stub);
    client.add_attribute(&id, "k", &true.into()).await.unwrap();
    assert_eq!(client.attributes(&id).await.unwrap()[0].value, "True".into());
}
