//! Brings back what brokers and consumers that are not ours have lost.
//!
//! They pop a task and tell nobody, so a task may be in no queue and in nobody's hands. The one rule:
//! nothing is touched before two looks, `orphan_grace` apart, agree on it; what they go by is told in
//! [`suspects`]. A look reads only what may be lost, remembers a bounded part of it, and the time
//! between two looks is many times what one takes.

mod suspects;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::suspects::{Oldest, Sighting, Suspects, Witness, workers};
use super::{SystemSettings, Turn};
use crate::{
    backend::{Backend, Found, Glimpse, Places, keys, keys::Metric, read_task},
    config::Config,
    error::{Error, Failures},
    service::Outage,
    task::{Task, TaskState},
};

const FIRST_LOOK: Duration = Duration::from_secs(1);
/// The time between two looks is at least this many times what Redis works for one beyond [`SHORT`].
const REST: u32 = 30;
/// A look that takes no longer is no burden, at whatever interval.
const SHORT: Duration = Duration::from_secs(1);
/// After so many looks those are looked at again that are done or in the index: one may have been mistaken for such.
const LOOKS: u32 = 16;

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
    redis.pcall('HINCRBY', KEYS[5], ARGV[4], 1)
end
return 1
";

/// Queues an unrouted task again if it is unchanged. It may be routed twice when it was not lost. Its
/// record is changed, so that a collector which thinks it lost leaves it alone.
const ROUTE_AGAIN: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('LPUSH', KEYS[2], ARGV[1])
return 1
";

/// What is remembered from look to look.
#[derive(Default)]
struct Memory {
    suspects: Suspects,
    /// Tasks that have ended.
    done: Places,
    /// Tasks that are in the index.
    indexed: Places,
    looks: u32,
    /// The index has no room for analyses that others have routed.
    full: bool,
}

/// Looks for orphans every `orphan_grace`.
pub(super) async fn run(backend: &Backend, config: &Config, settings: &SystemSettings, turn: &Turn, shutdown: &CancellationToken) {
    let (mut memory, mut outage) = (Memory::default(), Outage::default());
    // The first look also finds what was routed before this broker was there.
    let mut pause = FIRST_LOOK.min(settings.orphan_grace);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
        let work = async {
            let _turn = turn.lock().await;
            let backend = backend.beside(config)?;
            let outcome = look(&backend, settings, &mut memory).await;
            pause = settings.orphan_grace.max(backend.redis().busy().saturating_sub(SHORT) * REST);
            outcome
        };
        let outcome: Result<(), Error> = tokio::select! {
            worked = work => worked,
            () = shutdown.cancelled() => return,
        };
        match outcome {
            Ok(()) => outage.over(),
            Err(error) => outage.note("look for lost tasks", &error),
        }
    }
}

async fn look(backend: &Backend, settings: &SystemSettings, memory: &mut Memory) -> Result<(), Error> {
    let completes = settings.keeps_history() && backend.can_complete_index().await?;
    let doubt = backend.doubt().await?;
    // Before the records: what is sent or popped in between is as new to the next look.
    let places = backend.all_places().await?;
    let mut room = backend.room_for_analyses(settings.history_limit).await?;
    let indexes = settings.keeps_history() && !(memory.full && room == 0);
    let partial = completes && backend.index_may_be_partial().await?;
    let open = if !indexes || partial { Places::default() } else { backend.open_analyses().await? };
    memory.full &= !indexes;
    if memory.looks.is_multiple_of(LOOKS) {
        (memory.done, memory.indexed) = Default::default();
    }
    memory.looks = memory.looks.wrapping_add(1);
    let mut found = Oldest::default();
    let mut scan = backend.scan(keys::EVERY_TASK);
    // A task that is somewhere, and known to the index, is looked at by neither.
    loop {
        let is_indexed =
            |uid: &str| !indexes || (memory.indexed.contains(uid) && keys::root_in(uid).is_some_and(|root| open.contains(root)));
        let settled = |uid: &str| memory.done.contains(uid) || (places.contains(uid) && is_indexed(uid));
        let Some(records) = scan.next_of(|uid| !settled(uid)).await? else { break };
        let mut unknown = Vec::new();
        for (uid, record) in &records {
            let Some(glimpse) = Glimpse::read(record) else {
                // Unusual, so it is read whole.
                if let Some(task) = read_task(uid, record).ok().filter(|task| task.status().is_pending()) {
                    if !places.contains(uid) {
                        found.extend(Sighting::of(&task));
                    }
                    if indexes && task.status() != TaskState::Declared {
                        let (root_uid, orig_uid) = (task.root_uid().to_owned(), task.orig_uid().map(str::to_owned));
                        unknown.push(Found { uid, root_uid, orig_uid, record });
                    }
                }
                continue;
            };
            if !glimpse.status.is_pending() {
                memory.done.insert(uid.as_bytes());
                continue;
            }
            // The index has all that our broker has routed: others may have added to an analysis, whether or not it had ended.
            if indexes
                && glimpse.status != TaskState::Declared
                && let Some(root_uid) = glimpse.root_uid()
                && !(memory.indexed.contains(uid) && open.contains(&root_uid))
            {
                unknown.push(Found { uid, root_uid, orig_uid: glimpse.orig_uid(), record });
            }
            if !places.contains(uid)
                && let Ok(task) = read_task(uid, record)
            {
                found.extend(Sighting::of(&task));
            }
        }
        if backend.index_found(&unknown, settings.history_ttl, &mut room).await? {
            unknown.iter().for_each(|found| memory.indexed.insert(found.uid.as_bytes()));
        } else {
            memory.full = true;
        }
    }
    // Who deletes a record and is not ours knows nothing of these.
    for hash in [keys::DELIVERIES, keys::ATTEMPTS] {
        backend.forget_absent(hash).await?;
    }
    if memory.full {
        backend.index_may_lack_tasks().await?;
    } else if completes && backend.brokers_are_ours().await? {
        backend.index_is_completed(doubt.as_deref()).await?;
    }
    let connections = backend.connections().await?;
    let witness = Witness {
        now: backend.server_time().await?,
        patience: settings.orphan_grace.as_secs_f64(),
        tells: backend.idle_connections_stay().await?,
        // Nobody knows, so it may have been after any task.
        started: backend.server_start().await?.unwrap_or(f64::INFINITY),
    };
    let workers = workers(connections, &backend.binds().await?);
    let mut failures = Failures::default();
    for uid in memory.suspects.judge(found.into_vec(), &workers, &witness) {
        let outcome = settle(backend, settings, &uid).await;
        failures.note(&uid, outcome)?;
    }
    failures.first()
}

/// What becomes of a task that is lost.
async fn settle(backend: &Backend, settings: &SystemSettings, uid: &str) -> Result<(), Error> {
    let uids = [uid.to_owned()];
    let Some(record) = backend.records(&uids).await?.into_iter().flatten().next() else { return Ok(()) };
    match read_task(uid, &record) {
        Ok(task) if task.status() == TaskState::Declared => route_again(backend, task, &record).await,
        Ok(task) if task.status().is_pending() => bring_back(backend, settings, task, &record).await,
        _ => Ok(()),
    }
}

/// For a task that its broker has lost; one whose files are not there is still being sent, or never was.
async fn route_again(backend: &Backend, mut task: Task, record: &[u8]) -> Result<(), Error> {
    for resource in task.resources() {
        match backend.storage().exists(&resource).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // A foreign bucket may not be ours to look into. The store may be away: then Redis need not be.
            Err(error @ Error::Storage { .. }) => {
                tracing::debug!(task = task.uid(), "not routed again, its files cannot be looked for: {error}");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
    task.touch();
    let mut pipeline = redis::pipe();
    pipeline.cmd("EVAL").arg(ROUTE_AGAIN).arg(2).arg(keys::task(task.uid())).arg(keys::TASKS);
    pipeline.arg(task.uid()).arg(record).arg(task.to_json());
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
