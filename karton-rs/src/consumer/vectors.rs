//! The way of a task through a consumer against karton-core 5.9.1, on a real redis-server.
//!
//! Ours writes a status and its metrics in one transaction where the reference writes command after
//! command, so what is compared is what stands in Redis while the task runs and afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use redis::AsyncCommands as _;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Consumer, Karton, Task,
    backend::keys,
    json::Value,
    testing::{RedisServer, eventually},
    vectors::{Case, at, cases, commands, text},
};

/// All of this module, for the count of what was compared.
pub(crate) fn compare_all() {
    consuming_leaves_what_the_reference_leaves();
}

fn config(case: &Case, port: u16) -> Config {
    let file = format!("[redis]\nhost = 127.0.0.1\nport = {port}\n[s3]\naddress = http://s\naccess_key = a\nsecret_key = s\n");
    let mut config = Config::from_parts(&[("k", &file)], []).unwrap();
    for (section, options) in case.input.get("config").and_then(Value::as_object).into_iter().flatten() {
        options
            .as_object()
            .unwrap()
            .iter()
            .for_each(|(option, value)| config.set(section.spelled(), option.spelled(), value.as_str().unwrap()));
    }
    config
}

/// The handler of a case: sends what it must, keeps what Redis holds meanwhile, and fails when it must.
fn consumer(case: &Case, seen: tokio::sync::mpsc::UnboundedSender<String>) -> Consumer {
    let sends: Vec<Value> = case.input.get("sends").and_then(Value::as_array).unwrap_or_default().to_vec();
    let fail = case.input.get("fail").and_then(Value::as_bool).unwrap_or(false);
    Consumer::new(text(&case.input, "identity")).filters(case.input.get("filters").unwrap().clone()).process(
        move |karton: Karton, task: Task| {
            let (sends, seen) = (sends.clone(), seen.clone());
            async move {
                seen.send(karton.task(task.uid()).await?.unwrap().to_json())?;
                for spec in sends {
                    karton.send_task(Task::new(spec.get("headers").unwrap().clone())).await?;
                }
                anyhow::ensure!(!fail, "no good");
                Ok(())
            }
        },
    )
}

#[tokio::test]
async fn consuming_leaves_what_the_reference_leaves() {
    let server = RedisServer::start().await;
    let mut redis = server.connection().await;
    for case in cases("consume", 4) {
        let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
        let task = Task::from_json(text(&case.input, "json")).unwrap();
        let (key, identity) = (keys::task(task.uid()), text(&case.input, "identity"));
        let () = redis.set(&key, text(&case.input, "json")).await.unwrap();
        let () = redis.rpush(keys::queue(task.priority(), identity), task.uid()).await.unwrap();
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let shutdown = CancellationToken::new();
        let (consumer, config, token) = (consumer(&case, sender), config(&case, server.port()), shutdown.clone());
        let running = tokio::spawn(async move { consumer.run(&config, token).await });
        eventually("the end of the task", || async {
            let record: String = server.connection().await.get(&key).await.unwrap();
            (!Task::from_json(&record).unwrap().status().is_pending()).then_some(())
        })
        .await;
        shutdown.cancel();
        running.await.unwrap().unwrap();

        let sets: Vec<(String, String)> = commands(&case, "SET")
            .iter()
            .map(|args| (args[0].as_str().unwrap().into(), at(args[1].as_str().unwrap(), case.now())))
            .collect();
        let own: Vec<&String> = sets.iter().filter(|(written, _)| *written == key).map(|(_, record)| record).collect();
        // While it ran, and afterwards.
        if own.len() > 1 {
            assert_eq!(at(&seen.recv().await.unwrap(), case.now()), *own[0], "{}", case.id);
        }
        assert!(seen.recv().await.is_none(), "{}: the handler ran more often than it should", case.id);
        let record: String = redis.get(&key).await.unwrap();
        let mut left = Value::parse(&at(&record, case.now())).unwrap();
        if let Some(Value::Array(lines)) = left.as_object_mut().unwrap().get_mut("error") {
            assert!(lines.iter().all(|line| line.as_str().unwrap().ends_with('\n')), "{}", case.id);
            *lines = vec!["<traceback>".into()];
        }
        assert_eq!(&left.to_json(), *own.last().unwrap(), "{}", case.id);
        // The tasks that were sent, in order, with our uids for those of the case.
        let sent: Vec<String> = redis.lrange(keys::TASKS, 0, -1).await.unwrap();
        let mut children = Vec::new();
        for (index, uid) in sent.iter().enumerate() {
            let record: String = redis.get(keys::task(uid)).await.unwrap();
            let given = case.uuid(index);
            let ours = Task::from_json(&record).unwrap().task_uid().to_owned();
            children.push((keys::task(&uid.replace(&ours, &given)), at(&record.replace(&ours, &given), case.now())));
        }
        let expected: Vec<(String, String)> = sets.iter().filter(|(written, _)| *written != key).cloned().collect();
        assert_eq!(children, expected, "{}", case.id);
        assert_eq!(sent.len(), commands(&case, "RPUSH").len(), "{}", case.id);
        // The counters.
        let mut counted = BTreeMap::new();
        for args in commands(&case, "HINCRBY") {
            *counted.entry((args[0].as_str().unwrap().to_owned(), args[1].as_str().unwrap().to_owned())).or_insert(0_i64) += 1;
        }
        let metrics: Vec<String> = redis.keys("karton.metrics.*").await.unwrap();
        let mut ours = BTreeMap::new();
        for metric in metrics {
            let values: BTreeMap<String, i64> = redis.hgetall(&metric).await.unwrap();
            ours.extend(values.into_iter().map(|(field, count)| ((metric.clone(), field), count)));
        }
        assert_eq!(ours, counted, "{}", case.id);
    }
}
