//! `karton queues`, `tasks` and `task`: what is there.

use karton_rs::{Consumer, TaskState, json::Value};
use serde_json::json;

use super::{Cli, number, record, text};
use crate::bed::Bed;

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
    assert_eq!((code, err.contains(&format!("`karton -c {} queues` shows all", cli.ini.display()))), (1, true), "{err}");
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
    assert_eq!(
        (code, err.contains("no task `0000") && err.contains(&format!("`karton -c {} tasks`", cli.ini.display()))),
        (1, true),
        "{err}"
    );
}

#[tokio::test]
async fn the_beginning_of_a_uid_names_a_task_as_long_as_it_is_the_only_one() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let mut uids = Vec::new();
    for end in ["0f3c1111-9b02-4d35-8a5e-2a3f6c9d1e70", "0f3c2222-b", "0f3c2222-bb"] {
        let (uid, record) = record("karton.a", TaskState::Crashed, &json!({"type": "x"}));
        let new = format!("{{{}}}:{end}", uid.split(['{', '}']).nth(1).unwrap());
        let () = bed.command(&["SET", &format!("karton.task:{new}"), &record.replace(&uid, &new)]).await;
        uids.push(new);
    }
    for (typed, expected) in [("0f3c1", 0), ("0f3c1111", 0), ("0f3c2222-bb", 2), ("0f3c2222-b", 1), (uids[0].as_str(), 0)] {
        assert_eq!(text(&cli.json(&["task", typed]).await[0], "uid"), uids[expected], "{typed}");
    }
    let (code, _, err) = cli.run(&["task", "0f3c2222"]).await;
    assert!(code == 2 && err.contains("several tasks are meant by `0f3c2222`"), "{code} {err}");
    // Too little to go by, and nothing that only stands somewhere in a uid.
    for typed in ["0f3", "f3c1", "1111-a"] {
        let (code, _, err) = cli.run(&["task", typed]).await;
        assert!(code == 1 && err.contains(&format!("no task `{typed}`")), "{code} {err}");
    }
    // What a narrow terminal shows is what can be typed.
    let (code, shown) = cli.on_terminal(40, &["tasks", "--header", "type", "--limit", "3"], "").await;
    assert!(code == 0 && shown.lines().all(|line| line.len() <= 40) && shown.contains("Crashed  karton.a  "), "{shown}");
    assert!(shown.contains("  0f3c1111"), "{shown}");
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
    let list = format!("4 records cannot be read: `karton -c {} tasks --unreadable` lists them", cli.ini.display());
    assert!(err.contains(&list), "{err}");
    let (_, _, err) = cli.run(&["queues"]).await;
    assert!(err.contains(&list), "{err}");
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
