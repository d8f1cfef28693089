//! Servers that are away, busy or in trouble: who is waited for, and how long.

use std::time::{Duration, Instant};

use reporter::mwdb::{Client, Credentials, ObjectType, Problem};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, client_of, impatient, sample_task};
use crate::stub::{Answer, KEY, Stub};

fn hash() -> String {
    "a".repeat(64)
}

#[tokio::test]
async fn a_gateway_in_trouble_is_asked_again() {
    let stub = Stub::start().await;
    let client = client_of(&stub);
    for status in [502, 503, 504] {
        stub.answer("GET file", 2, Answer::status(status));
        assert!(client.query(ObjectType::File, &hash()).await.unwrap().is_none());
    }
    stub.answer("GET file", 1, Answer::Close);
    assert!(client.query(ObjectType::File, &hash()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_request_that_fails_alone_is_given_up() {
    let stub = Stub::start().await;
    stub.answer("GET file", 100, Answer::status(504));
    let error = client_of(&stub).query(ObjectType::File, &hash()).await.unwrap_err();
    assert!(matches!(error.problem(), Problem::Unavailable { status: 504, .. }), "{error}");
    assert_eq!(stub.lines().iter().filter(|line| line.starts_with("GET file")).count(), 6);
}

#[tokio::test]
async fn a_server_that_answers_nobody_is_waited_for() {
    let stub = Stub::start().await;
    stub.answer("GET file", 20, Answer::status(502));
    stub.answer("GET server", 20, Answer::status(502));
    assert!(client_of(&stub).query(ObjectType::File, &hash()).await.unwrap().is_none());
    assert_eq!(stub.lines().iter().filter(|line| line.starts_with("GET file")).count(), 21);
}

#[tokio::test]
async fn maintenance_is_waited_for() {
    let stub = Stub::start().await;
    let maintenance = || Answer::Status(403, &[], br#"{"message": "Maintenance underway"}"#.to_vec());
    stub.answer("GET file", 8, maintenance());
    stub.answer("GET server", 8, maintenance());
    assert!(client_of(&stub).query(ObjectType::File, &hash()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_starts_late_is_waited_for() {
    let stub = Stub::start().await;
    let address = stub.address();
    let url = stub.url();
    drop(stub);
    let client = Client::new(impatient(&url, Credentials::password("me", "secret")), CancellationToken::new()).unwrap();
    let error = client.log_in().await.unwrap_err();
    assert!(matches!(error.problem(), Problem::Unreachable(_)), "{error}");
    let asked = tokio::spawn(async move { client.query(ObjectType::File, &hash()).await });
    // Longer than all counted retries take.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!asked.is_finished());
    let stub = Stub::start_at(address, "2.17.0").await;
    assert!(asked.await.unwrap().unwrap().is_none());
    assert_eq!(stub.lines(), ["POST auth/login".to_owned(), format!("GET file/{}", hash())]);
}

#[tokio::test]
async fn waiting_ends_when_the_service_stops() {
    let stub = Stub::start().await;
    let url = stub.url();
    drop(stub);
    let stop = CancellationToken::new();
    let mut settings = impatient(&url, Credentials::api_key(KEY));
    settings.patience.first_pause = Duration::from_hours(1);
    settings.patience.longest_pause = Duration::from_hours(1);
    let client = Client::new(settings, stop.clone()).unwrap();
    let asked = tokio::spawn(async move { client.query(ObjectType::File, &hash()).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.cancel();
    let error = tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error.problem(), Problem::Stopped), "{error}");
}

#[tokio::test]
async fn a_rate_limit_is_obeyed() {
    let stub = Stub::start().await;
    let mut settings = impatient(&stub.url(), Credentials::api_key(KEY));
    settings.patience.longest_rate_limit_pause = Duration::from_millis(1500);
    let client = Client::new(settings, CancellationToken::new()).unwrap();
    stub.answer("GET file", 1, Answer::Status(429, &[("Retry-After", "1")], vec![]));
    let start = Instant::now();
    client.query(ObjectType::File, &hash()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));

    // Without limit on how often, and with one on how long.
    let client = client_of(&stub);
    stub.answer("GET file", 10, Answer::status(429));
    stub.answer("GET file", 1, Answer::Status(429, &[("Retry-After", "86400")], vec![]));
    let start = Instant::now();
    client.query(ObjectType::File, &hash()).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_rate_limit_that_asks_for_no_pause_gets_one() {
    let stub = Stub::start().await;
    let mut settings = impatient(&stub.url(), Credentials::api_key(KEY));
    settings.patience.first_pause = Duration::from_millis(150);
    let client = Client::new(settings, CancellationToken::new()).unwrap();
    for asked in [&[("Retry-After", "0")], &[("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")]] {
        stub.answer("GET file", 4, Answer::Status(429, asked, vec![]));
        let start = Instant::now();
        client.query(ObjectType::File, &hash()).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(600), "{asked:?}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn an_interrupted_upload_starts_again_from_the_beginning() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "all of the content");
    let mut task = sample_task();
    task.set_payload("sample", sample);
    bench.stub.answer("POST file", 1, Answer::Close);
    bench.stub.answer("POST file", 1, Answer::status(502));
    bench.report(&task).await;
    let uploads: Vec<_> = bench.stub.requests().into_iter().filter(|request| request.line == "POST file").collect();
    assert_eq!(uploads.len(), 3);
    assert!(uploads.iter().all(|upload| upload.file.as_ref().unwrap().1 == id));
}

#[tokio::test]
async fn only_what_may_pass_is_worth_a_retry() {
    let bench = Bench::start().await;
    let (sample, _) = bench.file("s", "sample");
    let mut task = sample_task();
    assert!(!bench.try_report(&task).await.unwrap_err().may_pass(), "there is no sample");
    task.set_payload("sample", sample);
    for (status, expected) in [(500, true), (504, true), (400, false), (403, false), (409, false)] {
        bench.stub.answer("POST file", 6, Answer::status(status));
        let error = bench.try_report(&task).await.unwrap_err();
        assert_eq!(error.may_pass(), expected, "{error}");
        bench.stub.forgive();
    }
}
