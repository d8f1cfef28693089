//! `karton send`: tasks from the command line.

use karton_rs::{Consumer, Task, TaskPriority, json::Value, testing::eventually};
use serde_json::json;

use super::{Cli, objects, text};
use crate::bed::Bed;

#[tokio::test]
async fn what_is_sent_arrives_with_files_payload_and_persistent_parts() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    std::fs::write(cli.folder.path().join("a.bin"), b"content").unwrap();
    let args = [
        "send",
        "--header",
        "type=sample",
        "--header",
        "depth:=3",
        "--payload",
        "tags=[\"x\"]",
        "--payload",
        "note=plain text",
        "--resource",
        "sample=a.bin",
        "--persistent",
        "note",
        "--persistent",
        "type",
        "--priority",
        "high",
    ];
    let sent = cli.json(&args).await;
    let record: String = bed.command(&["GET", &format!("karton.task:{}", text(&sent[0], "uid"))]).await;
    let task = Task::from_json(&record).unwrap();
    assert_eq!((task.header("depth"), task.priority()), (Some(&Value::from(3_i64)), TaskPriority::High));
    assert_eq!(task.headers_persistent().keys().collect::<Vec<_>>(), ["type"]);
    assert_eq!(task.payloads_persistent().get("note"), Some(&Value::from("plain text")));
    let sample = task.resource("sample").unwrap();
    assert_eq!(&bed.producer().await.read(&sample, 100).await.unwrap()[..], b"content");
    assert_eq!(bed.command::<Vec<String>>(&["LRANGE", "karton.tasks", "0", "-1"]).await, [text(&sent[0], "uid")]);
    for (wrong, part) in [
        (&["send"][..], "--header"),
        (&["send", "--header", "type"], "NAME=TEXT"),
        (&["send", "--header", "a=b", "--persistent", "c"], "no header, payload entry or file"),
        (&["send", "--header", "a=b", "--priority", "urgent"], "priority"),
        (&["send", "--header", "a=b", "--header", "a=c"], "--header a is given twice"),
        (&["send", "--header", "a=b", "--payload", "x=1", "--payload", "x:=2"], "--payload x"),
        (&["send", "--header", "a=b", "--payload", "x=1", "--resource", "x=a.bin"], "--resource x"),
        (&["send", "--header", "a=b", "--resource", "x=a.bin", "--resource", "x=a.bin"], "--resource x"),
        (&["send", "--header", "a=b", "--payload", "__headers_persistent={}"], "__headers_persistent"),
    ] {
        let (code, _, err) = cli.run(wrong).await;
        assert!(code == 2 && err.contains(part), "{wrong:?}: {code} {err}");
    }
    let (code, _, err) = cli.run(&["send", "--header", "a=b", "--resource", "x=missing.bin"]).await;
    assert_eq!((code, err.contains("missing.bin")), (1, true), "{err}");
    assert!(std::process::Command::new("mkfifo").arg(cli.folder.path().join("pipe")).status().unwrap().success());
    for no_file in ["pipe", "/dev/null", "/dev/zero"] {
        let (code, _, err) = cli.run(&["send", "--header", "a=b", "--resource", &format!("x={no_file}")]).await;
        assert_eq!((code, err.contains(&format!("cannot read {no_file}: not a file"))), (1, true), "{err}");
    }
    assert_eq!(bed.command::<u64>(&["LLEN", "karton.tasks"]).await, 1);
}

#[tokio::test]
async fn who_waits_for_what_was_sent_gets_one_object() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let _service = bed.consumer(Consumer::new("karton.a").filters(json!([{"type": "x"}])).process(|_, _| async { Ok(()) })).await;
    let args = ["send", "--header", "type=x", "--wait", "--json"];
    // Nobody routes it.
    let (code, out, err) = cli.run(&[&args[..], &["--timeout", "0.3s"]].concat()).await;
    let sent = objects(&out);
    assert_eq!((code, sent.len(), text(&sent[0], "state")), (3, 1, "running"), "{out}{err}");
    assert!(err.contains(&format!("Sent {}", text(&sent[0], "uid"))), "{err}");
    let _broker = bed.broker();
    let sent = cli.json(&args[..4]).await;
    assert_eq!((sent.len(), text(&sent[0], "state")), (1, "finished"), "{sent:?}");
    assert!(text(&sent[0], "uid").starts_with(&format!("{{{}}}:", text(&sent[0], "root_uid"))), "{sent:?}");
}

#[tokio::test]
async fn an_interrupted_send_leaves_no_zip_behind() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let folder = |name: &str| {
        let folder = cli.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    let (samples, temporary) = (folder("samples"), folder("temporary"));
    // Zeros that take no room on the disk, and long to compress.
    std::fs::File::create(samples.join("large")).unwrap().set_len(64 << 30).unwrap();
    let mut command = cli.command(&["send", "--header", "a=b", "--resource", "x=samples"]);
    let child = command.env("TMPDIR", &temporary).spawn().unwrap();
    let left = || std::fs::read_dir(&temporary).unwrap().count();
    eventually("the zip", || async { (left() > 0).then_some(()) }).await;
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().unwrap().to_string()]).status().unwrap().success());
    assert_eq!(child.wait_with_output().await.unwrap().status.code(), Some(130));
    assert_eq!(left(), 0);
}
