//! What becomes of a task in our hands: one script for every end of a claim.
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

/// How settlements are done, for scripts that do some. `settle(k, a)` does the one whose keys and values begin
/// at `KEYS[k]` and `ARGV[a]`, as [`Settlements`] writes them; it gives 1 when it was written, 2 when the
/// record is gone, 0 when it is another one now. `counted()` comes after the last one.
pub(crate) const SETTLE: &str = r"
local consumed, crashed = 0, 0
local function time()
    local time = redis.call('TIME')
    return time[1] + time[2] / 1000000
end
local function settle(k, a)
    local current = redis.pcall('GET', KEYS[k])
    if type(current) == 'table' then current = false end
    local uid, record, mode = ARGV[a], ARGV[a + 2], ARGV[a + 3]
    -- Done before, and the answer was lost.
    if current == record then return 1 end
    if current and redis.sha1hex(current) ~= ARGV[a + 1] then return 0 end
    if mode == 'start' then redis.call('PERSIST', KEYS[1]) else redis.call('ZREM', KEYS[1], uid) end
    if current then redis.call('SET', KEYS[k], record) end
    if mode == 'start' then return current and 1 or 2 end
    redis.call('HDEL', KEYS[2], uid)
    if mode == 'back' and current then
        redis.call('LPUSH', KEYS[k + 2], uid)
        redis.call('LPUSH', KEYS[k + 3], '1')
        redis.call('LTRIM', KEYS[k + 3], 0, 15)
        redis.call('EXPIRE', KEYS[k + 3], 10)
    elseif mode == 'later' and current then
        redis.call('ZADD', KEYS[4], time() + ARGV[a + 4], uid)
        redis.call('HINCRBY', KEYS[3], uid, 1)
    elseif mode == 'end' then
        if ARGV[a + 4] ~= '0' then redis.call('HDEL', KEYS[3], uid) end
        if ARGV[a + 6] ~= '' and redis.call('EXISTS', KEYS[k + 1]) == 1 then
            redis.pcall('HSET', KEYS[k + 1], uid .. ':f', ARGV[a + 6])
            redis.call('ZADD', KEYS[5], 'XX', time() - 1e10, ARGV[a + 5])
        end
        if ARGV[a + 7] ~= '' then consumed = consumed + 1 end
        if ARGV[a + 7] == 'crashed' then crashed = crashed + 1 end
    end
    return current and 1 or 2
end
local function counted()
    if consumed > 0 then redis.call('HINCRBY', KEYS[6], ARGV[1], consumed) end
    if crashed > 0 then redis.call('HINCRBY', KEYS[7], ARGV[1], crashed) end
end
";
/// The keys of all scripts with settlements; the first of their values is the identity.
const SHARED_KEYS: [&str; 7] =
    [keys::LEASES, keys::DELIVERIES, keys::ATTEMPTS, keys::DELAYED, keys::OPEN_ANALYSES, Metric::Consumed.key(), Metric::Crashed.key()];

static ONE: LazyLock<Script> = LazyLock::new(|| Script::new(&[SETTLE, "local settled = settle(8, 2) counted() return settled"]));

/// The text of a record as it stood in Redis when we last saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen(String);

impl Seen {
    pub(crate) fn of(record: &[u8]) -> Self {
        Self(crate::hex(&Sha1::digest(record)))
    }

    /// What `redis.sha1hex` says of the record.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a claim ends, or goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Settlement {
    /// Work begins; the claim stays.
    Start,
    /// Work has ended; `retried` when there were attempts before.
    End { counted: Counted, retried: bool },
    /// Back to the head of its queue, as if it had never been taken.
    GiveBack,
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

/// The end of a task, to be written together with others.
pub(crate) struct Ending {
    pub(crate) task: Task,
    pub(crate) seen: Seen,
    pub(crate) counted: Counted,
    pub(crate) retried: bool,
}

/// What scripts get about settlements.
#[derive(Default)]
struct Settlements {
    keys: Args,
    values: Args,
}

impl Settlements {
    fn add(&mut self, identity: &str, task: &Task, seen: &Seen, settlement: Settlement) {
        let (mode, number, counted) = match settlement {
            Settlement::Start => ("start", String::new(), Counted::Nothing),
            Settlement::End { counted, retried } => ("end", u8::from(retried).to_string(), counted),
            Settlement::GiveBack => ("back", String::new(), Counted::Nothing),
            Settlement::Later(wait) => ("later", wait.as_secs_f64().to_string(), Counted::Nothing),
        };
        self.keys.write(|out| keys::write_task(out, task.uid()));
        self.keys.write(|out| keys::write_analysis(out, task.root_uid()));
        if let Settlement::GiveBack = settlement {
            let receiver = task.header_str("receiver").unwrap_or(identity);
            self.keys.push(&keys::queue(task.priority(), receiver));
            self.keys.push(&keys::wake(receiver));
        }
        for value in [task.uid(), seen.as_str()] {
            self.values.push(value);
        }
        self.values.write(|out| task.write_json(out));
        for value in [mode, &number, task.root_uid()] {
            self.values.push(value);
        }
        self.values.push(&super::analysis::ended(task));
        self.values.push(match counted {
            Counted::Nothing => "",
            Counted::Consumed => "consumed",
            Counted::Crashed => "crashed",
        });
    }
}

impl Backend {
    /// Writes a record that has a new status and does with the claim what `settlement` says. It may be
    /// asked for again.
    pub(crate) async fn settle(&self, task: &Task, seen: &Seen, settlement: Settlement) -> Result<Settled, Error> {
        let mut settlements = Settlements::default();
        settlements.add(&self.identity, task, seen, settlement);
        let Settlements { keys, values } = &settlements;
        let call = |call: &mut redis::Cmd| {
            call.arg(SHARED_KEYS.len() + keys.len()).arg(&SHARED_KEYS).arg(keys).arg(&*self.identity).arg(values);
        };
        self.redis.call(&ONE, call).await.map(Settled::from_reply)
    }

    /// Writes several ends, and does what else `script` does, with keys and values of its own; gives its reply, of
    /// which what came of the ends is a part.
    pub(crate) async fn settle_and<T: FromRedisValue>(
        &self,
        connection: &Connection,
        script: &Script,
        (own_keys, own_values): (&Args, &Args),
        endings: &[&Ending],
    ) -> Result<T, Error> {
        let mut settlements = Settlements::default();
        for Ending { task, seen, counted, retried } in endings {
            settlements.add(&self.identity, task, seen, Settlement::End { counted: *counted, retried: *retried });
        }
        let Settlements { keys, values } = &settlements;
        let call = |call: &mut redis::Cmd| {
            call.arg(SHARED_KEYS.len() + own_keys.len() + keys.len()).arg(&SHARED_KEYS).arg(own_keys).arg(keys);
            call.arg(&*self.identity).arg(own_values).arg(values);
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
