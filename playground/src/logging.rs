//! What is logged: to stderr, and to Karton's channels under the identity of each service.
//!
//! The rule: libraries that tell every request, or each failure twice, are silent unless `RUST_LOG`
//! asks for them; what goes wrong inside is told by our own code.

use karton_rs::{PublishLayer, Stderr};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("info,s3s=off,{}", mwdb_lite::QUIET)));
    let colours = karton_rs::service::colours_on_stderr();
    let stderr = tracing_subscriber::fmt::layer().with_writer(Stderr).with_ansi(colours).with_target(false);
    tracing_subscriber::registry().with(filter).with(stderr).with(PublishLayer).init();
}
