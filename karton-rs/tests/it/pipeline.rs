//! Producers, broker and consumers together, on a real Redis and a real S3 server.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};
use std::time::{Duration, Instant};

use anyhow::bail;
use karton_rs::{
    Consumer, HandBack, Karton, LocalResource, LogConsumer, StopReason, Task, TaskPriority, TaskState, json::Value, testing::eventually,
};
use serde_json::json;
use tokio::{io::AsyncReadExt, sync::Notify};

use crate::bed::{Bed, Running};

fn any(identity: &str) -> karton_rs::ConsumerBuilder {
    Consumer::new(identity).filters(json!([{"type": "sample"}]))
}

fn sample() -> Task {
    Task::new(json!({"type": "sample", "kind": "raw"}))
}

#[tokio::test]
async fn a_file_goes_from_producer_to_consumer_and_its_product_to_the_next() {
    let bed = Bed::start().await;
    let broker = bed.broker();
    let folder = tempfile::tempdir().unwrap();
    let content = vec![7_u8; 3 << 20];
    let path = folder.path().join("a.bin");
    std::fs::write(&path, &content).unwrap();
    let first = any("karton.first").process(|karton: Karton, task: Task| async move {
        let sample = task.resource("sample")?;
        let mut whole = Vec::new();
        karton.open(&sample).await?.read_to_end(&mut whole).await?;
        anyhow::ensure!(karton.read_range(&sample, 10, 5).await?.len() == 5, "a range of five bytes");
        anyhow::ensure!(karton.read(&sample, 100).await.is_err(), "the limit is kept");
        let mut child = Task::new(json!({"type": "size"}));
        child.attach("text", LocalResource::from_bytes("size.txt", whole.len().to_string())?);
        karton.send_task(child).await?;
        Ok(())
    });
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let second = Consumer::new("karton.second").filters(json!([{"type": "size"}])).process(move |karton: Karton, task: Task| {
        let keep = Arc::clone(&keep);
        async move {
            let file = karton.download_temp(&task.resource("text")?).await?;
            *keep.lock().unwrap() = Some((std::fs::read_to_string(file.path())?, task.clone()));
            Ok(())
        }
    });
    let first = bed.consumer(first).await;
    let second = bed.consumer(second).await;
    let mut task = sample();
    task.attach("sample", LocalResource::from_path("a.bin", &path).await.unwrap());
    task.set_persistent_header("quality", "high");
    task.set_payload_persistent("uploader", "me");
    task.set_priority(TaskPriority::High);
    let sent = bed.producer().await.send_task(task).await.unwrap();
    eventually("the second service", || async { seen.lock().unwrap().is_some().then_some(()) }).await;
    let analysis = bed.done(&sent).await;
    let (text, child) = seen.lock().unwrap().clone().unwrap();
    assert_eq!(text, content.len().to_string());
    assert_eq!(child.root_uid(), sent.root_uid());
    assert_eq!((child.header_str("quality"), child.header_str("origin")), (Some("high"), Some("karton.first")));
    assert_eq!(child.payload("uploader").and_then(Value::as_str), Some("me"));
    assert_eq!(child.priority(), TaskPriority::High);
    let parent = analysis.tasks().iter().find(|task| Some(task.uid()) == child.parent_uid()).unwrap();
    assert_eq!(parent.header_str("receiver"), Some("karton.first"));
    let consumed: String = bed.command(&["HGET", "karton.metrics.consumed", "karton.first"]).await;
    assert_eq!(consumed, "1");
    assert_eq!(first.stop().await.unwrap(), StopReason::Shutdown);
    second.stop().await.unwrap();
    broker.stop().await.unwrap();
    let left: Vec<String> = bed.command(&["SMEMBERS", "karton.rs.routers"]).await;
    assert!(left.is_empty(), "a router that stopped cleanly leaves nothing: {left:?}");
}

#[tokio::test]
async fn errors_panics_and_timeouts_crash_the_task_with_their_text_and_the_consumer_lives() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let consumer = any("karton.bad").task_timeout(Duration::from_secs(1)).process(|_, task: Task| async move {
        match task.header_str("how") {
            Some("error") => Err(anyhow::anyhow!("inner").context("outer")),
            Some("panic") => panic!("boom"),
            Some("hang") => std::future::pending().await,
            _ => Ok(()),
        }
    });
    let consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    for (how, text) in [("error", "outer"), ("panic", "boom"), ("hang", "longer than 1 s")] {
        let mut task = sample();
        task.set_header("how", how);
        let sent = producer.send_task(task).await.unwrap();
        let crashed = bed.reached(&sent, "karton.bad", TaskState::Crashed).await;
        let error = crashed.error().concat();
        assert!(error.contains(text), "{how}: {error}");
        assert!(how != "error" || error.contains("Caused by: inner\n"), "{error}");
    }
    let sent = producer.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.bad", TaskState::Finished).await;
    let crashed: String = bed.command(&["HGET", "karton.metrics.crashed", "karton.bad"]).await;
    assert_eq!(crashed, "3");
    assert!(consumer.is_running());
}

#[tokio::test]
async fn a_task_that_does_not_match_any_more_or_was_cancelled_is_not_processed() {
    let bed = Bed::start().await;
    let processed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&processed);
    let consumer = any("karton.picky").process(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    // Placed into the queue by hand, as an older broker with an older bind would.
    for (uid, headers, status) in [("{r}:1", r#"{"type": "other"}"#, "Spawned"), ("{r}:2", r#"{"type": "sample"}"#, "Finished")] {
        let record = format!(
            r#"{{"uid": "{uid}", "root_uid": "r", "parent_uid": null, "status": "{status}", "headers": {headers}, "payload": {{}}, "payload_persistent": {{}}, "last_update": 5.0}}"#
        );
        let _: () = bed.command(&["SET", &format!("karton.task:{uid}"), &record]).await;
        let _: () = bed.command(&["RPUSH", "karton.queue.normal:karton.picky", uid]).await;
    }
    let consumer = bed.consumer(consumer).await;
    eventually("the rejected task", || async {
        let record: String = bed.command(&["GET", "karton.task:{r}:1"]).await;
        record.contains("\"Finished\"").then_some(())
    })
    .await;
    eventually("an empty queue", || async {
        let length: u64 = bed.command(&["LLEN", "karton.queue.normal:karton.picky"]).await;
        (length == 0).then_some(())
    })
    .await;
    consumer.stop().await.unwrap();
    assert_eq!(processed.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stopping_service_hands_back_what_it_cannot_finish_and_another_one_gets_it() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let waiting = any("karton.slow").process(|karton: Karton, _| async move {
        karton.stopping().cancelled().await;
        Err(HandBack("stopped while waiting".to_owned()).into())
    });
    let waiting = bed.consumer(waiting).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.slow", TaskState::Started).await;
    waiting.stop().await.unwrap();
    bed.reached(&sent, "karton.slow", TaskState::Spawned).await;
    // One that does not listen is cut off after its time.
    let deaf = any("karton.slow").process(|_, _| std::future::pending());
    let deaf = bed.consumer_with(deaf, bed.with_options(&[("karton", "stop_timeout", "1")])).await;
    bed.reached(&sent, "karton.slow", TaskState::Started).await;
    deaf.stop().await.unwrap();
    bed.reached(&sent, "karton.slow", TaskState::Spawned).await;
    let _quick = bed.consumer(any("karton.slow").process(|_, _| async { Ok(()) })).await;
    bed.reached(&sent, "karton.slow", TaskState::Finished).await;
}

#[tokio::test]
async fn an_idle_service_stops_within_two_seconds() {
    let bed = Bed::start().await;
    let broker = bed.broker();
    let consumer = bed.consumer(any("karton.idle").process(|_, _| async { Ok(()) })).await;
    let started = Instant::now();
    let (consumer, broker) = tokio::join!(consumer.stop(), broker.stop());
    assert_eq!(consumer.unwrap(), StopReason::Shutdown);
    broker.unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_replica_with_another_bind_retires_the_older_one_and_one_with_the_same_does_not() {
    let bed = Bed::start().await;
    let make = |version: &str| any("karton.replica").version(version).process(|_, _| async { Ok(()) });
    let first = bed.consumer(make("1")).await;
    let same = bed.consumer(make("1")).await;
    let newer = bed.consumer(make("2")).await;
    assert_eq!(first.ended().await.unwrap(), StopReason::BindReplaced);
    assert_eq!(same.ended().await.unwrap(), StopReason::BindReplaced);
    assert!(newer.is_running());
}

#[tokio::test]
async fn a_deleted_bind_is_registered_again() {
    let bed = Bed::start().await;
    let _consumer = bed.consumer(any("karton.stubborn").process(|_, _| async { Ok(()) })).await;
    let _: () = bed.command(&["HDEL", "karton.binds", "karton.stubborn"]).await;
    eventually("the bind", || async {
        let known: bool = bed.command(&["HEXISTS", "karton.binds", "karton.stubborn"]).await;
        known.then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_connection_name_is_restored_after_a_break() {
    let bed = Bed::start().await;
    let _consumer = bed.consumer(any("karton.named").process(|_, _| async { Ok(()) })).await;
    let online = || async {
        let list: String = bed.command(&["CLIENT", "LIST"]).await;
        list.lines().filter(|line| line.contains(" name=karton.named ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = online().await;
    assert_eq!(before.len(), 1, "one connection a replica: {before:?}");
    let id = before[0].split(' ').next().unwrap().strip_prefix("id=").unwrap().to_owned();
    let _: i64 = bed.command(&["CLIENT", "KILL", "ID", &id]).await;
    eventually("the name on another connection", || async {
        let now = online().await;
        (now.len() == 1 && !now[0].starts_with(&format!("id={id} "))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_connection_name_of_a_service_that_is_never_idle_is_restored_too() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let slow = any("karton.busy").process(|_, _| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    });
    let _consumer = bed.consumer(slow).await;
    let producer = bed.producer().await;
    for _ in 0..400 {
        producer.send_task(Task::new(json!({"type": "sample"}))).await.unwrap();
    }
    let waiting = || bed.command::<u64>(&["LLEN", "karton.queue.normal:karton.busy"]);
    eventually("many tasks in its queue", || async { (waiting().await > 200).then_some(()) }).await;
    let id = || async {
        let list: String = bed.command(&["CLIENT", "LIST"]).await;
        let line = list.lines().find(|line| line.contains(" name=karton.busy "))?;
        Some(line.split(' ').next()?.strip_prefix("id=")?.to_owned())
    };
    let before = id().await.unwrap();
    let _: i64 = bed.command(&["CLIENT", "KILL", "ID", &before]).await;
    eventually("the name on another connection", || async { id().await.filter(|now| *now != before) }).await;
    assert!(waiting().await > 0, "it has come to rest");
}

#[tokio::test]
async fn log_records_reach_a_log_consumer_with_their_task() {
    let bed = Bed::start().await;
    karton_rs::service::start_logging(Some(&bed.config));
    let _broker = bed.broker();
    let records = Arc::new(Mutex::new(Vec::<Value>::new()));
    let keep = Arc::clone(&records);
    let config = bed.config.clone();
    let _listener = Running::spawn(move |shutdown| async move {
        LogConsumer::new("karton.listener")
            .logger("karton.talker")
            .run(&config, shutdown, move |record| keep.lock().unwrap().push(record))
            .await
    });
    eventually("the subscription", || async {
        let patterns: u64 = bed.command(&["PUBSUB", "NUMPAT"]).await;
        (patterns == 1).then_some(())
    })
    .await;
    let talker = any("karton.talker").process(|_, _| async {
        tracing::warn!(answer = 42, "something to say");
        bail!("no good")
    });
    let _talker = bed.consumer(talker).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    let find = |text: &'static str| {
        let records = Arc::clone(&records);
        move || {
            let found = records
                .lock()
                .unwrap()
                .iter()
                .find(|r| r.get("message").and_then(Value::as_str).is_some_and(|m| m.contains(text)))
                .cloned();
            async move { found }
        }
    };
    let said = eventually("the warning", find("something to say answer=42")).await;
    let text = |record: &Value, name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    assert_eq!((text(&said, "levelname").as_deref(), text(&said, "name").as_deref()), (Some("WARNING"), Some("karton.talker")));
    assert_eq!(said.get("task").and_then(|task| task.get("root_uid")).and_then(Value::as_str), Some(sent.root_uid()));
    let failed = eventually("the failure", find("no good")).await;
    assert_eq!(text(&failed, "levelname").as_deref(), Some("ERROR"));
}

#[tokio::test]
async fn who_begins_to_listen_after_a_flood_that_nobody_heard_hears_the_next_records() {
    let bed = Bed::start().await;
    karton_rs::service::start_logging(Some(&bed.config));
    let _broker = bed.broker();
    let talker = any("karton.talker").process(|_, _| async {
        (0..200).for_each(|_| tracing::info!("chatter"));
        tracing::info!("the last one");
        Ok(())
    });
    let _talker = bed.consumer(talker).await;
    let producer = bed.producer().await;
    for _ in 0..5 {
        let sent = producer.send_task(sample()).await.unwrap();
        bed.reached(&sent, "karton.talker", TaskState::Finished).await;
    }
    let heard = Arc::new(AtomicUsize::new(0));
    let (config, hears) = (bed.config.clone(), Arc::clone(&heard));
    let _listener = Running::spawn(move |shutdown| async move {
        let hear = move |record: Value| {
            if record.get("message").and_then(Value::as_str) == Some("the last one") {
                hears.fetch_add(1, Ordering::Relaxed);
            }
        };
        LogConsumer::new("karton.listener").logger("karton.talker").run(&config, shutdown, hear).await
    });
    eventually("the subscription", || async { (bed.command::<u64>(&["PUBSUB", "NUMPAT"]).await == 1).then_some(()) }).await;
    producer.send_task(sample()).await.unwrap();
    eventually("the record", || async { (heard.load(Ordering::Relaxed) > 0).then_some(()) }).await;
}

/// Passes on what a client sends, and nothing of what comes back once something was sent to a queue: then the
/// connection breaks. Every later connection works.
async fn losing_one_reply(redis: u16, routed: Arc<Notify>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let lost = Arc::new(std::sync::atomic::AtomicBool::new(false));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect(("127.0.0.1", redis)).await.unwrap();
            let (lost, routed) = (Arc::clone(&lost), Arc::clone(&routed));
            tokio::spawn(async move {
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.into_split(), server.into_split());
                let losing = Arc::new(std::sync::atomic::AtomicBool::new(false));
                let lose = Arc::clone(&losing);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 1 << 16];
                    while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                        let sends = buffer[..count].windows(5).any(|window| window == b"RPUSH");
                        if sends && !lost.swap(true, Ordering::SeqCst) {
                            lose.store(true, Ordering::SeqCst);
                        }
                        tokio::io::AsyncWriteExt::write_all(&mut to_server, &buffer[..count]).await.unwrap();
                    }
                });
                let mut buffer = vec![0; 1 << 16];
                while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
                    if losing.load(Ordering::SeqCst) {
                        // What has arrived is to be routed before it is sent again.
                        routed.notified().await;
                        return;
                    }
                    tokio::io::AsyncWriteExt::write_all(&mut to_client, &buffer[..count]).await.unwrap();
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_task_whose_reply_was_lost_is_routed_once() {
    let bed = Bed::start().await;
    let broker = bed.broker();
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, routed) = (Arc::clone(&count), Arc::new(Notify::new()));
    let tell = Arc::clone(&routed);
    let consumer = bed
        .consumer(any("karton.counter").process(move |_: Karton, _: Task| {
            counted.fetch_add(1, Ordering::SeqCst);
            tell.notify_one();
            async { Ok(()) }
        }))
        .await;
    let port = losing_one_reply(bed.redis.port(), routed).await;
    let producer = Karton::connect(&bed.with_options(&[("redis", "port", &port.to_string())]), "karton.producer", None).await.unwrap();
    let sent = producer.send_task(sample()).await.unwrap();
    // One that is sent behind it is through only when the first one is.
    producer.send_task(sample()).await.unwrap();
    eventually("both are processed", || async { (count.load(Ordering::SeqCst) >= 2).then_some(()) }).await;
    let first = bed.done(&sent).await;
    assert_eq!(first.tasks().iter().filter(|task| task.header_str("receiver").is_some()).count(), 1, "{first:?}");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    consumer.stop().await.unwrap();
    broker.stop().await.unwrap();
}
