//! Beside the real karton-core: each kind of service, in both directions.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use karton_rs::{
    Consumer, Karton, LocalResource, LogConsumer, Task, TaskState,
    json::Value,
    testing::{eventually, within},
};
use serde_json::json;

use crate::bed::{Bed, Running};

/// An interpreter with karton-core; None: left out, outside CI only.
pub fn interpreter() -> Option<PathBuf> {
    interpreter_of("KARTON_PEERS_PYTHON", "karton-core")
}

fn interpreter_of(variable: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        let ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty());
        assert!(!ci, "{variable} is not set: run the tests by `make test`");
        eprintln!("left out: {variable} names no interpreter with {package} (`make test` prepares one)");
    }
    path
}

/// A Python process and the JSON lines it has printed.
struct Peer {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    _folder: tempfile::TempDir,
}

impl Peer {
    fn start(python: &Path, bed: &Bed, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ini = bed.ini(folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/peer.py");
        let mut command = Command::new(python);
        command.arg(script).arg(ini).args(arguments);
        Self::spawn(command, folder)
    }

    /// A program of karton-core that stands beside its interpreter.
    fn program(python: &Path, name: &str, bed: &Bed) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ini = bed.ini(folder.path());
        let mut command = Command::new(python.with_file_name(name));
        command.arg("--config-file").arg(ini);
        Self::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: tempfile::TempDir) -> Self {
        command.env("HOME", folder.path()).current_dir(folder.path()).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (keep, stdout) = (Arc::clone(&lines), child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Ok(value) = Value::parse(&line) {
                    keep.lock().unwrap().push(value);
                }
            }
        });
        Self { child, lines, _folder: folder }
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    async fn printed(&self, count: usize) -> Vec<Value> {
        within(Duration::from_secs(30), &format!("{count} lines of a Python peer"), || async {
            let lines = self.lines.lock().unwrap().clone();
            (lines.len() >= count).then_some(lines)
        })
        .await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn bound(bed: &Bed, identity: &str) {
    within(Duration::from_secs(30), &format!("the bind of {identity}"), || async {
        bed.command::<bool>(&["HEXISTS", "karton.binds", identity]).await.then_some(())
    })
    .await;
}

fn numbers(values: &[Value]) -> Vec<i64> {
    let mut numbers: Vec<i64> = values.iter().filter_map(|value| value.get("number")?.as_number()?.as_i64()).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn tasks_of_a_python_producer_are_processed_with_their_files_and_large_numbers() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let consumer = Consumer::new("karton.rust").filters(json!([{"type": "to-rust"}])).process(move |karton: Karton, task: Task| {
        let keep = Arc::clone(&keep);
        async move {
            let content = karton.read(&task.resource("file")?, 1000).await?;
            let big = task.payload("big").map(Value::to_json).unwrap_or_default();
            keep.lock().unwrap().push((String::from_utf8(content.to_vec())?, big, task));
            Ok(())
        }
    });
    let _consumer = bed.consumer(consumer).await;
    let _producer = Peer::start(&python, &bed, &["produce", "10"]);
    within(Duration::from_secs(30), "ten tasks", || async { (seen.lock().unwrap().len() == 10).then_some(()) }).await;
    let seen = seen.lock().unwrap();
    for (content, big, task) in seen.iter() {
        let number = task.header("number").unwrap().to_json();
        assert_eq!(*content, format!("content {number}"));
        assert_eq!(*big, format!("1{}", "0".repeat(40)));
        assert_eq!((task.header_str("quality"), task.payload("uploader").and_then(Value::as_str)), (Some("high"), Some("me")));
    }
}

#[tokio::test]
async fn python_consumers_of_both_kinds_get_tasks_of_a_rust_producer() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (sync, asynchronous) = (Peer::start(&python, &bed, &["consume"]), Peer::start(&python, &bed, &["async-consume"]));
    bound(&bed, "karton.py-sync").await;
    bound(&bed, "karton.py-async").await;
    let producer = bed.producer().await;
    for number in 0..5_u32 {
        let mut task = Task::new(json!({"type": "to-python"}));
        task.set_persistent_header("quality", "high");
        task.set_payload_persistent("uploader", "zażółć");
        task.set_payload("number", number);
        task.attach("file", LocalResource::from_bytes("file.txt", format!("content {number}")).unwrap());
        producer.send_task(task).await.unwrap();
    }
    for peer in [&sync, &asynchronous] {
        let lines = peer.printed(5).await;
        assert_eq!(numbers(&lines), [0, 1, 2, 3, 4]);
        for line in &lines {
            let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
            assert_eq!(text("content"), Some(format!("content {}", line.get("number").unwrap())));
            assert_eq!(text("uploader").as_deref(), Some("zażółć"));
            let header = |name: &str| line.get("headers").and_then(|headers| headers.get(name)).and_then(Value::as_str);
            assert_eq!((header("quality"), header("origin")), (Some("high"), Some("karton.producer")));
        }
    }
}

#[tokio::test]
async fn names_that_are_no_unicode_travel_from_python_to_rust_and_back_and_are_collected() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    let broker = bed.broker();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    // Hands on what it gets.
    let consumer = Consumer::new("karton.rust").filters(json!([{"type": "odd"}])).process(move |karton: Karton, task: Task| {
        let keep = Arc::clone(&keep);
        async move {
            let [file] = task.resources().try_into().map_err(|_| anyhow::anyhow!("one file"))?;
            let content = karton.read(&file, 100).await?;
            keep.lock().unwrap().push(content);
            karton.send_task(task.derive(json!({"type": "odd-back"}))).await?;
            Ok(())
        }
    });
    let consumer = bed.consumer(consumer).await;
    let theirs = Peer::start(&python, &bed, &["consume-odd"]);
    bound(&bed, "karton.py-odd").await;
    let _producer = Peer::start(&python, &bed, &["produce-odd"]);
    let line = theirs.printed(1).await.remove(0).to_json();
    let file = r#""caf\udce9.txt": {"__karton_resource__": {"#;
    for part in [
        file,
        r#""name": "caf\udce9.txt""#,
        r#""\ud800\ue000": 1000000000000000000000000000000"#,
        r#""headers_persistent": {"h\udce9": "x\udce9"}"#,
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert_eq!(*seen.lock().unwrap(), ["odd"]);
    assert_eq!(bed.quarantine().await, Vec::<String>::new());
    // Once all is done nothing of it stays.
    broker.stop().await.unwrap();
    consumer.stop().await.unwrap();
    drop(theirs);
    let _broker = bed.broker_with(bed.with_options(&[("system", "gc_interval", "1")]));
    eventually("the collector", || async { bed.command::<Vec<String>>(&["KEYS", "karton.task:*"]).await.is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn the_python_broker_takes_over_in_a_stream_and_ours_takes_it_back_without_a_lost_task() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    let processed = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&processed);
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).concurrency(4).process(move |_, task: Task| {
        let keep = Arc::clone(&keep);
        async move {
            keep.lock().unwrap().push(task.payload_as::<u32>("number")?);
            Ok(())
        }
    });
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let send = async |from: u32| {
        for number in from..from + 100 {
            let mut task = Task::new(json!({"type": "sample"}));
            task.set_payload("number", number);
            producer.send_task(task).await.unwrap();
        }
    };
    let ours = bed.broker();
    send(0).await;
    let mut pythons = Peer::program(&python, "karton-system", &bed);
    ours.stop().await.unwrap();
    send(100).await;
    within(Duration::from_secs(30), "the Python broker", || async { (processed.lock().unwrap().len() >= 200).then_some(()) }).await;
    let ours = bed.broker();
    // Told to stop, it finishes the batch in its hands.
    Command::new("kill").args(["-TERM", &pythons.child.id().to_string()]).status().unwrap();
    send(200).await;
    within(Duration::from_secs(30), "the end of the Python broker", || {
        let running = pythons.is_running();
        async move { (!running).then_some(()) }
    })
    .await;
    eventually("all tasks", || async { (processed.lock().unwrap().len() >= 300).then_some(()) }).await;
    let mut seen: Vec<u32> = processed.lock().unwrap().iter().map(|number| number.unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..300).collect::<Vec<_>>());
    ours.stop().await.unwrap();
}

#[tokio::test]
async fn a_python_and_a_rust_replica_with_equal_binds_share_the_work() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let mut theirs = Peer::start(&python, &bed, &["replica"]);
    bound(&bed, "karton.replica").await;
    let stored: String = bed.command(&["HGET", "karton.binds", "karton.replica"]).await;
    let done = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&done);
    let ours = Consumer::new("karton.replica").version("1.2.3").filters(json!([{"type": "shared", "kind": "!other"}]));
    let ours = ours.process(move |_, task: Task| {
        let keep = Arc::clone(&keep);
        async move {
            keep.lock().unwrap().push(task.payload_as::<i64>("number")?.unwrap_or(-1));
            Ok(())
        }
    });
    let ours = bed.consumer(ours).await;
    assert_eq!(bed.command::<String>(&["HGET", "karton.binds", "karton.replica"]).await, stored);
    let producer = bed.producer().await;
    // Until each of the two has had its share.
    let sent = std::sync::atomic::AtomicU32::new(0);
    within(Duration::from_secs(30), "work for both", || async {
        // Several at once: of single ones the Python replica, which waits in the pop itself, takes each.
        for _ in 0..50 {
            let mut task = Task::new(json!({"type": "shared"}));
            task.set_payload("number", sent.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
            producer.send_task(task).await.unwrap();
        }
        (!done.lock().unwrap().is_empty() && !theirs.lines.lock().unwrap().is_empty()).then_some(())
    })
    .await;
    assert!(theirs.is_running() && ours.is_running());
}

#[tokio::test]
async fn a_task_that_a_python_consumer_took_to_its_grave_is_processed_by_another() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    bed.outlives_doubt().await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "orphan_grace", "1")]));
    let theirs = Peer::start(&python, &bed, &["stuck"]);
    bound(&bed, "karton.stuck").await;
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "to-stuck"}))).await.unwrap();
    bed.reached(&sent, "karton.stuck", TaskState::Started).await;
    // Long enough for the broker to see who has it. A look asks for the clients three times, the last time to see that:
    // among six in a row is a whole one.
    let asked = async || {
        let stats: String = bed.command(&["INFO", "commandstats"]).await;
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_client|list:calls=")).unwrap_or("0");
        line.split(',').next().unwrap().parse::<u64>().unwrap()
    };
    let before = asked().await;
    eventually("a look", || async { (asked().await >= before + 6).then_some(()) }).await;
    drop(theirs);
    bed.reached(&sent, "karton.stuck", TaskState::Spawned).await;
    let heir = Consumer::new("karton.stuck").filters(json!([{"type": "to-stuck"}])).process(|_, _| async { Ok(()) });
    let _heir = bed.consumer(heir).await;
    bed.reached(&sent, "karton.stuck", TaskState::Finished).await;
}

#[tokio::test]
async fn a_task_of_a_python_consumer_that_died_before_the_broker_came_is_processed_and_that_of_a_living_one_is_left_alone() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    bed.outlives_doubt().await;
    let first = bed.broker();
    let theirs = Peer::start(&python, &bed, &["stuck"]);
    bound(&bed, "karton.stuck").await;
    let producer = bed.producer().await;
    let sent = producer.send_task(Task::new(json!({"type": "to-stuck"}))).await.unwrap();
    bed.reached(&sent, "karton.stuck", TaskState::Started).await;
    first.stop().await.unwrap();
    // Under another name: the same record, whose consumer is at work.
    let alive = Peer::start(&python, &bed, &["stuck-elsewhere"]);
    bound(&bed, "karton.stuck-elsewhere").await;
    let first = bed.broker();
    let worked_on = producer.send_task(Task::new(json!({"type": "to-stuck-elsewhere"}))).await.unwrap();
    bed.reached(&worked_on, "karton.stuck-elsewhere", TaskState::Started).await;
    first.stop().await.unwrap();
    drop(theirs);
    let _broker = bed.broker_with(bed.with_options(&[("system", "orphan_grace", "1")]));
    let _: Task = within(Duration::from_secs(30), "the task to be queued again", || async {
        let analysis = bed.analysis(&sent).await;
        analysis.tasks().iter().find(|task| task.header_str("receiver").is_some() && task.status() == TaskState::Spawned).cloned()
    })
    .await;
    bed.reached(&worked_on, "karton.stuck-elsewhere", TaskState::Started).await;
    assert!(!bed.command::<bool>(&["EXISTS", "karton.queue.normal:karton.stuck-elsewhere"]).await);
    drop(alive);
}

#[tokio::test]
async fn log_records_go_both_ways() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    karton_rs::service::start_logging(Some(&bed.config));
    let _broker = bed.broker();
    let theirs = Peer::start(&python, &bed, &["logs"]);
    eventually("the Python subscription", || async { (bed.command::<u64>(&["PUBSUB", "NUMPAT"]).await == 1).then_some(()) }).await;
    let records = Arc::new(Mutex::new(Vec::<Value>::new()));
    let keep = Arc::clone(&records);
    let config = bed.config.clone();
    let _ours = Running::spawn(move |shutdown| async move {
        LogConsumer::new("karton.listener").logger("karton.*").run(&config, shutdown, move |record| keep.lock().unwrap().push(record)).await
    });
    eventually("our subscription", || async { (bed.command::<u64>(&["PUBSUB", "NUMPAT"]).await == 2).then_some(()) }).await;
    let talker = Consumer::new("karton.talker").filters(json!([{"type": "to-python"}])).process(|_, _| async {
        tracing::warn!("rust has something to say");
        Ok(())
    });
    let _talker = bed.consumer(talker).await;
    let _consumer = Peer::start(&python, &bed, &["consume"]);
    bound(&bed, "karton.py-sync").await;
    let mut task = Task::new(json!({"type": "to-python"}));
    task.attach("file", LocalResource::from_bytes("file.txt", "x").unwrap());
    let sent = bed.producer().await.send_task(task).await.unwrap();
    bed.reached(&sent, "karton.py-sync", TaskState::Finished).await;
    let message = |record: &Value| record.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    within(Duration::from_secs(20), "our record at the Python consumer", || async {
        theirs.lines.lock().unwrap().iter().any(|record| message(record).contains("rust has something to say")).then_some(())
    })
    .await;
    within(Duration::from_secs(20), "a Python record at ours", || async {
        let records = records.lock().unwrap();
        let of_python = |record: &&Value| record.get("name").and_then(Value::as_str) == Some("karton.py-sync");
        records.iter().filter(of_python).any(|record| record.get("task").is_some_and(|task| task.get("uid").is_some())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn python_tools_show_our_services_with_versions_and_replicas() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let make = || {
        let consumer = Consumer::new("karton.shown").version("7.8.9").info("Shows **itself**").filters(json!([{"type": "sample"}]));
        consumer.process(|_, _| async { anyhow::bail!("no good") })
    };
    let (_one, _two) = (bed.consumer(make()).await, bed.consumer(make()).await);
    let crashed = bed.producer().await.send_task(Task::new(json!({"type": "sample"}))).await.unwrap();
    bed.reached(&crashed, "karton.shown", TaskState::Crashed).await;

    let folder = tempfile::tempdir().unwrap();
    let ini = bed.ini(folder.path());
    let run = |program: PathBuf, arguments: Vec<std::ffi::OsString>| {
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env("HOME", folder.path()).current_dir(folder.path()).stdin(Stdio::null());
        async move {
            let output = command.output().await.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        }
    };
    let list = run(python.with_file_name("karton"), vec!["--config-file".into(), ini.clone().into(), "list".into()]).await;
    let line: Vec<&str> = list.lines().find(|line| line.starts_with("karton.shown")).expect("a line").split_whitespace().collect();
    assert_eq!(line, ["karton.shown", "7.8.9", karton_rs::KARTON_VERSION]);

    let Some(dashboard) = interpreter_of("KARTON_DASHBOARD_PYTHON", "karton-dashboard") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/dashboard.py");
    let pages = Value::parse(run(dashboard, vec![script.into()]).await.trim()).unwrap();
    let queue = pages.get("queues").and_then(|queues| queues.get("karton.shown")).expect("a queue");
    assert_eq!(queue.get("replicas").and_then(Value::as_number).and_then(karton_rs::json::Number::as_u64), Some(2), "{queue}");
    let bind = queue.get("bind").unwrap_or(queue);
    assert_eq!(bind.get("service_version").or_else(|| bind.get("version")).and_then(Value::as_str), Some("7.8.9"), "{queue}");
    let text = |name: &str| pages.get(name).and_then(Value::as_str).unwrap().to_owned();
    let services = text("services");
    assert!(services.contains("karton.system") && services.contains(karton_rs::KARTON_VERSION), "{services}");
    assert!(services.contains(env!("CARGO_PKG_VERSION")), "{services}");
    let metrics = text("metrics");
    assert!(
        metrics.lines().any(|line| line.starts_with("karton_replicas{") && line.contains("shown") && line.ends_with(" 2.0")),
        "{metrics}"
    );
}
