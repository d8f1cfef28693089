//! Tells when an analysis has ended.
//!
//! The one rule: an analysis has ended when a look finds none of its tasks pending and nothing was
//! routed for it since; then it is told of once, on `karton.rs.analysis`, whoever looks. Those of which
//! a task has ended are looked at at once. Of the others, whose tasks may be in the hands of Python
//! consumers, each is looked at less and less often, and all of them together take a tenth of the time,
//! however many there are. One that the index has forgotten meanwhile is open no more and has not ended:
//! if any of its tasks is still there, the look at all tasks finds it again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::SystemSettings;
use crate::{
    backend::{
        AnalysisEnded, Backend, Glimpse, Outline,
        analysis::{self, URGENT},
        keys, read_task,
    },
    error::Error,
    service::Outage,
    task::TaskState,
};

const INTERVAL: Duration = Duration::from_millis(250);
/// How often the oldest ones are forgotten.
const TRIM_INTERVAL: Duration = Duration::from_secs(5);
/// How many analyses are looked at in one go.
const AT_ONCE: isize = 200;
/// Outlines read at a time: what they are read from may be large.
const OUTLINES: usize = 20;
/// Records read at a time, until one is pending.
const RECORDS: usize = 100;
/// Seconds between two looks.
const LONGEST_WAIT: f64 = 30.0;
/// When more tasks than this wait for the router, whose they are is not asked, and no analysis ends.
const MOST_UNROUTED: usize = 2_000;
/// The rest after looks at analyses of which nothing is known, as a multiple of what they took.
const REST: u32 = 9;

/// Ends an analysis, with or without an event, or sets the time of the next look, unless something was routed for it meanwhile.
const DECIDE: &str = r"
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or score ~= ARGV[2] then return end
if ARGV[3] ~= '' then
    redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
else
    redis.call('ZREM', KEYS[1], ARGV[1])
    if ARGV[4] == '' then return end
    redis.pcall('HSET', KEYS[2], 'ended', ARGV[4])
    redis.call('PUBLISH', KEYS[3], ARGV[4])
end
";

/// Looks at analyses until `shutdown`, and forgets the oldest ones.
pub(super) async fn run(backend: &Backend, settings: &SystemSettings, shutdown: &CancellationToken) {
    let (mut rested, mut trimmed) = (Instant::now(), None::<Instant>);
    let (mut unrouted, mut outage) = (Unrouted::default(), Outage::default());
    loop {
        let pause = rested.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(10), INTERVAL);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
        let outcome = async {
            // As long as there are so many, the next ones at once.
            while look(backend, &mut unrouted, Due::Urgent).await? && !shutdown.is_cancelled() {}
            if Instant::now() >= rested {
                let began = Instant::now();
                let more = look(backend, &mut unrouted, Due::ByTime).await?;
                rested = Instant::now() + if more { began.elapsed() * REST } else { INTERVAL };
            }
            // Whoever routes adds to them, so whoever runs forgets them.
            if trimmed.is_none_or(|at| at.elapsed() > TRIM_INTERVAL) {
                backend.trim_analyses(settings.history_ttl, settings.history_limit).await?;
                trimmed = Some(Instant::now());
            }
            Ok::<(), Error>(())
        };
        match outcome.await {
            Ok(()) => outage.over(),
            Err(error) => outage.note("look at analyses", &error),
        }
    }
}

#[derive(Clone, Copy)]
enum Due {
    /// A task has ended.
    Urgent,
    /// It is time.
    ByTime,
}

/// Looks at some that are due; gives whether there may be more.
async fn look(backend: &Backend, unrouted: &mut Unrouted, due: Due) -> Result<bool, Error> {
    let now = backend.server_time().await?;
    let (least, most) = match due {
        Due::Urgent => ("-inf", now - URGENT),
        Due::ByTime => ("0", now),
    };
    let mut pipeline = redis::pipe();
    pipeline.zrangebyscore_limit_withscores(keys::OPEN_ANALYSES, least, most, 0, AT_ONCE);
    let (due,): (Vec<(Vec<u8>, String)>,) = backend.redis().run(&pipeline).await?;
    if due.is_empty() {
        return Ok(false);
    }
    // Asked after their outlines were read, and not before one may have ended.
    let mut pipeline = redis::pipe();
    for due in due.chunks(OUTLINES) {
        let roots: Vec<String> = due.iter().map(|(raw, _)| String::from_utf8_lossy(raw).into_owned()).collect();
        let outlines = backend.analysis_outlines(&roots).await?;
        let pending = pending(backend, &outlines).await?;
        let waiting = if pending.iter().any(Option::is_some) { unrouted.roots(backend).await? } else { None };
        for ((((raw, score), root), outline), crashed) in due.iter().zip(&roots).zip(&outlines).zip(pending) {
            let ended = crashed.filter(|_| waiting.as_ref().is_some_and(|waiting| !waiting.contains(root.as_str())));
            let ended = ended.map(|crashed| AnalysisEnded::of(root, outline, outline.crashed + crashed, now));
            let age = now - outline.started.unwrap_or(now);
            let (next, event) = match ended {
                _ if outline.started.is_none() => {
                    analysis::add_doubt(&mut pipeline);
                    (String::new(), String::new())
                }
                Some(ended) => (String::new(), ended.to_json()),
                None => ((now + (age / 8.0).clamp(1.0, LONGEST_WAIT)).to_string(), String::new()),
            };
            pipeline.cmd("EVAL").arg(DECIDE).arg(3).arg(keys::OPEN_ANALYSES).arg(keys::analysis(root)).arg(keys::ANALYSIS_CHANNEL);
            pipeline.arg(raw).arg(score).arg(next).arg(event).ignore();
        }
    }
    backend.redis().run::<()>(&pipeline).await?;
    Ok(due.len() >= AT_ONCE.unsigned_abs())
}

/// For each analysis how many of its open tasks have crashed; none while one is pending.
async fn pending(backend: &Backend, outlines: &[Outline]) -> Result<Vec<Option<usize>>, Error> {
    let mut crashed = vec![Some(0); outlines.len()];
    let mut from = 0;
    // All of them together, and of each a few tasks at a time: mostly the first one says that it is pending.
    loop {
        let mut uids = Vec::new();
        for (place, outline) in outlines.iter().enumerate().filter(|(place, _)| crashed[*place].is_some()) {
            let to = (from + if from == 0 { 1 } else { RECORDS }).min(outline.open.len());
            uids.extend(outline.open.iter().take(to).skip(from).map(|uid| (place, uid.clone())));
        }
        if uids.is_empty() {
            return Ok(crashed);
        }
        for chunk in uids.chunks(RECORDS) {
            let records = backend.records(&chunk.iter().map(|(_, uid)| uid.clone()).collect::<Vec<_>>()).await?;
            for ((place, uid), record) in chunk.iter().zip(records) {
                // One that is gone was collected, so it had ended; one that cannot be read will never go on.
                let Some(status) = record.and_then(|record| status(uid, &record)) else { continue };
                crashed[*place] = match crashed[*place] {
                    Some(count) if !status.is_pending() => Some(count + usize::from(status == TaskState::Crashed)),
                    _ => None,
                };
            }
        }
        from += if from == 0 { 1 } else { RECORDS };
    }
}

fn status(uid: &str, record: &[u8]) -> Option<TaskState> {
    let status = Glimpse::read(record).map(|glimpse| glimpse.status);
    status.or_else(|| Some(read_task(uid, record).ok()?.status()))
}

/// Which analyses the tasks belong to that wait for the router. Their uids do not tell: a task sent
/// while another is processed keeps the uid of an analysis of its own.
#[derive(Default)]
struct Unrouted {
    /// By uid. A record does not change while it waits, so each is read once.
    roots: HashMap<String, Option<String>>,
}

impl Unrouted {
    /// The analyses with tasks that wait now; none when there are too many to ask.
    async fn roots(&mut self, backend: &Backend) -> Result<Option<HashSet<&str>>, Error> {
        let (count,): (usize,) = backend.redis().run(redis::pipe().llen(keys::TASKS)).await?;
        if count > MOST_UNROUTED {
            return Ok(None);
        }
        let mut known = std::mem::take(&mut self.roots);
        let mut new = Vec::new();
        let mut lists = backend.unrouted();
        while let Some(found) = lists.next().await? {
            for uid in found {
                let uid = String::from_utf8_lossy(&uid).into_owned();
                match known.remove_entry(&uid) {
                    Some((uid, root)) => drop(self.roots.insert(uid, root)),
                    None if self.roots.contains_key(&uid) => {}
                    None => new.push(uid),
                }
            }
        }
        backend.each_record(&new, |uid, record| drop(self.roots.insert(uid.to_owned(), root_uid(uid, record)))).await?;
        Ok(Some(self.roots.values().flatten().map(String::as_str).collect()))
    }
}

fn root_uid(uid: &str, record: &[u8]) -> Option<String> {
    let root_uid = Glimpse::read(record).and_then(|glimpse| glimpse.root_uid());
    root_uid.or_else(|| Some(read_task(uid, record).ok()?.root_uid().to_owned()))
}
