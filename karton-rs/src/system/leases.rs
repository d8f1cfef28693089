//! Brings back the tasks of consumers that are gone.
//!
//! A consumer of this library claims each task for a while and renews the claim while it works. The
//! one rule: a task whose claim has lapsed goes back to its queue, in one script that checks the claim
//! again, so that a consumer which finishes at that moment wins. A task that was handed out too often
//! is Crashed instead: it may be what kills its consumers.

use tokio_util::sync::CancellationToken;

use super::SystemSettings;
use crate::{
    backend::{Backend, keys, keys::Metric, readable_task, release},
    error::Error,
    task::{Task, TaskState, now},
};

/// How many lapsed claims one look handles.
const BATCH: isize = 500;

/// Writes the record and queues the task again, if its claim is still lapsed and its record unchanged.
const REQUEUE: &str = r"
local lapses = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not lapses or tonumber(lapses) > tonumber(ARGV[2]) then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[4])
redis.call('LPUSH', KEYS[3], ARGV[1])
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
    let now = now();
    let mut pipeline = redis::pipe();
    pipeline.zrangebyscore_limit(keys::LEASES, "-inf", now, 0, BATCH);
    let (lapsed,): (Vec<String>,) = backend.redis().run(&pipeline).await?;
    if lapsed.is_empty() {
        return Ok(());
    }
    let (deliveries,): (Vec<Option<u64>>,) = backend.redis().run(redis::pipe().cmd("HMGET").arg(keys::DELIVERIES).arg(&lapsed)).await?;
    let records = backend.records(&lapsed).await?;
    for ((uid, record), deliveries) in lapsed.iter().zip(records).zip(deliveries) {
        let task = record.as_deref().and_then(readable_task).filter(|task| task.status().is_pending());
        match (task, record) {
            (Some(task), Some(_)) if deliveries.unwrap_or(1) >= settings.max_deliveries => give_up(backend, task, settings).await?,
            (Some(task), Some(record)) => requeue(backend, task, &record, now).await?,
            _ => {
                let mut pipeline = redis::pipe();
                release(&mut pipeline, uid);
                backend.redis().run::<()>(&pipeline).await?;
            }
        }
    }
    Ok(())
}

async fn requeue(backend: &Backend, mut task: Task, record: &[u8], now: f64) -> Result<(), Error> {
    let Some(receiver) = task.header_str("receiver").map(str::to_owned) else { return Ok(()) };
    task.set_status(TaskState::Spawned);
    let mut pipeline = redis::pipe();
    pipeline.cmd("EVAL").arg(REQUEUE).arg(3).arg(keys::LEASES).arg(keys::task(task.uid())).arg(keys::queue(task.priority(), &receiver));
    pipeline.arg(task.uid()).arg(now).arg(record).arg(task.to_json());
    let (done,): (bool,) = backend.redis().run(&pipeline).await?;
    if done {
        tracing::warn!(task = task.uid(), "its consumer in {receiver} is gone: queued again");
    }
    Ok(())
}

async fn give_up(backend: &Backend, mut task: Task, settings: &SystemSettings) -> Result<(), Error> {
    let receiver = task.header_str("receiver").unwrap_or("unknown").to_owned();
    task.crash(vec![format!(
        "Task was handed out {} times, and each time its consumer was gone before it was done\n",
        settings.max_deliveries
    )]);
    tracing::error!(task = task.uid(), "handed out {} times to {receiver} in vain: crashed", settings.max_deliveries);
    let mut pipeline = redis::pipe();
    pipeline.atomic().cmd("SET").arg(keys::task(task.uid())).arg(task.to_json()).arg("XX").ignore();
    release(&mut pipeline, task.uid());
    pipeline.hincr(Metric::Crashed.key(), &receiver, 1).ignore();
    backend.redis().run(&pipeline).await
}
