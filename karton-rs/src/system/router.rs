//! The routing loop.
//!
//! The one rule: uids leave `karton.tasks` only into the in-flight list of this router, and leave
//! that list only in the transaction that writes everything that routing them means. Whatever fails
//! in between is done again from the list; when the process dies, [`sweep`](super::sweep) puts the
//! list back.
//!
//! Two such loops take turns, so that one plans while Redis writes what the other has planned. Tasks
//! stay in their order: a batch is written after the one that was taken before it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use redis::Pipeline;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::{
    SystemSettings,
    matcher::{Matcher, Unusable},
    plan::{Full, Plan},
    sweep,
};
use crate::{
    backend::{Connection, analysis, by_identity, keys},
    config::RedisSettings,
    error::Error,
    service::Outage,
    task::{Task, TaskState, new_uid},
};

/// How many tasks are routed in one transaction. Fewer where many receivers get each of them would take 5 MiB less, and
/// route a quarter fewer.
const BATCH: usize = 125;
/// How many bytes of records are routed in one transaction, if it is more than one.
const BATCH_BYTES: usize = 16 << 20;
/// Bytes for which room is made before it is known how many are written.
const MOST_ROOM: usize = 1 << 20;
/// How many status changes of old consumers are applied at once.
const OPERATIONS: isize = 1000;
/// How long an idle router waits for a task; also how long it needs to stop.
const WAIT: Duration = Duration::from_secs(1);
/// How long filters may take before this router shows again that it lives.
const SIGN_INTERVAL: Duration = Duration::from_secs(5);
/// How often leftovers of dead routers are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Records that are read at once: some more than fit into a batch may be read then.
const READ: usize = 16;

/// Moves the next uids into the in-flight list, when nothing is in it, and gives all that are there
/// with their records. Large records end a batch early.
const TAKE: &str = r"
local records, count, bytes, keys = {}, 0, 0, {}
local uids = redis.call('LRANGE', KEYS[2], 0, -1)
local found = #uids > 0
if not found then uids = redis.call('LRANGE', KEYS[1], 0, ARGV[1] - 1) end
for i, uid in ipairs(uids) do keys[i] = ARGV[2] .. uid end
local step, most = tonumber(ARGV[4]), found and math.huge or tonumber(ARGV[3])
for first = 1, #uids, step do
    local read = redis.call('MGET', unpack(keys, first, math.min(first + step - 1, #uids)))
    for i, record in ipairs(read) do
        bytes = bytes + (record and #record or 0)
        if count > 0 and bytes > most then break end
        count = count + 1
        records[count] = record
    end
    if bytes > most then break end
end
if found or count == 0 then return {uids, records} end
for i = count + 1, #uids do uids[i] = nil end
redis.call('RPUSH', KEYS[2], unpack(uids))
redis.call('LTRIM', KEYS[1], count, -1)
return {uids, records}
";

/// A hash as Redis gives it: nothing in it need be text.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What [`TAKE`] gives: uids, and their records.
type Taken = (Vec<Vec<u8>>, Vec<Option<Vec<u8>>>);

/// What is in flight, and what it takes to route it.
struct Batch {
    uids: Vec<String>,
    records: Vec<Option<Vec<u8>>>,
    /// As they are stored.
    binds: IndexMap<String, Vec<u8>>,
}

struct Router<'a> {
    /// Of this loop alone: it waits in blocking moves and watches the binds.
    connection: Connection,
    id: String,
    in_flight: String,
    settings: &'a SystemSettings,
    order: &'a Order,
    matcher: Matcher,
    /// Bytes of the records that the batch before has written.
    written: usize,
}

/// In which order the two loops do what they do.
#[derive(Default)]
struct Order {
    /// Held from taking a batch until its turn to be written.
    planning: Mutex<Planned>,
    /// Held while a batch is written.
    writing: Mutex<Full>,
}

/// The batch that was planned last, which may not be written yet.
#[derive(Default)]
struct Planned {
    by: String,
    uids: Arc<HashSet<String>>,
}

/// Routes until `shutdown`; the connection that services are counted by has this name.
pub(super) async fn run(
    redis: RedisSettings,
    name: String,
    settings: Arc<SystemSettings>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let order = Order::default();
    let router = |name: &str, id: String| {
        let (connection, in_flight) = (Connection::new(&redis, name, redis.patient_timeout())?, keys::in_flight(&id));
        Ok::<_, Error>(Router { connection, in_flight, id, settings: &settings, order: &order, matcher: Matcher::default(), written: 0 })
    };
    let id = new_uid();
    // Dashboards count connections as replicas: one of the two carries the name.
    let (mut second, mut first) = (router(keys::HOUSEKEEPING, keys::second_loop(&id))?, router(&name, id)?);
    tokio::join!(first.run(&shutdown), second.run(&shutdown));
    Ok(())
}

impl Router<'_> {
    async fn run(&mut self, shutdown: &CancellationToken) {
        let mut outage = Outage::default();
        let mut swept: Option<tokio::time::Instant> = None;
        while !shutdown.is_cancelled() {
            let turn = async {
                if swept.is_none_or(|at| at.elapsed() > SWEEP_INTERVAL) {
                    sweep::take_over(&self.connection, &self.id).await?;
                    swept = Some(tokio::time::Instant::now());
                }
                self.step(shutdown).await
            };
            match turn.await {
                Ok(()) => outage.over(),
                // Also a refused command: the batch stays in flight and is tried again.
                Err(error) => outage.wait(&error, shutdown).await,
            }
        }
        if let Err(error) = sweep::leave(&self.connection, &self.id).await {
            tracing::warn!("cannot put back what is in flight, another router will: {error}");
        }
    }

    async fn step(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        let planned = tokio::select! {
            planned = self.order.planning.lock() => planned,
            () = shutdown.cancelled() => return Ok(()),
        };
        let (operations, mut batch) = self.take().await?;
        if !operations.is_empty() {
            // They may change what was read.
            self.apply_operations(&operations).await?;
            (_, batch) = self.take().await?;
        } else if batch.as_ref().is_some_and(|batch| batch.uids.is_empty()) && self.wait().await? {
            (_, batch) = self.take().await?;
        }
        match batch {
            Some(batch) if !batch.uids.is_empty() => self.route(batch, planned).await,
            _ => Ok(()),
        }
    }

    /// Shows that this router lives, reads what old consumers ask for, and takes the next batch, in one round
    /// trip. From here on a change of the binds, or of what is in flight, voids the transaction. No batch: what
    /// was in flight is not ours any more.
    async fn take(&self) -> Result<(Vec<Vec<u8>>, Option<Batch>), Error> {
        let mut pipeline = redis::pipe();
        sweep::add_sign_of_life(&mut pipeline, &self.id);
        if !self.settings.keeps_history() {
            // Another broker may keep the index, which lacks what this one routes.
            analysis::add_doubt(&mut pipeline);
        }
        pipeline.lrange(keys::OPERATIONS, 0, OPERATIONS - 1);
        // What was watched before has changed since, by what we did ourselves.
        pipeline.cmd("UNWATCH").ignore();
        pipeline.cmd("EVAL").arg(TAKE).arg(2).arg(keys::TASKS).arg(&self.in_flight).arg(BATCH).arg(keys::TASK_PREFIX);
        pipeline.arg(BATCH_BYTES).arg(READ);
        pipeline.cmd("WATCH").arg(keys::BINDS).arg(&self.in_flight).ignore();
        pipeline.llen(&self.in_flight);
        pipeline.hgetall(keys::BINDS);
        let (operations, (uids, records), length, binds): (_, Taken, usize, Pairs) = self.connection.run(&pipeline).await?;
        if length != uids.len() {
            tracing::warn!("another router took over: this one was still for too long");
            return Ok((operations, None));
        }
        let text = |uid: Vec<u8>| String::from_utf8(uid).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let batch = Batch { uids: uids.into_iter().map(text).collect(), records, binds: by_identity(binds) };
        Ok((operations, Some(batch)))
    }

    /// Waits for a task, which is then in flight.
    async fn wait(&self) -> Result<bool, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("BLMOVE").arg(keys::TASKS).arg(&self.in_flight).arg("LEFT").arg("RIGHT").arg(WAIT.as_secs());
        let (moved,): (Option<Vec<u8>>,) = self.connection.run(&pipeline).await?;
        Ok(moved.is_some())
    }

    /// Routes everything in flight in one transaction, when what was taken before is written.
    async fn route(&mut self, batch: Batch, mut planned: MutexGuard<'_, Planned>) -> Result<(), Error> {
        // A uid may be pushed twice when a producer tried again: one that the other loop may be writing
        // now is that loop's.
        let own = batch.uids.iter().filter(|uid| planned.by == self.id || !planned.uids.contains(*uid));
        let own: Arc<HashSet<String>> = Arc::new(own.cloned().collect());
        let mut plan = self.plan(&batch, &own).await?;
        *planned = Planned { by: self.id.clone(), uids: Arc::clone(&own) };
        let mut full = self.order.writing.lock().await;
        drop(planned);
        let mut answers = loop {
            let answers: Option<Vec<redis::Value>> = self.connection.run(&plan.transaction(self.settings, &self.in_flight, &full)).await?;
            if let Some(answers) = answers {
                break answers;
            }
            // A bind changed since it was read: match again.
            tracing::debug!("binds changed while routing");
            let (_, again) = self.take().await?;
            // Something else is in flight: what was is taken over.
            let Some(again) = again.filter(|again| again.uids == batch.uids) else { return Ok(()) };
            plan = self.plan(&again, &own).await?;
        };
        plan.note(&mut answers, self.settings, &mut full);
        self.connection.accepted(answers)?;
        drop(full);
        plan.log();
        Ok(())
    }

    /// Plans the routing of what is our own of what is in flight.
    async fn plan(&mut self, batch: &Batch, own: &HashSet<String>) -> Result<Plan, Error> {
        let mut unusable = self.matcher.update(&batch.binds);
        // Forked as the batch before: copies take most of the room.
        let mut plan = Plan::new(self.written);
        let mut seen = HashSet::new();
        let mut signed = tokio::time::Instant::now();
        for (uid, record) in batch.uids.iter().zip(&batch.records) {
            if signed.elapsed() > SIGN_INTERVAL {
                sweep::sign_of_life(&self.connection, &self.id).await?;
                signed = tokio::time::Instant::now();
            }
            if let (Some(record), true) = (record, own.contains(uid) && seen.insert(uid)) {
                plan.add(&mut self.matcher, uid, record, &mut unusable);
            }
        }
        for Unusable { identity, reason } in unusable {
            tracing::error!(identity, "bind cannot be used, it gets no tasks: {reason}");
            plan.quarantine(format!("bind:{identity}"), reason);
        }
        self.written = plan.records.bytes().min(MOST_ROOM);
        Ok(plan)
    }

    /// Status changes that consumers before Karton 4.4 ask the broker to write. See Karton protocol §12.5.
    async fn apply_operations(&self, entries: &[Vec<u8>]) -> Result<(), Error> {
        let mut records = BTreeMap::new();
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for entry in entries {
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
        for entry in entries {
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

pub(super) fn add_to_quarantine(pipeline: &mut Pipeline, what: &str, reason: &str) {
    pipeline.hset(keys::QUARANTINE, what, crate::backend::quarantine_entry(reason));
}
