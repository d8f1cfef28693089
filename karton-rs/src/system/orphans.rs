//! Brings back what consumers that are not ours have lost.
//!
//! They pop a task and tell nobody, so a task may be in no queue and in nobody's hands. The one rule:
//! nothing is touched before two looks, `orphan_grace` apart, agree on it. A Spawned task is lost when
//! it is in no queue and unchanged at both. A Started one is lost when none of the connections under
//! its receiver's name that were there when it was first seen Started is left; where none was there,
//! the consumer may be one that gives no name, and the collector's timeouts decide.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::SystemSettings;
use crate::{
    backend::{Backend, keys, keys::Metric, read_task},
    error::Error,
    task::{Task, TaskState},
};

const FIRST_LOOK: Duration = Duration::from_secs(1);
const EVERY_TASK: &str = "karton.task:*";

/// Writes the record if nobody has claimed the task and it is unchanged; then queues it again and
/// counts that, or counts it as crashed.
const SETTLE: &str = r"
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
if ARGV[4] == '' then
    redis.call('LPUSH', KEYS[3], ARGV[1])
    redis.call('HINCRBY', KEYS[4], ARGV[1], 1)
else
    redis.call('HDEL', KEYS[4], ARGV[1])
    redis.call('HINCRBY', KEYS[5], ARGV[4], 1)
end
return 1
";

/// Looks for orphans every `orphan_grace`.
pub(super) async fn run(backend: &Backend, settings: &SystemSettings, shutdown: &CancellationToken) {
    let mut suspects = Suspects::default();
    let mut first = true;
    loop {
        // The first look also finds what was routed before this broker was there.
        let pause = if std::mem::take(&mut first) { FIRST_LOOK.min(settings.orphan_grace) } else { settings.orphan_grace };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
        let outcome = tokio::select! {
            outcome = look(backend, settings, &mut suspects) => outcome,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = outcome {
            tracing::debug!("cannot look for lost tasks: {error}");
        }
    }
}

async fn look(backend: &Backend, settings: &SystemSettings, suspects: &mut Suspects) -> Result<(), Error> {
    let completes = settings.keeps_history() && backend.can_complete_index().await?;
    let held: HashSet<String> = backend.held_uids().await?;
    let mut found = Vec::new();
    let mut cursor = 0;
    loop {
        let (next, records) = backend.scan_records(cursor, EVERY_TASK).await?;
        let tasks: Vec<Task> = records.iter().filter_map(|(uid, record)| routed_and_pending(uid, record)).collect();
        if settings.keeps_history() {
            backend.index_found(&tasks, settings.history_ttl).await?;
        }
        found.extend(tasks.iter().filter(|task| !held.contains(task.uid())).filter_map(Sighting::of));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    if completes && backend.brokers_are_ours().await? {
        backend.index_is_completed().await?;
    }
    // Afterwards: what was popped since then has been changed at the next look.
    let queued = backend.queued_uids().await?;
    let workers = workers(&backend.connections().await?);
    for uid in suspects.judge(found, &queued, &workers) {
        let Some(record) = backend.records(std::slice::from_ref(&uid)).await?.into_iter().flatten().next() else { continue };
        if let Some(task) = read_task(&uid, &record).ok().filter(|task| task.status().is_pending()) {
            bring_back(backend, settings, task, &record).await?;
        }
    }
    Ok(())
}

async fn bring_back(backend: &Backend, settings: &SystemSettings, mut task: Task, record: &[u8]) -> Result<(), Error> {
    let Some(receiver) = task.header_str("receiver").map(str::to_owned) else { return Ok(()) };
    let (deliveries,): (Option<u64>,) = backend.redis().run(redis::pipe().hget(keys::DELIVERIES, task.uid())).await?;
    let deliveries = deliveries.unwrap_or(0) + 1;
    let crashed_in = if deliveries >= settings.max_deliveries {
        task.crash(vec![format!("Task was handed out {deliveries} times, and each time its consumer was gone before it was done\n")]);
        receiver.as_str()
    } else {
        task.set_status(TaskState::Spawned);
        ""
    };
    let mut pipeline = redis::pipe();
    pipeline.cmd("EVAL").arg(SETTLE).arg(5).arg(keys::LEASES).arg(keys::task(task.uid())).arg(keys::queue(task.priority(), &receiver));
    pipeline.arg(keys::DELIVERIES).arg(Metric::Crashed.key());
    pipeline.arg(task.uid()).arg(record).arg(task.to_json()).arg(crashed_in);
    let (done,): (bool,) = backend.redis().run(&pipeline).await?;
    if done {
        tracing::warn!(task = task.uid(), "lost by its consumer in {receiver}: now {}", task.status());
    }
    Ok(())
}

/// Ids of the connections under each identity.
fn workers(connections: &[(String, String)]) -> HashMap<String, BTreeSet<String>> {
    connections.iter().fold(HashMap::new(), |mut workers, (id, name)| {
        let identity = name.split('?').next().unwrap_or_default();
        workers.entry(identity.to_owned()).or_insert_with(BTreeSet::new).insert(id.clone());
        workers
    })
}

/// A task that a consumer may have lost.
struct Sighting {
    uid: String,
    receiver: String,
    started: bool,
    last_update: f64,
}

impl Sighting {
    fn of(task: &Task) -> Option<Self> {
        let receiver = task.header_str("receiver")?.to_owned();
        let started = task.status() == TaskState::Started;
        Some(Self { uid: task.uid().to_owned(), receiver, started, last_update: task.last_update() })
    }
}

/// A task in a queue or at work.
fn routed_and_pending(uid: &str, record: &[u8]) -> Option<Task> {
    // Most records are something else, which need not be read to be told.
    let text = std::str::from_utf8(record).ok()?;
    if !text.contains("\"Spawned\"") && !text.contains("\"Started\"") {
        return None;
    }
    read_task(uid, record).ok().filter(|task| matches!(task.status(), TaskState::Spawned | TaskState::Started))
}

/// What earlier looks have seen.
#[derive(Default)]
struct Suspects(HashMap<String, Suspect>);

struct Suspect {
    last_update: f64,
    /// Who could be working on it when it was first seen; empty for a task in no queue.
    workers: BTreeSet<String>,
    /// The last look has found it lost.
    lost: bool,
}

impl Suspects {
    /// The uids that two looks in a row have found lost.
    fn judge(&mut self, found: Vec<Sighting>, queued: &HashSet<String>, workers: &HashMap<String, BTreeSet<String>>) -> Vec<String> {
        let mut before = std::mem::take(&mut self.0);
        let nobody = BTreeSet::new();
        let mut lost = Vec::new();
        for Sighting { uid, receiver, started, last_update } in found {
            let online = workers.get(&receiver).unwrap_or(&nobody);
            let earlier = before.remove(&uid).filter(|earlier| earlier.last_update.to_bits() == last_update.to_bits());
            let mut suspect = earlier.unwrap_or_else(|| Suspect {
                last_update,
                workers: if started { online.clone() } else { BTreeSet::new() },
                lost: false,
            });
            let now = if started { !suspect.workers.is_empty() && suspect.workers.is_disjoint(online) } else { !queued.contains(&uid) };
            if now && suspect.lost {
                lost.push(uid);
                continue;
            }
            suspect.lost = now;
            self.0.insert(uid, suspect);
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(uid: &str, started: bool, last_update: f64) -> Sighting {
        Sighting { uid: uid.to_owned(), receiver: "karton.x".to_owned(), started, last_update }
    }

    fn online(ids: &[&str]) -> HashMap<String, BTreeSet<String>> {
        HashMap::from([("karton.x".to_owned(), ids.iter().map(|id| (*id).to_owned()).collect())])
    }

    #[test]
    fn a_spawned_task_is_lost_when_two_looks_find_it_in_no_queue() {
        let mut suspects = Suspects::default();
        let queued = HashSet::from(["queued".to_owned()]);
        let found = || vec![sighting("lost", false, 1.0), sighting("queued", false, 1.0)];
        assert!(suspects.judge(found(), &queued, &online(&[])).is_empty());
        assert_eq!(suspects.judge(found(), &queued, &online(&[])), ["lost"]);
    }

    #[test]
    fn a_task_that_changed_between_two_looks_is_a_new_suspect() {
        let mut suspects = Suspects::default();
        for time in [1.0, 2.0, 3.0] {
            assert!(suspects.judge(vec![sighting("busy", false, time)], &HashSet::new(), &online(&[])).is_empty());
        }
    }

    #[test]
    fn a_started_task_is_lost_when_all_its_possible_workers_are_gone() {
        let mut suspects = Suspects::default();
        let mut look = |ids: &[&str]| suspects.judge(vec![sighting("t", true, 1.0)], &HashSet::new(), &online(ids)).len();
        assert_eq!(look(&["1", "2"]), 0);
        // One of them may still be at it; a new one cannot.
        assert_eq!(look(&["2", "3"]), 0);
        assert_eq!(look(&["3"]), 0);
        assert_eq!(look(&["3"]), 1);
    }

    #[test]
    fn nothing_is_known_of_consumers_without_a_name() {
        let mut suspects = Suspects::default();
        for ids in [&[][..], &[], &["1"], &[]] {
            assert!(suspects.judge(vec![sighting("t", true, 1.0)], &HashSet::new(), &online(ids)).is_empty());
        }
    }
}
