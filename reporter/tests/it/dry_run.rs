//! `--dry-run`: an operator sees what a task would change, and nothing changes.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use karton_rs::{Config, TaskState, json::Value};
use reporter::{Settings, dry_run, report::Change};
use serde_json::json;

use crate::bench::{Bench, sample_task};
use crate::service::{World, queue_name, sample};
use crate::stub::{KEY, Stored, Stub, sha256};

fn printed(changes: &[Change]) -> Vec<String> {
    let mut out = Vec::new();
    dry_run::write(changes, false, &mut out).unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_plan_tells_all_that_would_be_done_and_only_reads() {
    let bench = Bench::start().await;
    let (parent, parent_id) = bench.file("parent.bin", "parent");
    let (sample, id) = bench.file("s\u{1b}[2J.bin", "sample");
    bench.stub.store(&parent_id, Stored::default());
    let mut task = sample_task();
    task.set_payload("parent", parent);
    task.set_payload("sample", sample);
    task.set_payload("tags", vec!["a"]);
    task.set_payload("attributes", json!({"k": [{"x": 1}]}));
    task.set_payload("comments", vec!["hello", "hello"]);
    let changes = bench.reporter.plan(&task, &bench.samples).await.unwrap();
    let uid = task.root_uid();
    let name = "\"s\\u{1b}[2J.bin\"";
    assert_eq!(
        printed(&changes),
        [
            format!("add to file {parent_id} \"parent.bin\" (6 bytes), analysis \"{uid}\""),
            format!(
                "upload new file {id} {name} (6 bytes), parent {parent_id}, tags [\"a\"], attribute \"k\" = {{\"x\": 1}}, analysis \"{uid}\""
            ),
            format!("comment on {id}: \"hello\""),
        ]
    );
    assert!(bench.stub.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", bench.stub.lines());
    // It is what is then done.
    bench.report(&task).await;
    let Value::Object(planned) = changes[1].to_value() else { panic!() };
    let posted = bench.stub.requests().into_iter().rfind(|request| request.line == "POST file").unwrap();
    assert_eq!(planned["options"], posted.body);
    assert_eq!(bench.stub.stored(&id).unwrap().comments, ["hello"]);
    let again = bench.reporter.plan(&task, &bench.samples).await.unwrap();
    assert_eq!(again.len(), 2, "the comment is there: {again:?}");
}

#[tokio::test]
async fn a_plan_fails_for_what_would_crash_the_task() {
    let bench = Bench::start().await;
    let mut task = sample_task();
    let (sample, _) = bench.file("s", "sample");
    let mut gone = sample.clone();
    gone.as_object_mut().unwrap()["__karton_resource__"].as_object_mut().unwrap().insert("uid".to_owned(), "gone".into());
    task.set_payload("sample", gone);
    let error = bench.reporter.plan(&task, &bench.samples).await.unwrap_err();
    assert!(error.to_string().contains("no such object"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_task_is_looked_at_and_stays_in_its_queue() {
    let stub = Stub::start().await;
    let world = World::start(&stub.url()).await;
    let uid = world.queue(sample("content")).await;
    let settings = Settings::from_config(&world.config).unwrap();
    let changes = dry_run::plan(settings.clone(), &world.config, &dry_run::Source::Uid(uid.clone())).await.unwrap();
    assert!(printed(&changes)[0].starts_with(&format!("upload new file {}", sha256(b"content"))), "{changes:?}");
    assert_eq!(world.status(&uid).await, TaskState::Spawned);
    let mut connection = world.redis.connection().await;
    let queued: Vec<String> = redis::cmd("LRANGE").arg(queue_name()).arg(0).arg(-1).query_async(&mut connection).await.unwrap();
    assert_eq!(queued, std::slice::from_ref(&uid));
    let binds: usize = redis::cmd("HLEN").arg("karton.binds").query_async(&mut connection).await.unwrap();
    assert_eq!(binds, 0, "nothing is registered");
    assert!(stub.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", stub.lines());
    // By the end of its uid, or by how that begins.
    let end = uid.rsplit(':').next().unwrap();
    for short in [end, &end[..8]] {
        let changes = dry_run::plan(settings.clone(), &world.config, &dry_run::Source::Uid(short.to_owned())).await.unwrap();
        assert!(printed(&changes)[0].starts_with("upload new file"), "{changes:?}");
    }
    let error = dry_run::plan(settings, &world.config, &dry_run::Source::Uid("gone".to_owned())).await.unwrap_err();
    assert!(error.to_string().contains("--task gone"), "{error}");
}

#[tokio::test]
async fn a_plan_does_not_wait_for_an_object_store_that_is_away() {
    let stub = Stub::start().await;
    // Whoever listens at port 1 is no object store.
    let servers = "[redis]\nhost = 127.0.0.1\nport = 1\n[s3]\naddress = http://127.0.0.1:1\naccess_key = k\nsecret_key = s\nbucket = b\n";
    let text = format!("{servers}[mwdb]\napi_url = {}\napi_key = {KEY}\n", stub.url());
    let config = Config::from_parts(&[("karton.ini", &text)], []).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("task.json");
    for sha256 in [json!(null), json!("a".repeat(64))] {
        let sample = json!({"__karton_resource__": {"uid": "u", "name": "s", "bucket": "b", "size": 6, "sha256": sha256}});
        let task = json!({"headers": {"type": "sample", "stage": "recognized"}, "payload": {"sample": sample}});
        std::fs::write(&file, task.to_string()).unwrap();
        let source = dry_run::Source::File(file.clone());
        let plan = dry_run::plan(Settings::from_config(&config).unwrap(), &config, &source);
        let error = tokio::time::timeout(Duration::from_mins(1), plan).await.expect("an end").unwrap_err();
        assert!(error.to_string().contains("cannot read `s`"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_reads_a_task_from_a_file_or_from_standard_input() {
    let stub = Stub::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ini = folder.path().join("test.ini");
    let servers = "[redis]\nhost = 127.0.0.1\nport = 1\n[s3]\naddress = http://127.0.0.1:1\naccess_key = k\nsecret_key = s\nbucket = b\n";
    std::fs::write(&ini, format!("{servers}[mwdb]\napi_url = {}\napi_key = {KEY}\n", stub.url())).unwrap();
    let task = json!({"headers": {"type": "blob", "kind": "raw"}, "payload": {"content": "x", "tags": ["t"]}}).to_string();
    let file = folder.path().join("task.json");
    std::fs::write(&file, &task).unwrap();
    let run = move |arguments: &[&str], input: String| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karton-mwdb-reporter"));
        command.env_clear().env("HOME", folder.path()).current_dir(folder.path()).arg("--config-file").arg(&ini).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that does not read its input has closed it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    };
    let outputs = tokio::task::spawn_blocking(move || {
        let path = file.to_str().unwrap().to_owned();
        [
            run(&["--dry-run", "--task-file", &path], String::new()),
            run(&["--dry-run", "--json"], task),
            run(&["--dry-run"], "nonsense".to_owned()),
            run(&["--task", "x"], String::new()),
        ]
    });
    let [from_file, from_input, nonsense, without] = outputs.await.unwrap();
    let text = |output: &Output| format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let id = sha256(b"x");
    assert!(
        text(&from_file).starts_with(&format!("upload new blob {id} \"blob\" (1 bytes), tags [\"t\"], analysis ")),
        "{}",
        text(&from_file)
    );
    let change: serde_json::Value = serde_json::from_slice(&from_input.stdout).unwrap();
    assert_eq!((&change["change"], &change["exists"], &change["id"]), (&json!("upload"), &json!(false), &json!(id)));
    assert_eq!([&from_file, &from_input, &nonsense, &without].map(|output| output.status.code()), [Some(0), Some(0), Some(1), Some(2)]);
    assert!(text(&nonsense).contains("standard input"), "{}", text(&nonsense));
    assert!(stub.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", stub.lines());
}
