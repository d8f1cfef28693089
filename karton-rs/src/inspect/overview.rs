//! All services at once: what waits for each, what runs, what has failed, who is online.

use std::collections::{BTreeMap, BTreeSet};

use super::Inspect;
use crate::{
    backend::{Bind, Glimpse, Pending, keys, read_bind, read_task},
    error::Error,
    task::TaskState,
};

/// What is going on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overview {
    /// By identity: every bind, and every queue without one.
    pub(crate) queues: Vec<QueueOverview>,
    /// Tasks that wait for the broker.
    pub(crate) unrouted: u64,
    /// Records that are no tasks.
    pub(crate) unreadable: u64,
}

/// One service.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueueOverview {
    pub(crate) identity: String,
    pub(crate) bind: Option<Bind>,
    /// There is a bind, and it is none.
    pub(crate) bind_unreadable: bool,
    pub(crate) pending: Pending,
    pub(crate) started: u64,
    pub(crate) crashed: u64,
    pub(crate) online: usize,
}

impl QueueOverview {
    /// Tasks wait, and nobody is there to take them.
    pub(crate) fn nobody_serves_it(&self) -> bool {
        self.online == 0 && self.pending.total() > 0 || self.bind.is_none()
    }
}

/// Whether tasks in this status are counted.
fn matters(status: TaskState) -> bool {
    matches!(status, TaskState::Started | TaskState::Crashed)
}

impl Inspect {
    /// Everything, tasks counted by a look at each record.
    pub(crate) async fn overview(&self) -> Result<Overview, Error> {
        let mut overview = self.overview_of_queues().await?;
        let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut scan = self.backend.scan(keys::EVERY_TASK);
        while let Some(records) = scan.next().await? {
            for (uid, record) in records {
                // Most are told by a glimpse; the others are read whole.
                let (status, receiver) = if let Some(glimpse) = Glimpse::of_readable(&record) {
                    (glimpse.status, matters(glimpse.status).then(|| glimpse.receiver()).flatten())
                } else if let Ok(task) = read_task(&uid, &record) {
                    (task.status(), task.header_str("receiver").map(str::to_owned))
                } else {
                    overview.unreadable += 1;
                    continue;
                };
                let Some(receiver) = receiver.filter(|_| matters(status)) else { continue };
                let (started, crashed) = counts.entry(receiver).or_default();
                if status == TaskState::Started { *started += 1 } else { *crashed += 1 }
            }
        }
        for queue in &mut overview.queues {
            (queue.started, queue.crashed) = counts.remove(&queue.identity).unwrap_or_default();
        }
        // Of services that have neither bind nor queue any more.
        let gone =
            counts.into_iter().map(|(identity, (started, crashed))| QueueOverview { identity, started, crashed, ..Default::default() });
        overview.queues.extend(gone);
        Ok(overview)
    }

    /// What can be told without a look at the records: `started` and `crashed` stay 0.
    pub(crate) async fn overview_of_queues(&self) -> Result<Overview, Error> {
        let binds = self.backend.binds_raw().await?;
        let online = self.online_consumers().await?;
        let mut identities: BTreeSet<String> = self.backend.queue_owners().await?;
        identities.extend(binds.keys().cloned());
        let pending = self.backend.pending(&identities).await?;
        let queue = |(identity, pending): (String, Pending)| {
            let stored = binds.get(&identity);
            let bind = stored.and_then(|text| read_bind(&identity, text).ok());
            QueueOverview {
                bind_unreadable: stored.is_some() && bind.is_none(),
                bind,
                pending,
                online: online.get(&identity).copied().unwrap_or(0),
                identity,
                ..Default::default()
            }
        };
        let queues = pending.into_iter().map(queue).collect();
        let in_flight: u64 = self.backend.routers().await?.iter().map(|(_, _, count)| count).sum();
        let unrouted = self.backend.lengths(&[keys::TASKS.to_owned()]).await?.iter().sum::<u64>() + in_flight;
        Ok(Overview { queues, unrouted, unreadable: 0 })
    }
}
