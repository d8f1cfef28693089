//! The broker: routes tasks to the consumers whose filters match, and collects what is done with.
//!
//! Router and collector run side by side on connections of their own, so neither waits for the other.
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

use tokio_util::sync::CancellationToken;

pub(crate) use router::operation;
pub use settings::{SystemArgs, SystemSettings};

use crate::{
    backend::{Backend, ServiceInfo},
    config::{Config, ServiceSettings},
    error::Error,
    logs::{self, Publisher},
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
    let backend = Backend::new(&config, &service.identity, if settings.enable_router { "" } else { &name })?;
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
        // A broken part must stop the other one too.
        let both = shutdown.child_token();
        let routing = async {
            let outcome = if settings.enable_router { router::run(&config, &name, &settings, &both).await } else { Ok(()) };
            if outcome.is_err() {
                both.cancel();
            }
            outcome
        };
        let collecting = async {
            let outcome = collector::run(&backend, &settings, setup_bucket, &both).await;
            if outcome.is_err() {
                both.cancel();
            }
            outcome
        };
        let lapsed = leases::run(&backend, &settings, &both);
        let lost = orphans::run(&backend, &settings, &both);
        let waits = delayed::run(&backend, &both);
        let ended = analyses::run(&backend, &both);
        let (routed, collected, (), (), (), ()) = tokio::join!(routing, collecting, lapsed, lost, waits, ended);
        tracing::info!("Service {} stopped", service.identity);
        routed.and(collected)
    };
    Box::pin(logs::scope(publisher, None, work)).await
}

/// Before anything is routed: whether Redis answers, and that what was routed without this broker may
/// not be in the index of its analysis.
async fn begin(backend: &Backend, settings: &SystemSettings) -> Result<(), Error> {
    if settings.enable_router && settings.keeps_history() { backend.index_may_lack_tasks().await } else { backend.ping().await }
}
