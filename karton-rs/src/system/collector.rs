//! The collector: removes what is done with.
//!
//! The one rule: an object is deleted only when no record that exists refers to it. Objects are
//! listed before records are read, because a producer writes the record before it uploads. Records
//! are read in slices, and one that cannot be read is kept, with every object it may refer to. A lock
//! in Redis lets one collector of ours run at a time. See Karton protocol §12.3 and §12.4.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use regex::bytes::Regex;
use tokio_util::sync::CancellationToken;

use super::SystemSettings;
use crate::{
    backend::{Backend, keys, keys::Metric, read_task},
    error::Error,
    json::RawObject,
    service::Outage,
    storage::ObjectVersion,
    task::{Task, TaskState, new_uid, now},
};

/// How many objects are deleted by one request.
const DELETE_BATCH: usize = 100;
/// Seconds that the lock outlives its last renewal.
const LOCK_FOR: u64 = 120;
const EVERY_TASK: &str = "karton.task:*";

/// Waits for the bucket, then collects every `gc_interval`.
pub(super) async fn run(
    backend: &Backend,
    settings: &SystemSettings,
    setup_bucket: bool,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let mut outage = Outage::default();
    loop {
        match backend.storage().check_bucket(setup_bucket).await {
            Ok(true) => break,
            Ok(false) => {
                let bucket = backend.storage().bucket()?.to_owned();
                return Err(crate::ConfigError::new(
                    crate::ConfigErrorKind::Unusable,
                    format!("[s3] bucket: `{bucket}` does not exist; `karton-system --setup-bucket` creates it"),
                )
                .into());
            }
            Err(error) if error.is_temporary() => outage.wait(&error, shutdown).await,
            Err(error) => return Err(error),
        }
        if shutdown.is_cancelled() {
            return Ok(());
        }
    }
    outage.over();
    let collector = Collector { backend, settings, owner: new_uid() };
    loop {
        tokio::select! {
            // An interval of 0 means as often as possible, not without a pause.
            () = tokio::time::sleep(settings.gc_interval.max(Duration::from_secs(1))), if settings.enable_gc => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        // A collection may be left at any point: the next one starts from what is there.
        let outcome = tokio::select! {
            outcome = collector.collect() => outcome,
            () = shutdown.cancelled() => {
                // When it cannot be given back it expires.
                let _ = collector.unlock().await;
                return Ok(());
            }
        };
        if let Err(error) = outcome {
            tracing::error!("collection failed: {error}");
        }
    }
}

struct Collector<'a> {
    backend: &'a Backend,
    settings: &'a SystemSettings,
    owner: String,
}

impl Collector<'_> {
    async fn collect(&self) -> Result<(), Error> {
        if !self.lock().await? {
            tracing::debug!("another collector is at work");
            return Ok(());
        }
        let outcome = async {
            let tasks = self.collect_tasks().await?;
            let objects = self.collect_objects().await?;
            if tasks + objects > 0 {
                tracing::info!("collected {tasks} tasks and {objects} objects");
            }
            Ok(())
        }
        .await;
        self.unlock().await?;
        outcome
    }

    async fn lock(&self) -> Result<bool, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg(keys::COLLECTOR_LOCK).arg(&self.owner).arg("NX").arg("EX").arg(LOCK_FOR);
        let (taken,): (Option<String>,) = self.backend.redis().run(&pipeline).await?;
        Ok(taken.is_some())
    }

    /// Keeps the lock for another while; an error when it was lost to somebody else.
    async fn renew(&self) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg(keys::COLLECTOR_LOCK).arg(&self.owner).arg("XX").arg("GET").arg("EX").arg(LOCK_FOR);
        let (holder,): (Option<String>,) = self.backend.redis().run(&pipeline).await?;
        if holder.as_deref() == Some(&self.owner) { Ok(()) } else { Err(Error::Stopped("collecting: the lock was lost".to_owned())) }
    }

    async fn unlock(&self) -> Result<(), Error> {
        const UNLOCK: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(UNLOCK).arg(1).arg(keys::COLLECTOR_LOCK).arg(&self.owner).ignore();
        self.backend.redis().run(&pipeline).await
    }

    async fn collect_tasks(&self) -> Result<usize, Error> {
        let held = self.held().await?;
        let gone = self.remove_offline_binds().await?;
        let mut timeless = self.first_seen().await?;
        let began = now();
        let mut cursor = 0;
        let mut collected = 0;
        loop {
            self.renew().await?;
            let (next, records) = self.backend.scan_records(cursor, EVERY_TASK).await?;
            let mut slice = Slice::default();
            for (uid, record) in records {
                match read_task(&uid, &record) {
                    Ok(mut task) => {
                        if task.last_update() >= began {
                            timeless.judge(&mut task, &record, began);
                        }
                        decide(self.settings, task, &held, &gone, now(), &mut slice);
                    }
                    Err(reason) => self.backend.quarantine(&uid, &reason).await?,
                }
            }
            collected += slice.deleted.len();
            self.apply(slice).await?;
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        self.remember(&timeless).await?;
        self.backend.trim_analyses(self.settings.history_ttl, self.settings.history_limit).await?;
        Ok(collected)
    }

    /// When tasks that do not say when they were made were seen first.
    async fn first_seen(&self) -> Result<Timeless, Error> {
        let (before,): (Vec<(Vec<u8>, f64)>,) = self.backend.redis().run(redis::pipe().hgetall(keys::FIRST_SEEN)).await?;
        let before = before.into_iter().filter_map(|(uid, time)| Some((String::from_utf8(uid).ok()?, time))).collect();
        Ok(Timeless { before, seen: HashMap::new() })
    }

    async fn remember(&self, timeless: &Timeless) -> Result<(), Error> {
        if timeless.before.is_empty() && timeless.seen.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        pipeline.atomic().del(keys::FIRST_SEEN).ignore();
        if !timeless.seen.is_empty() {
            pipeline.hset_multiple(keys::FIRST_SEEN, &timeless.seen.iter().collect::<Vec<_>>()).ignore();
        }
        self.backend.redis().run(&pipeline).await
    }

    /// uids that somebody holds, however old they are: a queue, a router, or a consumer at work.
    async fn held(&self) -> Result<HashSet<String>, Error> {
        let mut held: HashSet<String> = self.backend.unrouted_uids().await?.into_iter().collect();
        let mut pipeline = redis::pipe();
        pipeline.zrangebyscore(keys::LEASES, self.backend.server_time().await?, "+inf");
        let (claimed,): (Vec<Vec<u8>>,) = self.backend.redis().run(&pipeline).await?;
        held.extend(claimed.iter().map(|uid| String::from_utf8_lossy(uid).into_owned()));
        Ok(held)
    }

    /// Removes the binds and queues of non-persistent consumers that nobody runs any more.
    async fn remove_offline_binds(&self) -> Result<HashSet<String>, Error> {
        let online = self.backend.online_consumers().await?;
        let mut gone = HashSet::new();
        for bind in self.backend.binds().await? {
            if !bind.persistent && !online.contains_key(&bind.identity) {
                tracing::info!("Non-persistent: unwinding bind {}", bind.identity);
                let mut pipeline = redis::pipe();
                pipeline.atomic().hdel(keys::BINDS, &bind.identity).ignore().del(&keys::queues(&bind.identity)).ignore();
                self.backend.redis().run::<()>(&pipeline).await?;
                gone.insert(bind.identity);
            }
        }
        Ok(gone)
    }

    async fn apply(&self, slice: Slice) -> Result<(), Error> {
        if slice.deleted.is_empty() && slice.crashed.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        if !slice.deleted.is_empty() {
            pipeline.del(&slice.deleted).ignore();
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
        self.backend.redis().run::<()>(&pipeline).await?;
        self.backend.index_ends(&slice.ended).await
    }

    async fn collect_objects(&self) -> Result<usize, Error> {
        let mut unused = self.list_objects().await?;
        let bucket = self.backend.storage().bucket()?.to_owned();
        let mut cursor = 0;
        while !unused.is_empty() {
            self.renew().await?;
            let (next, records) = self.backend.scan_records(cursor, EVERY_TASK).await?;
            for uid in records.iter().flat_map(|(_, record)| referred(record, &bucket)) {
                unused.remove(&uid);
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let unused: Vec<ObjectVersion> = unused.into_values().flatten().collect();
        for batch in unused.chunks(DELETE_BATCH) {
            self.renew().await?;
            let refused = self.backend.storage().delete(batch, self.settings.enable_null_version_deletion).await?;
            if refused > 0 {
                tracing::warn!("the object store refused to delete {refused} of {} objects", batch.len());
            }
        }
        Ok(unused.len())
    }

    async fn list_objects(&self) -> Result<HashMap<String, Vec<ObjectVersion>>, Error> {
        let mut objects: HashMap<String, Vec<ObjectVersion>> = HashMap::new();
        let mut after = None;
        loop {
            let page = self.backend.storage().list_versions(after).await?;
            for object in page.objects {
                objects.entry(object.key.clone()).or_default().push(object);
            }
            after = page.next;
            if after.is_none() {
                return Ok(objects);
            }
        }
    }
}

/// What one slice of records leads to.
#[derive(Default)]
pub(super) struct Slice {
    pub(super) deleted: Vec<String>,
    pub(super) receivers: BTreeMap<String, u64>,
    pub(super) crashed: Vec<Task>,
    /// The deleted ones that went to a consumer, to be remembered.
    ended: Vec<Task>,
}

/// Tasks of services that do not say when they made them: their age counts from when they were first
/// seen (Karton protocol §15 row 14).
struct Timeless {
    before: HashMap<String, f64>,
    seen: HashMap<String, f64>,
}

impl Timeless {
    /// Gives a task without a time the one when it was first seen.
    fn judge(&mut self, task: &mut Task, record: &[u8], now: f64) {
        let time = std::str::from_utf8(record).ok().and_then(|text| RawObject::parse(text).ok()?.get("last_update").map(str::to_owned));
        if time.is_some_and(|time| time.parse::<f64>().is_ok_and(|time| time != 0.0)) {
            return;
        }
        let seen = self.before.get(task.uid()).copied().unwrap_or(now);
        self.seen.insert(task.uid().to_owned(), seen);
        task.set_last_update(seen);
    }
}

/// What becomes of one task: the first rule that applies decides.
pub(super) fn decide(
    settings: &SystemSettings,
    mut task: Task,
    held: &HashSet<String>,
    gone: &HashSet<String>,
    now: f64,
    slice: &mut Slice,
) {
    let age = now - task.last_update();
    let older = |limit: std::time::Duration| age > limit.as_secs_f64();
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

/// The uids of all objects in the bucket that a record refers to, or may refer to when it is unreadable.
pub(super) fn referred(record: &[u8], bucket: &str) -> Vec<String> {
    match read_task("", record) {
        Ok(task) => {
            let resources = task.resources().into_iter();
            resources.filter(|resource| resource.bucket.as_deref() == Some(bucket)).map(|resource| resource.uid).collect()
        }
        Err(_) => possible_uids(record).map(str::to_owned).collect(),
    }
}

/// Everything in an unreadable record that looks like the uid of a resource.
fn possible_uids(record: &[u8]) -> impl Iterator<Item = &str> {
    static UUID: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new("(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").ok());
    UUID.iter().flat_map(move |pattern| pattern.find_iter(record)).filter_map(|found| std::str::from_utf8(found.as_bytes()).ok())
}
