//! Servers that are away, busy or in trouble: who is waited for, and how long.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::{Duration, Instant};

use karton_rs::{Config, testing::eventually};
use reporter::mwdb::{Client, Credentials, ObjectType, Problem, UploadOptions};
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

/// A server whose certificate nobody has signed; gives its address, and how often it was called.
fn untrusted_server() -> (String, Arc<AtomicUsize>) {
    karton_rs::service::install_crypto();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![cert.der().clone()], key.into()).unwrap());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/api/", listener.local_addr().unwrap().port());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // The other side hangs up.
            let _ = connection.complete_io(&mut stream.unwrap());
        }
    });
    (url, calls)
}

#[tokio::test]
async fn a_certificate_that_is_refused_ends_the_start_with_a_way_out() {
    let (url, _) = untrusted_server();
    let servers = "[redis]\nhost = 127.0.0.1\nport = 1\n[s3]\naddress = http://127.0.0.1:1\naccess_key = k\nsecret_key = s\nbucket = b\n";
    for credentials in ["username = me\npassword = secret", &format!("api_key = {KEY}"), ""] {
        let text = format!("{servers}[mwdb]\napi_url = {url}\n{credentials}\n");
        let config = Config::from_parts(&[("karton.ini", &text)], []).unwrap();
        let started = tokio::time::timeout(Duration::from_secs(20), reporter::run(config, CancellationToken::new()));
        let error = format!("{:#}", started.await.expect("an end").unwrap_err());
        for part in ["[mwdb] api_url (in `karton.ini`)", "certificate is refused", "`verify_ssl` in `[mwdb]` of `karton.ini`"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_refused_later_costs_no_task() {
    let (url, calls) = untrusted_server();
    let stop = CancellationToken::new();
    let client = Client::new(impatient(&url, Credentials::api_key(KEY)), stop.clone()).unwrap();
    let asked = tokio::spawn(async move { client.query(ObjectType::File, &hash()).await });
    // More often than a request that fails alone is tried.
    eventually("ten calls", || async { (calls.load(Ordering::Relaxed) > 10).then_some(()) }).await;
    assert!(!asked.is_finished());
    stop.cancel();
    let error = asked.await.unwrap().unwrap_err();
    assert!(matches!(error.problem(), Problem::Stopped), "{error}");
}

#[tokio::test]
async fn an_error_of_the_server_and_the_page_of_a_proxy_are_asked_again() {
    let stub = Stub::start().await;
    let client = client_of(&stub);
    for answer in [Answer::status(500), Answer::status(507), Answer::json("<html>Sorry</html>")] {
        stub.answer("POST blob", 5, answer);
        client.upload_blob("n", "t", "c", &UploadOptions::default()).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_without_its_database_is_waited_for() {
    let stub = Stub::start().await;
    // It tells its version all the same.
    stub.answer("GET file", 20, Answer::status(500));
    stub.answer("GET auth/validate", 20, Answer::status(500));
    assert!(client_of(&stub).query(ObjectType::File, &hash()).await.unwrap().is_none());
    assert_eq!(stub.lines().iter().filter(|line| line.starts_with("GET file")).count(), 21);
    // A login that fails so is nobody's fault, either.
    stub.answer("POST auth/login", 20, Answer::status(500));
    let client = Client::new(impatient(&stub.url(), Credentials::password("me", "secret")), CancellationToken::new()).unwrap();
    assert!(client.query(ObjectType::File, &hash()).await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_takes_nothing_costs_three_tasks_and_no_more() {
    let stub = Stub::start().await;
    let client = client_of(&stub);
    let upload = async || client.upload_blob("n", "t", "c", &UploadOptions::default()).await;
    // As with a full disk: whatever is only asked for is answered.
    stub.answer("POST blob", 6 * 3, Answer::status(500));
    for _ in 0..3 {
        upload().await.unwrap_err();
    }
    stub.answer("POST blob", 30, Answer::status(500));
    upload().await.unwrap();
    // It has taken something: what fails now fails for itself.
    stub.answer("POST blob", 100, Answer::status(500));
    stub.forget();
    upload().await.unwrap_err();
    assert_eq!(stub.lines().iter().filter(|line| *line == "POST blob").count(), 6);
}

#[tokio::test]
async fn a_server_in_trouble_does_not_end_the_start() {
    let stub = Stub::start().await;
    for answer in [Answer::status(500), Answer::json("<html>Sorry</html>")] {
        stub.forgive();
        stub.answer("POST auth/login", 1000, answer);
        let text = format!(
            "[redis]\nhost = 127.0.0.1\nport = 1\n[s3]\naddress = http://127.0.0.1:1\naccess_key = k\nsecret_key = s\nbucket = b\n[mwdb]\napi_url = {}\nusername = me\npassword = secret\n",
            stub.url()
        );
        let config = Config::from_parts(&[("karton.ini", &text)], []).unwrap();
        let stop = CancellationToken::new();
        let before = stub.lines().len();
        let running = tokio::spawn(reporter::run(config, stop.clone()));
        // It has tried to log in, and then to say as whom.
        eventually("two logins", || async { (stub.lines().len() >= before + 2).then_some(()) }).await;
        stop.cancel();
        running.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_login_that_is_refused_later_is_waited_for() {
    let stub = Stub::start().await;
    let client = Client::new(impatient(&stub.url(), Credentials::password("me", "secret")), CancellationToken::new()).unwrap();
    client.log_in().await.unwrap();
    // The token has expired meanwhile.
    stub.change_token(None);
    for status in [401, 403] {
        stub.answer("POST auth/login", 10, Answer::status(status));
    }
    assert!(client.query(ObjectType::File, &hash()).await.unwrap().is_none());
}
