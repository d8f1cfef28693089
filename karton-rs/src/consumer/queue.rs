//! The consumer's side of its queues: checking the bind, claiming a task, renewing, giving back.
//!
//! The one rule: a task leaves its queue only in the script that records the claim. Whatever is lost
//! on the way (the reply, the process) lapses with the claim, and the broker queues the task again.
//! When a claim lapses is told by the clock of Redis: those of two machines never agree.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::{
    backend::{Backend, Bind, Connection, keys, release},
    config::{Config, RedisSettings},
    error::Error,
    task::{Task, TaskState},
};

/// How long an idle consumer waits for a sign before it looks again; also how long it needs to stop.
/// Our broker gives a sign with each task, the Python one does not.
const WAIT_SECONDS: f64 = 0.2;

/// Is the bind still ours, and what is next? What is next is claimed.
const TAKE: &str = r"
local bind = redis.call('HGET', KEYS[1], ARGV[1])
if bind ~= ARGV[2] then return {'bind', bind} end
for i = 4, #KEYS do
    local uid = redis.call('LPOP', KEYS[i])
    if uid then
        local time = redis.call('TIME')
        redis.call('ZADD', KEYS[2], time[1] + time[2] / 1000000 + ARGV[4], uid)
        redis.call('HINCRBY', KEYS[3], uid, 1)
        return {'task', uid, redis.call('GET', ARGV[3] .. uid)}
    end
end
return {'empty'}
";

/// Prolongs claims that still stand.
const RENEW: &str = r"
local time = redis.call('TIME')
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', time[1] + time[2] / 1000000 + ARGV[1], ARGV[i]) end
";

/// Access to the queues of one identity, over the connection that carries its name.
pub(super) struct Queue {
    connection: Connection,
    bind: Bind,
    /// The bind as it stands in Redis; another text may mean the same bind.
    stored: Mutex<String>,
    queues: [String; 4],
    claims: Claims,
}

/// The tasks in our hands, and how long a claim lasts.
pub(super) struct Claims {
    lease: Duration,
    uids: Mutex<BTreeSet<String>>,
}

/// What a turn of the loop brought.
pub(super) enum Taken {
    /// Nothing to do.
    Nothing,
    /// A task; the record is absent when it was deleted meanwhile.
    Task { uid: String, record: Option<Vec<u8>> },
    /// Something in the queue that is no uid.
    Unreadable { uid: Vec<u8> },
    /// Another replica has registered another bind.
    BindReplaced,
    /// The bind was deleted.
    BindMissing,
}

impl Queue {
    pub(super) fn new(config: &Config, bind: Bind, lease: Duration) -> Result<Self, Error> {
        let settings = RedisSettings::from_config(config)?;
        let connection = Connection::new(&settings, &bind.identity, settings.patient_timeout())?;
        let queues = keys::queues(&bind.identity);
        let claims = Claims { lease, uids: Mutex::new(BTreeSet::new()) };
        Ok(Self { connection, stored: Mutex::new(bind.to_json()), bind, queues, claims })
    }

    /// Opens the named connection, so that the service is online.
    pub(super) async fn open(&self) -> Result<(), Error> {
        self.connection.run(redis::pipe().cmd("PING").ignore()).await
    }

    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Claims the next task, or waits a moment for one.
    pub(super) async fn take(&self) -> Result<Taken, Error> {
        let taken = self.claim().await?;
        if matches!(taken, Taken::Nothing) {
            let mut pipeline = redis::pipe();
            pipeline.cmd("BLPOP").arg(keys::wake(&self.bind.identity)).arg(WAIT_SECONDS).ignore();
            self.connection.run::<()>(&pipeline).await?;
        }
        Ok(taken)
    }

    async fn claim(&self) -> Result<Taken, Error> {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("EVAL")
            .arg(TAKE)
            .arg(self.queues.len() + 3)
            .arg(keys::BINDS)
            .arg(keys::LEASES)
            .arg(keys::DELIVERIES)
            .arg(&self.queues);
        pipeline.arg(&self.bind.identity).arg(&stored).arg(keys::TASK_PREFIX).arg(self.claims.lease.as_secs());
        let (reply,): (Vec<Option<Vec<u8>>>,) = self.connection.run(&pipeline).await?;
        let mut reply = reply.into_iter();
        let kind = reply.next().flatten().unwrap_or_default();
        match (kind.as_slice(), reply.next().flatten()) {
            (b"task", Some(uid)) => match String::from_utf8(uid) {
                Ok(uid) => {
                    self.claims.uids().insert(uid.clone());
                    Ok(Taken::Task { uid, record: reply.next().flatten() })
                }
                Err(error) => Ok(Taken::Unreadable { uid: error.into_bytes() }),
            },
            (b"bind", None) => Ok(Taken::BindMissing),
            (b"bind", Some(text)) => {
                let theirs = crate::backend::readable_bind(&self.bind.identity, &text);
                if theirs.is_none_or(|theirs| theirs != self.bind) {
                    return Ok(Taken::BindReplaced);
                }
                *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = String::from_utf8_lossy(&text).into_owned();
                Ok(Taken::Nothing)
            }
            _ => Ok(Taken::Nothing),
        }
    }
}

impl Claims {
    fn uids(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        // Held for a moment only, never over an await.
        self.uids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task is done with, or somebody else's again.
    pub(super) fn forget(&self, uid: &str) {
        self.uids().remove(uid);
    }

    /// Renews all claims for ever, well before they lapse.
    pub(super) async fn keep(&self, backend: &Backend) {
        loop {
            tokio::time::sleep(self.lease / 4).await;
            let uids: Vec<String> = self.uids().iter().cloned().collect();
            if uids.is_empty() {
                continue;
            }
            let mut pipeline = redis::pipe();
            pipeline.cmd("EVAL").arg(RENEW).arg(1).arg(keys::LEASES).arg(self.lease.as_secs()).arg(&uids).ignore();
            if let Err(error) = backend.redis().run::<()>(&pipeline).await {
                tracing::debug!("cannot renew the claims on {} tasks: {error}", uids.len());
            }
        }
    }
}

/// Puts a task back at the head of its queue, as if it had never been taken.
pub(super) async fn give_back(backend: &Backend, task: &mut Task) -> Result<(), Error> {
    task.set_status(TaskState::Spawned);
    let mut pipeline = redis::pipe();
    pipeline.atomic().cmd("SET").arg(keys::task(task.uid())).arg(task.to_json()).arg("XX").ignore();
    pipeline.lpush(keys::queue(task.priority(), backend.identity()), task.uid()).ignore();
    release(&mut pipeline, task.uid());
    backend.redis().retry(&pipeline).await
}
