//! Which tasks are done with.
//!
//! The one rule: lists are read before records, so a task that somebody has is never taken for one that
//! nobody has; a record that cannot be read is kept, and put into quarantine.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::Collector;
use crate::{
    backend::{Backend, Glimpse, Places, keys, keys::Metric, read_task},
    error::Error,
    json::RawObject,
    system::SystemSettings,
    task::{Task, TaskState, now},
};

/// Entries that are looked at by one command.
const ENTRIES: usize = 1000;

/// The next cursor, and fields with their values.
type ScannedHash = (u64, Vec<(Vec<u8>, Vec<u8>)>);

impl Collector<'_> {
    pub(super) async fn collect_tasks(&mut self) -> Result<usize, Error> {
        let backend = self.backend.clone();
        let held = backend.held_places().await?;
        let gone = self.remove_offline_binds().await?;
        let mut collected = 0;
        let mut scan = backend.scan(keys::EVERY_TASK);
        while let Some(records) = scan.next().await? {
            self.renew().await?;
            let (mut tasks, mut unreadable) = (Vec::new(), Vec::new());
            for (uid, record) in records.iter().filter(|(_, record)| !stays(self.settings, record, &gone, now())) {
                match read_task(uid, record) {
                    Ok(task) => {
                        let timeless = task.status() != TaskState::Finished && tells_no_time(record);
                        tasks.push((task, timeless));
                    }
                    Err(reason) => unreadable.push((uid.clone(), reason)),
                }
            }
            backend.quarantine(&unreadable).await?;
            first_seen(&backend, &mut tasks).await?;
            let mut slice = Slice::default();
            tasks.into_iter().for_each(|(task, _)| decide(self.settings, task, &held, &gone, now(), &mut slice));
            collected += slice.deleted.len();
            apply(&backend, slice).await?;
        }
        forget_first_seen(&backend).await?;
        backend.trim_analyses(self.settings.history_ttl, self.settings.history_limit).await?;
        Ok(collected)
    }

    /// Removes the binds and queues of non-persistent consumers that nobody runs any more.
    async fn remove_offline_binds(&self) -> Result<HashSet<String>, Error> {
        let online = self.backend.online_consumers().await?;
        let mut gone = HashSet::new();
        for bind in self.backend.binds().await? {
            if !bind.persistent && !online.contains_key(&bind.identity) {
                tracing::info!("Non-persistent: unwinding bind {}", bind.identity);
                let mut pipeline = redis::pipe();
                pipeline.atomic().hdel(keys::BINDS, &bind.identity).ignore().unlink(&keys::queues(&bind.identity)).ignore();
                self.backend.redis().run::<()>(&pipeline).await?;
                gone.insert(bind.identity);
            }
        }
        Ok(gone)
    }
}

/// What one slice of records leads to.
#[derive(Default)]
pub(in crate::system) struct Slice {
    pub(in crate::system) deleted: Vec<String>,
    pub(in crate::system) receivers: BTreeMap<String, u64>,
    pub(in crate::system) crashed: Vec<Task>,
    /// The deleted ones that went to a consumer, to be remembered.
    ended: Vec<Task>,
}

/// Whether a record stays, as far as a glimpse tells: most of them do, and need not be read whole.
fn stays(settings: &SystemSettings, record: &[u8], gone: &HashSet<String>, now: f64) -> bool {
    let Some(glimpse) = Glimpse::read(record) else { return false };
    let younger = |limit: Duration| glimpse.last_update.is_some_and(|time| now - time <= limit.as_secs_f64());
    let stays = match glimpse.status {
        TaskState::Declared => younger(settings.task_dispatched_timeout),
        TaskState::Started => younger(settings.task_started_timeout),
        TaskState::Finished => false,
        TaskState::Crashed => younger(settings.task_crashed_timeout),
        TaskState::Spawned => true,
    };
    stays && (gone.is_empty() || !glimpse.receiver().is_some_and(|receiver| gone.contains(&receiver)))
}

/// What becomes of one task: the first rule that applies decides.
pub(in crate::system) fn decide(
    settings: &SystemSettings,
    mut task: Task,
    held: &Places,
    gone: &HashSet<String>,
    now: f64,
    slice: &mut Slice,
) {
    let age = now - task.last_update();
    let older = |limit: Duration| age > limit.as_secs_f64();
    let unwanted = task.header_str("receiver").is_some_and(|receiver| gone.contains(receiver));
    let delete = unwanted
        || match task.status() {
            TaskState::Declared => older(settings.task_dispatched_timeout) && !held.contains(task.uid()),
            TaskState::Started => older(settings.task_started_timeout) && !held.contains(task.uid()),
            TaskState::Finished => true,
            TaskState::Crashed => older(settings.task_crashed_timeout),
            TaskState::Spawned => false,
        };
    if !delete {
        return;
    }
    if task.status() == TaskState::Started && !unwanted && settings.crash_started_tasks_on_timeout {
        task.crash(vec![format!("Task was Started for more than {} s\n", settings.task_started_timeout.as_secs())]);
        slice.crashed.push(task);
        return;
    }
    *slice.receivers.entry(task.header_str("receiver").unwrap_or("unknown").to_owned()).or_default() += 1;
    slice.deleted.push(keys::task(task.uid()));
    if task.header_str("receiver").is_some() {
        slice.ended.push(task);
    }
}

async fn apply(backend: &Backend, slice: Slice) -> Result<(), Error> {
    if slice.deleted.is_empty() && slice.crashed.is_empty() {
        return Ok(());
    }
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    if !slice.deleted.is_empty() {
        pipeline.unlink(&slice.deleted).ignore();
        let uids: Vec<&str> = slice.deleted.iter().filter_map(|key| key.strip_prefix(keys::TASK_PREFIX)).collect();
        pipeline.hdel(keys::DELIVERIES, &uids).ignore().hdel(keys::ATTEMPTS, &uids).ignore().zrem(keys::DELAYED, &uids).ignore();
    }
    for (receiver, count) in &slice.receivers {
        pipeline.hincr(Metric::GarbageCollected.key(), receiver, *count).ignore();
    }
    for task in &slice.crashed {
        pipeline.cmd("SET").arg(keys::task(task.uid())).arg(task.to_json()).arg("XX").ignore();
        pipeline.hincr(Metric::Crashed.key(), task.header_str("receiver").unwrap_or("unknown"), 1).ignore();
    }
    backend.redis().run::<()>(&pipeline).await?;
    backend.index_ends(&slice.ended).await
}

/// Whether a record does not say when it was made.
fn tells_no_time(record: &[u8]) -> bool {
    let time = std::str::from_utf8(record).ok().and_then(|text| RawObject::parse(text).ok()?.get("last_update").map(str::to_owned));
    !time.is_some_and(|time| time.parse::<f64>().is_ok_and(|time| time != 0.0))
}

/// Tasks of services that do not say when they made them: their age counts from when they were first
/// seen (Karton protocol §15 row 14).
async fn first_seen(backend: &Backend, tasks: &mut [(Task, bool)]) -> Result<(), Error> {
    let mut timeless: HashMap<String, &mut Task> = HashMap::new();
    for (task, timeless_task) in tasks.iter_mut() {
        if *timeless_task {
            timeless.insert(task.uid().to_owned(), task);
        }
    }
    if timeless.is_empty() {
        return Ok(());
    }
    let uids: Vec<String> = timeless.keys().cloned().collect();
    let (times,): (Vec<Option<f64>>,) = backend.redis().run(redis::pipe().cmd("HMGET").arg(keys::FIRST_SEEN).arg(&uids)).await?;
    let (now, mut new) = (now(), Vec::new());
    for (uid, time) in uids.iter().zip(times) {
        if time.is_none() {
            new.push((uid, now));
        }
        if let Some(task) = timeless.get_mut(uid) {
            task.set_last_update(time.unwrap_or(now));
        }
    }
    if new.is_empty() {
        return Ok(());
    }
    backend.redis().run(redis::pipe().hset_multiple(keys::FIRST_SEEN, &new).ignore()).await
}

/// Forgets when those were first seen that are gone.
async fn forget_first_seen(backend: &Backend) -> Result<(), Error> {
    let mut cursor = 0_u64;
    loop {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HSCAN").arg(keys::FIRST_SEEN).arg(cursor).arg("COUNT").arg(ENTRIES);
        let ((next, entries),): (ScannedHash,) = backend.redis().run(&pipeline).await?;
        if !entries.is_empty() {
            let mut pipeline = redis::pipe();
            for (uid, _) in &entries {
                pipeline.exists([keys::TASK_PREFIX.as_bytes(), uid].concat());
            }
            let there: Vec<bool> = backend.redis().run(&pipeline).await?;
            let gone: Vec<Vec<u8>> = entries.into_iter().zip(there).filter(|(_, there)| !there).map(|((uid, _), _)| uid).collect();
            if !gone.is_empty() {
                backend.redis().run::<()>(redis::pipe().hdel(keys::FIRST_SEEN, gone).ignore()).await?;
            }
        }
        cursor = next;
        if cursor == 0 {
            return Ok(());
        }
    }
}
