//! The broker on a real Redis: what it must route, keep, put aside and collect.

use std::collections::BTreeSet;
use std::time::Duration;

use karton_rs::{
    Consumer, LocalResource, Task, TaskState,
    testing::{RedisServer, eventually, within},
};
use serde_json::json;

use crate::bed::{Bed, Way};

const BIND: &str = r#"{"filters": [{"type": "sample"}], "info": null, "is_async": false, "persistent": true, "service_version": null, "version": "5.9.1"}"#;

fn sample(number: usize) -> Task {
    let mut task = Task::new(json!({"type": "sample"}));
    task.set_payload("number", u64::try_from(number).unwrap());
    task
}

async fn queued(bed: &Bed, identity: &str) -> usize {
    bed.command::<u64>(&["LLEN", &format!("karton.queue.normal:{identity}")]).await.try_into().unwrap()
}

async fn all_queued(bed: &Bed, identity: &str, count: usize) {
    eventually(&format!("{count} tasks for {identity}"), || async { (queued(bed, identity).await >= count).then_some(()) }).await;
    assert_eq!(queued(bed, identity).await, count);
}

#[tokio::test]
async fn bad_tasks_and_binds_among_good_ones_are_put_aside_and_every_good_one_is_routed() {
    let bed = Bed::start().await;
    let _: () = bed.command(&["HSET", "karton.binds", "karton.good", BIND]).await;
    for (identity, bind) in [
        ("karton.not-json", "{"),
        ("karton.operator", r#"{"filters": [{"type": {"$in": 5}}], "info": null, "persistent": true, "version": "5"}"#),
        ("karton.regex", r#"{"filters": [{"type": {"$regex": "("}}], "info": null, "persistent": true, "version": "5"}"#),
    ] {
        let _: () = bed.command(&["HSET", "karton.binds", identity, bind]).await;
    }
    let record = |status: &str, extra: &str| {
        format!(
            r#"{{"uid": "x", "root_uid": "x", "parent_uid": null, "status": "{status}", "headers": {{"type": "sample"}}, "payload": {{"v": {extra}}}, "payload_persistent": {{}}}}"#
        )
    };
    let bad: Vec<(&str, Vec<u8>)> = vec![
        ("not-json", b"{\"uid\"".to_vec()),
        ("not-an-object", b"[1, 2]".to_vec()),
        ("unknown-status", record("Sleeping", "1").into_bytes()),
        ("missing-field", b"{\"uid\": \"x\"}".to_vec()),
        ("not-utf8", b"{\"uid\": \"\xff\"}".to_vec()),
        ("too-deep", record("Declared", &("[".repeat(5000) + &"]".repeat(5000))).into_bytes()),
    ];
    let mut redis = bed.redis.connection().await;
    let producer = bed.producer().await;
    for number in 0..199 {
        if let Some((uid, record)) = bad.get(number / 30).filter(|_| number % 30 == 7) {
            let _: () =
                redis::pipe().set(format!("karton.task:{uid}"), record).rpush("karton.tasks", *uid).query_async(&mut redis).await.unwrap();
        }
        producer.send_task(sample(number)).await.unwrap();
    }
    // Large and odd, yet readable: these are routed.
    for (uid, value) in [("huge", format!("\"{}\"", "x".repeat(10 << 20))), ("number", "9".repeat(5000)), ("nan", "NaN".to_owned())] {
        let record = record("Declared", &value).replace("\"uid\": \"x\"", &format!("\"uid\": \"{uid}\""));
        let _: () =
            redis::pipe().set(format!("karton.task:{uid}"), record).rpush("karton.tasks", uid).query_async(&mut redis).await.unwrap();
    }
    let broker = bed.broker();
    all_queued(&bed, "karton.good", 199 + 3).await;
    let aside: BTreeSet<String> = bed.quarantine().await.into_iter().collect();
    for (uid, _) in &bad {
        assert!(aside.contains(*uid), "{uid} is not in quarantine: {aside:?}");
    }
    for identity in ["karton.not-json", "karton.operator", "karton.regex"] {
        assert!(aside.contains(&format!("bind:{identity}")), "{identity}: {aside:?}");
    }
    assert!(broker.is_running());
}

#[tokio::test]
async fn what_a_dead_router_had_taken_is_routed_by_another_and_a_living_ones_is_not() {
    let bed = Bed::start().await;
    let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
    let producer = bed.producer().await;
    for router in ["dead", "alive"] {
        let sent = producer.send_task(sample(0)).await.unwrap();
        let _: () = bed.command(&["LREM", "karton.tasks", "0", sent.uid()]).await;
        let _: () = bed.command(&["RPUSH", &format!("karton.rs.inflight:{router}"), sent.uid()]).await;
        let _: () = bed.command(&["SADD", "karton.rs.routers", router]).await;
    }
    let _: () = bed.command(&["SET", "karton.rs.router:alive", "1", "EX", "1000"]).await;
    let _broker = bed.broker();
    all_queued(&bed, "karton.x", 1).await;
    let left: u64 = bed.command(&["LLEN", "karton.rs.inflight:alive"]).await;
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_task_that_was_pushed_twice_is_routed_once() {
    let bed = Bed::start().await;
    let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
    let sent = bed.producer().await.send_task(sample(0)).await.unwrap();
    let _: () = bed.command(&["RPUSH", "karton.tasks", sent.uid()]).await;
    let _broker = bed.broker();
    all_queued(&bed, "karton.x", 1).await;
    // Once more, after it was routed; the next task shows that the broker has passed it.
    let _: () = bed.command(&["RPUSH", "karton.tasks", sent.uid()]).await;
    bed.producer().await.send_task(sample(1)).await.unwrap();
    all_queued(&bed, "karton.x", 2).await;
}

#[tokio::test]
async fn a_task_that_a_service_sends_on_as_it_came_is_routed() {
    let bed = Bed::start().await;
    let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
    let producer = bed.producer().await;
    for (number, status) in ["Started", "Spawned", "Crashed", "Finished"].into_iter().enumerate() {
        let sent = producer.send_task(sample(number)).await.unwrap();
        let key = format!("karton.task:{}", sent.uid());
        let record: String = bed.command(&["GET", &key]).await;
        let _: () = bed.command(&["SET", &key, &record.replace("\"Declared\"", &format!("\"{status}\""))]).await;
    }
    // The last one shows that the broker has passed the others, of which a broker had finished one.
    producer.send_task(sample(4)).await.unwrap();
    let _broker = bed.broker();
    all_queued(&bed, "karton.x", 4).await;
    eventually("all to be passed", || async { (bed.command::<u64>(&["LLEN", "karton.tasks"]).await == 0).then_some(()) }).await;
    assert_eq!(queued(&bed, "karton.x").await, 4);
}

#[tokio::test]
async fn two_brokers_route_every_task_once() {
    let bed = Bed::start().await;
    let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
    let (first, second) = (bed.broker(), bed.broker());
    let producer = bed.producer().await;
    for number in 0..600 {
        producer.send_task(sample(number)).await.unwrap();
    }
    all_queued(&bed, "karton.x", 600).await;
    first.stop().await.unwrap();
    second.stop().await.unwrap();
    assert_eq!(queued(&bed, "karton.x").await, 600);
}

#[tokio::test]
async fn redis_may_die_and_come_back_without_a_lost_task() {
    let mut bed = Bed::durable().await;
    let broker = bed.broker();
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).concurrency(4).process(|_, _| async { Ok(()) });
    let consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let mut sent = Vec::new();
    for number in 0..60 {
        if number == 20 || number == 40 {
            bed.redis.kill();
            let restarted = async {
                bed.redis.restart().await;
            };
            // Sending waits for Redis.
            let (task, ()) = tokio::join!(producer.send_task(sample(number)), restarted);
            sent.push(task.unwrap());
        } else {
            sent.push(producer.send_task(sample(number)).await.unwrap());
        }
    }
    for task in &sent {
        bed.reached(task, "karton.x", TaskState::Finished).await;
    }
    assert!(broker.is_running() && consumer.is_running());
}

#[tokio::test]
async fn services_started_without_redis_wait_for_it() {
    let mut redis = RedisServer::start_durable().await;
    let bed = Bed::start().await;
    let config = bed.with_options(&[("redis", "port", &redis.port().to_string())]);
    redis.kill();
    let broker = bed.broker_with(config.clone());
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).process(|_, _| async { Ok(()) });
    let running = crate::bed::Running::spawn(|shutdown| {
        let config = config.clone();
        async move { consumer.run(&config, shutdown).await }
    });
    redis.restart().await;
    let producer = karton_rs::Karton::connect(&config, "karton.producer", None).await.unwrap();
    let inspect = karton_rs::Inspect::of(&producer);
    eventually("the bind", || async { inspect.binds().await.unwrap().first().cloned() }).await;
    let sent = producer.send_task(sample(0)).await.unwrap();
    eventually("the task", || async {
        let analysis = inspect.analysis(sent.root_uid()).await.unwrap();
        analysis.tasks().iter().any(|task| task.header_str("receiver").is_some() && task.status() == TaskState::Finished).then_some(())
    })
    .await;
    running.stop().await.unwrap();
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn without_s3_the_broker_routes_and_a_task_that_needs_it_fails_clearly() {
    let mut bed = Bed::start().await;
    let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
    bed.stop_s3().await;
    let broker = bed.broker();
    let producer = bed.producer().await;
    producer.send_task(sample(0)).await.unwrap();
    all_queued(&bed, "karton.x", 1).await;
    let mut task = sample(1);
    task.attach("sample", LocalResource::from_bytes("a.bin", "content").unwrap());
    let error = producer.send_task(task.clone()).await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("cannot upload `a.bin`"), "{error}");
    // Not handed over; its record stands for the collector to find.
    assert!(bed.command::<bool>(&["EXISTS", &format!("karton.task:{}", task.uid())]).await);
    assert_eq!((bed.command::<u64>(&["LLEN", "karton.tasks"]).await, queued(&bed, "karton.x").await), (0, 1));
    bed.start_s3().await;
    producer.send_task(task).await.unwrap();
    all_queued(&bed, "karton.x", 2).await;
    assert!(broker.is_running());
}

#[tokio::test]
async fn the_collector_removes_what_is_done_and_keeps_what_is_needed() {
    let bed = Bed::start().await;
    let producer = bed.producer().await;
    let mut kept = sample(0);
    kept.attach("sample", LocalResource::from_bytes("kept.bin", "kept").unwrap());
    let kept_object = kept.resource("sample").unwrap().uid;
    let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
    let kept = producer.send_task(kept).await.unwrap();
    let mut done = Task::new(json!({"type": "nobody wants this"}));
    done.attach("sample", LocalResource::from_bytes("done.bin", "done").unwrap());
    let done_object = done.resource("sample").unwrap().uid;
    let done = producer.send_task(done).await.unwrap();
    // Unreadable, and it names an object: both stay.
    let mut named = sample(2);
    named.attach("sample", LocalResource::from_bytes("named.bin", "named").unwrap());
    let named_object = named.resource("sample").unwrap().uid;
    let named = producer.send_task(named).await.unwrap();
    let _: () = bed.command(&["LREM", "karton.tasks", "0", named.uid()]).await;
    let _: () = bed.command(&["SET", &format!("karton.task:{}", named.uid()), &format!("{{broken {named_object}")]).await;
    // Somebody's non-persistent bind, without anybody behind it.
    let _: () = bed.command(&["HSET", "karton.binds", "karton.np", &BIND.replace("true", "false")]).await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "gc_interval", "1"), ("system", "task_dispatched_timeout", "1")]));
    let exists = async |key: String| bed.command::<bool>(&["EXISTS", &key]).await;
    eventually("the finished task to go", || async { (!exists(format!("karton.task:{}", done.uid())).await).then_some(()) }).await;
    let object = |uid: &str| bed.object_exists(uid);
    eventually("its object to go", || async { (!object(&done_object)).then_some(()) }).await;
    eventually("the bind to go", || async { (!bed.command::<bool>(&["HEXISTS", "karton.binds", "karton.np"]).await).then_some(()) }).await;
    assert!(object(&kept_object), "the object of a queued task");
    assert!(object(&named_object), "the object of an unreadable task");
    assert!(exists(format!("karton.task:{}", named.uid())).await);
    assert!(bed.quarantine().await.contains(&named.uid().to_owned()));
    assert!(bed.analysis(&kept).await.tasks().iter().any(|task| task.status() == TaskState::Spawned));
    let collected: String = bed.command(&["HGET", "karton.metrics.garbage-collected", "unknown"]).await;
    assert!(collected.parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn a_pause_of_redis_does_not_keep_the_collector_from_its_work() {
    let bed = Bed::start().await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "gc_interval", "1")]));
    let producer = bed.producer().await;
    let gone = async |task: Task| {
        let key = format!("karton.task:{}", task.uid());
        let look = || async { (!bed.command::<bool>(&["EXISTS", &key]).await).then_some(()) };
        within(Duration::from_secs(30), "the finished task to go", look).await;
    };
    gone(producer.send_task(sample(0)).await.unwrap()).await;
    // A collection begins in it, and waits.
    let _: () = bed.command(&["CLIENT", "PAUSE", "4000", "ALL"]).await;
    gone(producer.send_task(sample(1)).await.unwrap()).await;
}

#[tokio::test]
async fn a_task_in_the_hands_of_a_router_is_not_collected() {
    let bed = Bed::start().await;
    let sent = bed.producer().await.send_task(sample(0)).await.unwrap();
    let lost = bed.producer().await.send_task(sample(1)).await.unwrap();
    let _: () = bed.command(&["DEL", "karton.tasks"]).await;
    let _: () = bed.command(&["SADD", "karton.rs.routers", "busy"]).await;
    let _: () = bed.command(&["SET", "karton.rs.router:busy", "1", "EX", "1000"]).await;
    let _: () = bed.command(&["RPUSH", "karton.rs.inflight:busy", sent.uid()]).await;
    let options = [("system", "gc_interval", "1"), ("system", "task_dispatched_timeout", "0"), ("system", "enable_router", "0")];
    let _collector = bed.broker_with(bed.with_options(&options));
    eventually("the task in no list to go", || async {
        (!bed.command::<bool>(&["EXISTS", &format!("karton.task:{}", lost.uid())]).await).then_some(())
    })
    .await;
    assert!(bed.command::<bool>(&["EXISTS", &format!("karton.task:{}", sent.uid())]).await);
}

#[tokio::test]
async fn names_that_are_no_text_stop_neither_routing_nor_collecting() {
    let bed = Bed::start().await;
    let mut redis = bed.redis.connection().await;
    let odd: &[u8] = b"\xff\xfe";
    let key = [b"karton.task:", odd].concat();
    let mut pipeline = redis::pipe();
    pipeline.hset("karton.binds", odd, BIND).ignore().hset("karton.binds", "karton.x", BIND).ignore();
    pipeline.set(&key, "{").ignore().rpush("karton.tasks", odd).ignore();
    // Under a task's key, and no record at all.
    pipeline.rpush("karton.task:list", "a").ignore().rpush("karton.tasks", "list").ignore();
    let () = pipeline.query_async(&mut redis).await.unwrap();
    let sent = bed.producer().await.send_task(sample(0)).await.unwrap();
    let _broker = bed.broker_with(bed.with_options(&[("system", "gc_interval", "1")]));
    all_queued(&bed, "karton.x", 1).await;
    eventually("the routed task to be collected", || async {
        (!bed.command::<bool>(&["EXISTS", &format!("karton.task:{}", sent.uid())]).await).then_some(())
    })
    .await;
    let kept: bool = redis::cmd("EXISTS").arg(&key).query_async(&mut redis).await.unwrap();
    assert!(kept, "what cannot be read is kept");
    let aside = bed.quarantine().await;
    assert!(aside.iter().any(|entry| entry.starts_with("bind:")), "{aside:?}");
}

#[tokio::test]
async fn statistics_that_cannot_be_counted_keep_no_task_waiting() {
    let bed = Bed::start().await;
    for metric in ["produced", "assigned", "consumed", "crashed"] {
        let () = bed.command(&["SET", &format!("karton.metrics.{metric}"), "by hand"]).await;
    }
    let _broker = bed.broker();
    let service = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).process(|karton, task| async move {
        anyhow::ensure!(task.payload_as::<u64>("number")? != Some(0), "refused");
        karton.send_task(Task::new(json!({"type": "result"}))).await?;
        Ok(())
    });
    let _service = bed.consumer(service).await;
    let _results = bed.consumer(Consumer::new("karton.y").filters(json!([{"type": "result"}])).process(|_, _| async { Ok(()) })).await;
    let producer = bed.producer().await;
    let refused = producer.send_task(sample(0)).await.unwrap();
    bed.reached(&refused, "karton.x", TaskState::Crashed).await;
    // A broker that took each of them for an outage would rest for longer and longer.
    let one_by_one = async {
        for number in 1..12 {
            let mut task = sample(number);
            if number == 1 {
                task.attach("sample", LocalResource::from_bytes("a.bin", "content").unwrap());
            }
            let sent = producer.send_task(task).await.unwrap();
            bed.reached(&sent, "karton.y", TaskState::Finished).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), one_by_one).await.unwrap();
}

#[tokio::test]
async fn a_record_under_another_key_is_judged_by_its_key() {
    let bed = Bed::start().await;
    let original = bed.producer().await.send_task(sample(0)).await.unwrap();
    let record: String = bed.command(&["GET", &format!("karton.task:{}", original.uid())]).await;
    // A finished copy of a task that waits.
    let _: () = bed.command(&["SET", "karton.task:copy", &record.replace("Declared", "Finished")]).await;
    let nameless = record.replace("Declared", "Finished").replace(&format!("\"uid\": \"{}\"", original.uid()), "\"uid\": null");
    let _: () = bed.command(&["SET", "karton.task:nameless", &nameless]).await;
    let _collector = bed.broker_with(bed.with_options(&[("system", "gc_interval", "1"), ("system", "enable_router", "0")]));
    for key in ["karton.task:copy", "karton.task:nameless"] {
        eventually("the copy to go", || async { (!bed.command::<bool>(&["EXISTS", key]).await).then_some(()) }).await;
    }
    assert!(bed.command::<bool>(&["EXISTS", &format!("karton.task:{}", original.uid())]).await);
}

#[tokio::test]
async fn started_tasks_that_time_out_go_unless_a_consumer_holds_them() {
    let bed = Bed::start().await;
    let record = |uid: &str| {
        format!(
            r#"{{"uid": "{uid}", "root_uid": "r", "parent_uid": null, "status": "Started", "headers": {{"receiver": "karton.x"}}, "payload": {{}}, "payload_persistent": {{}}, "last_update": 5.0}}"#
        )
    };
    for uid in ["held", "lapsed", "lost"] {
        let _: () = bed.command(&["SET", &format!("karton.task:{uid}"), &record(uid)]).await;
    }
    // The broker will queue it again.
    let _: () = bed.command(&["ZADD", "karton.rs.leases", "99999999999", "held", "1", "lapsed"]).await;
    let options = [("system", "gc_interval", "1"), ("system", "sweep_interval", "3"), ("system", "crash_started_tasks_on_timeout", "1")];
    let broker = bed.broker_with(bed.with_options(&options));
    let status = async |uid: &str| {
        let record: Option<String> = bed.command(&["GET", &format!("karton.task:{uid}")]).await;
        record.map(|record| record.contains("Crashed"))
    };
    eventually("the lost task to crash", || async { (status("lost").await == Some(true)).then_some(()) }).await;
    assert_eq!((status("held").await, status("lapsed").await), (Some(false), Some(false)));
    all_queued(&bed, "karton.x", 1).await;
    let crashed: String = bed.command(&["HGET", "karton.metrics.crashed", "karton.x"]).await;
    assert_eq!(crashed, "1");
    broker.stop().await.unwrap();
    // Without the option they are deleted; a crashed one after its own time.
    let options = [("system", "gc_interval", "1"), ("system", "task_crashed_timeout", "0")];
    let _: () = bed.command(&["SET", "karton.task:old", &record("old")]).await;
    let _broker = bed.broker_with(bed.with_options(&options));
    for uid in ["lost", "old"] {
        eventually("both to go", || async { status(uid).await.is_none().then_some(()) }).await;
    }
    assert_eq!(status("held").await, Some(false));
}

#[tokio::test]
async fn status_changes_of_old_consumers_are_written_and_published() {
    let bed = Bed::start().await;
    let sent = bed.producer().await.send_task(sample(0)).await.unwrap();
    let _: () = bed.command(&["DEL", "karton.tasks"]).await;
    let key = format!("karton.task:{}", sent.uid());
    let record: String = bed.command(&["GET", &key]).await;
    let operation = json!({"status": "Crashed", "identity": "karton.old", "type": "operation", "task": record}).to_string();
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (keep, config) = (std::sync::Arc::clone(&heard), bed.config.clone());
    let _listener = crate::bed::Running::spawn(move |shutdown| async move {
        let listener = karton_rs::LogConsumer::new("karton.listener").logger("karton.operations");
        listener.run(&config, shutdown, move |record| keep.lock().unwrap().push(record)).await
    });
    eventually("the subscription", || async { (bed.command::<u64>(&["PUBSUB", "NUMPAT"]).await == 1).then_some(()) }).await;
    let _: () = bed.command(&["RPUSH", "karton.operations", "{", &operation]).await;
    let _broker = bed.broker();
    eventually("the status", || async {
        let record: String = bed.command(&["GET", &key]).await;
        record.contains("\"Crashed\"").then_some(())
    })
    .await;
    eventually("the record", || async {
        let heard = heard.lock().unwrap();
        heard.iter().any(|record| record.get("task").is_some_and(|task| task.get("uid").is_some())).then_some(())
    })
    .await;
    assert_eq!(bed.command::<u64>(&["LLEN", "karton.operations"]).await, 0);
    assert!(bed.quarantine().await.contains(&"operation:{".to_owned()));
}

#[tokio::test]
async fn a_missing_bucket_is_created_or_ends_the_broker_with_its_name() {
    let bed = Bed::start().await;
    let config = bed.with_options(&[("s3", "bucket", "elsewhere")]);
    let error = karton_rs::system::run(config.clone(), false, tokio_util::sync::CancellationToken::new()).await.unwrap_err();
    assert!(matches!(&error, karton_rs::Error::Config(_)) && error.to_string().contains("elsewhere"), "{error}");
    let broker = bed.broker_with(config.clone());
    let producer = karton_rs::Karton::connect(&config, "karton.producer", None).await.unwrap();
    eventually("the bucket", || async {
        let mut task = sample(0);
        task.attach("sample", LocalResource::from_bytes("a.bin", "content").unwrap());
        producer.send_task(task).await.ok()
    })
    .await;
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn credentials_are_used_when_the_server_wants_them_and_left_away_when_it_does_not() {
    let bed = Bed::start().await;
    let connect =
        async |options: &[(&str, &str, &str)]| karton_rs::Karton::connect(&bed.with_options(options), "karton.producer", None).await;
    // A server without users refuses credentials.
    connect(&[("redis", "password", "hunter2")]).await.unwrap();
    let mut admin = bed.redis.connection().await;
    let () = redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("hunter2").query_async(&mut admin).await.unwrap();
    connect(&[("redis", "password", "hunter2")]).await.unwrap();
    connect(&[("redis", "username", "default"), ("redis", "password", "hunter2")]).await.unwrap();
    connect(&[("redis", "url", &format!("redis://:hunter2@127.0.0.1:{}/3", bed.redis.port()))]).await.unwrap();
    for options in [vec![], vec![("redis", "password", "hunter3")]] {
        let error = connect(&options).await.err().expect("no way in").to_string();
        assert!(error.to_lowercase().contains("auth") && !error.contains("hunter"), "{error}");
    }
}

#[tokio::test]
async fn a_spawned_task_in_no_queue_is_queued_again() {
    let bed = Bed::start().await;
    let record = |uid: &str| {
        format!(
            r#"{{"uid": "{uid}", "root_uid": "r", "parent_uid": null, "status": "Spawned", "headers": {{"receiver": "karton.x"}}, "payload": {{}}, "payload_persistent": {{}}, "last_update": 5.0}}"#
        )
    };
    for uid in ["lost", "poison", "queued", "old-queue", "claimed"] {
        let _: () = bed.command(&["SET", &format!("karton.task:{uid}"), &record(uid)]).await;
    }
    let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
    // An identity whose queue of old is no list.
    let _: () = bed.command(&["HSET", "karton.binds", "karton.rs.deliveries", BIND]).await;
    let _: () = bed.command(&["RPUSH", "karton.queue.low:karton.x", "queued"]).await;
    let _: () = bed.command(&["RPUSH", "karton.x", "old-queue"]).await;
    let _: () = bed.command(&["ZADD", "karton.rs.leases", "99999999999", "claimed"]).await;
    let _: () = bed.command(&["HSET", "karton.rs.deliveries", "poison", "2"]).await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "orphan_grace", "1")]));
    all_queued(&bed, "karton.x", 1).await;
    eventually("the poison to crash", || async {
        let record: String = bed.command(&["GET", "karton.task:poison"]).await;
        record.contains("handed out 3 times").then_some(())
    })
    .await;
    let queue: Vec<String> = bed.command(&["LRANGE", "karton.queue.normal:karton.x", "0", "-1"]).await;
    assert_eq!(queue, ["lost"]);
    let deliveries: std::collections::BTreeMap<String, u64> = bed.command(&["HGETALL", "karton.rs.deliveries"]).await;
    assert_eq!(deliveries, [("lost".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_task_that_its_broker_took_to_its_grave_is_routed_unless_its_file_is_still_to_come() {
    let bed = Bed::start().await;
    let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
    let producer = bed.producer().await;
    let plain = producer.send_task(sample(0)).await.unwrap();
    let with_file = |number| {
        let mut task = sample(number);
        task.attach("file", LocalResource::from_bytes("file.txt", "x").unwrap());
        task
    };
    let sent = producer.send_task(with_file(1)).await.unwrap();
    for (number, bucket) in [(2, "karton"), (3, "of-somebody-else")] {
        let mut unsent = producer.send_task(with_file(number)).await.unwrap();
        let mut elsewhere = unsent.resource("file").unwrap();
        (elsewhere.uid, elsewhere.bucket) = ("not-uploaded-yet".to_owned(), Some(bucket.to_owned()));
        unsent.remove_payload("file");
        unsent.set_payload("file", elsewhere.to_value());
        let _: () = bed.command(&["SET", &format!("karton.task:{}", unsent.uid()), &unsent.to_json()]).await;
    }
    // A broker that pops them and dies.
    let _: () = bed.command(&["DEL", "karton.tasks"]).await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "orphan_grace", "1")]));
    bed.reached(&plain, "karton.x", TaskState::Spawned).await;
    bed.reached(&sent, "karton.x", TaskState::Spawned).await;
    assert_eq!(queued(&bed, "karton.x").await, 2);
    assert!(!bed.command::<bool>(&["EXISTS", "karton.tasks"]).await);
}

#[tokio::test]
async fn a_consumer_that_comes_while_the_collector_looks_who_is_there_keeps_its_bind() {
    let bed = Bed::start().await;
    let way = Way::to(bed.redis.port()).await;
    let port = way.port.to_string();
    let options = [("redis", "port", port.as_str()), ("system", "gc_interval", "1"), ("system", "history_ttl", "0")];
    let _broker = bed.broker_with(bed.with_options(&options));
    let calls = async |command: &str| {
        let stats: String = bed.command(&["INFO", "commandstats"]).await;
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")).map(str::to_owned));
        line.map_or(0, |line| line.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    // Among these is the one look for lost tasks, so that the next ones are of the collector.
    eventually("some looks", || async { (calls("client|list").await >= 4).then_some(()) }).await;
    let removed = calls("hdel").await;
    way.hold_answers_to("LIST");
    let before = calls("client|list").await;
    eventually("a look at the connections", || async { (calls("client|list").await > before).then_some(()) }).await;
    let fleeting = Consumer::new("karton.fleeting").filters(json!([{"type": "sample"}])).persistent(false).process(|_, _| async { Ok(()) });
    let _fleeting = bed.consumer(fleeting).await;
    way.let_answers_go();
    eventually("two more looks", || async { (calls("client|list").await > before + 2).then_some(()) }).await;
    assert_eq!(calls("hdel").await, removed);
}
