//! The tasks in our hands: renewing the claims on them while they are worked on.
//!
//! The one rule: a claim is renewed until the last run of its task lets go. When a claim has lapsed, the
//! task may be ours again while its first run still goes on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backend::{Backend, keys};

/// Prolongs claims that still stand.
const RENEW: &str = r"
local time = redis.call('TIME')
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

    /// Renews all claims for ever, well before they lapse.
    pub(super) async fn keep(&self, backend: &Backend) {
        loop {
            tokio::time::sleep(self.lease / 4).await;
            let uids: Vec<String> = self.uids().keys().cloned().collect();
            for uids in uids.chunks(AT_ONCE) {
                let mut pipeline = redis::pipe();
                pipeline.cmd("EVAL").arg(RENEW).arg(1).arg(keys::LEASES).arg(self.lease.as_secs()).arg(uids).ignore();
                if let Err(error) = backend.redis().run::<()>(&pipeline).await {
                    tracing::debug!("cannot renew the claims on {} tasks: {error}", uids.len());
                }
            }
        }
    }
}
