//! The `karton` command, as a program on real servers.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use karton_rs::{Consumer, Karton, LocalResource, Task, TaskPriority, TaskState, json::Value, testing::eventually};
use serde_json::json;

use crate::bed::{Bed, Mortal};

/// The command with a configuration of its own, away from the files of this machine.
pub struct Cli {
    pub folder: tempfile::TempDir,
    pub ini: PathBuf,
}

impl Cli {
    pub fn on(bed: &Bed) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ini = bed.ini(folder.path());
        Self { folder, ini }
    }

    pub fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_karton"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KARTON_") {
                command.env_remove(name);
            }
        }
        command.arg("--config-file").arg(&self.ini).args(args).current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs it to its end: exit code, stdout, stderr.
    pub async fn run(&self, args: &[&str]) -> (i32, String, String) {
        ended(self.command(args).output().await.unwrap())
    }

    pub async fn answered(&self, args: &[&str], answer: &str) -> (i32, String, String) {
        use tokio::io::AsyncWriteExt;
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(answer.as_bytes()).await.unwrap();
        ended(child.wait_with_output().await.unwrap())
    }

    /// Runs it; it must succeed.
    pub async fn out(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args).await;
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        out
    }

    /// Runs it with `--json`: the objects it prints.
    pub async fn json(&self, args: &[&str]) -> Vec<Value> {
        objects(&self.out(&[args, &["--json"]].concat()).await)
    }
}

pub fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| Value::parse(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

pub fn number(value: &Value, path: &[&str]) -> u64 {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found.and_then(Value::as_number).and_then(karton_rs::json::Number::as_u64).unwrap_or_else(|| panic!("no number {path:?} in {value}"))
}

/// A routed task as the router leaves it, without a router.
pub fn record(receiver: &str, status: TaskState, headers: &serde_json::Value) -> (String, String) {
    let mut task = Task::new(headers.clone());
    task.set_header("receiver", receiver);
    let uid = task.uid().to_owned();
    let record = task.to_json().replace("\"status\": \"Declared\"", &format!("\"status\": \"{status}\""));
    (uid, record.replace("\"orig_uid\": null", "\"orig_uid\": \"{r}:orig\""))
}

impl Bed {
    /// Puts a task of that status into Redis; a Spawned one into its queue as well.
    pub async fn put(&self, receiver: &str, status: TaskState, headers: &serde_json::Value) -> String {
        let (uid, record) = record(receiver, status, headers);
        let () = self.command(&["SET", &format!("karton.task:{uid}"), &record]).await;
        if status == TaskState::Spawned {
            let () = self.command(&["RPUSH", &format!("karton.queue.normal:{receiver}"), &uid]).await;
        }
        uid
    }

    pub async fn status(&self, uid: &str) -> Option<TaskState> {
        let record: Option<String> = self.command(&["GET", &format!("karton.task:{uid}")]).await;
        record.map(|record| Task::from_json(&record).unwrap().status())
    }

    pub async fn queued(&self, receiver: &str) -> Vec<String> {
        self.command(&["LRANGE", &format!("karton.queue.normal:{receiver}"), "0", "-1"]).await
    }

    pub async fn bind(&self, identity: &str, filters: &serde_json::Value) {
        let bind = json!({"info": null, "version": "5.9.1", "service_version": "1.2.3", "persistent": true, "filters": filters, "is_async": false});
        let () = self.command(&["HSET", "karton.binds", identity, &bind.to_string()]).await;
    }
}

#[tokio::test]
async fn queues_are_counted_by_priority_and_those_without_consumers_are_marked() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let _served = bed.consumer(Consumer::new("karton.served").filters(json!([])).process(|_, _| async { Ok(()) })).await;
    bed.bind("karton.alone", &json!([{"type": "x"}])).await;
    for priority in ["high", "low"] {
        let () = bed.command(&["RPUSH", &format!("karton.queue.{priority}:karton.alone"), "u"]).await;
    }
    bed.put("karton.alone", TaskState::Crashed, &json!({})).await;
    bed.put("karton.alone", TaskState::Started, &json!({})).await;
    bed.put("karton.unbound", TaskState::Spawned, &json!({})).await;
    let queues = cli.json(&["queues"]).await;
    let of = |identity: &str| queues.iter().find(|queue| text(queue, "identity") == identity).unwrap();
    let alone = of("karton.alone");
    let counts = [number(alone, &["pending", "high"]), number(alone, &["pending", "normal"]), number(alone, &["pending", "low"])];
    assert_eq!(counts, [1, 0, 1]);
    assert_eq!((number(alone, &["started"]), number(alone, &["crashed"]), text(alone, "service_version")), (1, 1, "1.2.3"));
    assert_eq!(alone.get("no_consumers"), Some(&Value::from(true)));
    assert_eq!((number(of("karton.served"), &["online"]), of("karton.unbound").get("bind")), (1, Some(&Value::from(false))));
    let () = bed.command(&["HSET", "karton.binds", "karton.unreadable", "{"]).await;
    let queues = cli.json(&["queues", "karton.unreadable", "karton.unbound"]).await;
    assert_eq!(
        queues.iter().map(|queue| queue.get("bind_unreadable").cloned()).collect::<Vec<_>>(),
        [Some(false.into()), Some(true.into())]
    );
    let table = cli.out(&["queues"]).await;
    let line = |identity: &str| table.lines().find(|line| line.starts_with(identity)).unwrap();
    assert!(line("karton.alone").ends_with("no consumers") && !line("karton.served").contains("no consumers"), "{table}");
    assert!(line("karton.unbound").contains("no bind") && !table.contains('\x1b'), "{table}");
    let (code, _, err) = cli.run(&["queues", "karton.mistyped"]).await;
    assert_eq!((code, err.contains("`karton queues` shows all")), (1, true), "{err}");
}

#[tokio::test]
async fn tasks_are_found_by_what_they_are_like() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let raw = bed.put("karton.a", TaskState::Spawned, &json!({"type": "sample", "kind": "raw", "size": 5})).await;
    let crashed = bed.put("karton.b", TaskState::Crashed, &json!({"type": "sample", "kind": "other"})).await;
    let record: String = bed.command(&["GET", &format!("karton.task:{crashed}")]).await;
    let error = record.replace("\"error\": null", "\"error\": [\"Traceback\\n  File x\\n\", \"ValueError: \\u001b[31mboom\\n\"]");
    let () = bed.command(&["SET", &format!("karton.task:{crashed}"), &error]).await;
    let root = raw.split(['{', '}']).nth(1).unwrap().to_owned();
    for (filters, expected) in [
        (&["--identity", "karton.a"][..], &raw),
        (&["--status", "crashed"], &crashed),
        (&["--header", "kind=raw"], &raw),
        (&["--header", "size=5"], &raw),
        (&["--header", "size:=5"], &raw),
        (&["--header", "size"], &raw),
        (&["--error", "ValueError"], &crashed),
        (&["--root", &root], &raw),
        (&["--newer", "1h", "--status", "Spawned"], &raw),
    ] {
        let found = cli.json(&[&["tasks"], filters].concat()).await;
        assert_eq!(found.iter().map(|task| text(task, "uid")).collect::<Vec<_>>(), [expected], "{filters:?}");
    }
    assert!(cli.json(&["tasks", "--older", "1h"]).await.is_empty());
    let (code, out, err) = cli.run(&["tasks", "--identity", "karton.none"]).await;
    assert_eq!((code, out.as_str(), err.trim()), (0, "", "No task is like that."));
    assert_eq!(cli.run(&["tasks", "--limit", "0"]).await, (0, String::new(), String::new()));
    assert_eq!(cli.run(&["tasks", "--unreadable"]).await, (0, String::new(), "Every record can be read.\n".to_owned()));
    for wrong in [&["tasks", "--status", "done"][..], &["tasks", "--older", "soon"], &["tasks", "--newest"], &["nothing"]] {
        assert_eq!(cli.run(wrong).await.0, 2, "{wrong:?}");
    }
    // One task whole: by its full uid, and by the end of it.
    let whole = cli.out(&["task", &crashed]).await;
    assert!(whole.contains("ValueError: \\x1b[31mboom") && !whole.contains('\x1b'), "{whole}");
    let short = crashed.rsplit(':').next().unwrap();
    assert_eq!(text(&cli.json(&["task", short]).await[0], "uid"), crashed);
    let position = cli.out(&["task", &raw]).await;
    assert!(position.contains("number 1 in karton.queue.normal:karton.a"), "{position}");
    let (code, _, err) = cli.run(&["task", "00000000-0000-0000-0000-000000000000"]).await;
    assert_eq!((code, err.contains("no task `0000") && err.contains("karton tasks")), (1, true), "{err}");
}

#[tokio::test]
async fn hostile_records_are_shown_escaped_and_hide_nothing() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let evil = "\x1b]0;owned\x07\x1b[2J\u{202e}exe\n";
    let good = bed.put("karton.a", TaskState::Spawned, &json!({"type": "sample", "name": evil})).await;
    bed.bind(evil, &json!([{"name": evil, "type": "other"}])).await;
    for (uid, record) in [("broken", "{not json"), ("list", "[]"), ("bytes", "\u{1b}[31m")] {
        let () = bed.command(&["SET", &format!("karton.task:{uid}"), record]).await;
    }
    let mut connection = bed.redis.connection().await;
    let () = redis::cmd("SET").arg(b"karton.task:\xff\xfe").arg(b"\xff\x1b[2J").query_async(&mut connection).await.unwrap();
    let () = bed.command(&["LPUSH", "karton.task:no-string", "x"]).await;
    let listed = cli.json(&["tasks", "--unreadable"]).await;
    assert_eq!(listed.len(), 4, "{listed:?}");
    assert_eq!(cli.json(&["tasks"]).await.len(), 1);
    for command in
        [&["tasks"][..], &["tasks", "--unreadable"], &["task", &good], &["queues"], &["list"], &["explain", &good], &["analysis", &good]]
    {
        let (code, out, err) = cli.run(command).await;
        assert_eq!(code, 0, "{command:?}: {err}");
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!out.contains(acts) && !err.contains(acts), "{command:?}: {out:?} {err:?}");
    }
    let (_, _, err) = cli.run(&["tasks"]).await;
    assert!(err.contains("4 records cannot be read"), "{err}");
    let (code, _, err) = cli.run(&["task", "broken"]).await;
    assert_eq!((code, err.contains("not JSON")), (1, true), "{err}");
}

#[tokio::test]
async fn ten_thousand_tasks_come_as_a_stream_and_each_once() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let mut connection = bed.redis.connection().await;
    for batch in 0..10 {
        let mut pipeline = redis::pipe();
        for index in 0..1000 {
            let (uid, record) = record("karton.many", TaskState::Crashed, &json!({"number": batch * 1000 + index}));
            pipeline.cmd("SET").arg(format!("karton.task:{uid}")).arg(record).ignore();
        }
        let () = pipeline.query_async(&mut connection).await.unwrap();
    }
    let out = cli.out(&["tasks", "--status", "Crashed"]).await;
    let numbers: std::collections::BTreeSet<&str> =
        out.lines().filter_map(|line| line.split("number=").nth(1)?.split(' ').next()).collect();
    assert_eq!((out.lines().count(), numbers.len()), (10_001, 10_000));
    assert_eq!(cli.json(&["tasks", "--limit", "7"]).await.len(), 7);
    let newest = cli.json(&["tasks", "--newest", "--limit", "3"]).await;
    assert_eq!(newest.iter().map(|task| number(task, &["headers", "number"])).collect::<Vec<_>>(), [9_999, 9_998, 9_997]);
    let oldest = cli.json(&["tasks", "--oldest", "--limit", "2"]).await;
    assert_eq!(oldest.iter().map(|task| number(task, &["headers", "number"])).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(number(&cli.json(&["queues"]).await[0], &["crashed"]), 10_000);
    // A reader that leaves early is no error.
    let mut child = cli.command(&["tasks", "--json"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[tokio::test]
async fn an_analysis_is_a_tree_and_can_be_waited_for() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let _broker = bed.broker();
    let first = Consumer::new("karton.first").filters(json!([{"type": "a"}])).process(|karton: Karton, _| async move {
        karton.send_task(Task::new(json!({"type": "b"}))).await?;
        Ok(())
    });
    let second = Consumer::new("karton.second").filters(json!([{"type": "b"}])).process(|_, _| async { anyhow::bail!("no luck") });
    let _first = bed.consumer(first).await;
    let _second = bed.consumer(second).await;
    let (code, out, err) = cli.run(&["send", "--header", "type=a", "--wait", "--timeout", "20s"]).await;
    assert_eq!(code, 1, "{out}{err}");
    let root = out.lines().next().unwrap();
    assert!(out.contains("crashed: ") && err.contains("karton restart --root"), "{out}{err}");
    let tree = cli.out(&["analysis", root]).await;
    let lines: Vec<&str> = tree.lines().collect();
    assert!(lines[0].contains("crashed: 1 finished, 1 crashed,"), "the unrouted ones are not in the tree: {tree}");
    assert!(lines[1].starts_with("karton.first  Finished"), "{tree}");
    assert!(lines[2].starts_with("└─ karton.second  Crashed") && lines[3].contains("no luck"), "{tree}");
    let whole = cli.json(&["analysis", root]).await;
    assert_eq!(text(&whole[0], "state"), "crashed");
    assert_eq!(cli.run(&["wait", root]).await.0, 1);
    // Nobody takes it: it waits for ever.
    let broker_less = Bed::start().await;
    let cli = Cli::on(&broker_less);
    let sent = cli.json(&["send", "--header", "type=a"]).await;
    let root = text(&sent[0], "root_uid");
    let (code, out, _) = cli.run(&["wait", root, "--timeout", "0.3s", "--json"]).await;
    assert_eq!((code, text(&objects(&out)[0], "state")), (3, "running"));
    // An interrupt is no failure, and no panic.
    let child = cli.command(&["wait", root]).spawn().unwrap();
    let id = child.id().unwrap().to_string();
    eventually("the waiter", || async {
        let clients: String = broker_less.command(&["CLIENT", "LIST"]).await;
        clients.contains("cmd=psubscribe").then_some(())
    })
    .await;
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(130), &b""[..]));
    for unknown in ["00000000-0000-0000-0000-000000000000", ""] {
        let (code, out, err) = cli.run(&["wait", unknown]).await;
        assert_eq!((code, out.as_str(), err.contains("never sent")), (1, "", true), "{err}");
    }
    assert_eq!(cli.run(&["analysis", "unknown"]).await.0, 1);
}

/// A consumer of karton-core tells nobody but the record that it has ended.
#[tokio::test]
async fn the_end_of_a_task_is_told_by_its_record_where_nothing_else_does() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let _broker = bed.broker();
    bed.bind("karton.python", &json!([{"type": "x"}])).await;
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "x"}))).await.unwrap();
    let copy = bed.reached(&sent, "karton.python", TaskState::Spawned).await;
    let mut record = Value::parse(&copy.to_json()).unwrap();
    let fields = record.as_object_mut().unwrap();
    fields.insert("status".to_owned(), "Finished".into());
    let ended = copy.last_update() - 7200.0;
    fields.insert("last_update".to_owned(), ended.into());
    let () = bed.command(&["SET", &format!("karton.task:{}", copy.uid()), &record.to_json()]).await;
    let tree = cli.out(&["analysis", sent.root_uid()]).await;
    assert!(tree.contains("karton.python  Finished  2h00m ago"), "{tree}");
    let whole = cli.json(&["analysis", sent.root_uid()]).await;
    let tasks = whole[0].get("tasks").unwrap().as_array().unwrap();
    let task = tasks.iter().find(|task| text(task, "uid") == copy.uid()).unwrap();
    assert_eq!(task.get("ended"), Some(&Value::from(ended)));
    // It has ended, and stays so when the collector has taken everything.
    assert_eq!(cli.run(&["wait", sent.root_uid()]).await.0, 0);
    let keys: Vec<String> = bed.command(&["KEYS", "karton.task:*"]).await;
    for key in keys {
        let () = bed.command(&["DEL", &key]).await;
    }
    assert_eq!(cli.run(&["wait", sent.root_uid()]).await.0, 0);
}

#[tokio::test]
async fn who_waits_and_watches_outlives_a_restart_of_redis() {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
    let mut bed = Bed::durable().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.a", &json!([])).await;
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "x"}))).await.unwrap();
    let listening = async |bed: &Bed| {
        eventually("the waiter", || async {
            let clients: String = bed.command(&["CLIENT", "LIST"]).await;
            clients.contains("cmd=psubscribe").then_some(())
        })
        .await;
    };
    let waiter = cli.command(&["wait", sent.root_uid(), "--timeout", "60s"]).spawn().unwrap();
    listening(&bed).await;
    let mut top = cli.command(&["top", "--json", "--interval", "0.5s", "--count", "4"]).spawn().unwrap();
    let mut rows = BufReader::new(top.stdout.take().unwrap()).lines();
    rows.next_line().await.unwrap().unwrap();
    let mut told = BufReader::new(top.stderr.take().unwrap());
    bed.redis.kill();
    // It goes on only once Redis is back, so this is the time to bring it back.
    let mut text = String::new();
    while !text.contains("trying again") {
        let read = tokio::time::timeout(std::time::Duration::from_secs(30), told.read_line(&mut text));
        assert!(read.await.expect("a warning in time").unwrap() > 0, "it ended: {text}");
    }
    bed.redis.restart().await;
    told.read_to_string(&mut text).await.unwrap();
    let (status, told) = (top.wait().await.unwrap(), text);
    assert_eq!((status.code(), told.matches("trying again").count()), (Some(0), 1), "{told}");
    assert!(!told.contains('\x1b'), "no colours into a pipe: {told}");
    listening(&bed).await;
    cli.out(&["cancel", sent.uid()]).await;
    let output = waiter.wait_with_output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.matches("trying again").count()), (Some(0), 1), "{told}");
    // Within its time: what has been waited for is not crashed.
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "x"}))).await.unwrap();
    let waiter = cli.command(&["wait", sent.root_uid(), "--timeout", "6s"]).spawn().unwrap();
    listening(&bed).await;
    bed.redis.kill();
    let output = waiter.wait_with_output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.contains("still away")), (Some(3), true), "{told}");
    // Who begins while it is away is told at once, and once.
    let (code, _, err) = cli.run(&["wait", sent.root_uid()]).await;
    assert_eq!((code, err.matches("onnection refused").count()), (1, 1), "{err}");
}

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

#[tokio::test]
async fn restart_makes_the_copy_of_the_reference_and_leaves_running_tasks_alone() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let crashed = bed.put("karton.a", TaskState::Crashed, &json!({"type": "x"})).await;
    let started = bed.put("karton.a", TaskState::Started, &json!({"type": "x"})).await;
    let out = cli.json(&["restart", &crashed]).await;
    let copy = text(&out[0], "new_uid");
    assert_eq!(bed.status(&crashed).await, Some(TaskState::Finished));
    assert_eq!(bed.queued("karton.a").await, [copy]);
    let record: String = bed.command(&["GET", &format!("karton.task:{copy}")]).await;
    let copied = Task::from_json(&record).unwrap();
    assert_eq!((copied.status(), copied.orig_uid(), copied.error().len()), (TaskState::Spawned, Some("{r}:orig"), 0));
    let (code, out, _) = cli.run(&["restart", &started]).await;
    assert_eq!((code, out.contains("--force"), bed.status(&started).await), (1, true, Some(TaskState::Started)));
    cli.out(&["restart", "--force", &started]).await;
    assert_eq!((bed.status(&started).await, bed.queued("karton.a").await.len()), (Some(TaskState::Finished), 2));
    // Each one that is named has to be done.
    let pair = [
        bed.put("karton.c", TaskState::Crashed, &json!({"type": "x"})).await,
        bed.put("karton.c", TaskState::Started, &json!({"type": "x"})).await,
    ];
    let dry = objects(&cli.run(&["restart", "--dry-run", "--json", &pair[0]]).await.1);
    assert_eq!((dry[0].get("done"), text(&dry[0], "result")), (Some(&Value::from(false)), "would be restarted"));
    let (code, out, _) = cli.run(&["restart", "--yes", &pair[0], &pair[1]]).await;
    assert_eq!((code, out.contains("1 restarted, 1 left alone")), (1, true), "{out}");
    // All that have crashed, slowly, after a question.
    for _ in 0..4 {
        bed.put("karton.b", TaskState::Crashed, &json!({"type": "y"})).await;
    }
    let dry = cli.out(&["restart", "--identity", "karton.b", "--dry-run"]).await;
    assert!(dry.contains("4 would be restarted") && bed.queued("karton.b").await.is_empty(), "{dry}");
    let (code, _, err) = cli.answered(&["restart", "--identity", "karton.b"], "n\n").await;
    assert_eq!((code, err.contains("Restart 4 tasks?"), bed.queued("karton.b").await.len()), (1, true, 0), "{err}");
    assert_eq!(cli.run(&["restart", "--identity", "karton.b"]).await.0, 1, "no answer is no");
    let begun = std::time::Instant::now();
    let (code, out, err) = cli.answered(&["restart", "--header", "type=y", "--rate", "20/s"], "y\n").await;
    assert_eq!((code, bed.queued("karton.b").await.len()), (0, 4), "{out}{err}");
    assert!(out.contains("4 restarted, 0 left alone") && begun.elapsed().as_millis() > 150, "{out}");
    // An unrouted task that is in no queue goes to the broker again, once.
    let lost = Task::new(json!({"type": "x"}));
    let () = bed.command(&["SET", &format!("karton.task:{}", lost.uid()), &lost.to_json()]).await;
    cli.out(&["restart", lost.uid()]).await;
    assert_eq!(cli.run(&["restart", lost.uid()]).await.0, 1);
    assert_eq!(bed.command::<Vec<String>>(&["LRANGE", "karton.tasks", "0", "-1"]).await, [lost.uid()]);
    for wrong in [&["restart"][..], &["cancel"], &["cancel", "u", "--identity", "x"], &["cancel", "--root", "x", "--rate", "0"]] {
        assert_eq!(cli.run(wrong).await.0, 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn cancel_takes_tasks_from_their_queues_and_never_from_a_consumer() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let spawned = bed.put("karton.a", TaskState::Spawned, &json!({})).await;
    let started = bed.put("karton.a", TaskState::Started, &json!({})).await;
    cli.out(&["cancel", &spawned]).await;
    assert_eq!((bed.status(&spawned).await, bed.queued("karton.a").await.len()), (Some(TaskState::Finished), 0));
    let (code, out, _) = cli.run(&["cancel", &started]).await;
    assert_eq!((code, out.contains("--force"), bed.status(&started).await), (1, true, Some(TaskState::Started)));
    cli.out(&["cancel", "--force", &started]).await;
    assert_eq!(bed.status(&started).await, Some(TaskState::Finished));
    // Claimed, though its record does not say so yet.
    let claimed = bed.put("karton.a", TaskState::Spawned, &json!({})).await;
    let () = bed.command(&["ZADD", "karton.rs.leases", "99999999999", &claimed]).await;
    let (code, out, _) = cli.run(&["cancel", &claimed]).await;
    assert_eq!((code, out.contains("taken by a consumer"), bed.status(&claimed).await), (1, true, Some(TaskState::Spawned)), "{out}");
    // An unrouted one, and one in the hands of a router.
    let karton = bed.producer().await;
    let sent = karton.send_task(Task::new(json!({"type": "x"}))).await.unwrap();
    let held = Task::new(json!({"type": "x"}));
    let () = bed.command(&["SET", &format!("karton.task:{}", held.uid()), &held.to_json()]).await;
    let () = bed.command(&["SADD", "karton.rs.routers", "r"]).await;
    let () = bed.command(&["RPUSH", "karton.rs.inflight:r", held.uid()]).await;
    let out = cli.json(&["cancel", "--status", "Declared", "--yes"]).await;
    assert_eq!(out.len(), 2);
    assert_eq!(bed.command::<u64>(&["LLEN", "karton.tasks"]).await + bed.command::<u64>(&["LLEN", "karton.rs.inflight:r"]).await, 0);
    assert_eq!((bed.status(sent.uid()).await, bed.status(held.uid()).await), (Some(TaskState::Finished), Some(TaskState::Finished)));
}

#[tokio::test]
async fn a_cancelled_task_is_not_processed_while_consumers_race_for_it() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let _broker = bed.broker();
    let slow = Consumer::new("karton.slow").filters(json!([{"type": "x"}])).process(|_, _| async {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        Ok(())
    });
    let _slow = Mortal::start(slow, bed.config.clone());
    let karton = bed.producer().await;
    for _ in 0..150 {
        karton.send_task(Task::new(json!({"type": "x"}))).await.unwrap();
    }
    eventually("tasks in the queue", || async { (bed.queued("karton.slow").await.len() > 20).then_some(()) }).await;
    let results = cli.json(&["cancel", "--identity", "karton.slow", "--yes"]).await;
    let cancelled = results.iter().filter(|result| result.get("done") == Some(&Value::from(true))).count();
    assert!(cancelled > 0, "{results:?}");
    eventually("the end of all", || async { bed.queued("karton.slow").await.is_empty().then_some(()) }).await;
    // What was cancelled was not consumed, and the rest was, each once.
    eventually("every task to be accounted for", || async {
        let consumed: Option<usize> = bed.command(&["HGET", "karton.metrics.consumed", "karton.slow"]).await;
        (consumed? + cancelled == 150).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_quarantine_can_be_looked_at_and_emptied() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let task = Task::new(json!({"type": "x"}));
    let key = format!("karton.task:{}", task.uid());
    let () = bed.command(&["SET", &key, "{broken \u{1b}[2J"]).await;
    let () = bed.command(&["SET", "karton.task:hopeless", "[]"]).await;
    let () = bed.command(&["HSET", "karton.binds", "karton.bad", "{}"]).await;
    for name in [task.uid(), "hopeless", "bind:karton.bad", "operation:{}"] {
        let entry = r#"{"reason": "it \u001b[31mis broken", "time": 1700000000.5}"#;
        let () = bed.command(&["HSET", "karton.rs.quarantine", name, entry]).await;
    }
    let mut connection = bed.redis.connection().await;
    let () = redis::cmd("HSET").arg("karton.rs.quarantine").arg(b"\xff\x00").arg("no JSON").query_async(&mut connection).await.unwrap();
    let listed = cli.json(&["quarantine", "list"]).await;
    let mut kinds: Vec<&str> = listed.iter().map(|entry| text(entry, "kind")).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["bind", "garbage", "operation", "task", "task"]);
    let table = cli.out(&["quarantine", "list"]).await;
    assert!(table.contains("it \\x1b[31mis broken") && table.contains("\\xff\\x00"), "{table}");
    let shown = cli.out(&["quarantine", "show", task.uid()]).await;
    assert!(shown.contains("{broken \\x1b[2J") && !shown.contains('\x1b'), "{shown}");
    let (code, out, _) = cli.run(&["quarantine", "retry", task.uid()]).await;
    assert_eq!((code, out.contains("still cannot be read")), (1, true), "{out}");
    let (code, out, _) = cli.run(&["quarantine", "retry", "--json", task.uid()]).await;
    let retried = &objects(&out)[0];
    assert_eq!((code, text(retried, "name"), retried.get("done")), (1, task.uid(), Some(&Value::from(false))), "{out}");
    // Somebody has mended it.
    let () = bed.command(&["SET", &key, &task.to_json()]).await;
    cli.out(&["quarantine", "retry", task.uid()]).await;
    assert_eq!(bed.command::<Vec<String>>(&["LRANGE", "karton.tasks", "0", "-1"]).await, [task.uid()]);
    assert_eq!(cli.answered(&["quarantine", "drop", "--all"], "no\n").await.0, 1);
    assert_eq!(bed.quarantine_size().await, 4);
    let dropped = cli.json(&["quarantine", "drop", "--all", "--yes"]).await;
    assert!(dropped.len() == 4 && dropped.iter().all(|entry| entry.get("done") == Some(&Value::from(true))), "{dropped:?}");
    assert_eq!(bed.quarantine_size().await, 0);
    let left: (bool, bool, bool) = (
        bed.command(&["EXISTS", "karton.task:hopeless"]).await,
        bed.command(&["HEXISTS", "karton.binds", "karton.bad"]).await,
        bed.command(&["EXISTS", &key]).await,
    );
    assert_eq!(left, (false, false, true), "what can be read is kept");
    let (code, _, err) = cli.run(&["quarantine", "show", "nothing"]).await;
    assert_eq!((code, err.contains("quarantine list")), (1, true));
}

impl Bed {
    async fn quarantine_size(&self) -> u64 {
        self.command(&["HLEN", "karton.rs.quarantine"]).await
    }
}

#[tokio::test]
async fn logs_show_records_of_services_without_their_escapes() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let mut child = cli.command(&["logs", "--filter", "karton.*"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let record = json!({"type": "log", "name": "karton.x", "levelname": "ERROR", "message": "a \u{1b}[2J\nb"}).to_string();
    eventually("a listener", || async {
        let listeners: u64 = bed.command(&["PUBLISH", "karton.log.error.karton.x", &record]).await;
        (listeners > 0).then_some(())
    })
    .await;
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "[ERROR] karton.x: a \\x1b[2J");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "b");
    assert!(std::process::Command::new("kill").args(["-TERM", &child.id().unwrap().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn list_and_delete_do_what_the_reference_does() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.gone", &json!([{"type": "x"}])).await;
    let table = cli.out(&["list"]).await;
    let row = format!("{:<50} {:<10} 5.9.1", "karton.gone", "1.2.3");
    assert_eq!(table.lines().nth(2), Some(row.as_str()));
    assert!(cli.out(&["list", "-o", "json"]).await.starts_with(r#"{"filters": [{"type": "x"}]"#));
    assert_eq!(cli.answered(&["delete", "karton.gone"], "karton.other\n").await.0, 1);
    let (code, _, err) = cli.answered(&["delete", "karton.gone"], "karton.gone\n").await;
    assert_eq!(code, 0, "{err}");
    let bind: String = bed.command(&["HGET", "karton.binds", "karton.gone"]).await;
    assert!(bind.contains("\"filters\": []") && bind.contains("\"persistent\": false"), "{bind}");
    assert_eq!(cli.run(&["delete", "karton.unknown"]).await.0, 1);
    assert_eq!(text(&cli.json(&["delete", "--yes", "karton.gone"]).await[0], "identity"), "karton.gone");
}

#[tokio::test]
async fn top_prints_one_snapshot_into_a_pipe() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.a", &json!([])).await;
    bed.put("karton.a", TaskState::Spawned, &json!({})).await;
    let () = bed.command(&["HSET", "karton.metrics.consumed", "karton.a", "41"]).await;
    let rows = cli.json(&["top", "--interval", "0.1s"]).await;
    assert_eq!((rows.len(), number(&rows[0], &["pending"]), number(&rows[0], &["consumed"])), (1, 1, 41));
    let table = cli.out(&["top", "--interval", "0.1s"]).await;
    assert!(table.starts_with("0 for the broker, 1 in queues") && !table.contains('\x1b'), "{table}");
}

#[tokio::test]
async fn completions_and_manual_pages_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let karton = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_karton")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let pages = folder.path().join("man");
    karton(&["man", pages.to_str().unwrap()]);
    for shell in ["bash", "zsh", "fish"] {
        let script = karton(&["completions", shell]);
        for command in ["queues", "tasks", "explain", "replay", "doctor"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let page = std::fs::read_to_string(pages.join("karton-restart.1")).unwrap();
    assert!(page.contains(".TH karton-restart 1") && page.contains("dry\\-run"), "{page}");
    assert!(pages.join("karton-quarantine-list.1").is_file());
    let (help, page) = (karton(&["--help"]), std::fs::read_to_string(pages.join("karton.1")).unwrap());
    assert!(help.contains("Exit codes") && help.starts_with("Look into Karton") && page.contains("Look into Karton"), "{help}{page}");
    assert!(!help.contains("```") && !page.contains("assert"), "{help}{page}");
    assert!(karton(&["configure", "--help"]).contains("the one that `-c` names"));
    // What a command does beyond its first line is told as well.
    for (command, told) in
        [("restart", "take Crashed tasks alone"), ("cancel", "is cancelled with"), ("wait", "Exit codes"), ("replay", "of its own")]
    {
        assert!(karton(&[command, "--help"]).contains(told), "{command}");
    }
    // Every command says how it is used.
    for command in [
        "list",
        "queues",
        "tasks",
        "task",
        "analysis",
        "wait",
        "send",
        "restart",
        "cancel",
        "quarantine",
        "explain",
        "replay",
        "doctor",
        "top",
        "logs",
        "delete",
        "configure",
        "new",
    ] {
        assert!(karton(&[command, "--help"]).contains("Usage: karton"), "{command}");
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_wrong_usage() {
    let bed = Bed::start().await;
    let mut cli = Cli::on(&bed);
    std::fs::write(&cli.ini, "[redis]\nhost = 127.0.0.1\n").unwrap();
    let (code, out, err) = cli.run(&["queues"]).await;
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    let files = format!("missing section `[s3]` in `karton.ini` and `{}`", cli.ini.display());
    assert!(err.contains(&files), "{err}");
    cli.ini = cli.folder.path().join("missing.ini");
    let (code, _, err) = cli.run(&["tasks"]).await;
    assert_eq!((code, err.contains("missing.ini")), (2, true), "{err}");
}

/// A file for the commands that take one.
pub async fn sent_with_file(bed: &Bed, headers: serde_json::Value, content: &[u8]) -> Task {
    let mut task = Task::new(headers);
    task.attach("sample", LocalResource::from_bytes("a.bin", content.to_vec()).unwrap());
    bed.producer().await.send_task(task).await.unwrap()
}
