//! Brings back what brokers and consumers that are not ours have lost.
//!
//! They pop a task and tell nobody, so a task may be in no queue and in nobody's hands. The one rule:
//! nothing is touched before two looks, `orphan_grace` apart, agree on it. A Declared or Spawned task
//! is lost when it is in no queue and unchanged at both. A Started one is lost when none of the
//! connections under its receiver's name that were there when it started is left, or has not been seen
//! waiting for a task since; where nobody was ever seen under that name, the consumer may be one that
//! gives none, and the collector's timeouts decide.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::SystemSettings;
use crate::{
    backend::{Backend, Bind, OpenConnection, Places, keys, keys::Metric, read_task},
    error::Error,
    json::{RawObject, Value},
    task::{Task, TaskState},
};

const FIRST_LOOK: Duration = Duration::from_secs(1);
const EVERY_TASK: &str = "karton.task:*";
/// Seconds by which the clocks of consumers and of Redis may differ without harm.
const CLOCK_SLACK: f64 = 1.0;

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

/// Queues an unrouted task again if it is unchanged. It may be routed twice when it was not lost.
const ROUTE_AGAIN: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[1])
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
    // Before the records: what is sent or popped in between is as new to the next look.
    let places = backend.all_places().await?;
    let open = if completes && backend.index_may_be_partial().await? { Places::default() } else { backend.open_analyses().await? };
    let mut found = Vec::new();
    let mut cursor = 0;
    loop {
        let (next, records) = backend.scan_records(cursor, EVERY_TASK).await?;
        let mut unknown = Vec::new();
        for (uid, record) in &records {
            let Some(seen) = Seen::read(record) else { continue };
            let routed = seen.status != TaskState::Declared;
            // The index has all that our broker has routed: others may have woken an analysis that had ended.
            if routed && settings.keeps_history() && !open.contains(&seen.root_uid) {
                unknown.extend(read_task(uid, record).ok());
            }
            if !places.contains(uid) {
                found.extend(read_task(uid, record).ok().as_ref().and_then(Sighting::of));
            }
        }
        backend.index_found(&unknown, settings.history_ttl).await?;
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    if completes && backend.brokers_are_ours().await? {
        backend.index_is_completed().await?;
    }
    let now = backend.server_time().await?;
    let workers = workers(backend.connections().await?, &backend.binds().await?);
    for uid in suspects.judge(found, &workers, now) {
        let Some(record) = backend.records(std::slice::from_ref(&uid)).await?.into_iter().flatten().next() else { continue };
        match read_task(&uid, &record) {
            Ok(task) if task.status() == TaskState::Declared => route_again(backend, &task, &record).await?,
            Ok(task) if task.status().is_pending() => bring_back(backend, settings, task, &record).await?,
            _ => {}
        }
    }
    Ok(())
}

/// What is read of every record.
struct Seen {
    status: TaskState,
    root_uid: String,
}

impl Seen {
    /// None for one that is done, or that cannot be read.
    fn read(record: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(record).ok()?;
        // Most records are something else, which need not be read to be told.
        if !["\"Declared\"", "\"Spawned\"", "\"Started\""].iter().any(|status| text.contains(status)) {
            return None;
        }
        let fields = RawObject::parse(text).ok()?;
        let text = |name: &str| Some(Value::parse(fields.get(name)?).ok()?.as_str()?.to_owned());
        let status: TaskState = text("status")?.parse().ok()?;
        status.is_pending().then_some(())?;
        Some(Self { status, root_uid: text("root_uid").unwrap_or_default() })
    }
}

/// For a task that its broker has lost; one whose files are not there is still being sent, or never was.
async fn route_again(backend: &Backend, task: &Task, record: &[u8]) -> Result<(), Error> {
    for resource in task.resources() {
        // Foreign buckets may not be ours to look into.
        if resource.bucket.as_deref() == Some(backend.storage().bucket()?) && !backend.storage().exists(&resource).await? {
            return Ok(());
        }
    }
    let mut pipeline = redis::pipe();
    pipeline.cmd("EVAL").arg(ROUTE_AGAIN).arg(2).arg(keys::task(task.uid())).arg(keys::TASKS).arg(task.uid()).arg(record);
    let (done,): (bool,) = backend.redis().run(&pipeline).await?;
    if done {
        tracing::warn!(task = task.uid(), "lost by its broker: to be routed again");
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

/// Under each identity its connections by id.
type Workers = HashMap<String, BTreeMap<String, Worker>>;

/// A connection that may be that of a consumer at work.
struct Worker {
    /// When it was opened at the earliest.
    since: f64,
    /// It waits for a task, so it has none.
    idle: bool,
}

/// An asynchronous consumer waits for the next task while it works, so its waiting says nothing.
fn workers(connections: Vec<OpenConnection>, binds: &[Bind]) -> Workers {
    connections.into_iter().fold(Workers::new(), |mut workers, OpenConnection { id, name, since, waits }| {
        let identity = name.split('?').next().unwrap_or_default();
        let one_at_a_time = binds.iter().any(|bind| bind.identity == identity && !bind.is_async);
        workers.entry(identity.to_owned()).or_default().insert(id, Worker { since, idle: waits && one_at_a_time });
        workers
    })
}

/// A task that a broker or a consumer may have lost.
struct Sighting {
    uid: String,
    receiver: String,
    started: bool,
    last_update: f64,
}

impl Sighting {
    fn of(task: &Task) -> Option<Self> {
        let receiver = if task.status() == TaskState::Declared { "" } else { task.header_str("receiver")? };
        let started = task.status() == TaskState::Started;
        Some(Self { uid: task.uid().to_owned(), receiver: receiver.to_owned(), started, last_update: task.last_update() })
    }
}

/// What earlier looks have seen.
#[derive(Default)]
struct Suspects {
    tasks: HashMap<String, Suspect>,
    /// Identities under whose name there ever was a connection.
    named: HashSet<String>,
    /// When the last look was, by the clock of Redis.
    looked: Option<f64>,
}

struct Suspect {
    last_update: f64,
    /// Who could be working on it when it was first seen; empty for a task in no queue.
    workers: BTreeSet<String>,
    /// The last look has found it lost.
    lost: bool,
}

impl Suspects {
    /// Of tasks that are in no place, the uids that two looks in a row have found lost.
    fn judge(&mut self, found: Vec<Sighting>, workers: &Workers, now: f64) -> Vec<String> {
        self.named.extend(workers.keys().cloned());
        let mut before = std::mem::take(&mut self.tasks);
        let nobody = BTreeMap::new();
        let mut lost = Vec::new();
        for Sighting { uid, receiver, started, last_update } in found {
            let online = workers.get(&receiver).unwrap_or(&nobody);
            // It started after the last look, whatever the clock of its consumer says; who came later cannot have it.
            let started_before = self.looked.map_or(f64::INFINITY, |looked| looked.max(last_update) + CLOCK_SLACK);
            let possible = || online.iter().filter(|(_, worker)| worker.since <= started_before).map(|(id, _)| id.clone()).collect();
            let earlier = before.remove(&uid).filter(|earlier| earlier.last_update.to_bits() == last_update.to_bits());
            let mut suspect = earlier.unwrap_or_else(|| Suspect {
                last_update,
                workers: if started { possible() } else { BTreeSet::new() },
                lost: false,
            });
            suspect.workers.retain(|id| online.get(id).is_some_and(|worker| !worker.idle));
            let gone = self.named.contains(&receiver) && suspect.workers.is_empty();
            let is_lost = !started || gone;
            if is_lost && suspect.lost {
                lost.push(uid);
                continue;
            }
            suspect.lost = is_lost;
            self.tasks.insert(uid, suspect);
        }
        self.looked = Some(now);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sighting(uid: &str, started: bool, last_update: f64) -> Sighting {
        Sighting { uid: uid.to_owned(), receiver: "karton.x".to_owned(), started, last_update }
    }

    /// Connections that are open since the times given; those whose id starts with `w` wait for a task.
    fn online(connections: &[(&str, f64)]) -> Workers {
        online_as(connections, false)
    }

    fn online_as(connections: &[(&str, f64)], is_async: bool) -> Workers {
        let connection = |(id, since): &(&str, f64)| OpenConnection {
            id: (*id).to_owned(),
            name: "karton.x".to_owned(),
            since: *since,
            waits: id.starts_with('w'),
        };
        let mut bind = Bind::new("karton.x", crate::json::Value::Array(Vec::new()));
        bind.is_async = is_async;
        workers(connections.iter().map(connection).collect(), &[bind])
    }

    #[test]
    fn a_task_in_no_queue_is_lost_when_two_looks_find_it_so() {
        let mut suspects = Suspects::default();
        assert!(suspects.judge(vec![sighting("lost", false, 1.0), sighting("queued later", false, 1.0)], &online(&[]), 1.0).is_empty());
        assert_eq!(suspects.judge(vec![sighting("lost", false, 1.0)], &online(&[]), 2.0), ["lost"]);
        assert!(suspects.judge(vec![sighting("queued later", false, 1.0)], &online(&[]), 3.0).is_empty());
    }

    #[test]
    fn a_task_that_changed_between_two_looks_is_a_new_suspect() {
        let mut suspects = Suspects::default();
        for time in [1.0, 2.0, 3.0] {
            assert!(suspects.judge(vec![sighting("busy", false, time)], &online(&[]), time).is_empty());
        }
    }

    #[test]
    fn a_started_task_is_lost_when_all_its_possible_workers_are_gone() {
        let mut suspects = Suspects::default();
        let mut look = |connections: &[(&str, f64)]| suspects.judge(vec![sighting("t", true, 1.0)], &online(connections), 1.0).len();
        assert_eq!(look(&[("1", 0.0), ("2", 0.0)]), 0);
        // One of them may still be at it; a new one cannot.
        assert_eq!(look(&[("2", 0.0), ("3", 5.0)]), 0);
        assert_eq!(look(&[("3", 5.0)]), 0);
        assert_eq!(look(&[("3", 5.0)]), 1);
    }

    #[test]
    fn who_came_after_a_task_had_started_does_not_have_it() {
        let mut suspects = Suspects::default();
        let mut look = |found: &[f64], connections: &[(&str, f64)], now: f64| {
            let found = found.iter().map(|last_update| sighting("t", true, *last_update)).collect();
            suspects.judge(found, &online(connections), now).len()
        };
        assert_eq!(look(&[], &[("1", 0.0)], 100.0), 0);
        // Its consumer died and was replaced before it was ever seen at work.
        assert_eq!(look(&[130.0], &[("2", 150.0)], 160.0), 0);
        assert_eq!(look(&[130.0], &[("2", 150.0)], 220.0), 1);
        // A consumer whose clock is an hour behind is still at work.
        for now in [280.0, 340.0, 400.0] {
            assert_eq!(look(&[-3400.0], &[("2", 150.0)], now), 0);
        }
    }

    #[test]
    fn who_waits_for_a_task_has_none_unless_it_works_on_several_at_once() {
        for (is_async, lost) in [(false, 1), (true, 0)] {
            let mut suspects = Suspects::default();
            let mut look =
                |connections: &[(&str, f64)]| suspects.judge(vec![sighting("t", true, 1.0)], &online_as(connections, is_async), 1.0).len();
            // It may have come to its work between the two looks at records and connections.
            assert_eq!(look(&[("w1", 0.0)]), 0);
            assert_eq!(look(&[("w1", 0.0)]), lost);
        }
    }

    #[test]
    fn nothing_is_known_of_consumers_without_a_name() {
        let mut suspects = Suspects::default();
        for now in [1.0, 2.0, 3.0, 4.0] {
            assert!(suspects.judge(vec![sighting("t", true, 1.0)], &online(&[]), now).is_empty());
        }
    }
}
