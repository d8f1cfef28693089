//! Brings back the tasks of consumers that are gone.
//!
//! A consumer of this library claims each task for a while and renews the claim while it works. The
//! one rule: a task whose claim has lapsed goes back to its queue, in one script that checks the claim
//! again, so that a consumer which finishes at that moment wins. A task that was handed out too often
//! is Crashed instead: it may be what kills its consumers.
//!
//! That a claim has lapsed tells of its consumer only when it could be renewed. So two looks must find
//! it lapsed and the same, and Redis must have answered for a whole lease: a pause of it, a restart, or
//! a time when it took no writes makes all claims lapse at once, and then their consumers come first.
//!
//! The clock of Redis may go back. Then all waits begin anew, and claims that lapse in a far future were made before:
//! they count as just made, or those of consumers that are gone would last until the clock is there again.

use std::collections::HashMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::SystemSettings;
use crate::{
    backend::{Backend, keys, keys::Metric, read_task},
    error::{Error, Failures},
    service::Outage,
    task::TaskState,
};

/// How many lapsed claims one look remembers and handles, those that lapsed first.
const MOST: isize = 10_000;
/// How many of them one command asks about.
const AT_ONCE: usize = 500;
/// After a failure the next look comes soon: a connection that broke is no sign of a silence.
const RETRY: Duration = Duration::from_secs(1);

/// Writes the record if its claim is the one that was looked at and it is unchanged, and ends the claim;
/// then queues the task again, or counts it as crashed.
const SETTLE: &str = r"
if redis.call('ZSCORE', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[4])
if ARGV[5] == '' then
    redis.call('LPUSH', KEYS[3], ARGV[1])
    redis.call('HSET', KEYS[4], ARGV[1], ARGV[6])
else
    redis.call('HDEL', KEYS[4], ARGV[1])
    redis.pcall('HINCRBY', KEYS[5], ARGV[5], 1)
end
return 1
";

/// No lease is longer, whatever services that are set up differently from their broker may have.
const LONGEST_LEASE: f64 = 3600.0;

/// Makes claims that lapse later than can be lapse in a lease from now. Consumers that are there renew them anyhow.
const SHORTEN: &str = r"
redis.call('PERSIST', KEYS[1])
local ahead = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], '+inf', 'LIMIT', 0, ARGV[3])
for i = 1, #ahead do redis.call('ZADD', KEYS[1], ARGV[2], ahead[i]) end
";

/// A claim, by uid, and when it lapsed: as text, which a renewal always changes.
type Lapsed = (Vec<u8>, String);

/// Looks for lapsed claims every `sweep_interval`.
pub(super) async fn run(backend: &Backend, settings: &SystemSettings, shutdown: &CancellationToken) {
    let mut watch = Watch::new(settings.sweep_interval, settings.lease_timeout);
    let (mut outage, mut pause) = (Outage::default(), settings.sweep_interval);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return,
        }
        pause = settings.sweep_interval;
        match sweep(backend, settings, &mut watch).await {
            Ok(()) => outage.over(),
            Err(error) => {
                outage.note("bring back the tasks of consumers that are gone", &error);
                if error.is_temporary() {
                    pause = RETRY;
                }
            }
        }
    }
}

/// What earlier looks have seen. All times are by the clock of Redis.
struct Watch {
    /// The longest time between two looks in which nothing can have happened to Redis.
    usual: f64,
    lease: f64,
    /// When the last look was.
    looked: f64,
    /// Since when Redis has answered look after look.
    answers: f64,
    lapsed: HashMap<Vec<u8>, String>,
}

impl Watch {
    fn new(interval: Duration, lease: Duration) -> Self {
        // A consumer renews every quarter of a lease. On a busy machine a look may come late.
        let usual = interval + (lease / 4).max(Duration::from_secs(1));
        let (usual, lease) = (usual.as_secs_f64(), lease.as_secs_f64());
        Self { usual, lease, looked: f64::NEG_INFINITY, answers: f64::INFINITY, lapsed: HashMap::new() }
    }

    /// A look finds these lapsed; gives those that were found so by the one before.
    fn look(&mut self, now: f64, lapsed: Vec<Lapsed>) -> Vec<Lapsed> {
        if self.has_gone_back(now) || now - self.looked > self.usual {
            self.answers = now;
            self.lapsed.clear();
        }
        self.looked = now;
        let before = std::mem::replace(&mut self.lapsed, lapsed.iter().cloned().collect());
        lapsed.into_iter().filter(|(uid, when)| before.get(uid) == Some(when)).collect()
    }

    /// Whether there was a lease's time to renew claims in, when Redis was started at `started`.
    fn is_telling(&self, started: f64) -> bool {
        self.looked - self.answers.max(started) >= self.lease
    }

    /// Whether the clock has gone back since the last look.
    fn has_gone_back(&self, now: f64) -> bool {
        now < self.looked
    }

    /// No claim that was made by this clock lapses later.
    fn latest(&self, now: f64) -> f64 {
        // A service with a longer lease than ours comes in time for its claim, but not look after look.
        now + if self.has_gone_back(now) { self.lease } else { self.lease.max(LONGEST_LEASE) }
    }
}

async fn sweep(backend: &Backend, settings: &SystemSettings, watch: &mut Watch) -> Result<(), Error> {
    // Where such a write is refused no claim can be renewed: then this look fails.
    backend.redis().run::<()>(redis::pipe().cmd("PERSIST").arg(keys::LEASES).ignore()).await?;
    let now = backend.server_time().await?;
    let mut pipeline = redis::pipe();
    pipeline.cmd("EVAL").arg(SHORTEN).arg(1).arg(keys::LEASES).arg(watch.latest(now)).arg(now + watch.lease).arg(MOST).ignore();
    pipeline.zrangebyscore_limit_withscores(keys::LEASES, "-inf", now, 0, MOST);
    let (lapsed,): (Vec<Lapsed>,) = backend.redis().run(&pipeline).await?;
    let lapsed = watch.look(now, lapsed);
    // One whose start is not known was started before the clock went back, which the watch has seen.
    if lapsed.is_empty() || !watch.is_telling(backend.server_start().await?.unwrap_or(f64::NEG_INFINITY)) {
        return Ok(());
    }
    let mut failures = Failures::default();
    for lapsed in lapsed.chunks(AT_ONCE) {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HMGET").arg(keys::DELIVERIES).arg(lapsed.iter().map(|(uid, _)| uid).collect::<Vec<_>>());
        let (deliveries,): (Vec<Option<Vec<u8>>>,) = backend.redis().run(&pipeline).await?;
        for ((uid, when), deliveries) in lapsed.iter().zip(deliveries) {
            let deliveries: Option<u64> = deliveries.and_then(|count| std::str::from_utf8(&count).ok()?.parse().ok());
            let outcome = bring_back(backend, settings, uid, when, deliveries.unwrap_or(0) + 1).await;
            failures.note(&String::from_utf8_lossy(uid), outcome)?;
        }
    }
    failures.first()
}

/// What becomes of a task whose claim has lapsed, after so many deliveries. One at a time: a record may be large.
async fn bring_back(backend: &Backend, settings: &SystemSettings, raw: &[u8], when: &str, deliveries: u64) -> Result<(), Error> {
    let uid = String::from_utf8_lossy(raw).into_owned();
    let record = backend.records(std::slice::from_ref(&uid)).await?.into_iter().flatten().next();
    let task = record.as_deref().and_then(|record| read_task(&uid, record).ok()).filter(|task| task.status().is_pending());
    // Done, deleted or no task at all: a claim on nothing.
    let (Some(mut task), Some(record)) = (task, record) else { return backend.drop_claim(raw, None).await };
    let receiver = task.header_str("receiver").map(str::to_owned);
    // One that does not say whose it is cannot be queued again.
    let again = receiver.is_some() && deliveries < settings.max_deliveries;
    let receiver = receiver.as_deref().unwrap_or("unknown");
    if again {
        task.set_status(TaskState::Spawned);
    } else {
        task.crash(vec![format!("Task was handed out {deliveries} times, and each time its consumer was gone before it was done\n")]);
    }
    let mut pipeline = redis::pipe();
    pipeline.cmd("EVAL").arg(SETTLE).arg(5).arg(keys::LEASES).arg(keys::task(task.uid())).arg(keys::queue(task.priority(), receiver));
    pipeline.arg(keys::DELIVERIES).arg(Metric::Crashed.key()).arg(task.uid()).arg(when).arg(record).arg(task.to_json());
    pipeline.arg(if again { "" } else { receiver }).arg(deliveries);
    let (done,): (bool,) = backend.redis().run(&pipeline).await?;
    match (done, again) {
        // Somebody else was faster.
        (false, _) => {}
        (true, true) => tracing::warn!(task = task.uid(), "its consumer in {receiver} is gone: queued again"),
        (true, false) => tracing::error!(task = task.uid(), "handed out {deliveries} times to {receiver} in vain: crashed"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch::new(Duration::from_secs(10), Duration::from_secs(30))
    }

    fn claim(when: &str) -> Vec<Lapsed> {
        vec![(b"t".to_vec(), when.to_owned())]
    }

    #[test]
    fn a_claim_that_two_looks_find_lapsed_is_lost_unless_it_was_renewed_in_between() {
        let mut watch = watch();
        assert!(watch.look(100.0, claim("95")).is_empty());
        assert_eq!(watch.look(110.0, claim("95")), claim("95"));
        assert!(watch.look(120.0, claim("118")).is_empty());
        assert!(watch.look(130.0, Vec::new()).is_empty());
        assert!(watch.look(140.0, claim("118")).is_empty());
    }

    #[test]
    fn after_the_clock_has_gone_back_all_waits_begin_anew() {
        let mut watch = watch();
        for now in [9990.0, 10_000.0] {
            watch.look(now, claim("9950"));
        }
        assert_eq!((watch.latest(10_010.0), watch.latest(500.0)), (13_610.0, 530.0));
        assert!(watch.look(500.0, claim("9950")).is_empty());
        assert!(watch.look(510.0, claim("505")).is_empty());
        assert_eq!(watch.look(520.0, claim("505")), claim("505"));
        assert!(!watch.is_telling(f64::NEG_INFINITY));
        watch.look(530.0, Vec::new());
        assert!(watch.is_telling(f64::NEG_INFINITY));
    }

    #[test]
    fn nothing_is_told_within_a_lease_of_the_first_look_a_gap_or_a_start() {
        let mut watch = watch();
        let mut telling = |now: f64, started: f64| {
            watch.look(now, Vec::new());
            watch.is_telling(started)
        };
        assert!(!telling(1000.0, 0.0));
        assert!((1..3).all(|look| !telling(1000.0 + 10.0 * f64::from(look), 0.0)));
        assert!(telling(1030.0, 0.0));
        // Redis was started, and no look has noticed.
        assert!(!telling(1040.0, 1035.0));
        assert!(telling(1050.0, 0.0));
        // One look was missed.
        assert!(!telling(1070.0, 0.0));
        assert!((1..3).all(|look| !telling(1070.0 + 10.0 * f64::from(look), 0.0)));
        assert!(telling(1100.0, 0.0));
    }
}
