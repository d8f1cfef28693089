//! The consumer when things go wrong: its handler, its queue, its bind, its servers, or itself.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use std::time::{Duration, Instant};

use karton_rs::{
    Config, Consumer, Karton, LocalResource, LogConsumer, StopReason, Task, TaskPriority, TaskState, json::Value, system,
    testing::eventually,
};
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::bed::{Bed, Running, Way};

pub(crate) fn any(identity: &str) -> karton_rs::ConsumerBuilder {
    Consumer::new(identity).filters(json!([{"type": "sample"}]))
}

fn idle(identity: &str) -> Consumer {
    any(identity).process(|_, _| async { Ok(()) })
}

fn sample() -> Task {
    Task::new(json!({"type": "sample"}))
}

/// The record of a routed task, as text that can be bent.
pub(crate) fn routed(uid: &str, status: &str) -> String {
    format!(
        r#"{{"uid": "{uid}", "root_uid": "r", "parent_uid": null, "orig_uid": null, "status": "{status}", "headers": {{"receiver": "karton.x", "type": "sample"}}, "payload": {{}}, "payload_persistent": {{}}, "last_update": 5.0}}"#
    )
}

pub(crate) async fn status(bed: &Bed, key: &str) -> Option<String> {
    let record: Option<String> = bed.command(&["GET", key]).await;
    Value::parse(&record?).ok()?.get("status")?.as_str().map(str::to_owned)
}

pub(crate) async fn becomes(bed: &Bed, key: &str, wanted: &str) {
    eventually(&format!("{key} to be {wanted}"), || async { (status(bed, key).await? == wanted).then_some(()) }).await;
}

pub(crate) async fn no_claims(bed: &Bed) {
    eventually("all claims to end", || async {
        let claims: u64 = bed.command(&["ZCARD", "karton.rs.leases"]).await;
        let deliveries: u64 = bed.command(&["HLEN", "karton.rs.deliveries"]).await;
        (claims + deliveries == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_handler_that_panics_before_it_gives_its_future_crashes_its_task_alone() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let consumer = any("karton.x").process(|_, task: Task| {
        assert!(task.header("fatal").is_none(), "at once");
        async { Ok(()) }
    });
    let consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let mut fatal = sample();
    fatal.set_header("fatal", true);
    let fatal = producer.send_task(fatal).await.unwrap();
    let crashed = bed.reached(&fatal, "karton.x", TaskState::Crashed).await;
    assert!(crashed.error().concat().contains("at once"), "{:?}", crashed.error());
    let good = producer.send_task(sample()).await.unwrap();
    bed.reached(&good, "karton.x", TaskState::Finished).await;
    assert!(consumer.is_running());
    no_claims(&bed).await;
}

#[tokio::test]
async fn bad_entries_of_a_queue_are_put_aside_and_the_good_ones_processed() {
    let bed = Bed::start().await;
    let mut redis = bed.redis.connection().await;
    let queue = "karton.queue.normal:karton.x";
    let mut push = async |uid: &[u8], record: Option<&[u8]>| {
        let mut pipeline = redis::pipe();
        if let Some(record) = record {
            pipeline.set([b"karton.task:", uid].concat(), record).ignore();
        }
        pipeline.rpush(queue, uid).ignore();
        pipeline.query_async::<()>(&mut redis).await.unwrap();
    };
    push(b"no-json", Some(b"{")).await;
    push(b"no-text", Some(b"{\"uid\": \"\xff\"}")).await;
    push(b"deep", Some("[".repeat(100_000).as_bytes())).await;
    push(b"gone", None).await;
    push(b"\xff\xfe", None).await;
    // Records whose own uid is another one, or none: the key they stand under counts.
    push(b"copy", Some(routed("original", "Spawned").as_bytes())).await;
    push(b"nameless", Some(routed("x", "Spawned").replace("\"x\"", "null").as_bytes())).await;
    push(b"{r}:good", Some(routed("{r}:good", "Spawned").as_bytes())).await;
    let processed = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&processed);
    let consumer = any("karton.x").process(move |_, task: Task| {
        keep.lock().unwrap().push(task.uid().to_owned());
        async { Ok(()) }
    });
    let consumer = bed.consumer(consumer).await;
    for uid in ["copy", "nameless", "{r}:good"] {
        becomes(&bed, &format!("karton.task:{uid}"), "Finished").await;
    }
    no_claims(&bed).await;
    assert_eq!(*processed.lock().unwrap(), ["copy", "nameless", "{r}:good"]);
    let aside: Vec<Vec<u8>> = bed.command(&["HKEYS", "karton.rs.quarantine"]).await;
    for uid in [&b"no-json"[..], b"no-text", b"deep", b"\xff\xfe"] {
        assert!(aside.iter().any(|entry| entry == uid), "{uid:?} is not in quarantine");
    }
    assert_eq!(aside.len(), 4);
    assert!(consumer.is_running());
}

#[tokio::test]
async fn queues_are_served_in_the_order_of_the_reference() {
    let bed = Bed::start().await;
    for (queue, uid) in [
        ("karton.queue.low:karton.x", "low"),
        ("karton.queue.normal:karton.x", "normal"),
        ("karton.queue.high:karton.x", "high"),
        ("karton.x", "old"),
    ] {
        let _: () = bed.command(&["SET", &format!("karton.task:{uid}"), &routed(uid, "Spawned")]).await;
        let _: () = bed.command(&["RPUSH", queue, uid]).await;
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&order);
    let consumer = any("karton.x").process(move |_, task: Task| {
        keep.lock().unwrap().push(task.uid().to_owned());
        async { Ok(()) }
    });
    let _consumer = bed.consumer(consumer).await;
    eventually("four tasks", || async { (order.lock().unwrap().len() == 4).then_some(()) }).await;
    assert_eq!(*order.lock().unwrap(), ["old", "high", "normal", "low"]);
}

#[tokio::test]
async fn what_a_dead_consumer_had_is_processed_by_another_one() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let config = bed.with_options(&[("karton", "lease_timeout", "1")]);
    let mortal = bed.mortal(any("karton.x").concurrency(2).process(|_, _| std::future::pending()), config).await;
    let producer = bed.producer().await;
    let mut sent = Vec::new();
    for _ in 0..2 {
        sent.push(producer.send_task(sample()).await.unwrap());
    }
    for task in &sent {
        bed.reached(task, "karton.x", TaskState::Started).await;
    }
    mortal.die();
    let _heir = bed.consumer(idle("karton.x")).await;
    for task in &sent {
        bed.reached(task, "karton.x", TaskState::Finished).await;
    }
    no_claims(&bed).await;
}

#[tokio::test]
async fn a_task_that_kills_its_consumers_is_crashed_and_others_are_queued_again() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let headless = routed("headless", "Started").replace("\"receiver\": \"karton.x\", ", "");
    for (uid, record, deliveries) in [
        ("poison", routed("poison", "Started"), "2"),
        ("unlucky", routed("unlucky", "Started"), "1"),
        ("claimed-only", routed("claimed-only", "Spawned"), "1"),
        ("done", routed("done", "Finished"), "3"),
        ("headless", headless, "1"),
        ("broken", "{".to_owned(), "1"),
        ("odd-count", routed("odd-count", "Started"), "many"),
    ] {
        let _: () = bed.command(&["SET", &format!("karton.task:{uid}"), &record]).await;
        let _: () = bed.command(&["ZADD", "karton.rs.leases", "1", uid]).await;
        let _: () = bed.command(&["HSET", "karton.rs.deliveries", uid, deliveries]).await;
    }
    let _: () = bed.command(&["ZADD", "karton.rs.leases", "1", "deleted"]).await;
    let _: () =
        redis::cmd("ZADD").arg("karton.rs.leases").arg(1).arg(b"\xff").query_async(&mut bed.redis.connection().await).await.unwrap();
    for (uid, wanted) in [("poison", "Crashed"), ("unlucky", "Spawned"), ("headless", "Crashed"), ("done", "Finished")] {
        becomes(&bed, &format!("karton.task:{uid}"), wanted).await;
    }
    let record: String = bed.command(&["GET", "karton.task:poison"]).await;
    assert!(record.contains("handed out 3 times"), "{record}");
    eventually("the three in the queue", || async {
        let mut queue: Vec<String> = bed.command(&["LRANGE", "karton.queue.normal:karton.x", "0", "-1"]).await;
        queue.sort();
        (queue == ["claimed-only", "odd-count", "unlucky"]).then_some(())
    })
    .await;
    eventually("no claim on anything", || async { (bed.command::<u64>(&["ZCARD", "karton.rs.leases"]).await == 0).then_some(()) }).await;
    let crashed: String = bed.command(&["HGET", "karton.metrics.crashed", "karton.x"]).await;
    assert_eq!(crashed, "1");
}

#[tokio::test]
async fn a_claim_is_renewed_while_the_task_is_at_work() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (runs, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (count, wait) = (Arc::clone(&runs), Arc::clone(&done));
    let consumer = any("karton.x").process(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            Ok(())
        }
    });
    let _consumer = bed.consumer_with(consumer, bed.with_options(&[("karton", "lease_timeout", "1")])).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    let started = bed.reached(&sent, "karton.x", TaskState::Started).await;
    let lapses = async || bed.command::<Option<f64>>(&["ZSCORE", "karton.rs.leases", started.uid()]).await.unwrap_or(0.0);
    let first = lapses().await;
    // Renewed beyond its first end, and past a look of the broker.
    eventually("two seconds of renewals", || async { (lapses().await > first + 2.0).then_some(()) }).await;
    done.notify_one();
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    no_claims(&bed).await;
}

#[tokio::test]
async fn a_claim_is_renewed_while_handlers_keep_every_thread_busy() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    // Two tasks wait, so that both are taken at once.
    bed.consumer(idle("karton.x")).await.stop().await.unwrap();
    let karton = bed.producer().await;
    let sent = [karton.send_task(sample()).await.unwrap(), karton.send_task(sample()).await.unwrap()];
    eventually("both in the queue", || async { (bed.command::<u64>(&["LLEN", "karton.queue.normal:karton.x"]).await == 2).then_some(()) })
        .await;
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let runs = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&runs);
    // An async handler that does not wait as async code should, on a runtime that has no other thread.
    let consumer = any("karton.x").concurrency(4).process(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let ended = wait.lock().unwrap().recv();
        async move { Ok(ended?) }
    });
    let (config, stop) = (bed.with_options(&[("karton", "lease_timeout", "1")]), CancellationToken::new());
    let shutdown = stop.clone();
    let service = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(runtime.spawn(async move { consumer.run(&config, shutdown).await })).unwrap()
    });
    // The second one waits for the thread, too.
    for sent in &sent {
        bed.reached(sent, "karton.x", TaskState::Started).await;
    }
    let lapses = async || bed.command::<Vec<(String, f64)>>(&["ZRANGE", "karton.rs.leases", "0", "0", "WITHSCORES"]).await[0].1;
    let first = lapses().await;
    eventually("two seconds of renewals", || async { (lapses().await > first + 2.0).then_some(()) }).await;
    sent.iter().for_each(|_| done.send(()).unwrap());
    for sent in &sent {
        bed.reached(sent, "karton.x", TaskState::Finished).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    stop.cancel();
    assert_eq!(service.join().unwrap().unwrap(), StopReason::Shutdown);
    no_claims(&bed).await;
}

#[tokio::test]
async fn a_task_that_is_deleted_while_at_work_does_not_come_back() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let done = Arc::new(Notify::new());
    let wait = Arc::clone(&done);
    let consumer = any("karton.x").process(move |_, _| {
        let wait = Arc::clone(&wait);
        async move {
            wait.notified().await;
            Ok(())
        }
    });
    let _consumer = bed.consumer(consumer).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    let started = bed.reached(&sent, "karton.x", TaskState::Started).await;
    let key = format!("karton.task:{}", started.uid());
    let _: () = bed.command(&["DEL", &key]).await;
    done.notify_one();
    no_claims(&bed).await;
    assert_eq!(status(&bed, &key).await, None);
}

#[tokio::test]
async fn a_replica_that_was_cut_off_retires_when_a_newer_bind_stands() {
    let bed = Bed::start().await;
    let old = bed.consumer(any("karton.x").version("1").process(|_, _| async { Ok(()) })).await;
    let list: String = bed.command(&["CLIENT", "LIST"]).await;
    let line = list.lines().find(|line| line.contains(" name=karton.x ")).unwrap();
    let id = line.split(' ').next().unwrap().strip_prefix("id=").unwrap();
    let mut bind = karton_rs::Bind::new("karton.x", Value::from(json!([{"type": "sample"}])));
    bind.service_version = "2".into();
    let mut pipeline = redis::pipe();
    pipeline.atomic().hset("karton.binds", "karton.x", bind.to_json()).ignore().cmd("CLIENT").arg("KILL").arg("ID").arg(id).ignore();
    let () = pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
    assert_eq!(old.ended().await.unwrap(), StopReason::BindReplaced);
    assert_eq!(bed.command::<String>(&["HGET", "karton.binds", "karton.x"]).await, bind.to_json());
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left_for_a_new_connection() {
    let bed = Bed::start().await;
    let way = Way::to(bed.redis.port()).await;
    let config = bed.with_options(&[("redis", "port", &way.port.to_string()), ("redis", "socket_timeout", "1")]);
    let _consumer = bed.consumer_with(idle("karton.x"), config.clone()).await;
    let _broker = bed.broker_with(config);
    let producer = bed.producer().await;
    let sent = producer.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
    way.fall_silent();
    let sent = producer.send_task(sample()).await.unwrap();
    karton_rs::testing::within(Duration::from_secs(20), "the task after the silence", || async {
        let analysis = bed.analysis(&sent).await;
        analysis.tasks().iter().any(|task| task.header("receiver").is_some() && task.status() == TaskState::Finished).then_some(())
    })
    .await;
}

#[tokio::test]
async fn services_stop_at_once_while_redis_is_away() {
    let mut bed = Bed::durable().await;
    let broker = bed.broker();
    let consumer = bed.consumer(idle("karton.x")).await;
    let (config, subscribed) = (bed.config.clone(), CancellationToken::new());
    let logs = Running::spawn(move |shutdown| async move { LogConsumer::new("karton.listener").run(&config, shutdown, |_| ()).await });
    eventually("the subscription", || async { (bed.command::<u64>(&["PUBSUB", "NUMPAT"]).await == 1).then_some(()) }).await;
    subscribed.cancel();
    bed.redis.kill();
    let stopped = Instant::now();
    let (broker, consumer, logs) = tokio::join!(broker.stop(), consumer.stop(), logs.stop());
    broker.unwrap();
    logs.unwrap();
    assert_eq!(consumer.unwrap(), StopReason::Shutdown);
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
}

#[tokio::test]
async fn a_log_consumer_listens_again_after_redis_was_away() {
    let mut bed = Bed::durable().await;
    let records = Arc::new(AtomicUsize::new(0));
    let (count, config) = (Arc::clone(&records), bed.config.clone());
    let _logs = Running::spawn(move |shutdown| async move {
        let counting = move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        };
        LogConsumer::new("karton.listener").run(&config, shutdown, counting).await
    });
    for round in 1..=2 {
        eventually("the subscription", || async { (bed.command::<u64>(&["PUBSUB", "NUMPAT"]).await == 1).then_some(()) }).await;
        let _: u64 = bed.command(&["PUBLISH", "karton.log.info.x", "not JSON"]).await;
        let _: u64 = bed.command(&["PUBLISH", "karton.log.info.x", r#"{"type": "log"}"#]).await;
        eventually("the record", || async { (records.load(Ordering::SeqCst) == round).then_some(()) }).await;
        if round == 1 {
            bed.redis.restart().await;
        }
    }
}

#[tokio::test]
async fn without_s3_a_task_that_reads_crashes_clearly_and_so_does_one_whose_object_is_missing() {
    let mut bed = Bed::start().await;
    let _broker = bed.broker();
    let consumer = any("karton.x").process(|karton: Karton, task: Task| async move {
        karton.read(&task.resource("sample")?, 1000).await?;
        Ok(())
    });
    let consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let mut lost = sample();
    let mut never = LocalResource::from_bytes("lost.bin", "x").unwrap().resource().clone();
    never.bucket = Some("karton".to_owned());
    lost.set_payload("sample", never.to_value());
    let lost = producer.send_task(lost).await.unwrap();
    let crashed = bed.reached(&lost, "karton.x", TaskState::Crashed).await;
    let error = crashed.error().concat();
    assert!(error.contains("cannot read `lost.bin`") && error.contains(&never.uid) && error.contains("NoSuchKey"), "{error}");

    let mut good = sample();
    good.attach("sample", LocalResource::from_bytes("good.bin", "content").unwrap());
    let object = good.resource("sample").unwrap();
    let first = producer.send_task(good).await.unwrap();
    bed.reached(&first, "karton.x", TaskState::Finished).await;
    bed.stop_s3().await;
    let again = || {
        let mut again = sample();
        let mut object = object.clone();
        object.bucket = Some("karton".to_owned());
        again.set_payload("sample", object.to_value());
        again
    };
    let away = producer.send_task(again()).await.unwrap();
    let crashed = bed.reached(&away, "karton.x", TaskState::Crashed).await;
    let error = crashed.error().concat();
    assert!(error.contains("S3 at http://127.0.0.1") && error.contains("cannot read `good.bin`"), "{error}");
    bed.start_s3().await;
    let back = producer.send_task(again()).await.unwrap();
    bed.reached(&back, "karton.x", TaskState::Finished).await;
    assert!(consumer.is_running());
}

#[tokio::test]
async fn as_many_tasks_run_at_once_as_configured_and_no_more() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let (running, highest, pass) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
    let consumer = any("karton.x").process(move |_, _| {
        let (running, highest, pass) = (Arc::clone(&running), Arc::clone(&highest), Arc::clone(&pass));
        async move {
            highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            pass.acquire().await?.forget();
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let consumer = bed.consumer_with(consumer, bed.with_options(&[("karton", "concurrency_limit", "3")])).await;
    let producer = bed.producer().await;
    for _ in 0..10 {
        producer.send_task(sample()).await.unwrap();
    }
    eventually("three at once", || async { (now.load(Ordering::SeqCst) == 3).then_some(()) }).await;
    // Nothing more is taken than can start.
    let claims: u64 = bed.command(&["ZCARD", "karton.rs.leases"]).await;
    assert_eq!(claims, 3);
    // A stopping service finishes what it has, and takes nothing more.
    consumer.shutdown.cancel();
    gate.add_permits(100);
    assert_eq!(consumer.ended().await.unwrap(), StopReason::Shutdown);
    assert_eq!(most.load(Ordering::SeqCst), 3);
    let left: u64 = bed.command(&["LLEN", "karton.queue.normal:karton.x"]).await;
    let done: u64 = bed.command::<String>(&["HGET", "karton.metrics.consumed", "karton.x"]).await.parse().unwrap();
    assert_eq!((left + done, now.load(Ordering::SeqCst)), (10, 0));
    assert!((3..=6).contains(&done), "{done}");
}

#[tokio::test]
async fn any_number_of_tasks_at_once_may_be_configured() {
    let bed = Bed::start().await;
    let consumer = bed.consumer_with(idle("karton.x"), bed.with_options(&[("karton", "concurrency_limit", "9223372036854775807")])).await;
    assert_eq!(consumer.stop().await.unwrap(), StopReason::Shutdown);
}

#[tokio::test]
async fn the_tasks_of_a_consumer_that_is_not_persistent_go_with_it() {
    let bed = Bed::start().await;
    let broker = bed.broker_with(bed.with_options(&[("system", "gc_interval", "1")]));
    let fleeting = bed.consumer(any("karton.fleeting").persistent(false).concurrency(1).process(|_, _| std::future::pending())).await;
    let stop_at_once = bed.with_options(&[("karton", "stop_timeout", "0")]);
    let second = any("karton.second").persistent(false).process(|_, _| std::future::pending());
    let second = bed.consumer_with(second, stop_at_once).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.fleeting", TaskState::Started).await;
    bed.reached(&sent, "karton.second", TaskState::Started).await;
    // Several collections go by while one of them is online, and its bind and task stay.
    second.stop().await.unwrap();
    eventually("the bind of the other to go", || async {
        (!bed.command::<bool>(&["HEXISTS", "karton.binds", "karton.second"]).await).then_some(())
    })
    .await;
    eventually("its task to go", || async {
        let analysis = bed.analysis(&sent).await;
        analysis.tasks().iter().all(|task| task.header_str("receiver") != Some("karton.second")).then_some(())
    })
    .await;
    assert!(!bed.command::<bool>(&["EXISTS", "karton.queue.normal:karton.second"]).await);
    bed.reached(&sent, "karton.fleeting", TaskState::Started).await;
    assert!(fleeting.is_running() && broker.is_running());
}

#[tokio::test]
async fn a_service_without_a_name_is_refused() {
    let bed = Bed::start().await;
    let never = CancellationToken::new;
    let refused = |error: karton_rs::Error| assert!(error.to_string().contains("must not be empty"), "{error}");
    refused(idle("").run(&bed.config, never()).await.unwrap_err());
    refused(LogConsumer::new("").run(&bed.config, never(), |_| ()).await.unwrap_err());
    refused(system::run(bed.with_options(&[("karton", "identity", "")]), false, never()).await.unwrap_err());
    // A producer may be nameless.
    let sent = Karton::connect(&bed.config, "", None).await.unwrap().send_task(sample()).await.unwrap();
    assert_eq!((sent.header_str("origin"), sent.priority()), (Some(""), TaskPriority::Normal));
}

#[tokio::test]
async fn a_bind_that_cannot_be_read_is_replaced_by_a_starting_consumer() {
    let bed = Bed::start().await;
    let () =
        redis::cmd("HSET").arg("karton.binds").arg("karton.x").arg(b"\xff").query_async(&mut bed.redis.connection().await).await.unwrap();
    let consumer = bed.consumer(idle("karton.x")).await;
    let config: &Config = &bed.config;
    let binds = karton_rs::Inspect::new(config, "karton.viewer", None).unwrap().binds().await.unwrap();
    assert_eq!(binds.iter().map(|bind| bind.identity.as_str()).collect::<Vec<_>>(), ["karton.x"]);
    assert!(consumer.is_running());
}
