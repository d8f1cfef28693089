//! The collector: removes what is done with.
//!
//! The one rule: what is looked at and what is remembered of it is bounded, however much is stored. A
//! lock in Redis lets one collector of ours run at a time. See Karton protocol §12.3 and §12.4.

mod objects;
mod tasks;

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

#[cfg(test)]
pub(super) use self::{
    objects::referred,
    tasks::{Verdict, decide},
};

use super::{SystemSettings, Turn};
use crate::{
    backend::{Backend, keys},
    config::Config,
    error::Error,
    service::Outage,
    task::new_uid,
};

/// Seconds that the lock outlives its last renewal.
const LOCK_FOR: u64 = 120;
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// The time between two collections is at least this many times what Redis works for one.
const REST: u32 = 20;

/// Waits for the bucket, then collects every `gc_interval`.
pub(super) async fn run(
    backend: &Backend,
    config: &Config,
    settings: &SystemSettings,
    setup_bucket: bool,
    turn: &Turn,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    if !await_bucket(backend, setup_bucket, shutdown).await? {
        return Ok(());
    }
    // An interval of 0 means as often as possible, not without a pause.
    let interval = settings.gc_interval.max(Duration::from_secs(1));
    let mut pause = interval;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause), if settings.enable_gc => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        // A collection may be left at any point: the next one starts from what is there.
        let mut collector = Collector { backend: backend.beside(config)?, settings, owner: new_uid(), renewed: Instant::now() };
        let outcome = tokio::select! {
            outcome = collector.collect(turn) => outcome,
            () = shutdown.cancelled() => {
                // When it cannot be given back it expires.
                let _ = collector.unlock().await;
                return Ok(());
            }
        };
        if let Err(error) = outcome {
            tracing::error!("collection failed: {error}");
        }
        pause = interval.max(collector.backend.redis().busy() * REST);
    }
}

/// False when it is time to stop.
async fn await_bucket(backend: &Backend, setup_bucket: bool, shutdown: &CancellationToken) -> Result<bool, Error> {
    let mut outage = Outage::default();
    loop {
        match backend.storage().check_bucket(setup_bucket).await {
            Ok(true) => break,
            Ok(false) => {
                let bucket = backend.storage().bucket()?.to_owned();
                return Err(crate::ConfigError::new(
                    crate::ConfigErrorKind::Unusable,
                    format!("[s3] bucket: `{bucket}` does not exist; `karton-system --setup-bucket` creates it"),
                )
                .into());
            }
            Err(error) if error.is_temporary() => outage.wait(&error, shutdown).await,
            Err(error) => return Err(error),
        }
        if shutdown.is_cancelled() {
            return Ok(false);
        }
    }
    outage.over();
    Ok(true)
}

/// Takes the lock if nobody has it. Its first write takes no memory: a Redis that is full must be collected from.
const LOCK: &str = r"
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
";
/// Does something with the lock if it is ours.
const RENEW: &str = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('EXPIRE', KEYS[1], ARGV[2]) or 0";
const UNLOCK: &str = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0";

/// One collection.
struct Collector<'a> {
    backend: Backend,
    settings: &'a SystemSettings,
    owner: String,
    /// When the lock was taken, or renewed.
    renewed: Instant,
}

impl Collector<'_> {
    async fn collect(&mut self, turn: &Turn) -> Result<(), Error> {
        let _turn = turn.lock().await;
        if !self.lock().await? {
            tracing::debug!("another collector is at work");
            return Ok(());
        }
        let outcome = async {
            let tasks = self.collect_tasks().await?;
            let objects = self.collect_objects().await?;
            if tasks + objects > 0 {
                tracing::info!("collected {tasks} tasks and {objects} objects");
            }
            Ok(())
        }
        .await;
        self.unlock().await?;
        outcome
    }

    async fn lock(&self) -> Result<bool, Error> {
        self.about_lock(LOCK).await
    }

    /// Keeps the lock for another while; an error when it was lost to somebody else.
    async fn renew(&mut self) -> Result<(), Error> {
        if self.renewed.elapsed() < RENEWAL {
            return Ok(());
        }
        if !self.about_lock(RENEW).await? {
            return Err(Error::Stopped("collecting: the lock was lost".to_owned()));
        }
        self.renewed = Instant::now();
        Ok(())
    }

    async fn unlock(&self) -> Result<(), Error> {
        self.about_lock(UNLOCK).await.map(drop)
    }

    async fn about_lock(&self, script: &str) -> Result<bool, Error> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(script).arg(1).arg(keys::COLLECTOR_LOCK).arg(&self.owner).arg(LOCK_FOR);
        let (done,): (bool,) = self.backend.redis().run(&pipeline).await?;
        Ok(done)
    }
}
