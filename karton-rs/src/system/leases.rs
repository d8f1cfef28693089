//! Brings back the tasks of consumers that are gone.
//!
//! A consumer of this library claims each task for a while and renews the claim while it works. The
//! one rule: a task whose claim has lapsed goes back to its queue, in one script that checks the claim
//! again, so that a consumer which finishes at that moment wins. A task that was handed out too often
//! is Crashed instead: it may be what kills its consumers.

use tokio_util::sync::CancellationToken;

use super::SystemSettings;
use crate::{
    backend::{Backend, keys, keys::Metric, read_task},
    error::Error,
    task::{Task, TaskState},
};

/// How many lapsed claims one look handles.
const BATCH: isize = 500;

/// Writes the record if its claim is still lapsed and it is unchanged, and ends the claim; then queues
/// the task again, or counts it as crashed.
const SETTLE: &str = r"
local lapses = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lapses or tonumber(lapses) > tonumber(ARGV[2]) then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[4])
if ARGV[5] == '' then
    redis.call('LPUSH', KEYS[3], ARGV[1])
else
    redis.call('HDEL', KEYS[4], ARGV[1])
    redis.call('HINCRBY', KEYS[5], ARGV[5], 1)
end
return 1
";

/// Looks for lapsed claims every `sweep_interval`.
pub(super) async fn run(backend: &Backend, settings: &SystemSettings, shutdown: &CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(settings.sweep_interval) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = sweep(backend, settings).await {
            // The router tells of an outage; here it only means a later look.
            tracing::debug!("cannot look for lapsed claims: {error}");
        }
    }
}

async fn sweep(backend: &Backend, settings: &SystemSettings) -> Result<(), Error> {
    let now = backend.server_time().await?;
    let mut pipeline = redis::pipe();
    pipeline.zrangebyscore_limit(keys::LEASES, "-inf", now, 0, BATCH);
    let (lapsed,): (Vec<Vec<u8>>,) = backend.redis().run(&pipeline).await?;
    if lapsed.is_empty() {
        return Ok(());
    }
    let (deliveries,): (Vec<Option<u64>>,) = backend.redis().run(redis::pipe().cmd("HMGET").arg(keys::DELIVERIES).arg(&lapsed)).await?;
    let uids: Vec<String> = lapsed.iter().map(|uid| String::from_utf8_lossy(uid).into_owned()).collect();
    for ((raw, uid), deliveries) in lapsed.iter().zip(&uids).zip(deliveries) {
        // One at a time: a record may be large.
        let record = backend.records(std::slice::from_ref(uid)).await?.into_iter().flatten().next();
        let task = record.as_deref().and_then(|record| read_task(uid, record).ok()).filter(|task| task.status().is_pending());
        match (task, record) {
            (Some(task), Some(record)) => {
                let receiver = task.header_str("receiver").map(str::to_owned);
                match receiver.filter(|_| deliveries.unwrap_or(1) < settings.max_deliveries) {
                    Some(receiver) => requeue(backend, task, &receiver, &record, now).await?,
                    None => give_up(backend, task, deliveries.unwrap_or(1), &record, now).await?,
                }
            }
            // Done, deleted or no task at all: a claim on nothing.
            _ => backend.drop_claim(raw, None).await?,
        }
    }
    Ok(())
}

async fn requeue(backend: &Backend, mut task: Task, receiver: &str, record: &[u8], now: f64) -> Result<(), Error> {
    task.set_status(TaskState::Spawned);
    if settle(backend, &task, receiver, record, now).await? {
        tracing::warn!(task = task.uid(), "its consumer in {receiver} is gone: queued again");
    }
    Ok(())
}

/// Also the end of a task that does not say whose it is, which cannot be queued again.
async fn give_up(backend: &Backend, mut task: Task, deliveries: u64, record: &[u8], now: f64) -> Result<(), Error> {
    let receiver = task.header_str("receiver").unwrap_or("unknown").to_owned();
    task.crash(vec![format!("Task was handed out {deliveries} times, and each time its consumer was gone before it was done\n")]);
    if settle(backend, &task, &receiver, record, now).await? {
        tracing::error!(task = task.uid(), "handed out {deliveries} times to {receiver} in vain: crashed");
    }
    Ok(())
}

/// False when somebody else was faster.
async fn settle(backend: &Backend, task: &Task, receiver: &str, record: &[u8], now: f64) -> Result<bool, Error> {
    let crashed_in = if task.status() == TaskState::Crashed { receiver } else { "" };
    let mut pipeline = redis::pipe();
    pipeline.cmd("EVAL").arg(SETTLE).arg(5).arg(keys::LEASES).arg(keys::task(task.uid())).arg(keys::queue(task.priority(), receiver));
    pipeline.arg(keys::DELIVERIES).arg(Metric::Crashed.key());
    pipeline.arg(task.uid()).arg(now).arg(record).arg(task.to_json()).arg(crashed_in);
    let (done,): (bool,) = backend.redis().run(&pipeline).await?;
    Ok(done)
}
