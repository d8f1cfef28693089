//! A Redis that is full, silent or away for a while: what is at work goes on, and nothing is handed out twice.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use std::time::Duration;

use karton_rs::{
    Consumer, ConsumerBuilder, LocalResource, RetryPolicy, Task, TaskState,
    testing::{eventually, throughout, within},
};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::bed::{Bed, Way};

fn any(identity: &str) -> ConsumerBuilder {
    Consumer::new(identity).filters(json!([{"type": "sample"}]))
}

fn sample() -> Task {
    Task::new(json!({"type": "sample"}))
}

/// A consumer that counts its runs, each of which goes on when it is let.
fn gated(builder: ConsumerBuilder) -> (Consumer, Arc<AtomicUsize>, Arc<Semaphore>) {
    let (runs, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, pass) = (Arc::clone(&runs), Arc::clone(&gate));
    let consumer = builder.process(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let pass = Arc::clone(&pass);
        async move {
            pass.acquire().await?.forget();
            Ok(())
        }
    });
    (consumer, runs, gate)
}

async fn lapses(bed: &Bed, uid: &str) -> f64 {
    bed.command::<Option<f64>>(&["ZSCORE", "karton.rs.leases", uid]).await.unwrap_or(0.0)
}

/// How many commands Redis has refused because it is full.
async fn refusals(bed: &Bed) -> u64 {
    let stats: String = bed.command(&["INFO", "errorstats"]).await;
    stats.lines().find_map(|line| line.strip_prefix("errorstat_OOM:count=")?.trim().parse().ok()).unwrap_or(0)
}

/// How often Redis was asked for a script that it does not know, as it tells.
async fn unknown_scripts(bed: &Bed) -> Option<String> {
    let stats: String = bed.command(&["INFO", "errorstats"]).await;
    stats.lines().find(|line| line.starts_with("errorstat_NOSCRIPT")).map(str::to_owned)
}

async fn queue_length(bed: &Bed, identity: &str) -> u64 {
    bed.command(&["LLEN", &format!("karton.queue.normal:{identity}")]).await
}

#[tokio::test]
async fn a_full_redis_is_worked_empty_and_then_everything_goes_on() {
    let bed = Bed::start().await;
    let _broker = bed.broker_with(bed.with_options(&[("system", "gc_interval", "1")]));
    let (consumer, runs, gate) = gated(any("karton.x").concurrency(2));
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let mut sent = Vec::new();
    for _ in 0..4 {
        sent.push(producer.send_task(sample()).await.unwrap());
    }
    // Two at work and two in the queue.
    let started = bed.reached(&sent[0], "karton.x", TaskState::Started).await;
    eventually("two to wait", || async { (queue_length(&bed, "karton.x").await == 2).then_some(()) }).await;
    let () = bed.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let mut connection = bed.redis.connection().await;
    let full: redis::RedisResult<()> = redis::cmd("SET").arg("x").arg("y").query_async(&mut connection).await;
    assert_eq!(full.unwrap_err().code(), Some("OOM"));
    // Renewed for longer than a lease and two looks of the broker.
    let first = lapses(&bed, started.uid()).await;
    eventually("six seconds of renewals", || async { (lapses(&bed, started.uid()).await > first + 6.0).then_some(()) }).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    // They end, the others are taken, and the collector makes room of all of them.
    gate.add_permits(4);
    within(Duration::from_secs(20), "no record", || async {
        bed.command::<Vec<String>>(&["KEYS", "karton.task:*"]).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(runs.load(Ordering::SeqCst), 4);
    assert_eq!(bed.command::<u64>(&["HGET", "karton.metrics.consumed", "karton.x"]).await, 4);
    // The four that were sent, too.
    let collected: Vec<u64> = bed.command(&["HVALS", "karton.metrics.garbage-collected"]).await;
    assert_eq!(collected.iter().sum::<u64>(), 8);
    assert!(!bed.command::<bool>(&["EXISTS", "karton.metrics.crashed"]).await);
    // Who comes now can register, and who sends waits until there is room.
    let (late, late_runs, late_gate) = gated(any("karton.late"));
    let _late = bed.consumer(late).await;
    let refused = refusals(&bed).await;
    let send = producer.send_task(sample());
    let room = async {
        within(Duration::from_secs(20), "two refusals", || async { (refusals(&bed).await > refused + 1).then_some(()) }).await;
        let () = bed.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    };
    let (late_task, ()) = tokio::join!(send, room);
    late_gate.add_permits(1);
    gate.add_permits(1);
    within(Duration::from_secs(20), "both to have it", || async {
        ((late_runs.load(Ordering::SeqCst), runs.load(Ordering::SeqCst)) == (1, 5)).then_some(())
    })
    .await;
    drop(late_task.unwrap());
}

#[tokio::test]
async fn no_task_at_work_is_handed_out_again_after_redis_was_silent_for_longer_than_a_lease() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (consumer, runs, gate) = gated(any("karton.x").concurrency(8));
    let way = Way::to(bed.redis.port()).await;
    let config = bed.with_options(&[("redis", "port", &way.port.to_string()), ("redis", "socket_timeout", "5")]);
    let _consumer = bed.consumer_with(consumer.clone(), config).await;
    let producer = bed.producer().await;
    let mut sent = Vec::new();
    for _ in 0..8 {
        sent.push(producer.send_task(sample()).await.unwrap());
    }
    eventually("all at work", || async { (runs.load(Ordering::SeqCst) == 8).then_some(()) }).await;
    // Whatever comes back is taken at once.
    let _replica = bed.consumer(consumer).await;
    for _ in 0..2 {
        // When all claims have lapsed the broker is there at once, and the renewals come over new connections.
        way.fall_silent();
        let pid = bed.redis.pid().to_string();
        let signal = |name: &str| assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
        signal("-STOP");
        tokio::time::sleep(Duration::from_secs(5)).await;
        signal("-CONT");
        // Longer than two looks, and than a lease.
        throughout(Duration::from_secs(4), "no task to be taken again", || async { runs.load(Ordering::SeqCst) == 8 }).await;
    }
    gate.add_permits(8);
    for task in &sent {
        bed.reached(task, "karton.x", TaskState::Finished).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn a_consumer_goes_on_when_redis_has_forgotten_its_scripts() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (consumer, runs, gate) = gated(any("karton.x"));
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let (first, second) = (producer.send_task(sample()).await.unwrap(), producer.send_task(sample()).await.unwrap());
    bed.reached(&first, "karton.x", TaskState::Started).await;
    // The end of the first task and the claim on the second are asked of a server that knows no script.
    let () = bed.command(&["SCRIPT", "FLUSH"]).await;
    gate.add_permits(2);
    for task in [&first, &second] {
        bed.reached(task, "karton.x", TaskState::Finished).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(bed.command::<u64>(&["HGET", "karton.metrics.consumed", "karton.x"]).await, 2);
    let forgotten = unknown_scripts(&bed).await;
    assert!(forgotten.is_some());
    // Now it knows them.
    gate.add_permits(1);
    let third = producer.send_task(sample()).await.unwrap();
    bed.reached(&third, "karton.x", TaskState::Finished).await;
    assert_eq!(unknown_scripts(&bed).await, forgotten);
}

#[tokio::test]
async fn what_became_of_tasks_while_redis_was_away_is_written_when_it_is_back() {
    let mut bed = Bed::durable().await;
    let broker = bed.broker();
    let (consumer, runs, gate) = gated(any("karton.x"));
    let failing = any("karton.y").retry(RetryPolicy::new(1).backoff(Duration::from_secs(1)));
    let (tries, fail) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, pass) = (Arc::clone(&tries), Arc::clone(&fail));
    let failing = failing.process(move |_, _| {
        let (run, pass) = (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&pass));
        async move {
            pass.acquire().await?.forget();
            anyhow::ensure!(run > 0, "once");
            Ok(())
        }
    });
    let _consumers = (bed.consumer(consumer).await, bed.consumer(failing).await);
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.x", TaskState::Started).await;
    bed.reached(&sent, "karton.y", TaskState::Started).await;
    broker.stop().await.unwrap();
    bed.redis.kill();
    gate.add_permits(1);
    fail.add_permits(2);
    // Longer than any single attempt may take.
    tokio::time::sleep(Duration::from_secs(35)).await;
    bed.redis.restart().await;
    // Nobody queues it again: its own end is written.
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
    bed.reached(&sent, "karton.y", TaskState::Finished).await;
    assert_eq!((runs.load(Ordering::SeqCst), tries.load(Ordering::SeqCst)), (1, 2));
    eventually("no claims", || async { (bed.command::<u64>(&["ZCARD", "karton.rs.leases"]).await == 0).then_some(()) }).await;
}

#[tokio::test]
async fn a_service_whose_end_of_a_task_cannot_be_written_stops_in_its_time() {
    let mut bed = Bed::durable().await;
    let _broker = bed.broker();
    let (consumer, _, gate) = gated(any("karton.x"));
    let consumer = bed.consumer_with(consumer, bed.with_options(&[("karton", "stop_timeout", "1")])).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.x", TaskState::Started).await;
    bed.redis.kill();
    gate.add_permits(1);
    within(Duration::from_secs(20), "the end of the service", {
        let stopped = tokio::spawn(consumer.stop());
        move || {
            let over = stopped.is_finished();
            async move { over.then_some(()) }
        }
    })
    .await;
}

/// A consumer whose handler sends a task when it is let.
fn sending(builder: ConsumerBuilder, with_file: bool) -> (Consumer, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let pass = Arc::clone(&gate);
    let consumer = builder.process(move |karton, _| {
        let pass = Arc::clone(&pass);
        async move {
            pass.acquire().await?.forget();
            let mut result = Task::new(json!({"type": "result"}));
            if with_file {
                result.attach("file", LocalResource::from_bytes("a.bin", "content")?);
            }
            karton.send_task(result).await?;
            Ok(())
        }
    });
    (consumer, gate)
}

#[tokio::test]
async fn a_handler_that_sends_waits_for_redis_longer_than_a_producer() {
    let mut bed = Bed::durable().await;
    let _broker = bed.broker();
    let (consumer, gate) = sending(any("karton.x"), false);
    let _consumer = bed.consumer(consumer).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.x", TaskState::Started).await;
    bed.redis.kill();
    gate.add_permits(1);
    // Longer than a producer tries.
    tokio::time::sleep(Duration::from_secs(35)).await;
    bed.redis.restart().await;
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
    assert_eq!(bed.command::<u64>(&["HGET", "karton.metrics.produced", "karton.x"]).await, 1);
}

#[tokio::test]
async fn a_handler_that_sends_a_file_waits_for_the_object_store() {
    let mut bed = Bed::start().await;
    let _broker = bed.broker();
    let (consumer, gate) = sending(any("karton.x"), true);
    let _consumer = bed.consumer(consumer).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.x", TaskState::Started).await;
    bed.stop_s3().await;
    gate.add_permits(1);
    // Longer than all tries of one request.
    throughout(Duration::from_secs(4), "no end of the task", || async {
        !bed.command::<bool>(&["EXISTS", "karton.metrics.crashed"]).await
    })
    .await;
    bed.start_s3().await;
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
}

#[tokio::test]
async fn a_password_that_is_good_no_more_costs_no_task() {
    let mut bed = Bed::start().await;
    // Held open all the time: who is in stays in.
    let mut admin = bed.redis.connection().await;
    bed.config.set("redis", "password", "hunter2");
    let _broker = bed.broker();
    let (consumer, gate) = sending(any("karton.x"), false);
    let asks = Arc::clone(&gate);
    let asking = any("karton.y").process(move |karton, task| {
        let pass = Arc::clone(&asks);
        async move {
            pass.acquire().await?.forget();
            anyhow::ensure!(karton.task(task.uid()).await?.is_some(), "there is no such task");
            Ok(())
        }
    });
    let _consumers = (bed.consumer(consumer).await, bed.consumer(asking).await);
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.x", TaskState::Started).await;
    bed.reached(&sent, "karton.y", TaskState::Started).await;
    let set = async |admin: &mut redis::aio::MultiplexedConnection, password: &str| {
        redis::cmd("CONFIG").arg("SET").arg("requirepass").arg(password).query_async::<()>(admin).await.unwrap();
    };
    set(&mut admin, "hunter3").await;
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").query_async::<u64>(&mut admin).await.unwrap();
    // The one that was handed back may need another.
    gate.add_permits(8);
    throughout(Duration::from_secs(3), "no crash", || {
        let mut admin = admin.clone();
        async move { !redis::cmd("EXISTS").arg("karton.metrics.crashed").query_async::<bool>(&mut admin).await.unwrap() }
    })
    .await;
    set(&mut admin, "hunter2").await;
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
    bed.reached(&sent, "karton.y", TaskState::Finished).await;
}
