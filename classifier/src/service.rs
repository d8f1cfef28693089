//! The Karton service around the classifier.
//!
//! The one rule: libmagic and the rules run on a blocking thread, and everything that is logged about a task is
//! logged outside of it, where the record gets into Karton's log channels.

use std::sync::Arc;

use anyhow::Context as _;
use karton_rs::{Config, Consumer, Karton, Task};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    classify::{Outcome, classify, extension},
    content::Content,
    magic::{Detection, Detector as _, LibMagic, detect, with_libmagic},
    task::{self, Answer},
};

/// Identity unless the configuration has another.
pub const IDENTITY: &str = "karton.classifier";

/// Version that dashboards show; that of the service whose rules these are.
pub const VERSION: &str = "2.2.0";

/// What dashboards show about the service. Part of the bind: replicas that differ in it replace each other.
pub const INFO: &str = "Says what kind of file a raw sample is, so that the services for that kind receive it.";

/// A configuration that this build cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// YARA rules are asked for.
    #[error("[classifier] yara_rules is `{0}`, but this build has no YARA support: unset it to classify without YARA")]
    NoYara(String),
}

/// Refuses a configuration that would give other results than its owner expects.
///
/// # Errors
/// When it asks for YARA rules.
pub fn check(config: &Config) -> Result<(), SettingsError> {
    match config.get("classifier", "yara_rules") {
        Some(folder) if !folder.is_empty() => Err(SettingsError::NoYara(folder.to_owned())),
        _ => Ok(()),
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// When the configuration cannot be used, or libmagic has no database.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    check(&config)?;
    LibMagic::open()?.description(b"")?;
    Consumer::new(IDENTITY)
        .version(VERSION)
        .info(INFO)
        .filters(json!([{"type": "sample", "kind": "raw"}]))
        .process(process)
        .run(&config, shutdown)
        .await?;
    Ok(())
}

/// What was found out on the blocking thread.
struct Findings {
    detection: Detection,
    outcome: Outcome,
    sha256: Option<String>,
}

async fn process(karton: Karton, task: Task) -> anyhow::Result<()> {
    let sample = task.resource(task::SAMPLE)?;
    let content = Content::fetch(&karton, &sample).await?;
    let name = if sample.name.is_empty() { "sample".to_owned() } else { sample.name.clone() };

    let task = Arc::new(task);
    let findings = {
        let (task, name, wants_sha256) = (Arc::clone(&task), name.clone(), task::lacks_sha256(&sample));
        tokio::task::spawn_blocking(move || find_out(&task, &name, &content, wants_sha256)).await.context("classification stopped")??
    };
    report(&name, &findings);

    let answer = match &findings.outcome.class {
        None => task::unrecognized(&task),
        Some(class) => task::recognized(&task, &sample, class, findings.sha256.as_deref()),
    };
    send(&karton, answer).await
}

fn find_out(task: &Task, name: &str, content: &Content, wants_sha256: bool) -> anyhow::Result<Findings> {
    let detection = with_libmagic(|libmagic| detect(libmagic, content.unpadded(), task::fallback(task)))?;
    let outcome = classify(name, content, &detection);
    let sha256 = (wants_sha256 && outcome.class.is_some()).then(|| content.sha256()).transpose().context("cannot hash the sample")?;
    Ok(Findings { detection, outcome, sha256 })
}

fn report(name: &str, findings: &Findings) {
    let Findings { detection, outcome, .. } = findings;
    if let Some(failure) = &detection.failure {
        tracing::warn!("unable to get magic: {failure}");
    }
    if detection.zip_fallback {
        tracing::info!("libmagic sees mere data that carries a zip end record: taken as a zip archive");
    }
    tracing::info!("Classifying sample with magic: {}, extension: {}", detection.magic, extension(name));
    for warning in &outcome.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(class) = &outcome.class {
        tracing::info!("Classified {name:?} as {} by rule {}", class.tag(), class.rule);
    } else {
        tracing::info!("Sample {name:?} not recognized (unsupported type)");
    }
}

async fn send(karton: &Karton, answer: Answer) -> anyhow::Result<()> {
    for warning in &answer.warnings {
        tracing::warn!("{warning}");
    }
    karton.send_task(answer.task).await?;
    Ok(())
}
