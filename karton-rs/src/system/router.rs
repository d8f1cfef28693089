//! The routing loop.
//!
//! The one rule: uids leave `karton.tasks` only into the in-flight list of this router, and leave
//! that list only in the transaction that writes everything that routing them means. Whatever fails
//! in between is done again from the list; when the process dies, [`sweep`](super::sweep) puts the
//! list back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexMap;
use redis::Pipeline;
use tokio_util::sync::CancellationToken;

use super::{
    SystemSettings,
    fork::Unrouted,
    matcher::{Matcher, Unusable},
    sweep,
};
use crate::{
    backend::{Connection, analysis, by_identity, keys, keys::Metric},
    config::{Config, RedisSettings},
    error::Error,
    service::Outage,
    task::{Task, TaskState, new_uid, now},
};

/// How many tasks are routed in one transaction.
const BATCH: usize = 250;
/// How many bytes of records are routed in one transaction, if it is more than one.
const BATCH_BYTES: usize = 16 << 20;
/// How many status changes of old consumers are applied at once.
const OPERATIONS: isize = 1000;
/// How many waiting replicas of a consumer are woken at once.
const WAKE_TOKENS: usize = 16;
const LAST_WAKE_TOKEN: isize = 15;
/// How long an idle router waits for a task; also how long it needs to stop.
const WAIT: Duration = Duration::from_secs(1);
/// How long filters may take before this router shows again that it lives.
const SIGN_INTERVAL: Duration = Duration::from_secs(5);
/// How often leftovers of dead routers are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Moves the next uids into the in-flight list, when nothing is in it, and gives all that are there.
/// Large records end a batch early.
const TAKE: &str = r"
local held = redis.call('LRANGE', KEYS[2], 0, -1)
if #held > 0 then return held end
local uids = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1)
local count, bytes = 0, 0
for _, uid in ipairs(uids) do
    local length = redis.pcall('STRLEN', ARGV[2] .. uid)
    if type(length) == 'number' then bytes = bytes + length end
    if count > 0 and bytes > tonumber(ARGV[3]) then break end
    count = count + 1
end
for i = 1, count do redis.call('RPUSH', KEYS[2], uids[i]) end
redis.call('LTRIM', KEYS[1], count, -1)
return redis.call('LRANGE', KEYS[2], 0, -1)
";

/// Header sets kept for each origin; with more, something in them is different in each task.
const MOST_OUTPUTS: usize = 10_000;
const ADD_OUTPUTS: &str = r"
local count = redis.pcall('SCARD', KEYS[1])
if type(count) ~= 'number' then return end
local room = tonumber(ARGV[2]) - count
for i = 3, math.min(#ARGV, 2 + room) do redis.call('SADD', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
";

/// Fields that are kept about one analysis; a task has two or three.
const MOST_FIELDS: usize = 60_000;
/// Seconds after which an analysis is looked at for the first time, unless a task of it ends before.
const FIRST_LOOK: f64 = 1.0;

/// The records of a batch, and the binds as they are stored.
type Batch = (Vec<Option<Vec<u8>>>, IndexMap<String, Vec<u8>>);
/// A hash as Redis gives it: nothing in it need be text.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

struct Router<'a> {
    /// Of this loop alone: it waits in blocking moves and watches the binds.
    connection: Connection,
    id: String,
    in_flight: String,
    settings: &'a SystemSettings,
    matcher: Matcher,
}

pub(super) async fn run(config: &Config, name: &str, settings: &SystemSettings, shutdown: &CancellationToken) -> Result<(), Error> {
    let id = new_uid();
    let redis = RedisSettings::from_config(config)?;
    let mut router = Router {
        connection: Connection::new(&redis, name, redis.patient_timeout())?,
        in_flight: keys::in_flight(&id),
        id,
        settings,
        matcher: Matcher::default(),
    };
    let mut outage = Outage::default();
    let mut swept: Option<tokio::time::Instant> = None;
    while !shutdown.is_cancelled() {
        let turn = async {
            sweep::sign_of_life(&router.connection, &router.id).await?;
            if swept.is_none_or(|at| at.elapsed() > SWEEP_INTERVAL) {
                sweep::take_over(&router.connection, &router.id).await?;
                swept = Some(tokio::time::Instant::now());
            }
            router.step().await
        };
        match turn.await {
            Ok(()) => outage.over(),
            Err(error) if error.is_temporary() => outage.wait(&error, shutdown).await,
            Err(error) => {
                // A refused command: the batch stays in flight and is tried again.
                tracing::error!("routing failed: {error}");
                outage.wait(&error, shutdown).await;
            }
        }
    }
    if let Err(error) = sweep::leave(&router.connection, &router.id).await {
        tracing::warn!("cannot put back what is in flight, another router will: {error}");
    }
    Ok(())
}

impl Router<'_> {
    async fn step(&mut self) -> Result<(), Error> {
        self.apply_operations().await?;
        let mut uids = self.take().await?;
        if uids.is_empty() && self.wait().await? {
            uids = self.take().await?;
        }
        if uids.is_empty() { Ok(()) } else { self.route(&uids).await }
    }

    async fn take(&self) -> Result<Vec<String>, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(TAKE).arg(2).arg(keys::TASKS).arg(&self.in_flight).arg(BATCH).arg(keys::TASK_PREFIX).arg(BATCH_BYTES);
        let (uids,): (Vec<Vec<u8>>,) = self.connection.run(&pipeline).await?;
        Ok(uids.into_iter().map(|uid| String::from_utf8_lossy(&uid).into_owned()).collect())
    }

    /// Waits for a task, which is then in flight.
    async fn wait(&self) -> Result<bool, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("BLMOVE").arg(keys::TASKS).arg(&self.in_flight).arg("LEFT").arg("RIGHT").arg(WAIT.as_secs());
        let (moved,): (Option<Vec<u8>>,) = self.connection.run(&pipeline).await?;
        Ok(moved.is_some())
    }

    /// Routes everything in flight in one transaction.
    async fn route(&mut self, uids: &[String]) -> Result<(), Error> {
        loop {
            let Some((records, binds)) = self.read(uids).await? else {
                tracing::warn!("another router took over: this one was still for too long");
                return Ok(());
            };
            let mut unusable = self.matcher.update(binds);
            let mut plan = Plan::default();
            let mut seen = BTreeSet::new();
            let mut signed = tokio::time::Instant::now();
            for (uid, record) in uids.iter().zip(&records) {
                if signed.elapsed() > SIGN_INTERVAL {
                    sweep::sign_of_life(&self.connection, &self.id).await?;
                    signed = tokio::time::Instant::now();
                }
                // A uid may be pushed twice when a producer tried again.
                if let (Some(record), true) = (record, seen.insert(uid)) {
                    plan.add(&mut self.matcher, uid, record, &mut unusable);
                }
            }
            for Unusable { identity, reason } in unusable {
                tracing::error!(identity, "bind cannot be used, it gets no tasks: {reason}");
                plan.quarantined.insert(format!("bind:{identity}"), reason);
            }
            let pipeline = plan.transaction(self.settings, &self.in_flight);
            let outcome: Option<redis::Value> = self.connection.run(&pipeline).await?;
            if outcome.is_some() {
                for (uid, receivers) in plan.routed {
                    tracing::info!(task = uid, "routed to {receivers:?}");
                }
                return Ok(());
            }
            // A bind changed since it was read: match again.
            tracing::debug!("binds changed while routing");
        }
    }

    /// Records and binds in one round trip. From here on a change of the binds, or of what is in
    /// flight, voids the transaction. None: what was in flight is not ours any more.
    async fn read(&self, uids: &[String]) -> Result<Option<Batch>, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("WATCH").arg(keys::BINDS).arg(&self.in_flight).ignore();
        pipeline.llen(&self.in_flight);
        pipeline.cmd("MGET").arg(uids.iter().map(|uid| keys::task(uid)).collect::<Vec<_>>());
        pipeline.hgetall(keys::BINDS);
        let (length, records, binds): (usize, _, Pairs) = self.connection.run(&pipeline).await?;
        Ok((length == uids.len()).then(|| (records, by_identity(binds))))
    }

    /// Status changes that consumers before Karton 4.4 ask the broker to write. See Karton protocol §12.5.
    async fn apply_operations(&self) -> Result<(), Error> {
        let (entries,): (Vec<Vec<u8>>,) = self.connection.run(redis::pipe().lrange(keys::OPERATIONS, 0, OPERATIONS - 1)).await?;
        if entries.is_empty() {
            return Ok(());
        }
        let mut records = BTreeMap::new();
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for entry in &entries {
            pipeline.cmd("LREM").arg(keys::OPERATIONS).arg(1).arg(entry).ignore();
            match operation(entry) {
                Ok(Some((key, record))) => {
                    records.insert(key, record);
                }
                Ok(None) => {}
                Err(reason) => {
                    tracing::error!("operation cannot be read, put into quarantine: {reason}");
                    add_to_quarantine(&mut pipeline, &format!("operation:{}", String::from_utf8_lossy(entry)), &reason);
                }
            }
        }
        for (key, record) in &records {
            pipeline.set(key, record).ignore();
        }
        for entry in &entries {
            pipeline.publish(keys::log_channel("info", keys::OPERATIONS), entry).ignore();
        }
        self.connection.run(&pipeline).await
    }
}

/// The record that an operation asks for; nothing when the task has that status already.
pub(crate) fn operation(entry: &[u8]) -> Result<Option<(String, String)>, String> {
    let text = std::str::from_utf8(entry).map_err(|_| "not UTF-8 text")?;
    let entry = crate::json::Value::parse(text).map_err(|error| error.to_string())?;
    let member = |name: &str| entry.get(name).and_then(crate::json::Value::as_str).ok_or_else(|| format!("no text `{name}`"));
    let mut task = Task::from_json(member("task")?).map_err(|error| error.to_string())?;
    let status: TaskState = member("status")?.parse()?;
    if task.status() == status {
        return Ok(None);
    }
    task.set_status(status);
    Ok(Some((keys::task(task.uid()), task.to_json())))
}

/// Everything that routing one batch writes.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) records: Vec<(String, String)>,
    pub(super) pushes: Vec<(String, String)>,
    pub(super) assigned: BTreeMap<String, u64>,
    pub(super) outputs: BTreeMap<String, BTreeSet<String>>,
    /// What is written about each analysis: fields and values in turn.
    tracked: BTreeMap<String, Vec<String>>,
    quarantined: BTreeMap<String, String>,
    routed: Vec<(String, Vec<String>)>,
}

impl Plan {
    /// Plans the routing of one task.
    pub(super) fn add(&mut self, matcher: &mut Matcher, uid: &str, record: &[u8], unusable: &mut Vec<Unusable>) {
        let text = std::str::from_utf8(record).map_err(|_| "record is not UTF-8 text".to_owned());
        let task = match text.and_then(|text| Unrouted::read(uid, text).map_err(|error| error.to_string())) {
            Ok(task) => task,
            Err(reason) => {
                tracing::error!(task = uid, "task cannot be read, put into quarantine: {reason}");
                self.quarantined.insert(uid.to_owned(), reason);
                return;
            }
        };
        if task.status != TaskState::Declared {
            // Routed before: the same uid was pushed again.
            return;
        }
        let receivers: Vec<String> = matcher.receivers(&task.headers, unusable).into_iter().map(str::to_owned).collect();
        let time = now();
        let tracked = self.tracked.entry(task.root_uid().to_owned()).or_default();
        let about = analysis::unrouted_entry(task.parent_uid().as_deref(), task.last_update(), &task.headers_json, &task.headers);
        tracked.extend([uid.to_owned(), about, format!("{uid}:f"), analysis::end(TaskState::Finished, time, None)]);
        for receiver in &receivers {
            let fork = task.fork(receiver);
            tracked.extend([fork.uid.clone(), analysis::routed_entry(uid, time, receiver)]);
            self.records.push((fork.key, fork.record));
            self.pushes.push((fork.queue, fork.uid));
            *self.assigned.entry(receiver.clone()).or_default() += 1;
        }
        let origin = task.headers.get("origin").and_then(crate::json::Value::as_str).unwrap_or("unknown");
        self.outputs.entry(origin.to_owned()).or_default().insert(task.headers_json.clone());
        self.records.push((keys::task(uid), task.finished()));
        self.routed.push((uid.to_owned(), receivers));
    }

    fn transaction(&self, settings: &SystemSettings, in_flight: &str) -> Pipeline {
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        if !self.records.is_empty() {
            pipeline.mset(&self.records).ignore();
        }
        for (queue, uid) in &self.pushes {
            pipeline.rpush(queue, uid).ignore();
        }
        for (receiver, count) in &self.assigned {
            pipeline.hincr(Metric::Assigned.key(), receiver, *count).ignore();
            let tokens = usize::try_from(*count).map_or(WAKE_TOKENS, |count| count.min(WAKE_TOKENS));
            let wake = keys::wake(receiver);
            pipeline.lpush(&wake, vec!["1"; tokens]).ignore().ltrim(&wake, 0, LAST_WAKE_TOKEN).ignore();
            // Nobody may take them: consumers that are not ours do not know them.
            pipeline.expire(&wake, 10).ignore();
        }
        if settings.enable_task_tracking {
            for (origin, headers) in &self.outputs {
                pipeline.cmd("EVAL").arg(ADD_OUTPUTS).arg(1).arg(keys::outputs(origin)).arg(settings.task_tracking_ttl.as_secs());
                pipeline.arg(MOST_OUTPUTS).arg(headers.iter().collect::<Vec<_>>()).ignore();
            }
        }
        if !self.tracked.is_empty() && settings.keeps_history() {
            let time = now();
            pipeline.cmd("EVAL").arg(analysis::TRACK).arg(2 + self.tracked.len()).arg(keys::ANALYSES).arg(keys::OPEN_ANALYSES);
            pipeline.arg(self.tracked.keys().map(|root| keys::analysis(root)).collect::<Vec<_>>());
            pipeline.arg(settings.history_ttl.as_secs()).arg(MOST_FIELDS).arg(time).arg(time + FIRST_LOOK);
            for (root, fields) in &self.tracked {
                pipeline.arg(root).arg(fields.len()).arg(fields);
            }
            pipeline.ignore();
        }
        for (what, reason) in &self.quarantined {
            add_to_quarantine(&mut pipeline, what, reason);
        }
        pipeline.del(in_flight);
        pipeline
    }
}

fn add_to_quarantine(pipeline: &mut Pipeline, what: &str, reason: &str) {
    pipeline.hset(keys::QUARANTINE, what, crate::backend::quarantine_entry(reason)).ignore();
}
