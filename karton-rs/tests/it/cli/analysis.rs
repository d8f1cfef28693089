//! `karton analysis` and `wait`: how an analysis stands, and its end.

use karton_rs::{Consumer, Karton, Task, TaskState, json::Value, testing::eventually};
use serde_json::json;

use super::{Cli, objects, text};
use crate::bed::Bed;

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
    assert!(out.contains("crashed: ") && err.contains(&format!("`karton -c {} restart --root {root}`", cli.ini.display())), "{out}{err}");
    let tree = cli.out(&["analysis", root]).await;
    let lines: Vec<&str> = tree.lines().collect();
    assert!(lines[0].contains("crashed: 1 finished, 1 crashed,"), "the unrouted ones are not in the tree: {tree}");
    assert!(lines[1].starts_with("karton.first  Finished"), "{tree}");
    assert!(lines[2].starts_with("└─ karton.second  Crashed") && lines[3].contains("no luck"), "{tree}");
    let whole = cli.json(&["analysis", root]).await;
    assert_eq!(text(&whole[0], "state"), "crashed");
    // The same tasks are counted as in the text, and in that of `wait`.
    let (code, out, _) = cli.run(&["wait", root, "--json"]).await;
    for counted in [&whole[0], &objects(&out)[0]] {
        assert_eq!(counted.get("counts").map(Value::to_json).as_deref(), Some(r#"{"Crashed": 1, "Finished": 1}"#), "{counted}");
    }
    assert_eq!(code, 1);
    // Nobody takes it: it waits for ever.
    let broker_less = Bed::start().await;
    let cli = Cli::on(&broker_less);
    let sent = cli.json(&["send", "--header", "type=a"]).await;
    let root = text(&sent[0], "root_uid");
    let (code, out, _) = cli.run(&["wait", root, "--timeout", "0.3s", "--json"]).await;
    assert_eq!((code, text(&objects(&out)[0], "state")), (3, "running"));
    let (_, _, err) = cli.run(&["wait", root, "--timeout", "0.1s"]).await;
    assert_eq!(err, format!("Still running: `karton -c {} analysis {root}` shows what is going on.\n", cli.ini.display()));
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

/// Whether an outage is told, and no reason of it twice: a connection may break before the next one is refused.
fn tells_each_reason_once(told: &str) -> bool {
    let reasons: Vec<&str> =
        told.lines().filter(|line| line.contains("trying again")).filter_map(|line| Some(line.split_once("redis at")?.1)).collect();
    !reasons.is_empty() && reasons.iter().all(|reason| reasons.iter().filter(|other| *other == reason).count() == 1)
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
    assert_eq!((status.code(), tells_each_reason_once(&told)), (Some(0), true), "{told}");
    assert!(!told.contains('\x1b'), "no colours into a pipe: {told}");
    listening(&bed).await;
    cli.out(&["cancel", sent.uid()]).await;
    let output = waiter.wait_with_output().await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), tells_each_reason_once(&told)), (Some(0), true), "{told}");
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
async fn an_analysis_is_found_by_the_uid_of_a_child_that_no_broker_has_met() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let parent = bed.put("karton.a", TaskState::Started, &json!({"type": "x"})).await;
    let root = Task::from_json(&bed.command::<String>(&["GET", &format!("karton.task:{parent}")]).await).unwrap().root_uid().to_owned();
    // Sent during it: the uid of a child is that of a root.
    let child = Task::new(json!({"type": "child"}));
    let record = child.to_json().replace(&format!("\"root_uid\": \"{}\"", child.root_uid()), &format!("\"root_uid\": \"{root}\""));
    let () = bed.command(&["SET", &format!("karton.task:{}", child.uid()), &record]).await;
    let () = bed.command(&["RPUSH", "karton.tasks", child.uid()]).await;
    for typed in [child.uid(), child.task_uid(), &parent, &root] {
        let analysis = cli.json(&["analysis", typed]).await.remove(0);
        assert_eq!(text(&analysis, "root_uid"), root, "{typed}");
        assert_eq!(analysis.get("tasks").and_then(Value::as_array).map(<[_]>::len), Some(2), "{typed}");
        let (code, out, err) = cli.run(&["wait", typed, "--timeout", "0.1s", "--json"]).await;
        assert_eq!((code, text(&objects(&out)[0], "root_uid")), (3, root.as_str()), "{typed}: {err}");
        assert_eq!(cli.json(&["tasks", "--root", typed]).await.len(), 2, "{typed}");
    }
}
