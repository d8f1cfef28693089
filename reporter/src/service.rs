//! The Karton service around the reporter.
//!
//! The one rule: a task is Crashed only for what is wrong with it. While MWDB or the object store is
//! away the task waits; when the service stops meanwhile, it goes back to its queue.

use karton_rs::{Config, Consumer, HandBack, RetryPolicy};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    mwdb::{self, Client, Problem, SettingsError},
    report::{Options, ReportError, Reporter},
};

/// Identity unless the configuration has another.
pub const IDENTITY: &str = "karton.mwdb-reporter";

/// Version that dashboards show; that of the service whose behaviour this is.
pub const VERSION: &str = "1.3.0";

/// What dashboards show about the service. Part of the bind: replicas that differ in it replace each other, so it is
/// the text of the Python service, with its indentation.
pub const INFO: &str = concat!(include_str!("info.txt"), "    ");

/// What the configuration means for this service.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// How to reach MWDB.
    pub mwdb: mwdb::Settings,
    /// What is reported, and how.
    pub report: Options,
}

/// What our account must be allowed to do.
const CAPABILITIES: [&str; 8] = [
    "adding_files",
    "adding_configs",
    "adding_blobs",
    "adding_tags",
    "adding_comments",
    "adding_parents",
    "adding_all_attributes",
    "karton_assign",
];

impl Settings {
    /// Reads `[mwdb]` and `[mwdb-reporter]`.
    ///
    /// # Errors
    /// When `[mwdb]` is missing, or a value cannot be used.
    pub fn from_config(config: &Config) -> Result<Self, SettingsError> {
        let mut report = Options::default();
        let word = |key| config.bool("mwdb-reporter", key);
        report.report_unrecognized = word("report_unrecognized")?.unwrap_or(report.report_unrecognized);
        report.upload_existing = word("upload_existing")?.unwrap_or(report.upload_existing);
        Ok(Self { mwdb: mwdb::Settings::from_config(config)?, report })
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// When the configuration cannot be used, MWDB refuses login and password, or shows a certificate that is not trusted.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    run_with(Settings::from_config(&config)?, &config, shutdown).await
}

/// Like [`run`], with settings of the caller's own.
///
/// # Errors
/// As [`run`].
pub async fn run_with(settings: Settings, config: &Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    karton_rs::service::install_crypto();
    let credentials = &settings.mwdb.credentials;
    if credentials.api_key.is_none() && credentials.password.is_none() {
        tracing::warn!("[mwdb] has neither api_key nor username and password: MWDB will refuse every task");
    }
    let mwdb = Client::new(settings.mwdb.clone(), shutdown.clone())?;
    match mwdb.log_in().await {
        Ok(()) => {}
        Err(error) if is_certificate(&error) => return Err(untrusted(error, config)),
        // Also status 500, or the page of a proxy: MWDB may be starting, too.
        Err(error) if error.is_temporary() => tracing::warn!("Cannot log in now, tasks will wait: {error}"),
        Err(error) => return Err(error.into()),
    }
    match introduce(&mwdb, &settings.mwdb).await {
        Err(error) if is_certificate(&error) => return Err(untrusted(error, config)),
        _ => {}
    }
    let reporter = Reporter::new(mwdb, settings.report);
    Consumer::new(IDENTITY)
        .version(VERSION)
        .info(INFO)
        .filters(json!([
            {"type": "sample", "stage": "recognized"},
            {"type": "sample", "stage": "analyzed"},
            {"type": "sample", "stage": "unrecognized"},
            {"type": "config"},
            {"type": "blob"},
        ]))
        .persistent(true)
        // With `[karton] max_retries`; a task that lacks something is not mended by waiting.
        .retry(RetryPolicy::new(0).on(|error| error.downcast_ref().is_some_and(ReportError::may_pass)))
        .process(move |karton, task| {
            let reporter = reporter.clone();
            async move {
                match reporter.report(&task, &karton).await {
                    Err(error) if error.is_interruption() => Err(HandBack(error.to_string()).into()),
                    outcome => Ok(outcome?),
                }
            }
        })
        .run(config, shutdown)
        .await?;
    Ok(())
}

fn is_certificate(error: &mwdb::Error) -> bool {
    matches!(error.problem(), Problem::Certificate(_))
}

/// A certificate that is refused at the start is taken for a mistake, which nobody would notice in a service that waits.
/// One that is refused later has expired: then tasks wait as for any server that is away.
fn untrusted(error: mwdb::Error, config: &Config) -> anyhow::Error {
    let place = config.place("mwdb", "api_url");
    let verify = config.way_to_set("mwdb", "verify_ssl");
    anyhow::Error::new(error).context(format!("{place}: MWDB is not trusted; `verify_ssl = false` would not check who answers ({verify})"))
}

/// Says where the results go and as whom, and what will be refused there. It is for the caller to end the start.
async fn introduce(mwdb: &Client, settings: &mwdb::Settings) -> Result<(), mwdb::Error> {
    let url = &settings.api_url;
    let account = match mwdb.account().await {
        Ok(account) => account,
        Err(error) => {
            if error.is_temporary() {
                tracing::warn!("Reporting to {url}, which does not answer now: {error}");
            } else {
                // An older server may not have this call, and without credentials it is refused: tasks will tell.
                tracing::warn!("Reporting to {url}, which does not say who we are: {error}");
            }
            return Err(error);
        }
    };
    tracing::info!("Reporting to {url} as {}", account.login);
    let missing: Vec<&str> = CAPABILITIES.into_iter().filter(|capability| !account.may(capability)).collect();
    if !missing.is_empty() {
        tracing::warn!("MWDB will refuse some tasks: account `{}` lacks {}", account.login, missing.join(", "));
    }
    Ok(())
}
