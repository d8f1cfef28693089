//! Where content comes from: what is known about it, and what happens when it cannot be read.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use karton_rs::{Config, Karton, json::Value};
use reporter::{
    mwdb::{Client, Content, ContentError, Credentials, FileUpload, Opened, Problem, UploadOptions},
    report::{Change, Options, ReportError, Reporter},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, client_of, impatient, sample_task};
use crate::stub::{KEY, Stub};

/// A resource with some of its fields changed.
fn changed(resource: &Value, field: &str, value: Value) -> Value {
    let mut resource = resource.clone();
    let fields = resource.as_object_mut().unwrap().get_mut("__karton_resource__").unwrap().as_object_mut().unwrap();
    fields.insert(field.to_owned(), value.clone());
    if field == "sha256" {
        fields.get_mut("metadata").unwrap().as_object_mut().unwrap().insert(field.to_owned(), value);
    }
    resource
}

#[tokio::test]
async fn size_and_digest_are_found_out_when_they_are_missing() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    for unknown in [changed(&sample, "sha256", Value::Null), changed(&sample, "size", Value::Null), changed(&sample, "sha256", "x".into())]
    {
        let mut task = sample_task();
        task.set_payload("sample", unknown);
        bench.stub.forget();
        bench.report(&task).await;
        assert!(bench.stub.requests().iter().any(|request| request.file == Some(("s".to_owned(), id.clone()))));
    }
}

#[tokio::test]
async fn what_the_task_says_of_the_size_does_not_matter() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    for size in [Value::from(5_u64), 7_u64.into(), 0_u64.into(), Value::Null] {
        let mut task = sample_task();
        task.set_payload("sample", changed(&sample, "size", size));
        bench.stub.forget();
        bench.report(&task).await;
        assert!(bench.stub.requests().iter().any(|request| request.file == Some(("s".to_owned(), id.clone()))));
        let plan = bench.reporter.plan(&task, &bench.samples).await.unwrap();
        assert!(matches!(plan[..], [Change::Upload { size: 6, .. }]), "{plan:?}");
    }
}

#[tokio::test]
async fn a_file_without_name_is_uploaded_without_one() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    for name in [Value::Null, "".into()] {
        let mut task = sample_task();
        task.set_payload("sample", changed(&sample, "name", name));
        bench.stub.forget();
        bench.report(&task).await;
        assert!(bench.stub.requests().iter().any(|request| request.file == Some((String::new(), id.clone()))));
    }
}

/// Content that is not what it says.
struct Lying(u64);

impl Content for Lying {
    fn open(&self) -> futures::future::BoxFuture<'_, Result<Opened, ContentError>> {
        Box::pin(async { Ok(Opened::new(self.0, std::io::Cursor::new("sample"))) })
    }
}

#[tokio::test]
async fn content_that_is_not_as_long_as_it_says_is_an_error() {
    let stub = Stub::start().await;
    for (size, expected) in [(5, "longer than its 5 bytes"), (7, "ends after 6 of its 7 bytes")] {
        let error = client_of(&stub).upload_file(&FileUpload::new("s", &Lying(size)), &UploadOptions::default()).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn an_object_store_that_is_away_is_waited_for() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    for resource in [sample.clone(), changed(&sample, "sha256", Value::Null)] {
        let mut task = sample_task();
        task.set_payload("sample", resource);
        bench.fail_opens(vec![ContentError::away("nobody there"); 12]);
        bench.report(&task).await;
    }
    assert!(bench.stub.stored(&id).is_some());
}

/// An S3 server in trouble: it refuses objects `failures` times, and its bucket as often as it refused them.
struct BadStore {
    url: String,
    /// What it was asked: methods and paths.
    asked: Arc<Mutex<Vec<String>>>,
}

impl BadStore {
    /// `bucket`: whether it answers for the bucket all the time.
    async fn start(status: u16, failures: usize, bucket: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|count| count > 0) {}
                let line: Vec<String> = String::from_utf8_lossy(&head).split(' ').take(2).map(str::to_owned).collect();
                let (is_head, refused) = {
                    let mut seen = seen.lock().unwrap();
                    let refused = seen.iter().filter(|line| line.starts_with("GET")).count() < failures;
                    seen.push(line.join(" "));
                    (line[0] == "HEAD", refused)
                };
                let answer = match (is_head, refused) {
                    (true, true) if !bucket => format!("{status} Bad\r\nContent-Length: 0"),
                    (true, _) => "200 OK\r\nContent-Length: 0".to_owned(),
                    (false, true) => format!("{status} Bad\r\nContent-Length: 0"),
                    (false, false) => "200 OK\r\nContent-Length: 6".to_owned(),
                };
                let body = if !is_head && !refused { "sample" } else { "" };
                let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\nConnection: close\r\n\r\n{body}").as_bytes()).await;
            }
        });
        Self { url, asked }
    }

    /// Reports a sample in it, with one attempt more than the first.
    async fn report(&self, bench: &Bench, sample: &Value) -> Result<(), ReportError> {
        karton_rs::service::install_crypto();
        let ini = format!("[redis]\nhost = nobody\n[s3]\naddress = {}\naccess_key = k\nsecret_key = s\nbucket = karton\n", self.url);
        let config = Config::from_parts(&[("karton.ini", &ini)], []).unwrap();
        let karton = Karton::prepare(&config, "karton.test", None).unwrap();
        let mut settings = impatient(&bench.stub.url(), Credentials::api_key(KEY));
        settings.patience.retries = 1;
        settings.limits.idle = Duration::from_mins(1);
        let mut task = sample_task();
        task.set_payload("sample", sample.clone());
        let reporter = Reporter::new(Client::new(settings, CancellationToken::new()).unwrap(), Options::default());
        tokio::time::timeout(Duration::from_mins(1), reporter.report(&task, &karton)).await.expect("an end")
    }

    fn count(&self, method: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|line| line.starts_with(method)).count()
    }
}

#[tokio::test]
async fn an_object_that_the_store_fails_at_is_given_up() {
    let bench = Bench::start().await;
    let (sample, _) = bench.file("s", "sample");
    for (status, sample) in
        [(500, sample.clone()), (503, sample.clone()), (429, sample.clone()), (500, changed(&sample, "sha256", Value::Null))]
    {
        let store = BadStore::start(status, usize::MAX, true).await;
        let error = store.report(&bench, &sample).await.unwrap_err();
        assert!(error.may_pass() && error.to_string().contains("cannot read `s`"), "{error}");
        assert_eq!(store.count("HEAD /karton"), 2, "{:?}", store.asked);
    }
}

#[tokio::test]
async fn a_store_that_refuses_everything_is_waited_for() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    for sample in [sample.clone(), changed(&sample, "sha256", Value::Null)] {
        let store = BadStore::start(503, 9, false).await;
        store.report(&bench, &sample).await.unwrap();
        assert!(bench.stub.stored(&id).is_some());
        assert_eq!(store.count("GET"), 10);
    }
}

#[tokio::test]
async fn waiting_for_the_object_store_ends_when_the_service_stops() {
    let bench = Bench::start().await;
    let (sample, _) = bench.file("s", "sample");
    let stop = CancellationToken::new();
    stop.cancel();
    let client = Client::new(impatient(&bench.stub.url(), Credentials::api_key(KEY)), stop).unwrap();
    for resource in [sample.clone(), changed(&sample, "sha256", Value::Null)] {
        let mut task = sample_task();
        task.set_payload("sample", resource);
        bench.fail_opens(vec![ContentError::away("nobody there")]);
        let error = Reporter::new(client.clone(), Options::default()).report(&task, &bench.samples).await.unwrap_err();
        assert!(error.is_interruption(), "{error}");
    }
}

#[tokio::test]
async fn content_that_is_gone_is_an_error_at_once() {
    let bench = Bench::start().await;
    let (sample, _) = bench.file("s", "sample");
    let mut task = sample_task();
    task.set_payload("sample", changed(&sample, "uid", "gone".into()));
    let error = bench.try_report(&task).await.unwrap_err();
    assert!(matches!(&error, ReportError::Mwdb(error) if matches!(error.problem(), Problem::Content(_))), "{error}");
    assert_eq!((bench.opens(), error.may_pass()), (1, false), "{error}");
    task.set_payload("sample", changed(&changed(&sample, "uid", "gone".into()), "sha256", Value::Null));
    let error = bench.try_report(&task).await.unwrap_err();
    assert!(matches!(error, ReportError::Content { .. }), "{error}");
    assert_eq!((bench.opens(), error.may_pass()), (1, false), "{error}");
}

#[tokio::test]
async fn content_that_breaks_off_is_read_again_some_times() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    for resource in [sample.clone(), changed(&sample, "sha256", Value::Null)] {
        let mut task = sample_task();
        task.set_payload("sample", resource);
        bench.break_reads(5);
        bench.report(&task).await;
        assert_eq!(bench.opens(), 6);
        bench.break_reads(6);
        let error = bench.try_report(&task).await.unwrap_err();
        assert!(error.may_pass(), "{error}");
        assert_eq!(bench.opens(), 6);
    }
    assert!(bench.stub.stored(&id).is_some());
}

/// So many bytes out of nowhere.
struct Zeros(u64);

impl Content for Zeros {
    fn open(&self) -> futures::future::BoxFuture<'_, Result<Opened, ContentError>> {
        let reader = tokio::io::repeat(0).take(self.0);
        Box::pin(async move { Ok(Opened::new(self.0, reader)) })
    }
}

/// Memory of this process in MiB: at its peak.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test]
async fn a_large_file_passes_through_little_memory() {
    const SIZE: u64 = 1024 * 1024 * 1024;
    let stub = Stub::start().await;
    let before = peak_memory();
    client_of(&stub).upload_file(&FileUpload::new("large", &Zeros(SIZE)), &UploadOptions::default()).await.unwrap();
    assert!(stub.requests()[0].size as u64 > SIZE);
    // Other tests run in this process, too; a copy of the file would stand out.
    assert!(peak_memory() - before < 300, "{before} -> {}", peak_memory());
}
