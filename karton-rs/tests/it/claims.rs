//! What becomes of a task whose record somebody else has changed while it was ours, and of one that is
//! tried again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use karton_rs::{Consumer, RetryPolicy, Task, TaskState, testing::eventually};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::bed::Bed;

fn sample() -> Task {
    Task::new(json!({"type": "sample"}))
}

/// A consumer that waits in its handler until told to go on.
fn held(identity: &str) -> (Consumer, Arc<Notify>) {
    let go_on = Arc::new(Notify::new());
    let wait = Arc::clone(&go_on);
    let consumer = Consumer::new(identity).filters(json!([{"type": "sample"}])).process(move |_, _| {
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            Ok(())
        }
    });
    (consumer, go_on)
}

async fn record(bed: &Bed, uid: &str) -> Option<Task> {
    let record: Option<String> = bed.command(&["GET", &format!("karton.task:{uid}")]).await;
    record.map(|record| Task::from_json(&record).unwrap())
}

async fn no_claims(bed: &Bed) {
    eventually("no claims", || async { (bed.command::<u64>(&["ZCARD", "karton.rs.leases"]).await == 0).then_some(()) }).await;
}

#[tokio::test]
async fn a_claimed_task_is_started_in_the_step_that_takes_it_from_its_queue() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (consumer, go_on) = held("karton.x");
    let _consumer = bed.consumer(consumer).await;
    let mut task = sample();
    // Text that looks like the end of a record, where it is none.
    task.set_payload("trap", r#"", "status": "Spawned", "uid": "x"}"#);
    let sent = bed.producer().await.send_task(task).await.unwrap();
    let started = bed.reached(&sent, "karton.x", TaskState::Started).await;
    assert_eq!(bed.command::<u64>(&["LLEN", "karton.queue.normal:karton.x"]).await, 0);
    let text: String = bed.command(&["GET", &format!("karton.task:{}", started.uid())]).await;
    assert!(text.contains(r#""status": "Started""#), "{text}");
    assert!(started.last_update() >= sent.last_update());
    go_on.notify_one();
    let done = bed.reached(&sent, "karton.x", TaskState::Finished).await;
    assert_eq!(done.payload("trap"), sent.payload("trap"));
    // Nothing of the way it was marked is left.
    let text: String = bed.command(&["GET", &format!("karton.task:{}", started.uid())]).await;
    assert_eq!(text, done.to_json());
}

#[tokio::test]
async fn the_end_of_a_task_is_written_though_its_consumer_was_dropped_meanwhile() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (consumer, go_on) = held("karton.x");
    let consumer = bed.consumer(consumer).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.x", TaskState::Started).await;
    consumer.abandon();
    go_on.notify_one();
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
    no_claims(&bed).await;
}

#[tokio::test]
async fn a_task_that_is_cancelled_while_at_work_stays_cancelled() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (consumer, go_on) = held("karton.x");
    let _consumer = bed.consumer(consumer).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    let started = bed.reached(&sent, "karton.x", TaskState::Started).await;
    // As the dashboard cancels.
    let cancelled = started.to_json().replace("\"Started\"", "\"Finished\"").replace("\"error\": null", "\"error\": [\"by hand\"]");
    let key = format!("karton.task:{}", started.uid());
    let () = bed.command(&["SET", &key, &cancelled]).await;
    go_on.notify_one();
    no_claims(&bed).await;
    assert_eq!(bed.command::<String>(&["GET", &key]).await, cancelled);
    assert_eq!(bed.command::<Option<u64>>(&["HGET", "karton.metrics.consumed", "karton.x"]).await, None);
}

#[tokio::test]
async fn of_tasks_that_end_together_each_ends_as_if_it_were_alone() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let gate = Arc::new(Semaphore::new(0));
    let pass = Arc::clone(&gate);
    // The first half of the places ends in one round trip.
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).concurrency(8).process(move |_, task: Task| {
        let pass = Arc::clone(&pass);
        async move {
            pass.acquire().await?.forget();
            anyhow::ensure!(task.header("bad").is_none(), "bad");
            Ok(())
        }
    });
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let mut started = Vec::new();
    for headers in [json!({"type": "sample"}), json!({"type": "sample", "bad": 1}), json!({"type": "sample"}), json!({"type": "sample"})] {
        let sent = producer.send_task(Task::new(headers)).await.unwrap();
        started.push(bed.reached(&sent, "karton.x", TaskState::Started).await);
    }
    let [done, bad, cancelled, deleted] = &started[..] else { panic!("{started:?}") };
    let key = |task: &Task| format!("karton.task:{}", task.uid());
    let finished = cancelled.to_json().replace("\"Started\"", "\"Finished\"");
    let () = bed.command(&["SET", &key(cancelled), &finished]).await;
    let () = bed.command(&["DEL", &key(deleted)]).await;
    gate.add_permits(4);
    no_claims(&bed).await;
    eventually("an end", || async { Some(record(&bed, done.uid()).await?.status()).filter(|status| *status == TaskState::Finished) }).await;
    let crashed = record(&bed, bad.uid()).await.unwrap();
    assert_eq!((crashed.status(), crashed.error()[0]), (TaskState::Crashed, "Error: bad\n"));
    assert_eq!(bed.command::<String>(&["GET", &key(cancelled)]).await, finished);
    assert!(record(&bed, deleted.uid()).await.is_none());
    // The deleted one was processed, too.
    assert_eq!(bed.command::<u64>(&["HGET", "karton.metrics.consumed", "karton.x"]).await, 3);
    assert_eq!(bed.command::<u64>(&["HGET", "karton.metrics.crashed", "karton.x"]).await, 1);
    // The histories know of each end that was written.
    for (task, ended) in [(done, true), (bad, true), (cancelled, false), (deleted, true)] {
        let field = format!("{}:f", task.uid());
        let end: Option<String> = bed.command(&["HGET", &format!("karton.rs.analysis:{}", task.root_uid()), &field]).await;
        assert_eq!(end.is_some(), ended, "{end:?}");
    }
}

#[tokio::test]
async fn tasks_that_are_too_large_to_be_taken_together_stay_in_their_order() {
    let bed = Bed::start().await;
    let filling = "x".repeat(5 << 20);
    let uids = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
    for uid in uids {
        let mut task = Task::new(json!({"type": "sample", "receiver": "karton.x"}));
        task.set_payload("filling", filling.as_str());
        let spawned = task.to_json().replace("Declared", "Spawned").replace(task.uid(), uid);
        let () = bed.command(&["SET", &format!("karton.task:{uid}"), &spawned]).await;
        let () = bed.command(&["RPUSH", "karton.queue.normal:karton.x", uid]).await;
    }
    let gate = Arc::new(Semaphore::new(0));
    let pass = Arc::clone(&gate);
    // There is room for four at once, and one of them is enough bytes.
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).concurrency(7).process(move |_, _| {
        let pass = Arc::clone(&pass);
        async move {
            pass.acquire().await?.forget();
            Ok(())
        }
    });
    let _consumer = bed.consumer(consumer).await;
    eventually("seven at work", || async {
        let queue: Vec<String> = bed.command(&["LRANGE", "karton.queue.normal:karton.x", "0", "-1"]).await;
        let claimed: u64 = bed.command(&["ZCARD", "karton.rs.leases"]).await;
        (claimed == 7 && queue == ["8", "9"]).then_some(())
    })
    .await;
    gate.add_permits(uids.len());
    let consumed = || async { bed.command::<Option<usize>>(&["HGET", "karton.metrics.consumed", "karton.x"]).await };
    eventually("all processed", || async { (consumed().await == Some(uids.len())).then_some(()) }).await;
}

#[tokio::test]
async fn a_consumer_that_wakes_after_its_claim_has_lapsed_touches_nothing_of_the_next_one() {
    let bed = Bed::start().await;
    let (consumer, go_on) = held("karton.x");
    let _consumer = bed.consumer(consumer).await;
    let uid = "{5f7dfa79-bb6c-4a65-a7c8-3dbdc4c6ab1c}:7c1d6a22-5a4e-4c6c-8c19-0cf6cb8a3fa6";
    let task = Task::new(json!({"type": "sample", "receiver": "karton.x"})).to_json();
    let own = Task::from_json(&task).unwrap().uid().to_owned();
    let spawned = task.replace("Declared", "Spawned").replace(&own, uid);
    let () = bed.command(&["SET", &format!("karton.task:{uid}"), &spawned]).await;
    let () = bed.command(&["RPUSH", "karton.queue.normal:karton.x", uid]).await;
    eventually("a start", || async { Some(record(&bed, uid).await?.status()).filter(|status| *status == TaskState::Started) }).await;
    // Somebody else has it now.
    let theirs = spawned.replace("Spawned", "Started").replace("\"last_update\": ", "\"last_update\": 1");
    let () = bed.command(&["SET", &format!("karton.task:{uid}"), &theirs]).await;
    go_on.notify_one();
    // The first one is done with it when it takes the next task.
    let () = bed.command(&["RPUSH", "karton.queue.normal:karton.x", "gone"]).await;
    eventually("the next task", || async { (bed.command::<u64>(&["LLEN", "karton.queue.normal:karton.x"]).await == 0).then_some(()) })
        .await;
    assert_eq!(bed.command::<String>(&["GET", &format!("karton.task:{uid}")]).await, theirs);
    assert!(bed.command::<Option<f64>>(&["ZSCORE", "karton.rs.leases", uid]).await.is_some());
}

#[tokio::test]
async fn a_failed_task_is_tried_again_as_often_as_the_policy_says_and_then_crashed() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let policy = RetryPolicy::new(2).backoff(Duration::from_millis(10)).on(|error| error.to_string() != "hopeless");
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).retry(policy).process(move |_, task| {
        let run = count.fetch_add(1, Ordering::SeqCst);
        async move {
            anyhow::ensure!(task.header_str("hopeless").is_none(), "hopeless");
            anyhow::ensure!(task.header_str("good").is_some() && run > 0, "try {run}");
            Ok(())
        }
    });
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let bad = producer.send_task(sample()).await.unwrap();
    let crashed = bed.reached(&bad, "karton.x", TaskState::Crashed).await;
    assert_eq!((runs.load(Ordering::SeqCst), crashed.error()[0]), (3, "Error: try 2\n"));
    let good = producer.send_task(Task::new(json!({"type": "sample", "good": "1"}))).await.unwrap();
    let done = bed.reached(&good, "karton.x", TaskState::Finished).await;
    assert!(done.error().is_empty());
    let before = runs.load(Ordering::SeqCst);
    let hopeless = producer.send_task(Task::new(json!({"type": "sample", "hopeless": "1"}))).await.unwrap();
    bed.reached(&hopeless, "karton.x", TaskState::Crashed).await;
    assert_eq!(runs.load(Ordering::SeqCst), before + 1);
    no_claims(&bed).await;
    for key in ["karton.rs.delayed", "karton.rs.attempts", "karton.rs.deliveries"] {
        assert!(!bed.command::<bool>(&["EXISTS", key]).await, "{key} holds something");
    }
    assert_eq!(bed.command::<u64>(&["HGET", "karton.metrics.crashed", "karton.x"]).await, 2);
}

#[tokio::test]
async fn a_waiting_task_is_spawned_outlives_its_consumer_and_can_be_cancelled() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let policy = RetryPolicy::new(9).backoff(Duration::from_secs(2));
    let failing =
        Consumer::new("karton.x").filters(json!([{"type": "sample"}])).retry(policy).process(|_, _| async { anyhow::bail!("no") });
    let running = bed.consumer(failing).await;
    let producer = bed.producer().await;
    let (one, two) = (producer.send_task(sample()).await.unwrap(), producer.send_task(sample()).await.unwrap());
    eventually("both to wait", || async { (bed.command::<u64>(&["ZCARD", "karton.rs.delayed"]).await == 2).then_some(()) }).await;
    running.stop().await.unwrap();
    let waiting = bed.reached(&one, "karton.x", TaskState::Spawned).await;
    let () =
        bed.command(&["SET", &format!("karton.task:{}", waiting.uid()), &waiting.to_json().replace("\"Spawned\"", "\"Finished\"")]).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let heir = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).process(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    let _heir = bed.consumer(heir).await;
    bed.reached(&two, "karton.x", TaskState::Finished).await;
    eventually("nothing to wait", || async { (!bed.command::<bool>(&["EXISTS", "karton.rs.delayed"]).await).then_some(()) }).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_task_that_comes_back_to_the_replica_that_has_it_is_held_until_its_last_run_ends() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let gates = Arc::new([Notify::new(), Notify::new()]);
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (wait, begin, end) = (Arc::clone(&gates), Arc::clone(&begun), Arc::clone(&ended));
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).concurrency(2).process(move |_, _| {
        let (wait, run, end) = (Arc::clone(&wait), begin.fetch_add(1, Ordering::SeqCst), Arc::clone(&end));
        async move {
            wait[run].notified().await;
            end.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let _consumer = bed.consumer_with(consumer, bed.with_options(&[("karton", "lease_timeout", "1")])).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    let started = bed.reached(&sent, "karton.x", TaskState::Started).await;
    // As when its claim has lapsed and the broker has queued it again.
    let mut pipeline = redis::pipe();
    pipeline.atomic().zrem("karton.rs.leases", started.uid()).ignore();
    pipeline.set(format!("karton.task:{}", started.uid()), started.to_json().replace("\"Started\"", "\"Spawned\"")).ignore();
    pipeline.lpush("karton.queue.normal:karton.x", started.uid()).ignore();
    let () = pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
    eventually("the second run", || async { (begun.load(Ordering::SeqCst) == 2).then_some(()) }).await;
    gates[0].notify_one();
    eventually("the end of the first run", || async { (ended.load(Ordering::SeqCst) == 1).then_some(()) }).await;
    let lapses = async || bed.command::<Option<f64>>(&["ZSCORE", "karton.rs.leases", started.uid()]).await.unwrap_or(0.0);
    let first = lapses().await;
    eventually("two seconds of renewals", || async { (lapses().await > first + 2.0).then_some(()) }).await;
    gates[1].notify_one();
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    no_claims(&bed).await;
}

#[tokio::test]
async fn a_producer_starts_a_crashed_task_again_and_no_other() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).process(move |_, _| {
        let run = count.fetch_add(1, Ordering::SeqCst);
        async move {
            anyhow::ensure!(run > 0, "not at first");
            Ok(())
        }
    });
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let sent = producer.send_task(sample()).await.unwrap();
    let crashed = bed.reached(&sent, "karton.x", TaskState::Crashed).await;
    let copy = producer.restart(crashed.uid()).await.unwrap().expect("it is started again");
    assert_eq!((copy.root_uid(), copy.header_str("receiver")), (sent.root_uid(), Some("karton.x")));
    eventually("the second run", || async { (runs.load(Ordering::SeqCst) == 2).then_some(()) }).await;
    // Once is enough: what it was is finished now. What has not crashed, or is gone, stays as it is.
    for uid in [crashed.uid(), copy.uid(), "nobody's"] {
        assert!(producer.restart(uid).await.unwrap().is_none(), "{uid}");
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_claim_from_before_the_clock_went_back_does_not_last_until_the_clock_is_there_again() {
    let bed = Bed::start().await;
    let record = r#"{"uid": "t", "root_uid": "r", "parent_uid": null, "status": "Started", "headers": {"receiver": "karton.x"}, "payload": {}, "payload_persistent": {}, "last_update": 5.0}"#;
    let () = bed.command(&["SET", "karton.task:t", record]).await;
    let (seconds, _): (u64, u64) = bed.command(&["TIME"]).await;
    let () = bed.command(&["ZADD", "karton.rs.leases", &(seconds + 36_000).to_string(), "t"]).await;
    let _broker = bed.broker();
    eventually("the task to be queued again", || async {
        (bed.command::<Vec<String>>(&["LRANGE", "karton.queue.normal:karton.x", "0", "-1"]).await == ["t"]).then_some(())
    })
    .await;
}
