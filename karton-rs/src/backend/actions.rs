//! What an operator does to a task: cancel it, start it again.
//!
//! The one rule: each is a script that first checks that the record is what the operator has seen, so
//! a consumer that starts or finishes the task at that moment is never overwritten. See Karton
//! protocol §14.3 and rows 12 and 13 of §15.

use super::{Backend, analysis, keys};
use crate::{
    error::Error,
    task::{Task, TaskError, TaskState},
};

/// Writes the record if it is unchanged and nobody has claimed the task, takes its uid out of the lists
/// and out of those that wait to be tried again, and tells the history of the analysis.
const CANCEL: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return -1 end
local uid = ARGV[1]
local claimed = redis.call('ZSCORE', KEYS[2], uid)
if claimed and ARGV[4] == '' then return -2 end
local removed = redis.call('ZREM', KEYS[4], uid)
for i = 8, #KEYS do
    local count = redis.pcall('LREM', KEYS[i], 0, uid)
    if type(count) == 'number' then removed = removed + count end
end
if not claimed then redis.call('HDEL', KEYS[3], uid) end
redis.call('HDEL', KEYS[5], uid)
redis.call('SET', KEYS[1], ARGV[3])
if redis.call('EXISTS', KEYS[6]) == 1 then
    redis.pcall('HSET', KEYS[6], uid .. ':f', ARGV[5])
    local time = redis.call('TIME')
    redis.call('ZADD', KEYS[7], 'XX', time[1] + time[2] / 1000000 - 1e10, ARGV[6])
end
return removed
";

/// The reference's restart, if the record is unchanged: the copy, its place in the queue, and the end
/// of the old task, which leaves its own places. The history of the analysis gets both.
const RESTART: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return -1 end
local uid = ARGV[1]
if redis.call('ZSCORE', KEYS[2], uid) and ARGV[4] == '' then return -2 end
for i = 11, #KEYS do redis.pcall('LREM', KEYS[i], 0, uid) end
redis.call('SET', KEYS[8], ARGV[8])
redis.call('RPUSH', KEYS[9], ARGV[7])
redis.call('LPUSH', KEYS[10], '1')
redis.call('LTRIM', KEYS[10], 0, 15)
redis.call('EXPIRE', KEYS[10], 10)
if ARGV[3] ~= '' then redis.call('SET', KEYS[1], ARGV[3]) end
redis.call('ZREM', KEYS[2], uid)
redis.call('HDEL', KEYS[3], uid)
redis.call('ZREM', KEYS[4], uid)
redis.call('HDEL', KEYS[5], uid)
if redis.call('EXISTS', KEYS[6]) == 1 then
    redis.pcall('HSET', KEYS[6], uid .. ':f', ARGV[5], ARGV[7], ARGV[9])
    local time = redis.call('TIME')
    redis.call('ZADD', KEYS[7], time[1] + time[2] / 1000000, ARGV[6])
end
return 1
";

/// Hands an unrouted task to the broker again, unless it has it.
const ROUTE_AGAIN: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return -1 end
for i = 2, #KEYS do
    if redis.call('LPOS', KEYS[i], ARGV[1]) then return 0 end
end
redis.call('RPUSH', KEYS[2], ARGV[1])
return 1
";

/// What became of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acted {
    /// Done; how many places in queues the task has lost.
    Done(u64),
    /// The record has changed since it was read: nothing was done.
    Changed,
    /// A consumer has claimed it meanwhile: nothing was done.
    Claimed,
}

impl Backend {
    /// Ends a task that is not to be processed. With `force` also one in the hands of a consumer, whose
    /// work goes on and may write its end over ours.
    pub(crate) async fn cancel(&self, task: &Task, record: &[u8], force: bool) -> Result<Acted, Error> {
        let finished = finished(task);
        let mut names = names(task);
        names.extend(self.places(task).await?);
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(CANCEL).arg(names.len()).arg(&names);
        pipeline.arg(task.uid()).arg(record).arg(finished.to_json()).arg(if force { "1" } else { "" });
        pipeline.arg(analysis::ended(&finished)).arg(task.root_uid());
        self.act(&pipeline).await
    }

    /// Queues a fresh copy for the same receiver and ends this one; gives the copy.
    pub(crate) async fn restart(&self, task: &Task, record: &[u8], force: bool) -> Result<(Acted, Task), Error> {
        let copy = task.restart()?;
        let receiver = copy.header_str("receiver").ok_or(TaskError::NotRouted)?;
        let mut names = names(task);
        names.extend([keys::task(copy.uid()), keys::queue(copy.priority(), receiver), keys::wake(receiver)]);
        names.extend(self.places(task).await?);
        let finished = finished(task);
        let old = if task.status() == TaskState::Finished { String::new() } else { finished.to_json() };
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(RESTART).arg(names.len()).arg(&names);
        pipeline.arg(task.uid()).arg(record).arg(old).arg(if force { "1" } else { "" });
        pipeline.arg(analysis::ended(&finished)).arg(task.root_uid());
        pipeline.arg(copy.uid()).arg(copy.to_json()).arg(analysis::found_entry(&copy));
        Ok((self.act(&pipeline).await?, copy))
    }

    /// Hands an unrouted task to the broker, when neither its queue nor a router has it.
    pub(crate) async fn route_again(&self, task: &Task, record: &[u8]) -> Result<Acted, Error> {
        let mut names = vec![keys::task(task.uid())];
        names.extend(self.places(task).await?);
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(ROUTE_AGAIN).arg(names.len()).arg(&names).arg(task.uid()).arg(record);
        self.act(&pipeline).await
    }

    async fn act(&self, pipeline: &redis::Pipeline) -> Result<Acted, Error> {
        let (code,): (i64,) = self.redis().run(pipeline).await?;
        Ok(match code {
            -1 => Acted::Changed,
            -2 => Acted::Claimed,
            count => Acted::Done(count.unsigned_abs()),
        })
    }

    /// The lists in which a task may stand. A router notices when a uid is taken from its hands, and
    /// looks again.
    pub(crate) async fn places(&self, task: &Task) -> Result<Vec<String>, Error> {
        if task.status() == TaskState::Declared {
            let mut lists = vec![keys::TASKS.to_owned()];
            let (routers,): (Vec<String>,) = self.redis().run(redis::pipe().smembers(keys::ROUTERS)).await?;
            lists.extend(routers.iter().map(|id| keys::in_flight(id)));
            return Ok(lists);
        }
        Ok(task.header_str("receiver").map_or_else(Vec::new, |receiver| keys::queues(receiver).to_vec()))
    }
}

impl Backend {
    /// Puts a copy of a task into the queue of a service that has a Redis to itself.
    pub(crate) async fn hand_out(&self, task: &Task, receiver: &str) -> Result<(), Error> {
        let mut pipeline = redis::pipe();
        pipeline.atomic().set(keys::task(task.uid()), task.to_json()).ignore();
        pipeline.rpush(keys::queue(task.priority(), receiver), task.uid()).ignore();
        self.redis().run(&pipeline).await
    }
}

/// The keys that both scripts begin with.
fn names(task: &Task) -> Vec<String> {
    vec![
        keys::task(task.uid()),
        keys::LEASES.to_owned(),
        keys::DELIVERIES.to_owned(),
        keys::DELAYED.to_owned(),
        keys::ATTEMPTS.to_owned(),
        keys::analysis(task.root_uid()),
        keys::OPEN_ANALYSES.to_owned(),
    ]
}

fn finished(task: &Task) -> Task {
    let mut finished = task.clone();
    finished.set_status(TaskState::Finished);
    finished
}
