//! Tells when an analysis has ended.
//!
//! The one rule: an analysis has ended when a look finds none of its tasks pending and nothing was
//! routed for it since; then it is told of once, on `karton.rs.analysis`, whoever looks. Each look
//! costs what the analysis holds, and one that goes on for long is looked at less and less often.

use std::collections::HashSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    backend::{AnalysisEnded, Backend, Index, keys, read_task},
    error::Error,
    task::TaskState,
};

const INTERVAL: Duration = Duration::from_millis(500);
/// How many analyses are looked at in one go.
const AT_ONCE: isize = 200;
/// Indexes read at a time: each may be large.
const INDEXES: usize = 10;
/// Records read at a time, until one is pending.
const RECORDS: usize = 100;
/// Seconds between two looks.
const LONGEST_WAIT: f64 = 30.0;
/// When more tasks than this wait for the router, whose they are is not asked, and no analysis ends.
const MOST_UNROUTED: usize = 20_000;

/// Ends an analysis, or sets the time of the next look, unless something was routed for it meanwhile.
const DECIDE: &str = r"
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or score ~= ARGV[2] then return end
if ARGV[3] ~= '' then
    redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
else
    redis.call('ZREM', KEYS[1], ARGV[1])
    redis.pcall('HSET', KEYS[2], 'ended', ARGV[4])
    redis.call('PUBLISH', KEYS[3], ARGV[4])
end
";

/// Looks at analyses until `shutdown`.
pub(super) async fn run(backend: &Backend, shutdown: &CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => return,
        }
        while !shutdown.is_cancelled() {
            match look(backend).await {
                // More are due: the next ones at once.
                Ok(count) if count >= AT_ONCE.unsigned_abs() => {}
                Ok(_) => break,
                Err(error) => {
                    // The router tells of an outage; here it only means a later look.
                    tracing::debug!("cannot look at analyses: {error}");
                    break;
                }
            }
        }
    }
}

/// Gives how many were due.
async fn look(backend: &Backend) -> Result<usize, Error> {
    let now = backend.server_time().await?;
    let mut pipeline = redis::pipe();
    pipeline.zrangebyscore_limit_withscores(keys::OPEN_ANALYSES, "-inf", now, 0, AT_ONCE);
    let (due,): (Vec<(Vec<u8>, String)>,) = backend.redis().run(&pipeline).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let mut waiting: Option<Option<HashSet<String>>> = None;
    let mut pipeline = redis::pipe();
    for due in due.chunks(INDEXES) {
        let roots: Vec<String> = due.iter().map(|(raw, _)| String::from_utf8_lossy(raw).into_owned()).collect();
        let indexes = backend.analysis_indexes(&roots).await?;
        for (((raw, score), root), index) in due.iter().zip(&roots).zip(&indexes) {
            let mut ended = None;
            if let Some(crashed) = crashed_unless_pending(backend, index).await? {
                let waiting = match &waiting {
                    Some(waiting) => waiting,
                    None => waiting.insert(roots_that_wait(backend).await?),
                };
                if waiting.as_ref().is_some_and(|waiting| !waiting.contains(root)) {
                    ended = Some(AnalysisEnded::of(root, index, crashed, now));
                }
            }
            let age = now - index.tasks.values().map(|task| task.created).fold(now, f64::min);
            let (next, event) = match ended {
                Some(ended) => (String::new(), ended.to_json()),
                None => ((now + (age / 8.0).clamp(1.0, LONGEST_WAIT)).to_string(), String::new()),
            };
            pipeline.cmd("EVAL").arg(DECIDE).arg(3).arg(keys::OPEN_ANALYSES).arg(keys::analysis(root)).arg(keys::ANALYSIS_CHANNEL);
            pipeline.arg(raw).arg(score).arg(next).arg(event).ignore();
        }
    }
    backend.redis().run::<()>(&pipeline).await?;
    Ok(due.len())
}

/// How many tasks have crashed; none while one is pending.
async fn crashed_unless_pending(backend: &Backend, index: &Index) -> Result<Option<usize>, Error> {
    let mut crashed = index.tasks.values().filter(|task| task.ended.is_some() && task.status == TaskState::Crashed).count();
    let open: Vec<String> = index.tasks.values().filter(|task| task.ended.is_none()).map(|task| task.uid.clone()).collect();
    for uids in open.chunks(RECORDS) {
        for (uid, record) in uids.iter().zip(backend.records(uids).await?) {
            // One that is gone was collected, so it had ended; one that cannot be read will never go on.
            let Some(task) = record.and_then(|record| read_task(uid, &record).ok()) else { continue };
            if task.status().is_pending() {
                return Ok(None);
            }
            crashed += usize::from(task.status() == TaskState::Crashed);
        }
    }
    Ok(Some(crashed))
}

/// The analyses that have tasks waiting for the router; none when there are too many to ask.
async fn roots_that_wait(backend: &Backend) -> Result<Option<HashSet<String>>, Error> {
    let uids = backend.unrouted_uids().await?;
    if uids.len() > MOST_UNROUTED {
        return Ok(None);
    }
    let mut roots = HashSet::new();
    for (uid, record) in uids.iter().zip(backend.records(&uids).await?) {
        if let Some(task) = record.and_then(|record| read_task(uid, &record).ok()) {
            roots.insert(task.root_uid().to_owned());
        }
    }
    Ok(Some(roots))
}
