//! What becomes of a task in our hands: one script for every end of a claim.
//!
//! The one rule: a record is written only while it is what we have seen last. A task that was
//! cancelled, deleted or given to somebody else meanwhile stays as they left it (Karton protocol §15
//! rows 12 and 13).

use std::time::Duration;

use redis::FromRedisValue;
use sha1::{Digest, Sha1};

use super::{Backend, Connection, keys, keys::Metric, read_task};
use crate::{error::Error, task::Task};

/// Gives 1 when it was written, 2 when the record is gone, 0 when it is another one now.
const SETTLE: &str = r"
local current = redis.pcall('GET', KEYS[1])
if type(current) == 'table' then current = false end
-- Done before, and the answer was lost.
if current == ARGV[3] then return 1 end
if current and redis.sha1hex(current) ~= ARGV[2] then return 0 end
local mode, uid = ARGV[4], ARGV[1]
if mode == 'start' then redis.call('PERSIST', KEYS[2]) else redis.call('ZREM', KEYS[2], uid) end
if current then redis.call('SET', KEYS[1], ARGV[3]) end
if mode == 'start' then return current and 1 or 2 end
redis.call('HDEL', KEYS[3], uid)
if mode == 'back' and current then
    redis.call('LPUSH', KEYS[5], uid)
    redis.call('LPUSH', KEYS[6], '1')
    redis.call('LTRIM', KEYS[6], 0, 15)
    redis.call('EXPIRE', KEYS[6], 10)
elseif mode == 'later' and current then
    local time = redis.call('TIME')
    redis.call('ZADD', KEYS[7], time[1] + time[2] / 1000000 + ARGV[6], uid)
    redis.call('HINCRBY', KEYS[4], uid, 1)
elseif mode == 'end' then
    if ARGV[6] ~= '0' then redis.call('HDEL', KEYS[4], uid) end
    if ARGV[8] ~= '' and redis.call('EXISTS', KEYS[8]) == 1 then
        redis.pcall('HSET', KEYS[8], uid .. ':f', ARGV[8])
        local time = redis.call('TIME')
        redis.call('ZADD', KEYS[9], 'XX', time[1] + time[2] / 1000000 - 1e10, ARGV[7])
    end
    for i = 10, #KEYS do redis.call('HINCRBY', KEYS[i], ARGV[5], 1) end
end
return current and 1 or 2
";

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
pub(crate) enum Settlement<'a> {
    /// Work begins; the claim stays.
    Start,
    /// Work has ended; `retried` when there were attempts before.
    End { metrics: &'a [Metric], retried: bool },
    /// Back to the head of its queue, as if it had never been taken.
    GiveBack,
    /// Into the queue again after a while.
    Later(Duration),
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
    fn from_reply(reply: u8) -> Self {
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
    pub(crate) metrics: &'static [Metric],
    pub(crate) retried: bool,
}

impl Backend {
    /// Writes a record that has a new status and does with the claim what `settlement` says. It may be
    /// asked for again.
    pub(crate) async fn settle(&self, task: &Task, seen: &Seen, settlement: Settlement<'_>) -> Result<Settled, Error> {
        let mut pipeline = redis::pipe();
        self.add_settlement(&mut pipeline, task, seen, settlement);
        let (outcome,): (u8,) = self.redis.run(&pipeline).await?;
        Ok(Settled::from_reply(outcome))
    }

    /// Writes several ends and then runs `script`, in one round trip; gives what came of each, and its reply.
    pub(crate) async fn settle_and<T: FromRedisValue>(
        &self,
        connection: &Connection,
        endings: &[&Ending],
        script: redis::Cmd,
    ) -> Result<(Vec<Settled>, T), Error> {
        let mut pipeline = redis::pipe();
        for Ending { task, seen, metrics, retried } in endings {
            self.add_settlement(&mut pipeline, task, seen, Settlement::End { metrics, retried: *retried });
        }
        pipeline.add_command(script);
        let mut replies: Vec<redis::Value> = connection.run(&pipeline).await?;
        let typed = |error: redis::ParsingError| connection.error(error.into());
        let last = T::from_redis_value(replies.pop().unwrap_or(redis::Value::Nil)).map_err(typed)?;
        let settled = replies.into_iter().map(|reply| u8::from_redis_value(reply).map(Settled::from_reply).map_err(typed));
        Ok((settled.collect::<Result<_, _>>()?, last))
    }

    fn add_settlement(&self, pipeline: &mut redis::Pipeline, task: &Task, seen: &Seen, settlement: Settlement<'_>) {
        let mode = match settlement {
            Settlement::Start => "start",
            Settlement::End { .. } => "end",
            Settlement::GiveBack => "back",
            Settlement::Later(_) => "later",
        };
        let number = match settlement {
            Settlement::Later(wait) => wait.as_secs_f64().to_string(),
            Settlement::End { retried, .. } => u8::from(retried).to_string(),
            Settlement::Start | Settlement::GiveBack => "0".to_owned(),
        };
        let metrics = if let Settlement::End { metrics, .. } = settlement { metrics } else { &[] };
        let receiver = task.header_str("receiver").unwrap_or(&self.identity);
        pipeline.cmd("EVAL").arg(SETTLE).arg(9 + metrics.len());
        pipeline.arg(keys::task(task.uid())).arg(keys::LEASES).arg(keys::DELIVERIES).arg(keys::ATTEMPTS);
        pipeline.arg(keys::queue(task.priority(), receiver)).arg(keys::wake(receiver)).arg(keys::DELAYED);
        pipeline.arg(keys::analysis(task.root_uid())).arg(keys::OPEN_ANALYSES);
        pipeline.arg(metrics.iter().map(|metric| metric.key()).collect::<Vec<_>>());
        pipeline.arg(task.uid()).arg(&seen.0).arg(task.to_json()).arg(mode).arg(&*self.identity).arg(number).arg(task.root_uid());
        pipeline.arg(super::analysis::ended(task));
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
