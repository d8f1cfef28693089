//! Routers that are killed at any moment of their work.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use karton_rs::{Task, testing::within};
use serde_json::json;

use super::{Process, Random, expire_routers, leftovers, setting, statuses};
use crate::bed::Bed;

const TASKS: u64 = 400;
const BIND: &str = r#"{"filters": [{"type": "sample"}], "info": null, "is_async": false, "persistent": true, "service_version": null, "version": "5.9.1"}"#;
/// How often the routers of one round are killed before they may finish.
const KILLS: usize = 3;

async fn push_tasks(bed: &Bed) {
    let mut pipeline = redis::pipe();
    for number in 0..TASKS {
        let mut task = Task::new(json!({"type": "sample"}));
        task.set_payload("number", number);
        pipeline.set(format!("karton.task:{}", task.uid()), task.to_json()).ignore().rpush("karton.tasks", task.uid()).ignore();
    }
    let () = pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
}

async fn all_routed(bed: &Bed) -> bool {
    leftovers(bed).await.is_empty()
}

async fn begun(bed: &Bed) {
    within(Duration::from_mins(1), "a sign of a router", || async {
        (!bed.command::<Vec<String>>(&["KEYS", "karton.rs.router:*"]).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn routers_that_are_killed_at_any_moment_lose_no_task_and_route_none_twice() {
    let rounds = setting("CHAOS_ROUNDS", 4);
    let bed = Bed::start().await;
    let folder = tempfile::tempdir().unwrap();
    let ini = bed.ini(folder.path());
    let mut random = Random::new();
    let (mut lost, mut twice, mut kills, mut in_mid_stream) = (0, 0, 0, 0);
    // From the first sign of an undisturbed router to the end of its work.
    let mut span = Duration::ZERO;
    for round in 0..=rounds {
        let _: () = bed.command(&["FLUSHALL"]).await;
        let _: () = bed.command(&["HSET", "karton.binds", "karton.x", BIND]).await;
        push_tasks(&bed).await;
        // The first round is only measured; in every third one two routers share the work.
        for kill in 0..if round == 0 { 0 } else { KILLS } {
            let mut routers: Vec<Process> = (0..=u64::from(round % 3 == 2)).map(|_| Process::broker(&ini, folder.path())).collect();
            // The first ones at any moment, the others once they have begun.
            if kill > 0 {
                begun(&bed).await;
            }
            random.pause(span).await;
            routers.iter_mut().for_each(Process::kill);
            kills += routers.len();
            let routed: u64 = bed.command(&["LLEN", "karton.queue.normal:karton.x"]).await;
            let in_flight: Vec<String> = bed.command(&["KEYS", "karton.rs.inflight:*"]).await;
            in_mid_stream += u64::from(!in_flight.is_empty() || (1..TASKS).contains(&routed));
            expire_routers(&bed).await;
        }
        let mut last = Process::broker(&ini, folder.path());
        begun(&bed).await;
        let started = Instant::now();
        within(Duration::from_mins(1), "the end of routing", || async { all_routed(&bed).await.then_some(()) }).await;
        if round == 0 {
            span = started.elapsed();
        }
        last.kill();
        let uids: Vec<String> = bed.command(&["LRANGE", "karton.queue.normal:karton.x", "0", "-1"]).await;
        let mut pipeline = redis::pipe();
        uids.iter().for_each(|uid| {
            pipeline.get(format!("karton.task:{uid}"));
        });
        let records: Vec<String> = pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
        let number = |record: &String| Task::from_json(record).unwrap().payload_as::<u64>("number").unwrap().unwrap();
        let numbers: BTreeSet<u64> = records.iter().map(number).collect();
        lost += TASKS - numbers.len() as u64;
        twice += (uids.len() - numbers.len()) as u64;
        let finished = statuses(&bed).await.into_values().filter(|status| status == "Finished").count();
        assert_eq!(finished as u64, TASKS, "unrouted records that were not finished");
        assert_eq!(bed.command::<String>(&["HGET", "karton.metrics.assigned", "karton.x"]).await, uids.len().to_string());
    }
    let tasks = rounds * TASKS;
    eprintln!(
        "routers: {rounds} rounds of {TASKS} tasks, {kills} killed, {in_mid_stream} times in mid-stream: {lost} lost, {twice} routed twice"
    );
    assert!(in_mid_stream > 0, "no router was killed in mid-stream");
    assert_eq!(lost, 0);
    assert!(twice * 100 <= tasks, "{twice} of {tasks} were routed twice");
}
