//! The tasks in our hands: renewing the claims on them while they are worked on.
//!
//! The one rule: a claim is renewed until the last run of its task lets go. When a claim has lapsed, the
//! task may be ours again while its first run still goes on.
//!
//! It is done on a thread of its own: async handlers that compute instead of waiting may keep all
//! threads of the runtime busy, for longer than a claim lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{
    backend::{Backend, keys},
    config::{Config, ConfigError, ConfigErrorKind},
    error::Error,
    own_thread::OwnThread,
    service::Outage,
};

/// How long a claim on a task lasts without being renewed.
const LEASE: Duration = Duration::from_secs(30);
/// How often a task is handed out before it is taken for what kills its consumers.
const MAX_DELIVERIES: u64 = 3;
/// So many renewals fit into a lease.
const RENEWALS: u32 = 4;

/// Prolongs claims that still stand.
const RENEW: &str = r"
local time = redis.call('TIME')
redis.call('PERSIST', KEYS[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', time[1] + time[2] / 1000000 + ARGV[1], ARGV[i]) end
";
/// How many claims one script renews.
const AT_ONCE: usize = 1000;

/// The tasks in our hands, and how long a claim lasts.
pub(super) struct Claims {
    lease: Duration,
    /// Each with the number of its runs.
    uids: Mutex<BTreeMap<String, usize>>,
}

/// Claims are renewed as long as this lives.
pub(super) struct Renewal(#[expect(dead_code, reason = "held, not read")] OwnThread<()>);

impl Renewal {
    /// Starts the thread; `own` is its alone, `service` what the service writes with.
    pub(super) fn start(claims: Arc<Claims>, own: Backend, service: Backend) -> Result<Self, Error> {
        Ok(Self(OwnThread::start("claims", async move { claims.keep(&own, &service).await })?))
    }
}

impl Claims {
    pub(super) fn new(lease: Duration) -> Self {
        Self { lease, uids: Mutex::default() }
    }

    /// How long a claim lasts without being renewed.
    pub(super) fn lease(&self) -> Duration {
        self.lease
    }

    fn uids(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        // Held for a moment only, never over an await.
        self.uids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task is ours from now on.
    pub(super) fn hold(&self, uid: &str) {
        *self.uids().entry(uid.to_owned()).or_default() += 1;
    }

    /// A run of the task is over: it is done with, or somebody else's again.
    pub(super) fn forget(&self, uid: &str) {
        let mut uids = self.uids();
        if let Some(runs) = uids.get_mut(uid) {
            *runs -= 1;
            if *runs == 0 {
                uids.remove(uid);
            }
        }
    }

    /// Renews all claims for ever, well before they lapse: what Redis does not answer within the time
    /// between two renewals is asked again, over another connection. So does then what the service asks: it would
    /// find out for itself much later.
    async fn keep(&self, own: &Backend, service: &Backend) {
        let every = self.lease / RENEWALS;
        let (mut outage, mut pause) = (Outage::default(), every);
        loop {
            tokio::time::sleep(pause).await;
            pause = every;
            match self.renew(own, every).await {
                Ok(()) => outage.over(),
                Err(error) => {
                    outage.note("renew the claims on tasks", &error);
                    service.redis().leave();
                    pause = every / RENEWALS;
                }
            }
        }
    }

    async fn renew(&self, backend: &Backend, limit: Duration) -> Result<(), Error> {
        let uids: Vec<String> = self.uids().keys().cloned().collect();
        if uids.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for uids in uids.chunks(AT_ONCE) {
            pipeline.cmd("EVAL").arg(RENEW).arg(1).arg(keys::LEASES).arg(self.lease.as_secs()).arg(uids).ignore();
        }
        backend.redis().run_within(limit, &pipeline).await
    }
}

/// How long a claim lasts without being renewed, as the configuration says.
pub(crate) fn lease_timeout(config: &Config) -> Result<Duration, ConfigError> {
    let seconds = config.int("karton", "lease_timeout")?.and_then(|seconds| u64::try_from(seconds).ok());
    Ok(seconds.filter(|seconds| *seconds > 0).map_or(LEASE, Duration::from_secs))
}

/// How often a task is handed out at most, as the configuration says; what the broker is told elsewhere does not matter
/// much: a smaller number there means that fewer tasks have a last try for themselves.
pub(crate) fn max_deliveries(config: &Config) -> Result<u64, ConfigError> {
    let Some(number) = config.int("system", "max_deliveries")? else { return Ok(MAX_DELIVERIES) };
    u64::try_from(number).map(|number| number.max(1)).map_err(|_| {
        let place = config.place("system", "max_deliveries");
        ConfigError::new(ConfigErrorKind::BadInteger, format!("{place}: {number} is not how often something is handed out"))
    })
}
