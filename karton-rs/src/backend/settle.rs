//! What becomes of a task in our hands: the scripts for the end of a claim, and for what may come before it.
//!
//! The one rule: a record is written only while it is what we have seen last. A task that was
//! cancelled, deleted or given to somebody else meanwhile stays as they left it (Karton protocol §15
//! rows 12 and 13).

use std::sync::LazyLock;
use std::time::Duration;

use redis::FromRedisValue;
use sha1::{Digest, Sha1};

use super::{Args, Backend, Connection, Script, keys, keys::Metric, read_task};
use crate::{error::Error, task::Task};

/// Whether a record is what [`Seen`] says.
pub(crate) const SAME: &str = r"
local function same(record, seen)
    return record == seen or #seen == 40 and redis.sha1hex(record) == seen
end
";

/// Parts of scripts that write ends. `known(keys)` tells which of these analyses are. `finish(n)` writes n ends, whose keys
/// and values are those behind `KEYS[6]` and `ARGV[2]`, as [`Backend::finish_and`] lays them out; for each it gives 1 when
/// it was written, 2 when the record is gone, 0 when it is another one now.
///
/// A call costs Redis more than what most of them do, so there are as few as can be.
const FINISH: &str = r"
local function known(analyses)
    local known = {}
    local count = #analyses > 0 and redis.call('EXISTS', unpack(analyses)) or 0
    if count == 0 then return known end
    for _, key in ipairs(analyses) do known[key] = count == #analyses or redis.call('EXISTS', key) == 1 end
    return known
end
local function finish(n)
    local settled = {}
    if n == 0 then return settled end
    local uids, tried, analyses, values, written, writes = {}, {}, {}, {}, {}, {}
    local consumed, crashed = 0, 0
    local records = redis.call('MGET', unpack(KEYS, 7, 6 + n))
    for i = 1, n do
        local at = 7 * i - 4
        local key, uid, record, counted = KEYS[6 + i], ARGV[at], ARGV[at + 2], ARGV[at + 6]
        local current = written[key] or records[i]
        if current == record then
            -- Done before, and the answer was lost.
            settled[i] = 1
        elseif current and not same(current, ARGV[at + 1]) then
            settled[i] = 0
        else
            settled[i] = current and 1 or 2
            if current then
                written[key] = record
                writes[#writes + 1] = key
                writes[#writes + 1] = record
            end
            uids[#uids + 1] = uid
            if ARGV[at + 3] ~= '' then tried[#tried + 1] = uid end
            if ARGV[at + 5] ~= '' then
                analyses[#analyses + 1] = KEYS[6 + n + i]
                values[#values + 1] = at
            end
            if counted ~= '' then consumed = consumed + 1 end
            if counted == 'crashed' then crashed = crashed + 1 end
        end
    end
    -- A Redis that is full lets go of something, and then takes what follows from it.
    if #uids > 0 then
        redis.call('ZREM', KEYS[1], unpack(uids))
        redis.call('HDEL', KEYS[2], unpack(uids))
    end
    if #writes > 0 then redis.call('MSET', unpack(writes)) end
    if #tried > 0 then redis.call('HDEL', KEYS[3], unpack(tried)) end
    local known, soon = known(analyses), {}
    for i, at in ipairs(values) do
        if known[analyses[i]] then
            redis.pcall('HSET', analyses[i], ARGV[at] .. ':f', ARGV[at + 5])
            soon[#soon + 1] = ARGV[at + 4]
        end
    end
    if #soon > 0 then
        local time, looks = redis.call('TIME'), {}
        for i, root in ipairs(soon) do
            looks[2 * i - 1] = time[1] + time[2] / 1000000 - 1e10
            looks[2 * i] = root
        end
        redis.call('ZADD', KEYS[4], 'XX', unpack(looks))
    end
    if consumed > 0 then redis.pcall('HINCRBY', KEYS[5], ARGV[1], consumed) end
    if crashed > 0 then redis.pcall('HINCRBY', KEYS[6], ARGV[1], crashed) end
    return settled
end
";
/// The keys of all scripts that write ends; the first of their values is the identity, the second how many ends there are.
const SHARED_KEYS: [&str; 6] =
    [keys::LEASES, keys::DELIVERIES, keys::ATTEMPTS, keys::OPEN_ANALYSES, Metric::Consumed.key(), Metric::Crashed.key()];

static END: LazyLock<Script> = LazyLock::new(|| finishing("return {finish(tonumber(ARGV[2]))}"));

/// Writes a record that has a new status, and does with the claim what follows from that. Gives what `finish` gives.
const MOVE: &str = r"
local current = redis.pcall('GET', KEYS[1])
if type(current) == 'table' then current = false end
local uid, record, move = ARGV[1], ARGV[3], ARGV[4]
-- Done before, and the answer was lost.
if current == record then return 1 end
if current and not same(current, ARGV[2]) then return 0 end
if move == 'start' then redis.call('PERSIST', KEYS[2]) else redis.call('ZREM', KEYS[2], uid) end
if current then redis.call('SET', KEYS[1], record) end
if move == 'start' then return current and 1 or 2 end
redis.call('HDEL', KEYS[3], uid)
if current then
    local time = redis.call('TIME')
    redis.call('ZADD', KEYS[5], time[1] + time[2] / 1000000 + ARGV[5], uid)
    redis.call('HINCRBY', KEYS[4], uid, 1)
end
return current and 1 or 2
";

/// Puts tasks to the head of their queues, as if they had never been taken: the last one first, so that they stand there
/// in their order. For each it gives what `finish` gives. How often one was handed out in vain is still known.
const BACK: &str = r"
local settled = {}
for i = (#KEYS - 1) / 3, 1, -1 do
    local key, queue, wake = unpack(KEYS, 3 * i - 1, 3 * i + 1)
    local uid, seen, record = unpack(ARGV, 3 * i - 2, 3 * i)
    local current = redis.pcall('GET', key)
    if type(current) == 'table' then current = false end
    settled[i] = current and 1 or 2
    if current and current ~= record and not same(current, seen) then
        settled[i] = 0
    elseif current ~= record then
        redis.call('ZREM', KEYS[1], uid)
        if current then
            redis.call('SET', key, record)
            redis.call('LPUSH', queue, uid)
            redis.call('LPUSH', wake, '1')
            redis.call('LTRIM', wake, 0, 15)
            redis.call('EXPIRE', wake, 10)
        end
    end
end
return settled
";

static BROUGHT_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(&[SAME, BACK]));

static MOVED: LazyLock<Script> = LazyLock::new(|| Script::new(&[SAME, MOVE]));

/// A script that writes ends with `finish`, and may use `known`.
pub(crate) fn finishing(script: &str) -> Script {
    Script::new(&[SAME, FINISH, script])
}

/// Records up to this length are told by their text, others by its digest, which takes Redis several times as long.
const SEEN_BYTES: usize = 4096;

/// A record as it stood in Redis when we last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen(Vec<u8>);

impl Seen {
    pub(crate) fn of(record: &[u8]) -> Self {
        if record.len() <= SEEN_BYTES { Self(record.to_vec()) } else { Self::small(record) }
    }

    /// For who looks at many records: as small as can be.
    pub(crate) fn small(record: &[u8]) -> Self {
        Self(crate::hex(&Sha1::digest(record)).into_bytes())
    }

    /// What [`SAME`] compares with the record.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// How a claim goes on, or ends before the work on its task.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Move {
    /// Work begins; the claim stays.
    Start,
    /// Into the queue again after a while.
    Later(Duration),
}

/// What the counters of the reference say of the end of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Nothing,
    Consumed,
    /// One that was consumed, too.
    Crashed,
}

impl Counted {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Consumed => "consumed",
            Self::Crashed => "crashed",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Written,
    /// Deleted meanwhile, and not brought back.
    Gone,
    /// Somebody else has changed the record: it was left alone.
    Changed,
}

impl Settled {
    pub(crate) fn from_reply(reply: i64) -> Self {
        match reply {
            1 => Self::Written,
            2 => Self::Gone,
            _ => Self::Changed,
        }
    }
}

/// The end of the work on a task.
pub(crate) struct Ending {
    pub(crate) task: Task,
    pub(crate) seen: Seen,
    pub(crate) counted: Counted,
    /// There may have been attempts before.
    pub(crate) retried: bool,
}

impl Backend {
    /// Writes a record that has a new status, and does with the claim what `to` says. It may be asked for again.
    pub(crate) async fn move_on(&self, task: &Task, seen: &Seen, to: Move) -> Result<Settled, Error> {
        let (name, wait) = match to {
            Move::Start => ("start", 0.0),
            Move::Later(wait) => ("later", wait.as_secs_f64()),
        };
        let record = keys::task(task.uid());
        let keys = [&record, keys::LEASES, keys::DELIVERIES, keys::ATTEMPTS, keys::DELAYED];
        let call = |call: &mut redis::Cmd| {
            call.arg(keys.len()).arg(&keys).arg(task.uid()).arg(seen.as_bytes()).arg(task.to_json()).arg(name).arg(wait);
        };
        self.redis.call(&MOVED, call).await.map(Settled::from_reply)
    }

    /// Puts tasks that nobody has worked on, or not to their end, back to the head of our queues, in this order; each with
    /// its record as it was seen. It may be asked for again.
    pub(crate) async fn give_back(&self, tasks: &[(Task, Seen)]) -> Result<Vec<Settled>, Error> {
        let mut keys = vec![keys::LEASES.to_owned()];
        for (task, _) in tasks {
            keys.extend([keys::task(task.uid()), keys::queue(task.priority(), &self.identity), keys::wake(&self.identity)]);
        }
        let call = |call: &mut redis::Cmd| {
            call.arg(keys.len()).arg(&keys);
            for (task, seen) in tasks {
                call.arg(task.uid()).arg(seen.as_bytes()).arg(task.to_json());
            }
        };
        let settled: Vec<i64> = self.redis.call(&BROUGHT_BACK, call).await?;
        Ok(settled.into_iter().map(Settled::from_reply).collect())
    }

    /// Writes an end by itself. It may be asked for again.
    pub(crate) async fn finish(&self, ending: &Ending) -> Result<Settled, Error> {
        let none = Args::default();
        let (settled,): (Vec<i64>,) = self.finish_and(&self.redis, &END, (&none, &none), &[ending]).await?;
        Ok(settled.first().map_or(Settled::Changed, |reply| Settled::from_reply(*reply)))
    }

    /// Writes several ends, and does what else `script` does, with keys and values of its own, which come behind those of
    /// the ends; gives its reply, of which what came of the ends is a part.
    pub(crate) async fn finish_and<T: FromRedisValue>(
        &self,
        connection: &Connection,
        script: &Script,
        (own_keys, own_values): (&Args, &Args),
        endings: &[&Ending],
    ) -> Result<T, Error> {
        let (mut keys, mut records) = (Args::default(), Args::default());
        for Ending { task, .. } in endings {
            keys.write(|out| keys::write_task(out, task.uid()));
            records.write(|out| task.write_json(out));
        }
        for Ending { task, .. } in endings {
            keys.write(|out| keys::write_analysis(out, task.root_uid()));
        }
        let call = |call: &mut redis::Cmd| {
            call.arg(SHARED_KEYS.len() + keys.len() + own_keys.len()).arg(&SHARED_KEYS).arg(&keys).arg(own_keys);
            call.arg(&*self.identity).arg(endings.len());
            for (Ending { task, seen, counted, retried }, record) in endings.iter().zip(records.iter()) {
                call.arg(task.uid()).arg(seen.as_bytes()).arg(record).arg(if *retried { "1" } else { "" });
                call.arg(task.root_uid()).arg(super::analysis::ended(task)).arg(counted.as_str());
            }
            call.arg(own_values);
        };
        connection.call(script, call).await
    }

    /// After [`Settled::Changed`]: lets go of a task that was cancelled, and tells whether it was. One
    /// that is pending is in somebody else's hands, and stays there.
    pub(crate) async fn let_go_if_done(&self, uid: &str) -> Result<bool, Error> {
        let record = self.records(&[uid.to_owned()]).await?.into_iter().flatten().next();
        let pending = record.and_then(|record| read_task(uid, &record).ok()).is_some_and(|task| task.status().is_pending());
        if !pending {
            self.drop_claim(uid.as_bytes(), None).await?;
        }
        Ok(!pending)
    }
}
