//! `karton restart`, `cancel` and `quarantine`: what changes tasks.

use karton_rs::{Consumer, Task, TaskState, json::Value, testing::eventually};
use serde_json::json;

use super::{Cli, objects, text};
use crate::bed::Bed;

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
    // A second time would do the work twice: the copy is what there is to restart.
    for again in [&["restart", &crashed][..], &["restart", "--dry-run", &crashed]] {
        let (code, out, _) = cli.run(again).await;
        assert_eq!(
            (code, out.contains("is Finished") && out.contains("--force"), bed.queued("karton.a").await.len()),
            (1, true, 1),
            "{out}"
        );
    }
    let done = bed.put("karton.done", TaskState::Finished, &json!({"type": "x"})).await;
    cli.out(&["restart", "--force", &done]).await;
    cli.out(&["restart", "--identity", "karton.done", "--status", "Finished"]).await;
    assert_eq!(bed.queued("karton.done").await.len(), 2, "who says so gets it");
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
    let _slow = bed.mortal(slow, bed.config.clone()).await;
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
async fn what_is_begun_goes_on_to_its_end_when_nobody_reads_any_more() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    const COUNT: usize = 200;
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    for _ in 0..COUNT {
        bed.put("karton.a", TaskState::Crashed, &json!({"type": "x"})).await;
        let () = bed.command(&["HSET", "karton.rs.quarantine", &uuid::Uuid::new_v4().to_string(), r#"{"reason": "r", "time": 1.0}"#]).await;
    }
    // As `head -n 1` does.
    let left = async |args: &[&str]| {
        let mut child = cli.command(args).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines.next_line().await.unwrap().expect("a line");
        drop(lines);
        child.wait().await.unwrap().code()
    };
    // A command that only looks has no reason to go on.
    assert_eq!(left(&["tasks", "--json"]).await, Some(0));
    assert_eq!(left(&["restart", "--identity", "karton.a", "--yes", "--json"]).await, Some(0));
    assert_eq!(bed.queued("karton.a").await.len(), COUNT);
    assert_eq!(left(&["cancel", "--identity", "karton.a", "--yes"]).await, Some(0));
    assert_eq!(bed.queued("karton.a").await.len(), 0);
    // How it ends is told to whoever reads nothing as well.
    assert_eq!(left(&["quarantine", "retry", "--all", "--yes"]).await, Some(1));
    assert_eq!(left(&["quarantine", "drop", "--all", "--yes"]).await, Some(0));
    assert_eq!(bed.quarantine().await, Vec::<String>::new());
}
