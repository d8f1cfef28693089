//! Which tasks are done with.
//!
//! The one rule: lists are read before records, so a task that somebody has is never taken for one that
//! nobody has; a record that cannot be read is kept, and put into quarantine.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use super::Collector;
use crate::{
    backend::{Backend, Glimpse, Piece, Places, SAME, Script, Seen, end, ended, keys, keys::Metric, read_task, readable_bind},
    error::Error,
    json::RawObject,
    system::SystemSettings,
    task::{Task, TaskState, now},
};

/// Deletes or rewrites records that are still what was looked at, and counts those by receiver: for
/// each key a uid, what was seen, the receiver, and the new record if there is one. Gives their places.
/// Where one is deleted, what follows goes through though Redis is full.
const APPLY: &str = r"
local done, uids, deleted, rewritten, counts = {}, {}, {}, {}, {{}, {}}
local records = redis.call('MGET', unpack(KEYS, 6))
for i, current in ipairs(records) do
    local at = 4 * (i - 1)
    local receiver, record = ARGV[at + 3], ARGV[at + 4]
    if current and same(current, ARGV[at + 2]) then
        if record == '' then
            deleted[#deleted + 1] = KEYS[5 + i]
        else
            rewritten[#rewritten + 1] = KEYS[5 + i]
            rewritten[#rewritten + 1] = record
        end
        uids[#uids + 1] = ARGV[at + 1]
        local count = counts[record == '' and 1 or 2]
        count[receiver] = (count[receiver] or 0) + 1
        done[#done + 1] = i - 1
    end
end
if #deleted > 0 then redis.call('UNLINK', unpack(deleted)) end
if #uids > 0 then
    redis.call('HDEL', KEYS[1], unpack(uids))
    redis.call('HDEL', KEYS[2], unpack(uids))
    redis.call('ZREM', KEYS[3], unpack(uids))
end
if #rewritten > 0 then redis.call('MSET', unpack(rewritten)) end
for i, count in ipairs(counts) do
    for receiver, number in pairs(count) do redis.pcall('HINCRBY', KEYS[3 + i], receiver, number) end
end
return done
";

static APPLIED: LazyLock<Script> = LazyLock::new(|| Script::new(&[SAME, APPLY]));

/// Ends a bind that is still what was looked at, with its queues.
const UNWIND: &str = r"
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
for i = 2, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
";

impl Collector<'_> {
    pub(super) async fn collect_tasks(&mut self) -> Result<usize, Error> {
        let backend = self.backend.clone();
        let held = backend.held_places().await?;
        let gone = self.remove_offline_binds().await?;
        let mut collected = 0;
        let mut scan = backend.scan(keys::EVERY_TASK);
        let mut records = scan.next().await?;
        while let Some(looked_at) = records {
            self.renew().await?;
            // Redis reads the next ones while these are judged.
            let (next, done) = tokio::try_join!(scan.next(), self.collect_of(&backend, looked_at, &held, &gone))?;
            records = next;
            collected += done;
        }
        backend.forget_absent(keys::FIRST_SEEN).await?;
        Ok(collected)
    }

    /// Collects what of these records is done with; gives how many were deleted.
    async fn collect_of(&self, backend: &Backend, records: Piece, held: &Places, gone: &HashSet<String>) -> Result<usize, Error> {
        let (mut decided, mut tasks, mut seen, mut unreadable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (uid, record) in records.iter().filter(|(_, record)| !stays(self.settings, record, gone, now())) {
            if let Some(ended) = Ended::glimpse(uid, record) {
                decided.push(Decided { ended, record: String::new(), seen: Seen::small(record) });
                continue;
            }
            match read_task(uid, record) {
                Ok(task) => {
                    let timeless = task.status() != TaskState::Finished && tells_no_time(record);
                    tasks.push((task, timeless));
                    seen.push(Seen::small(record));
                }
                Err(reason) => unreadable.push((uid.clone(), reason)),
            }
        }
        // What is needed of them was read: they are not held while Redis works.
        drop(records);
        // Those stay anyway: that this cannot be written now keeps nothing from being collected.
        if let Err(error) = backend.quarantine(&unreadable).await {
            tracing::warn!("cannot put {} unreadable records into quarantine: {error}", unreadable.len());
        }
        first_seen(backend, &mut tasks).await?;
        for ((task, _), seen) in tasks.into_iter().zip(seen) {
            match decide(self.settings, task, held, gone, now()) {
                Verdict::Stays => {}
                Verdict::Deleted(task) => decided.push(Decided { ended: Ended::of(&task), record: String::new(), seen }),
                Verdict::Crashed(task) => decided.push(Decided { ended: Ended::of(&task), record: task.to_json(), seen }),
            }
        }
        apply(backend, &decided).await
    }

    /// Removes the binds and queues of non-persistent consumers that nobody runs any more. The binds are
    /// read before the connections, because a consumer connects before it registers.
    async fn remove_offline_binds(&self) -> Result<HashSet<String>, Error> {
        let binds = self.backend.binds_raw().await?;
        let online = self.backend.online_consumers().await?;
        let mut gone = HashSet::new();
        for (identity, text) in binds {
            let Some(bind) = readable_bind(&identity, &text) else { continue };
            if bind.persistent || online.contains_key(&identity) {
                continue;
            }
            let mut pipeline = redis::pipe();
            pipeline.cmd("EVAL").arg(UNWIND).arg(5).arg(keys::BINDS).arg(&keys::queues(&identity)).arg(&identity).arg(&text);
            let (removed,): (bool,) = self.backend.redis().run(&pipeline).await?;
            if removed {
                tracing::info!("Non-persistent: unwinding bind {identity}");
                gone.insert(identity);
            }
        }
        Ok(gone)
    }
}

/// What becomes of a task.
#[derive(Debug)]
pub(in crate::system) enum Verdict {
    Stays,
    Deleted(Task),
    /// Kept, as a crashed one.
    Crashed(Task),
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
pub(in crate::system) fn decide(settings: &SystemSettings, mut task: Task, held: &Places, gone: &HashSet<String>, now: f64) -> Verdict {
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
        return Verdict::Stays;
    }
    if task.status() == TaskState::Started && !unwanted && settings.crash_started_tasks_on_timeout {
        task.crash(vec![format!("Task was Started for more than {} s\n", settings.task_started_timeout.as_secs())]);
        return Verdict::Crashed(task);
    }
    Verdict::Deleted(task)
}

/// What is to be done to a record.
struct Decided {
    ended: Ended,
    /// The new record; empty: it is deleted.
    record: String,
    seen: Seen,
}

/// What is needed of a task that is done with.
struct Ended {
    uid: String,
    receiver: Option<String>,
    root_uid: String,
    /// As the index keeps it.
    end: String,
}

impl Ended {
    fn of(task: &Task) -> Self {
        let receiver = task.header_str("receiver").map(str::to_owned);
        Self { uid: task.uid().to_owned(), receiver, root_uid: task.root_uid().to_owned(), end: ended(task) }
    }

    /// Of a finished task, for which nothing else decides; none when its record must be read whole.
    fn glimpse(uid: &str, record: &[u8]) -> Option<Self> {
        let glimpse = Glimpse::of_readable(record).filter(|glimpse| glimpse.status == TaskState::Finished && glimpse.is_without_error())?;
        let end = end(glimpse.status, glimpse.last_update?, None);
        Some(Self { uid: uid.to_owned(), receiver: glimpse.receiver(), root_uid: glimpse.root_uid()?, end })
    }
}

/// Does what was decided, and gives how many records were deleted.
async fn apply(backend: &Backend, decided: &[Decided]) -> Result<usize, Error> {
    if decided.is_empty() {
        return Ok(0);
    }
    let keys: Vec<String> = decided.iter().map(|decided| keys::task(&decided.ended.uid)).collect();
    let call = |call: &mut redis::Cmd| {
        call.arg(5 + keys.len()).arg(keys::DELIVERIES).arg(keys::ATTEMPTS).arg(keys::DELAYED);
        call.arg(Metric::GarbageCollected.key()).arg(Metric::Crashed.key()).arg(&keys);
        for Decided { ended, record, seen } in decided {
            call.arg(&ended.uid).arg(seen.as_bytes()).arg(ended.receiver.as_deref().unwrap_or("unknown")).arg(record);
        }
    };
    let done: Vec<usize> = backend.redis().call(&APPLIED, call).await?;
    let deleted = || done.iter().filter_map(|place| decided.get(*place)).filter(|decided| decided.record.is_empty());
    // Those that went to a consumer are remembered.
    let ends = deleted().map(|decided| &decided.ended).filter(|ended| ended.receiver.is_some());
    let ends: Vec<_> = ends.map(|ended| (ended.root_uid.as_str(), ended.uid.as_str(), ended.end.as_str())).collect();
    backend.index_ends(&ends).await?;
    Ok(deleted().count())
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
    if !new.is_empty()
        && let Err(error) = backend.redis().run::<()>(redis::pipe().hset_multiple(keys::FIRST_SEEN, &new).ignore()).await
    {
        // Then they are as new to the next collection.
        tracing::warn!("cannot note when {} tasks without a time were first seen: {error}", new.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_glimpse_tells_of_a_finished_task_is_what_the_whole_record_says() {
        let record = |status: &str, more: &str| {
            format!(
                r#"{{"uid": "{{r}}:u", "root_uid": "r", "parent_uid": null, "status": "{status}", "headers": {{"type": "sample"{more}}}, "payload": {{}}, "payload_persistent": {{}}, "last_update": 1700000000.25, "error": null}}"#
            )
        };
        let of =
            |record: &str| Ended::glimpse("{r}:u", record.as_bytes()).map(|ended| (ended.uid, ended.receiver, ended.root_uid, ended.end));
        for record in [record("Finished", ""), record("Finished", r#", "receiver": "karton.\u0444""#)] {
            let task = read_task("{r}:u", record.as_bytes()).expect("a task");
            let whole = Ended::of(&task);
            assert_eq!(of(&record), Some((whole.uid, whole.receiver, whole.root_uid, whole.end)), "{record}");
        }
        for other in [
            record("Crashed", ""),
            record("Started", ""),
            record("Finished", "").replace("\"error\": null", "\"error\": [\"once\"]"),
            record("Finished", "").replace("\"payload\": {}", "\"payload\": {\"x\": {\"__karton_resource__\": 5}}"),
            record("Finished", "").replace("1700000000.25", "0"),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
    }
}
