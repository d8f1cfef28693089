//! What is known of an analysis while it runs and afterwards.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use futures::StreamExt;
use karton_rs::{
    Analysis, Consumer, Inspect, Task, TaskState,
    testing::{eventually, throughout},
};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::bed::Bed;

/// Sends a child for each sample; `karton.leaf` takes it and crashes when told to.
fn two_steps() -> [Consumer; 2] {
    let root = Consumer::new("karton.root").filters(json!([{"type": "sample"}])).process(|karton, task| async move {
        let mut child = Task::new(json!({"type": "child"}));
        child.set_header("bad", task.header_str("bad").is_some());
        karton.send_task(child).await?;
        Ok(())
    });
    let leaf = Consumer::new("karton.leaf").filters(json!([{"type": "child"}])).process(|_, task| async move {
        anyhow::ensure!(task.header("bad").and_then(karton_rs::json::Value::as_bool) != Some(true), "told to");
        Ok(())
    });
    [root, leaf]
}

fn inspect(bed: &Bed) -> Inspect {
    Inspect::new(&bed.config, "karton.test", None).unwrap()
}

/// Until all that was routed before the broker came is looked at.
async fn indexed(bed: &Bed) {
    eventually("a complete index", || async { (!bed.command::<bool>(&["EXISTS", "karton.rs.unindexed"]).await).then_some(()) }).await;
}

#[tokio::test]
async fn the_end_of_an_analysis_is_told_once_with_what_became_of_it() {
    let bed = Bed::start().await;
    let _brokers = [bed.broker(), bed.broker()];
    let [root, leaf] = two_steps();
    let _services = (bed.consumer(root).await, bed.consumer(leaf).await);
    let mut ended = Box::pin(inspect(&bed).ended_analyses().await.unwrap());
    let producer = bed.producer().await;
    let good = producer.send_task(Task::new(json!({"type": "sample"}))).await.unwrap();
    let first = ended.next().await.unwrap();
    assert_eq!((first.root_uid.as_str(), first.status.as_str(), first.tasks, first.crashed), (good.root_uid(), "finished", 2, 0));
    assert!(first.started <= first.ended);
    let bad = producer.send_task(Task::new(json!({"type": "sample", "bad": "1"}))).await.unwrap();
    let second = ended.next().await.unwrap();
    assert_eq!((second.root_uid.as_str(), second.status.as_str(), second.tasks, second.crashed), (bad.root_uid(), "crashed", 2, 1));
    let analysis = inspect(&bed).wait(bad.root_uid(), Duration::from_secs(10)).await.unwrap();
    assert!(analysis.is_done());
}

#[tokio::test]
async fn history_outlives_the_records() {
    let bed = Bed::start().await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "gc_interval", "1"), ("system", "task_crashed_timeout", "1")]));
    let [root, leaf] = two_steps();
    let _services = (bed.consumer(root).await, bed.consumer(leaf).await);
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "sample", "bad": "1"}))).await.unwrap();
    eventually("no record", || async {
        let analysis = bed.analysis(&sent).await;
        (analysis.tasks().is_empty() && analysis.history().len() == 4).then_some(())
    })
    .await;
    let analysis = bed.analysis(&sent).await;
    assert!(analysis.is_done());
    let by = |receiver: &str| analysis.history().iter().find(|task| task.receiver() == Some(receiver)).unwrap();
    let (root, leaf) = (by("karton.root"), by("karton.leaf"));
    assert_eq!((root.status, leaf.status, leaf.error.as_deref()), (TaskState::Finished, TaskState::Crashed, Some("Error: told to")));
    assert_eq!(leaf.parent_uid.as_deref(), Some(root.uid.as_str()));
    assert_eq!(leaf.headers.get("type").and_then(|kind| kind.as_str()), Some("child"));
    let times = |task: &karton_rs::TaskHistory| [task.created, task.started.unwrap(), task.ended.unwrap()];
    assert!(times(root).is_sorted() && times(leaf).is_sorted(), "{root:?} {leaf:?}");
}

#[tokio::test]
async fn history_is_bounded_and_can_be_turned_off() {
    let bed = Bed::start().await;
    // Also where nobody of ours collects.
    let broker = bed.broker_with(bed.with_options(&[("system", "history_limit", "2"), ("system", "enable_gc", "0")]));
    let [_, leaf] = two_steps();
    let _leaf = bed.consumer(leaf).await;
    let producer = bed.producer().await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(producer.send_task(Task::new(json!({"type": "child"}))).await.unwrap());
        bed.done(sent.last().unwrap()).await;
    }
    eventually("two of them", || async { (bed.command::<u64>(&["ZCARD", "karton.rs.analyses"]).await == 2).then_some(()) }).await;
    let known = bed.command::<Vec<String>>(&["KEYS", "karton.rs.analysis:*"]).await;
    assert_eq!(known.len(), 2, "{known:?}");
    broker.stop().await.unwrap();
    let options = [("system", "history_ttl", "0"), ("system", "enable_gc", "0"), ("system", "orphan_grace", "1")];
    let () = bed.command(&["HSET", "karton.rs.deliveries", "gone", "1"]).await;
    let _broker = bed.broker_with(bed.with_options(&options));
    let last = producer.send_task(Task::new(json!({"type": "child"}))).await.unwrap();
    bed.done(&last).await;
    eventually("none", || async { bed.command::<Vec<String>>(&["KEYS", "karton.rs.analysis*"]).await.is_empty().then_some(()) }).await;
    eventually("no counts", || async { (!bed.command::<bool>(&["EXISTS", "karton.rs.deliveries"]).await).then_some(()) }).await;
}

#[tokio::test]
async fn a_status_read_does_not_look_at_what_else_is_stored() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let [_, leaf] = two_steps();
    let _leaf = bed.consumer(leaf).await;
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "child"}))).await.unwrap();
    bed.done(&sent).await;
    indexed(&bed).await;
    let scans = async || {
        let stats: String = bed.command(&["INFO", "commandstats"]).await;
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_scan:calls=").map(str::to_owned));
        line.and_then(|rest| rest.split(',').next().map(str::to_owned))
    };
    let before = scans().await;
    assert!(bed.analysis(&sent).await.is_done());
    // Nor does that of one which nobody remembers, as of an object that was analysed long ago.
    let roots: Vec<String> = (0..10).map(|number| format!("91a521d0-4696-4df1-9188-c07c525a080{number}")).collect();
    assert!(inspect(&bed).analyses(&roots).await.unwrap().iter().all(Analysis::is_done));
    assert_eq!(scans().await, before);
}

/// Sends a task that waits for a service which is away, under these settings of the broker, and looks at its
/// analysis for a while.
async fn runs_while_a_service_is_away(options: &[(&str, &str, &str)], harm: impl AsyncFn(&Bed, &Task)) {
    let bed = Bed::start().await;
    let [_, leaf] = two_steps();
    bed.consumer(leaf).await.stop().await.unwrap();
    let _broker = bed.broker_with(bed.with_options(options));
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "child"}))).await.unwrap();
    bed.reached(&sent, "karton.leaf", TaskState::Spawned).await;
    harm(&bed, &sent).await;
    throughout(Duration::from_secs(3), &format!("it to run with {options:?}"), || async { !bed.analysis(&sent).await.is_done() }).await;
}

#[tokio::test]
async fn an_analysis_that_the_index_has_forgotten_runs_on() {
    let forget = async |bed: &Bed, task: &Task| {
        indexed(bed).await;
        let () = bed.command(&["DEL", &format!("karton.rs.analysis:{}", task.root_uid())]).await;
    };
    runs_while_a_service_is_away(&[], forget).await;
}

#[tokio::test]
async fn an_analysis_whose_time_is_over_runs_on() {
    let options = [("system", "history_ttl", "1"), ("system", "gc_interval", "1"), ("system", "orphan_grace", "1")];
    runs_while_a_service_is_away(&options, async |_, _| ()).await;
}

#[tokio::test]
async fn an_analysis_runs_on_though_no_broker_keeps_its_history() {
    runs_while_a_service_is_away(&[("system", "history_ttl", "0"), ("system", "orphan_grace", "1")], async |_, _| ()).await;
}

#[tokio::test]
async fn a_task_that_somebody_else_has_routed_is_found() {
    let bed = Bed::start().await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "orphan_grace", "1")]));
    let [_, leaf] = two_steps();
    let running = bed.consumer(leaf).await;
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "child"}))).await.unwrap();
    bed.done(&sent).await;
    running.stop().await.unwrap();
    indexed(&bed).await;
    // As the restart of the Python dashboard does it.
    let old = bed.reached(&sent, "karton.leaf", TaskState::Finished).await;
    let again = old.restart().unwrap();
    let () = bed.command(&["SET", &format!("karton.task:{}", again.uid()), &again.to_json()]).await;
    let () = bed.command(&["RPUSH", "karton.queue.normal:karton.leaf", again.uid()]).await;
    eventually("the analysis to go on", || async { (!bed.analysis(&sent).await.is_done()).then_some(()) }).await;
}

/// As the restart of the Python dashboard does it; gives the copy.
async fn restart(bed: &Bed, old: &Task) -> Task {
    let again = old.restart().unwrap();
    let finished = old.to_json().replace("\"Crashed\"", "\"Finished\"");
    let receiver = old.header_str("receiver").unwrap();
    let mut pipeline = redis::pipe();
    pipeline.set(format!("karton.task:{}", again.uid()), again.to_json().replace("\"Declared\"", "\"Spawned\"")).ignore();
    pipeline.rpush(format!("karton.queue.normal:{receiver}"), again.uid()).ignore();
    pipeline.set(format!("karton.task:{}", old.uid()), finished).ignore();
    let () = pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
    again
}

/// Waits in its handler until it may go on, the first time for nothing.
fn waiting(identity: &str, fails_first: bool) -> (Consumer, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, pass) = (Arc::clone(&runs), Arc::clone(&gate));
    let consumer = Consumer::new(identity).filters(json!([{"type": "sample"}])).process(move |_, _| {
        let (run, pass) = (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&pass));
        async move {
            anyhow::ensure!(run > 0 || !fails_first, "the first time");
            pass.acquire().await?.forget();
            Ok(())
        }
    });
    (consumer, runs, gate)
}

#[tokio::test]
async fn an_analysis_goes_on_while_a_task_is_at_work_that_somebody_else_has_started_again() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let ((slow, _, end_slow), (failing, runs, end_failing)) = (waiting("karton.slow", false), waiting("karton.failing", true));
    let _services = (bed.consumer(slow).await, bed.consumer(failing).await);
    let mut ended = Box::pin(inspect(&bed).ended_analyses().await.unwrap());
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "sample"}))).await.unwrap();
    let crashed = bed.reached(&sent, "karton.failing", TaskState::Crashed).await;
    restart(&bed, &crashed).await;
    eventually("the second run", || async { (runs.load(Ordering::SeqCst) == 2).then_some(()) }).await;
    end_slow.add_permits(1);
    bed.reached(&sent, "karton.slow", TaskState::Finished).await;
    // Several looks at it.
    let early = tokio::time::timeout(Duration::from_secs(3), ended.next()).await;
    assert!(early.is_err(), "{early:?}");
    assert!(!bed.analysis(&sent).await.is_done());
    end_failing.add_permits(1);
    let end = tokio::time::timeout(Duration::from_secs(10), ended.next()).await.unwrap().unwrap();
    assert_eq!((end.root_uid.as_str(), end.tasks), (sent.root_uid(), 3));
    assert!(bed.analysis(&sent).await.is_done());
}

#[tokio::test]
async fn a_task_that_somebody_else_has_queued_in_an_open_analysis_is_found() {
    let bed = Bed::start().await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "orphan_grace", "1")]));
    let ((slow, _, _), (failing, _, _)) = (waiting("karton.slow", false), waiting("karton.failing", true));
    let (_slow, failing) = (bed.consumer(slow).await, bed.consumer(failing).await);
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "sample"}))).await.unwrap();
    let crashed = bed.reached(&sent, "karton.failing", TaskState::Crashed).await;
    failing.stop().await.unwrap();
    indexed(&bed).await;
    let again = restart(&bed, &crashed).await;
    let index = format!("karton.rs.analysis:{}", sent.root_uid());
    eventually("it in the index", || async { bed.command::<bool>(&["HEXISTS", &index, again.uid()]).await.then_some(()) }).await;
}

#[tokio::test]
async fn what_somebody_has_put_in_the_place_of_an_analysis_keeps_no_other_from_its_end() {
    let bed = Bed::start().await;
    let () = bed.command(&["SET", "karton.rs.analysis:odd", "x"]).await;
    let () = bed.command(&["ZADD", "karton.rs.analyses.open", "-9999999999", "odd"]).await;
    let mut ended = Box::pin(inspect(&bed).ended_analyses().await.unwrap());
    let _broker = bed.broker();
    let [_, leaf] = two_steps();
    let _leaf = bed.consumer(leaf).await;
    let sent = bed.producer().await.send_task(Task::new(json!({"type": "child"}))).await.unwrap();
    let of_ours = async { while ended.next().await.is_some_and(|end| end.root_uid != sent.root_uid()) {} };
    tokio::time::timeout(Duration::from_secs(10), of_ours).await.unwrap();
}

#[tokio::test]
async fn a_history_that_is_full_or_none_at_all_keeps_no_task_from_being_routed() {
    let bed = Bed::start().await;
    let fill = "for i = 1, 60000 do redis.call('HSET', KEYS[1], i, '') end";
    let () = bed.command(&["EVAL", fill, "1", "karton.rs.analysis:full"]).await;
    let () = bed.command(&["SET", "karton.rs.analysis:odd", "x"]).await;
    let _broker = bed.broker();
    let [_, leaf] = two_steps();
    let _leaf = bed.consumer(leaf).await;
    let mut sent = Vec::new();
    for (round, root) in [(1, "full"), (1, "odd"), (2, "full"), (2, "odd"), (3, "full")] {
        let task = Task::new(json!({"type": "child"}));
        let field = |root: &str| format!("\"root_uid\": \"{root}\"");
        let record = task.to_json().replace(&field(task.root_uid()), &field(root));
        let () = bed.command(&["SET", &format!("karton.task:{}", task.uid()), &record]).await;
        let () = bed.command(&["RPUSH", "karton.tasks", task.uid()]).await;
        let consumed = || async { bed.command::<Option<usize>>(&["HGET", "karton.metrics.consumed", "karton.leaf"]).await };
        sent.push((round, root, task));
        eventually("it processed", || async { (consumed().await == Some(sent.len())).then_some(()) }).await;
    }
    // How long it is was asked with the first one.
    for (round, _, task) in sent.iter().filter(|(_, root, _)| *root == "full") {
        assert_eq!(bed.command::<bool>(&["HEXISTS", "karton.rs.analysis:full", task.uid()]).await, *round == 1);
    }
    assert_eq!(bed.command::<String>(&["HGET", "karton.rs.analysis:full", "full"]).await, "1");
    assert_eq!(bed.command::<String>(&["GET", "karton.rs.analysis:odd"]).await, "x");
    let histories: Vec<String> = bed.command(&["ZRANGE", "karton.rs.analyses", "0", "-1"]).await;
    assert!(histories.contains(&"full".to_owned()), "{histories:?}");
}

/// How many records Redis has been asked for.
async fn records_read(bed: &Bed) -> u64 {
    let stats: String = bed.command(&["INFO", "commandstats"]).await;
    let calls = |line: &str| line.strip_prefix("cmdstat_strlen:calls=")?.split(',').next()?.parse().ok();
    stats.lines().find_map(calls).unwrap_or(0)
}

#[tokio::test]
async fn without_a_broker_of_ours_records_of_other_analyses_are_read_once() {
    let bed = Bed::start().await;
    let producer = bed.producer().await;
    let mut sent = Vec::new();
    for _ in 0..50 {
        sent.push(producer.send_task(Task::new(json!({"type": "sample"}))).await.unwrap());
    }
    let inspect = inspect(&bed);
    let roots: Vec<String> = sent.iter().map(|task| task.root_uid().to_owned()).collect();
    let analyses = inspect.analyses(&roots).await.unwrap();
    for (task, analysis) in sent.iter().zip(&analyses) {
        let uids: Vec<&str> = analysis.tasks().iter().map(Task::uid).collect();
        assert_eq!((uids, analysis.is_done()), (vec![task.uid()], false));
    }
    let read = records_read(&bed).await;
    for task in &sent[..10] {
        let analysis = inspect.analysis(task.root_uid()).await.unwrap();
        assert_eq!((analysis.tasks().len(), analysis.is_done()), (1, false));
    }
    assert_eq!(records_read(&bed).await - read, 10, "each its own");
    // What comes later is found as well.
    let late = producer.send_task(Task::new(json!({"type": "sample"}))).await.unwrap();
    assert_eq!(inspect.analysis(late.root_uid()).await.unwrap().tasks().len(), 1);
}

#[tokio::test]
async fn a_child_that_a_broker_of_python_has_in_its_hands_is_pending() {
    let bed = Bed::start().await;
    let [one, two] = ["0a12f75b-5d6d-453d-ac3a-59c85ed8d370", "91a521d0-4696-4df1-9188-c07c525a0808"];
    let record = |uid: &str, root_uid: &str, status: &str| {
        json!({"uid": uid, "root_uid": root_uid, "parent_uid": null, "orig_uid": null, "status": status, "priority": "normal",
            "last_update": 1.0, "error": null, "headers": {"type": "sample"}, "headers_persistent": {}, "payload": {},
            "payload_persistent": {}})
    };
    // It is in no queue any more, and its copies are in none yet. karton-core names a child by a root of its own.
    let children = ["{f459ff83}:f459ff83", "f459ff83", "{f459ff83", "f459ff83}:f459ff83"].map(|uid| (uid.to_owned(), one, "Declared"));
    let roots = [one, two].map(|uid| (format!("{{{uid}}}:{uid}"), uid, "Finished"));
    for (uid, root_uid, status) in children.iter().chain(&roots) {
        let () = bed.command(&["SET", &format!("karton.task:{uid}"), &record(uid, root_uid, status).to_string()]).await;
    }
    assert_eq!(inspect(&bed).analysis(one).await.unwrap().tasks().len(), 1 + children.len());
    let roots = [one.to_owned(), two.to_owned()];
    for (root_uid, done) in roots.iter().zip([false, true]) {
        assert_eq!(inspect(&bed).analysis(root_uid).await.unwrap().is_done(), done, "{root_uid}");
    }
    let both = inspect(&bed).analyses(&roots).await.unwrap();
    assert_eq!(both.iter().map(Analysis::is_done).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn who_waits_may_wait_for_ever() {
    let bed = Bed::start().await;
    let inspect = Inspect::new(&bed.config, "karton.test", None).unwrap();
    let analysis = inspect.wait("unknown", Duration::MAX).await.unwrap();
    assert!(analysis.is_done());
}
