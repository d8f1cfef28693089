//! What a consumer writes, and what an inspection sees, against karton-core 5.9.1 on the same records.
//!
//! The steps may differ (ours puts a status and its metrics into one transaction); what stands in Redis
//! at the end may not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::ensure;
use karton_rs::{Consumer, Inspect, Karton, Task, TaskState, json::Value, testing::eventually};

use crate::{
    bed::Bed,
    vectors::{load, text},
};

fn cases(kind: &str) -> Vec<Value> {
    load("tasks.jsonl").into_iter().filter(|case| text(case, "kind") == kind).collect()
}

/// A record without what each run makes anew: uids of new tasks, times, the text of a traceback.
fn settled(record: &str) -> String {
    let mut record = Value::parse(record).unwrap();
    let fields = record.as_object_mut().unwrap();
    fields.insert("last_update".to_owned(), Value::Null);
    if fields.get("error").is_some_and(|error| !error.is_null()) {
        fields.insert("error".to_owned(), "<error>".into());
    }
    if fields.get("orig_uid").is_some_and(Value::is_null) {
        fields.insert("uid".to_owned(), "<new>".into());
    }
    record.to_json()
}

#[tokio::test]
async fn a_consumer_leaves_what_the_reference_leaves() {
    let cases = cases("consume");
    assert_eq!(cases.len(), 4);
    for case in &cases {
        let (id, input) = (text(case, "id"), case.get("input").unwrap());
        let bed = Bed::start().await;
        let task = Task::from_json(text(input, "json")).unwrap();
        let identity = text(input, "identity");
        let _: () = bed.command(&["SET", &format!("karton.task:{}", task.uid()), text(input, "json")]).await;
        let _: () = bed.command(&["RPUSH", &format!("karton.queue.normal:{identity}"), task.uid()]).await;
        let fail = input.get("fail").and_then(Value::as_bool).unwrap_or(false);
        let sends: Vec<Value> = input.get("sends").and_then(Value::as_array).unwrap_or_default().to_vec();
        let consumer = Consumer::new(identity).filters(input.get("filters").unwrap().clone()).process(move |karton: Karton, _| {
            let sends = sends.clone();
            async move {
                for send in &sends {
                    karton.send_task(Task::new(send.get("headers").unwrap().clone())).await?;
                }
                ensure!(!fail, "as wanted");
                Ok(())
            }
        });
        let mut config = bed.config.clone();
        for (section, options) in input.get("config").and_then(Value::as_object).into_iter().flatten() {
            options
                .as_object()
                .unwrap()
                .iter()
                .for_each(|(option, value)| config.set(section.spelled(), option.spelled(), value.as_str().unwrap()));
        }
        let consumer = bed.consumer_with(consumer, config).await;
        eventually("the end of the task", || async {
            let record = bed.command::<String>(&["GET", &format!("karton.task:{}", task.uid())]).await;
            (!Task::from_json(&record).unwrap().status().is_pending()).then_some(())
        })
        .await;
        consumer.stop().await.unwrap();

        let mut expected_records = BTreeMap::new();
        let mut expected_metrics: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut pushed = 0;
        for command in case.get("output").unwrap().get("commands").unwrap().as_array().unwrap() {
            let words = command.as_array().unwrap();
            let word = |index: usize| words[index].as_str().unwrap().to_owned();
            match words[0].as_str().unwrap() {
                "SET" => drop(expected_records.insert(word(1), settled(&word(2)))),
                "RPUSH" => pushed += 1,
                "HINCRBY" => *expected_metrics.entry((word(1), word(2))).or_default() += 1,
                other => panic!("{id}: {other}"),
            }
        }
        let mut records = BTreeSet::new();
        for key in bed.command::<Vec<String>>(&["KEYS", "karton.task:*"]).await {
            records.insert(settled(&bed.command::<String>(&["GET", &key]).await));
        }
        assert_eq!(records, expected_records.into_values().collect::<BTreeSet<_>>(), "{id}");
        assert_eq!(bed.command::<usize>(&["LLEN", "karton.tasks"]).await, pushed, "{id}");
        let mut metrics = BTreeMap::new();
        for key in bed.command::<Vec<String>>(&["KEYS", "karton.metrics.*"]).await {
            for (identity, count) in bed.command::<BTreeMap<String, u64>>(&["HGETALL", &key]).await {
                metrics.insert((key.clone(), identity), count);
            }
        }
        assert_eq!(metrics, expected_metrics, "{id}");
        assert!(!bed.command::<bool>(&["EXISTS", "karton.rs.leases"]).await, "{id}: a claim was left");
    }
}

#[tokio::test]
async fn an_inspection_sees_what_the_reference_sees() {
    let cases = cases("state");
    assert_eq!(cases.len(), 1);
    let (input, output) = (cases[0].get("input").unwrap(), cases[0].get("output").unwrap().get("master_328").unwrap());
    let bed = Bed::start().await;
    for record in input.get("tasks").unwrap().as_array().unwrap().iter().filter_map(Value::as_str) {
        let task = Task::from_json(record).unwrap();
        let _: () = bed.command(&["SET", &format!("karton.task:{}", task.uid()), record]).await;
        // A child that was not routed yet waits for the broker. The reference does not look there.
        if !task.uid().contains(task.root_uid()) && task.uid().starts_with('{') {
            let _: () = bed.command(&["RPUSH", "karton.tasks", task.uid()]).await;
        }
    }
    for bind in input.get("binds").unwrap().as_array().unwrap() {
        let bind = bind.as_array().unwrap();
        let _: () = bed.command(&["HSET", "karton.binds", bind[0].as_str().unwrap(), bind[1].as_str().unwrap()]).await;
    }
    let inspect = Inspect::new(&bed.config, "karton.test", None).unwrap();
    for (root, expected) in output.get("get_analysis").unwrap().as_object().unwrap() {
        let analysis = inspect.analysis(root.spelled()).await.unwrap();
        let uids = |name: &str| -> BTreeSet<String> {
            expected.get(name).and_then(Value::as_array).unwrap().iter().map(|uid| uid.as_str().unwrap().to_owned()).collect()
        };
        let seen = |wanted: &dyn Fn(&Task) -> bool| -> BTreeSet<String> {
            // What waits for the broker is ours to see in addition.
            let routed = analysis.tasks().iter().filter(|task| task.uid().contains(root.spelled()) || !task.uid().starts_with('{'));
            routed.filter(|task| wanted(task)).map(|task| task.uid().to_owned()).collect()
        };
        assert_eq!(seen(&|_| true), uids("tasks"), "{root}");
        assert_eq!(seen(&|task| task.status().is_pending()), uids("pending"), "{root}");
        assert_eq!(seen(&|task| task.status() == TaskState::Crashed), uids("crashed"), "{root}");
        assert_eq!(Some(analysis.is_done()), expected.get("is_done").and_then(Value::as_bool), "{root}");
    }
    let binds: BTreeSet<String> = inspect.binds().await.unwrap().into_iter().map(|bind| bind.identity).collect();
    assert_eq!(binds, output.get("queues").unwrap().as_object().unwrap().keys().map(ToString::to_string).collect());
    // An unrouted child keeps its analysis running, which the reference misses.
    let root = "99de7a2f-749f-465f-aabe-c276aafaebfe";
    eventually("the unrouted child", || async {
        let analysis = inspect.analysis(root).await.unwrap();
        analysis.tasks().iter().any(|task| !task.uid().contains(root) && task.uid().starts_with('{')).then_some(())
    })
    .await;
}
