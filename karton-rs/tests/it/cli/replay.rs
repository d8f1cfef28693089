//! `karton replay`: a stored task against a service that is not in the pipeline.

use karton_rs::{Config, Consumer, Karton, LocalResource, Task, TaskState, json::Value};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio_util::sync::CancellationToken;

use crate::{
    bed::Bed,
    cli::{Cli, objects, sent_with_file, text},
};

fn service() -> Consumer {
    Consumer::new("karton.draft").filters(json!([{"type": "sample"}])).process(|karton: Karton, task: Task| async move {
        let sample = task.resource("sample")?;
        let content = karton.read(&sample, 1 << 20).await?;
        anyhow::ensure!(task.header_str("mood") != Some("bad"), "the draft does not like it: {} bytes", content.len());
        let tail = karton.read_range(&sample, content.len() as u64 - 2, 10).await?;
        let mut result = Task::new(json!({"type": "result", "size": content.len()}));
        result.attach("reversed", LocalResource::from_bytes("reversed.bin", content.iter().rev().copied().collect::<Vec<u8>>())?);
        result.set_payload("tail", String::from_utf8(tail.to_vec())?);
        result.set_payload("sample", sample.to_value());
        karton.send_task(result).await?;
        Ok(())
    })
}

/// The service under development, as a process: `karton replay` starts this test binary with its name.
#[tokio::test]
#[ignore = "started by the tests of replay"]
async fn draft() {
    karton_rs::service::install_crypto();
    service().run(&Config::load(None).unwrap(), CancellationToken::new()).await.unwrap();
}

fn draft_command() -> Vec<String> {
    let own = std::env::current_exe().unwrap().display().to_string();
    [&own, "--ignored", "--exact", "cli::replay::draft", "--nocapture"].map(str::to_owned).to_vec()
}

/// Everything that stands in Redis, to see that nothing changes.
async fn everything(bed: &Bed) -> Vec<(String, Vec<u8>)> {
    let mut keys: Vec<String> = bed.command(&["KEYS", "*"]).await;
    keys.sort();
    let mut dump = Vec::new();
    for key in keys {
        dump.push((key.clone(), bed.command(&["DUMP", &key]).await));
    }
    dump
}

#[tokio::test]
async fn a_stored_task_runs_in_a_service_and_nothing_is_written() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.next", &json!([{"type": "result"}])).await;
    let sent = sent_with_file(&bed, json!({"type": "sample"}), b"0123456789").await;
    let before = everything(&bed).await;
    let command = draft_command();
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let (code, out, err) = cli.run(&[&["replay", sent.uid(), "--json", "--keep", "--"], &words[..]].concat()).await;
    assert_eq!(code, 0, "{out}{err}");
    let replayed = &objects(&out)[0];
    assert_eq!((text(replayed, "status"), text(replayed, "service")), ("Finished", "karton.draft"));
    let result = &replayed.get("sent").unwrap().as_array().unwrap()[0];
    assert_eq!(result.get("receivers"), Some(&Value::from(vec!["karton.next"])));
    let result = Task::from_json(&result.get("task").unwrap().to_json()).unwrap();
    assert_eq!((result.root_uid(), result.payload("tail")), (sent.root_uid(), Some(&Value::from("89"))));
    let uploaded = result.resource("reversed").unwrap();
    let folder = std::path::Path::new(text(replayed, "folder"));
    assert_eq!(std::fs::read(folder.join("objects/karton").join(&uploaded.uid)).unwrap(), b"9876543210");
    std::fs::remove_dir_all(folder).unwrap();
    assert!(!bed.object_exists(&uploaded.uid), "nothing goes to the real S3");
    assert_eq!(everything(&bed).await, before);
    // A crash is told as what it is.
    let bad = sent_with_file(&bed, json!({"type": "sample", "mood": "bad"}), b"12345").await;
    let (code, out, _) = cli.run(&[&["replay", bad.uid(), "--"], &words[..]].concat()).await;
    assert!(code == 1 && out.contains("karton.draft: Crashed") && out.contains("does not like it: 5 bytes"), "{out}");
    // The time is for a service that never asks for tasks, too.
    let begun = std::time::Instant::now();
    let (code, _, err) = cli.run(&["replay", bad.uid(), "--timeout", "1s", "--", "sleep", "60"]).await;
    assert!(code == 1 && err.contains("no service asked for tasks within 1s") && begun.elapsed().as_secs() < 30, "{err}");
    // What the service would drop without a word is told with the reason.
    let other = sent_with_file(&bed, json!({"type": "other"}), b"1").await;
    let (code, _, err) = cli.run(&[&["replay", other.uid(), "--"], &words[..]].concat()).await;
    assert!(code == 1 && err.contains("does not want this task") && err.contains("`type` is \"other\""), "{err}");
    for (wrong, part) in [("false", "the service ended"), ("no-such-program", "cannot start")] {
        let (code, _, err) = cli.run(&["replay", sent.uid(), "--", wrong]).await;
        assert!(code == 1 && err.contains(part), "{err}");
    }
    assert_eq!(bed.status(sent.uid()).await, Some(TaskState::Declared));
}

#[tokio::test]
async fn a_service_in_a_debugger_takes_the_variables() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let sent = sent_with_file(&bed, json!({"type": "sample"}), b"abc").await;
    let shown = |line: &str| {
        let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
        Some((name.to_owned(), value.trim_matches('\'').to_owned()))
    };
    let (code, out) = in_debugger(&cli, &["replay", sent.uid()], |lines| {
        // The last one that is told.
        lines.last()?.starts_with("export NO_PROXY").then(|| lines.iter().filter_map(|line| shown(line)).collect())
    })
    .await;
    assert!(code == Some(0) && out.contains("karton.draft: Finished") && out.contains("1. type=result size=3"), "{out}");
    assert!(out.contains("reversed = file reversed.bin (3 bytes") && out.contains("would go to nobody"), "{out}");
    let (code, out) = in_debugger(&cli, &["replay", sent.uid(), "--json"], |lines| {
        let variables = objects(lines.last()?).remove(0).get("variables")?.as_object()?.clone();
        Some(variables.iter().map(|(name, value)| (name.spelled().to_owned(), value.as_str().unwrap().to_owned())).collect())
    })
    .await;
    assert_eq!((code, text(&objects(&out)[0], "status")), (Some(0), "Finished"), "{out}");
}

/// Replays with a service that is started by hand, with the variables on stdout; gives the exit code and what
/// stdout holds after them.
async fn in_debugger(cli: &Cli, args: &[&str], variables: impl Fn(&[String]) -> Option<Vec<(String, String)>>) -> (Option<i32>, String) {
    let mut child = cli.command(args).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    let variables = loop {
        let mut line = String::new();
        assert!(out.read_line(&mut line).await.unwrap() > 0, "it ended: {lines:?}");
        lines.push(line.trim_end().to_owned());
        if let Some(variables) = variables(&lines) {
            break variables;
        }
    };
    let config = Config::load_from(&[], &[], variables).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { service().run(&config, stop).await }
    });
    let mut rest = String::new();
    tokio::time::timeout(std::time::Duration::from_secs(20), out.read_to_string(&mut rest)).await.unwrap().unwrap();
    let status = child.wait().await.unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    (status.code(), rest)
}

/// The same with a service of the reference.
#[tokio::test]
async fn a_python_service_can_be_replayed_too() {
    let Ok(python) = std::env::var("KARTON_PEERS_PYTHON") else {
        assert!(std::env::var("CI").is_err(), "KARTON_PEERS_PYTHON must name an interpreter with karton-core");
        return;
    };
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let sent = sent_with_file(&bed, json!({"type": "sample"}), b"python").await;
    let script = cli.folder.path().join("service.py");
    std::fs::write(
        &script,
        "from karton.core import Karton, Task, Resource\n\
         class Service(Karton):\n\
         \x20   identity = 'karton.python-draft'\n\
         \x20   filters = [{'type': 'sample'}]\n\
         \x20   def process(self, task):\n\
         \x20       content = task.get_resource('sample').content\n\
         \x20       result = Task({'type': 'result'})\n\
         \x20       result.add_payload('upper', Resource('upper.bin', content.upper()))\n\
         \x20       self.send_task(result)\n\
         Service.main()\n",
    )
    .unwrap();
    let before = everything(&bed).await;
    let (code, out, err) = cli.run(&["replay", sent.uid(), "--json", "--keep", "--", &python, script.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{out}{err}");
    let replayed = &objects(&out)[0];
    assert_eq!(text(replayed, "service"), "karton.python-draft");
    let result = &replayed.get("sent").unwrap().as_array().unwrap()[0];
    let upper = Task::from_json(&result.get("task").unwrap().to_json()).unwrap().resource("upper").unwrap();
    let folder = std::path::Path::new(text(replayed, "folder"));
    assert_eq!(std::fs::read(folder.join("objects/karton").join(&upper.uid)).unwrap(), b"PYTHON");
    std::fs::remove_dir_all(folder).unwrap();
    assert_eq!(everything(&bed).await, before);
}
