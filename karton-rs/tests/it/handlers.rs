//! Handlers of both kinds, their hooks and panics.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use karton_rs::{
    Consumer, LocalResource, Task, TaskState,
    testing::{eventually, within},
};
use serde_json::json;

use crate::bed::Bed;

fn sample() -> Task {
    Task::new(json!({"type": "sample"}))
}

#[tokio::test]
async fn a_blocking_handler_reads_and_sends_and_holds_its_place_until_it_ends() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).process_blocking(|karton, task| {
        let mut content = String::new();
        std::io::Read::read_to_string(&mut karton.open(&task.resource("sample")?)?, &mut content)?;
        let mut result = Task::new(json!({"type": "result"}));
        result.set_payload("content", content);
        karton.send_task(result)?;
        Ok(())
    });
    let _consumer = bed.consumer(consumer).await;
    let sink = Consumer::new("karton.sink").filters(json!([{"type": "result"}])).process(|_, _| async { Ok(()) });
    let _sink = bed.consumer(sink).await;
    let mut task = sample();
    task.attach("sample", LocalResource::from_bytes("s", "hello").unwrap());
    let sent = bed.producer().await.send_task(task).await.unwrap();
    let worker = bed.reached(&sent, "karton.x", TaskState::Finished).await;
    let child = bed.reached(&sent, "karton.sink", TaskState::Finished).await;
    assert_eq!(child.payload("content").and_then(|content| content.as_str()), Some("hello"));
    assert_eq!((child.parent_uid(), child.header_str("origin")), (Some(worker.uid()), Some("karton.x")));
}

#[tokio::test]
async fn a_blocking_handler_that_takes_too_long_crashes_its_task_and_others_wait_for_its_thread() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let consumer = Consumer::new("karton.x")
        .filters(json!([{"type": "sample"}]))
        .task_timeout(Duration::from_millis(100))
        .process_blocking(move |_, task| {
            if task.header_str("slow").is_some() {
                wait.lock().unwrap().recv()?;
            }
            Ok(())
        });
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let slow = producer.send_task(Task::new(json!({"type": "sample", "slow": "1"}))).await.unwrap();
    let crashed = bed.reached(&slow, "karton.x", TaskState::Crashed).await;
    assert!(crashed.error()[0].contains("took longer"), "{:?}", crashed.error());
    let next = producer.send_task(sample()).await.unwrap();
    let queued = bed.reached(&next, "karton.x", TaskState::Spawned).await;
    assert_eq!(bed.command::<u64>(&["LLEN", &format!("karton.queue.{}:karton.x", queued.priority())]).await, 1);
    go_on.send(()).unwrap();
    bed.reached(&next, "karton.x", TaskState::Finished).await;
}

#[tokio::test]
async fn hooks_run_around_each_task_in_order_and_their_failures_change_nothing() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let log = Arc::new(Mutex::new(Vec::new()));
    let note = |log: &Arc<Mutex<Vec<String>>>, text: String| log.lock().unwrap().push(text);
    let (first, second, last, work) = (Arc::clone(&log), Arc::clone(&log), Arc::clone(&log), Arc::clone(&log));
    let consumer = Consumer::new("karton.x")
        .filters(json!([{"type": "sample"}]))
        .pre_hook(move |_, task| {
            note(&first, format!("first {}", task.status()));
            async { anyhow::bail!("a hook that fails") }
        })
        .pre_hook(move |karton, _| {
            note(&second, format!("second {}", karton.current_task().is_some()));
            async { panic!("a hook that panics") }
        })
        .post_hook(move |_, _, error| {
            note(&last, format!("last {}", error.map_or_else(|| "good".to_owned(), |error| error.to_string())));
            async { Ok(()) }
        })
        .process(move |_, task| {
            note(&work, "work".to_owned());
            async move {
                anyhow::ensure!(task.header_str("bad").is_none(), "bad");
                Ok(())
            }
        });
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let good = producer.send_task(sample()).await.unwrap();
    bed.reached(&good, "karton.x", TaskState::Finished).await;
    let bad = producer.send_task(Task::new(json!({"type": "sample", "bad": "1"}))).await.unwrap();
    bed.reached(&bad, "karton.x", TaskState::Crashed).await;
    let expected = ["first Started", "second true", "work", "last good", "first Started", "second true", "work", "last bad"];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_panic_crashes_its_task_with_message_place_and_backtrace() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).process(|_, _| async { panic!("out of luck") });
    let _consumer = bed.consumer(consumer).await;
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    let crashed = bed.reached(&sent, "karton.x", TaskState::Crashed).await;
    assert_eq!(crashed.error()[0], "Error: panicked: out of luck\n");
    assert!(crashed.error()[1].starts_with("at karton-rs/tests/it/handlers.rs:"), "{}", crashed.error()[1]);
    assert!(crashed.error()[1].contains("backtrace"), "{}", crashed.error()[1]);
}

#[tokio::test]
async fn a_folder_travels_as_a_resource_and_is_unpacked_again() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).process(|karton, task| async move {
        let folder = tempfile::tempdir()?;
        let resource = task.resource("dump")?;
        anyhow::ensure!(resource.flags == ["Directory"]);
        karton.extract(&resource, folder.path(), 1000).await?;
        anyhow::ensure!(std::fs::read_to_string(folder.path().join("a/b.txt"))? == "in a folder");
        anyhow::ensure!(karton.extract(&resource, folder.path(), 3).await.is_err());
        Ok(())
    });
    let _consumer = bed.consumer(consumer).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("a")).unwrap();
    std::fs::write(folder.path().join("a/b.txt"), "in a folder").unwrap();
    let mut task = sample();
    task.attach("dump", LocalResource::from_directory("dump.zip", folder.path()).await.unwrap());
    let sent = bed.producer().await.send_task(task).await.unwrap();
    bed.reached(&sent, "karton.x", TaskState::Finished).await;
    eventually("no claims", || async { (bed.command::<u64>(&["ZCARD", "karton.rs.leases"]).await == 0).then_some(()) }).await;
}

#[tokio::test]
async fn hooks_that_never_end_do_not_keep_a_service_from_stopping() {
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let at_once = bed.with_options(&[("karton", "stop_timeout", "0")]);
    let any = |identity: &str| Consumer::new(identity).filters(json!([{"type": "sample"}]));
    let before = any("karton.before").pre_hook(|_, _| std::future::pending()).process(|_, _| async { Ok(()) });
    let after = any("karton.after").post_hook(|_, _, _| std::future::pending()).process(|_, _| async { Ok(()) });
    let (before, after) = (bed.consumer_with(before, at_once.clone()).await, bed.consumer_with(after, at_once).await);
    let sent = bed.producer().await.send_task(sample()).await.unwrap();
    bed.reached(&sent, "karton.before", TaskState::Started).await;
    bed.reached(&sent, "karton.after", TaskState::Started).await;
    let stopped = async { (before.stop().await, after.stop().await) };
    tokio::time::timeout(Duration::from_secs(20), stopped).await.expect("both to stop").0.unwrap();
    // Not worked on yet, and done.
    bed.reached(&sent, "karton.before", TaskState::Spawned).await;
    bed.reached(&sent, "karton.after", TaskState::Finished).await;
}

#[tokio::test]
async fn very_many_blocking_handlers_at_once_can_write_files() {
    const AT_ONCE: usize = 520;
    let bed = Bed::start().await;
    let _broker = bed.broker();
    let all_here = std::sync::Arc::new(std::sync::Barrier::new(AT_ONCE));
    let handler = move |karton: karton_rs::BlockingKarton, task: Task| {
        all_here.wait();
        karton.download_temp(&task.resource("sample")?)?;
        Ok(())
    };
    let consumer = Consumer::new("karton.x").filters(json!([{"type": "sample"}])).concurrency(AT_ONCE).process_blocking(handler);
    let _consumer = bed.consumer(consumer).await;
    let producer = bed.producer().await;
    let mut task = sample();
    task.attach("sample", LocalResource::from_bytes("s", "hello").unwrap());
    let mut resource = task.resource("sample").unwrap();
    producer.send_task(task).await.unwrap();
    resource.bucket = Some("karton".to_owned());
    for _ in 1..AT_ONCE {
        let mut task = sample();
        task.set_payload("sample", resource.to_value());
        producer.send_task(task).await.unwrap();
    }
    let consumed = || async { bed.command::<Option<usize>>(&["HGET", "karton.metrics.consumed", "karton.x"]).await };
    within(Duration::from_mins(1), "all to be done", || async { (consumed().await == Some(AT_ONCE)).then_some(()) }).await;
    assert!(!bed.command::<bool>(&["EXISTS", "karton.metrics.crashed"]).await);
}
