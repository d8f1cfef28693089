//! Consumers that are killed in both windows: between the claim and the start, and while they process.

use std::path::Path;
use std::time::{Duration, Instant};

use karton_rs::{
    Task,
    testing::{eventually, within},
};
use serde_json::json;

use super::{Ledger, Process, Random, leftovers, peer::Role, queue, setting, statuses};
use crate::{bed::Bed, interop::interpreter};

/// So many replicas are started and killed together.
const REPLICAS: usize = 3;
/// The queue is kept this full.
const QUEUED: usize = 60;

/// What the deaths of consumers have hit.
#[derive(Default)]
struct Hits {
    kills: usize,
    /// Taken from the queue, and not yet started.
    before_start: usize,
    /// Started, and not yet done.
    in_process: usize,
}

async fn send(bed: &Bed, from: u64, count: u64) {
    let mut pipeline = redis::pipe();
    for number in from..from + count {
        let mut task = Task::new(json!({"type": "chaos"}));
        task.set_payload("number", number);
        pipeline.set(format!("karton.task:{}", task.uid()), task.to_json()).ignore().rpush("karton.tasks", task.uid()).ignore();
    }
    let () = pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
}

/// Kills consumers until both windows were hit `wanted` times; then one may live, and does the rest.
async fn kill_consumers(identity: &str, start: impl Fn(&Path, &Path) -> Process, wanted: usize) {
    let mut bed = Bed::start().await;
    bed.config = bed.with_options(&[
        ("karton", "lease_timeout", "1"),
        ("system", "orphan_grace", "1"),
        // What Python consumers finish is counted out by the collector.
        ("system", "gc_interval", "2"),
        // None of the tasks is to blame for these deaths.
        ("system", "max_deliveries", "1000"),
    ]);
    bed.outlives_doubt().await;
    let folder = tempfile::tempdir().unwrap();
    let (ini, ledger) = (bed.ini(folder.path()), Ledger::new(folder.path()));
    let broker = bed.broker();
    let mut random = Random::new();
    let (mut hits, mut sent) = (Hits::default(), 0);
    while hits.before_start < wanted || hits.in_process < wanted {
        assert!(hits.kills < wanted * 100, "{} kills hit {} and {}", hits.kills, hits.before_start, hits.in_process);
        let mut replicas: Vec<Process> = (0..REPLICAS).map(|_| start(&ini, folder.path())).collect();
        let bound = || async { bed.command::<bool>(&["HEXISTS", "karton.binds", identity]).await.then_some(()) };
        within(Duration::from_mins(1), "a bind", bound).await;
        if queue(&bed, identity).await.len() < QUEUED {
            send(&bed, sent, QUEUED as u64).await;
            sent += QUEUED as u64;
        }
        let before = ledger.length("processed");
        within(Duration::from_mins(1), "a step", || async { (ledger.length("processed") > before).then_some(()) }).await;
        random.pause(Duration::from_millis(15)).await;
        replicas.iter_mut().for_each(Process::kill);
        hits.kills += REPLICAS;
        let queued = queue(&bed, identity).await;
        for (uid, status) in statuses(&bed).await {
            match status.as_str() {
                "Spawned" if !queued.contains(&uid) => hits.before_start += 1,
                "Started" => hits.in_process += 1,
                _ => {}
            }
        }
    }
    let _survivor = start(&ini, folder.path());
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let mut left = leftovers(&bed).await;
        left.extend(
            statuses(&bed).await.into_iter().filter(|(_, status)| status != "Finished").map(|(uid, status)| format!("{uid} {status}")),
        );
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "left behind by {identity}: {left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let processed = ledger.lines("processed");
    let twice = processed.values().filter(|times| **times > 1).count();
    let lost = (0..sent).filter(|number| !processed.contains_key(&format!("{identity} {number}"))).count();
    eprintln!(
        "{identity}: {sent} tasks, {} consumers killed, {} tasks hit before their start and {} in process: {lost} lost, {twice} processed twice",
        hits.kills, hits.before_start, hits.in_process
    );
    assert_eq!(lost, 0);
    eventually("an empty queue", || async { queue(&bed, identity).await.is_empty().then_some(()) }).await;
    broker.stop().await.unwrap();
}

#[tokio::test]
async fn our_consumers_that_are_killed_before_and_after_the_start_of_a_task_lose_none() {
    let identity = "karton.ours";
    let role = Role::Consume { identity, milliseconds: 4 };
    kill_consumers(identity, |ini, folder| role.rust(ini, folder), setting("CHAOS_ROUNDS", 2).try_into().unwrap()).await;
}

#[tokio::test]
async fn python_consumers_that_are_killed_before_and_after_the_start_of_a_task_lose_none() {
    let Some(python) = interpreter() else { return };
    let identity = "karton.theirs";
    let role = Role::Consume { identity, milliseconds: 4 };
    kill_consumers(identity, |ini, folder| role.python(&python, ini, folder), setting("CHAOS_ROUNDS", 1).try_into().unwrap()).await;
}
