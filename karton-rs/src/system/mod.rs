//! The broker: routes tasks to the consumers whose filters match, and collects what is done with.
//!
//! Router and collector run side by side on connections of their own, so neither waits for the other;
//! what looks at all tasks takes turns, and rests for many times as long as it has worked.
//! The one rule: bad data never stops them, and what was taken is always put somewhere before it
//! leaves the place it came from. See Karton protocol §12.

mod analyses;
mod collector;
mod delayed;
mod fork;
mod leases;
mod matcher;
mod orphans;
mod plan;
mod router;
mod settings;
mod sweep;
#[cfg(test)]
pub(crate) mod vectors;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use router::operation;
pub use settings::{SystemArgs, SystemSettings};

use crate::{
    backend::{Backend, ServiceInfo, keys},
    config::{Config, RedisSettings, ServiceSettings},
    error::Error,
    logs::{self, Publisher},
    own_thread::OwnThread,
    service::Outage,
};

/// Default identity of the broker.
pub const IDENTITY: &str = "karton.system";

/// Runs the broker until `shutdown`. With `setup_bucket` a missing default bucket is created.
///
/// While Redis or S3 is away it waits and tries again.
///
/// # Errors
/// When the configuration cannot be used, or the bucket is missing and is not to be created.
///
/// ```no_run
/// use karton_rs::{Config, system};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn example() -> Result<(), karton_rs::Error> {
/// system::run(Config::load(None)?, true, CancellationToken::new()).await
/// # }
/// ```
pub async fn run(config: Config, setup_bucket: bool, shutdown: CancellationToken) -> Result<(), Error> {
    let service = ServiceSettings::of_loop(&config, IDENTITY)?;
    let settings = Arc::new(SystemSettings::from_config(&config)?);
    let name = ServiceInfo::new(&service.identity, Some(env!("CARGO_PKG_VERSION"))).to_name();
    // Dashboards count connections as replicas: only the one that is never idle carries the name.
    let backend = Backend::new(&config, &service.identity, if settings.enable_router { keys::HOUSEKEEPING } else { &name })?;
    let publisher = Publisher::start(&backend, &service);
    let work = async {
        tracing::info!(?settings, "{} starting", service.identity);
        let mut outage = Outage::default();
        while let Err(error) = begin(&backend, &settings).await {
            outage.wait(&error, &shutdown).await;
            if shutdown.is_cancelled() {
                return Ok(());
            }
        }
        outage.over();
        // A broken part must stop the others too.
        let all = shutdown.child_token();
        let mut keeping = keeping(&config, &backend, &settings, setup_bucket, publisher.as_ref(), &all);
        let kept = async {
            let mut kept = Ok(());
            while let Some(ended) = keeping.join_next().await {
                // A panic goes on here.
                let ended = ended.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()));
                if ended.is_err() {
                    all.cancel();
                    kept = ended;
                }
            }
            kept
        };
        let routed = async {
            let outcome = if settings.enable_router { routing(&config, name, &settings, publisher.as_ref(), &all).await } else { Ok(()) };
            if outcome.is_err() {
                all.cancel();
            }
            outcome
        };
        let (routed, kept) = tokio::join!(routed, kept);
        tracing::info!("Service {} stopped", service.identity);
        routed.and(kept)
    };
    let outcome = Box::pin(logs::scope(publisher.clone(), None, work)).await;
    if let Some(publisher) = publisher {
        publisher.flush().await;
    }
    outcome
}

/// Routes on a thread of its own, so that what goes on beside keeps no task waiting.
async fn routing(
    config: &Config,
    name: String,
    settings: &Arc<SystemSettings>,
    publisher: Option<&Publisher>,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let router = router::run(RedisSettings::from_config(config)?, name, Arc::clone(settings), shutdown.clone());
    OwnThread::start("router", logs::scope(publisher.cloned(), None, router))?.ended().await
}

/// Whose turn it is to look at all tasks: one at a time is enough for memory and for Redis.
type Turn = tokio::sync::Mutex<()>;

/// Starts all that goes on beside routing. Each part runs by itself, so that one which is busy with
/// large records keeps neither the router nor another part waiting.
fn keeping(
    config: &Config,
    backend: &Backend,
    settings: &Arc<SystemSettings>,
    setup_bucket: bool,
    publisher: Option<&Publisher>,
    shutdown: &CancellationToken,
) -> JoinSet<Result<(), Error>> {
    let mut parts = JoinSet::new();
    let turn = Arc::new(Turn::default());
    let own = || (backend.clone(), Arc::clone(settings), config.clone(), Arc::clone(&turn), shutdown.clone());
    let (backend, settings, config, turn, shutdown) = own();
    parts.spawn(logs::scope(publisher.cloned(), None, async move {
        collector::run(&backend, &config, &settings, setup_bucket, &turn, &shutdown).await
    }));
    let (backend, settings, config, turn, shutdown) = own();
    parts.spawn(logs::scope(publisher.cloned(), None, async move {
        orphans::run(&backend, &config, &settings, &turn, &shutdown).await;
        Ok(())
    }));
    let (backend, settings, _, _, shutdown) = own();
    parts.spawn(logs::scope(publisher.cloned(), None, async move {
        let (lapsed, waits) = (leases::run(&backend, &settings, &shutdown), delayed::run(&backend, &shutdown));
        tokio::join!(lapsed, waits, analyses::run(&backend, &settings, &shutdown));
        Ok(())
    }));
    parts
}

/// Before anything is routed: whether Redis answers, and that what was routed without this broker may
/// not be in the index of its analysis.
async fn begin(backend: &Backend, settings: &SystemSettings) -> Result<(), Error> {
    if settings.enable_router { backend.index_may_lack_tasks().await } else { backend.ping().await }
}
