//! The Karton service around the classifier.
//!
//! The one rule: libmagic and the rules run on the [`workers`](crate::workers), and everything that is logged about
//! a task is logged outside of them, where the record gets into Karton's log channels.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use karton_rs::{Config, Consumer, Error, HandBack, Karton, Resource, ServiceSettings, Task};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    classify::{Classification, classify, extension},
    content::{Content, IN_MEMORY, Need},
    magic::{Detection, detect},
    task::{self, Answer, Found},
    workers::{Tools, Workers},
    yara::{Rules, RulesError, SCAN_TIMEOUT, Scanner, YaraClass},
};

/// Identity unless the configuration has another.
pub const IDENTITY: &str = "karton.classifier";

/// Version that dashboards show; that of the service whose rules these are.
pub const VERSION: &str = "2.2.0";

/// What dashboards show about the service. Part of the bind: replicas that differ in it replace each other, so it is
/// the text of the Python service, with its indentation.
pub const INFO: &str = "
    File type classifier for the Karton framework.

    Entrypoint for samples. Classifies type of samples labeled as `kind: raw`,
    which makes them available for subsystems that receive samples with specific
    type only (e.g. `raw` => `runnable:win32:exe`)
    ";

/// Samples in hand where nobody says how many: one is looked at while others are fetched or answered, so that it never
/// waits for the store or for Redis. One thread does all the looking, as in the Python service.
const IN_HAND: usize = 8;
/// How many samples of the largest size that is held in memory may be there besides those that are looked at.
const AHEAD: usize = 2;

/// How long to wait while the object store is away: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a sample is fetched again at which the object store fails while it answers others.
const RETRIES: u32 = 5;
/// How many silent tries lie between two words about an object store that is away: some ten minutes.
const SILENT: u32 = 20;

/// The service, ready to start.
pub struct Classifier {
    rules: Option<Arc<Rules>>,
}

impl Classifier {
    /// Loads the YARA rules that the configuration names, if any.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn new(config: &Config) -> Result<Self, RulesError> {
        let folder = config.get("classifier", "yara_rules").filter(|folder| !folder.is_empty());
        let rules = folder.map(|folder| Rules::load(Path::new(folder))).transpose()?;
        Ok(Self { rules: rules.map(Arc::new) })
    }

    /// Serves until `shutdown`.
    ///
    /// # Errors
    /// When the configuration cannot be used, or libmagic has no database.
    pub async fn run(self, config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
        let settings = ServiceSettings::from_config(&config, IDENTITY)?;
        let workers = Workers::start(settings.concurrency.unwrap_or(1), self.rules.as_ref())?;
        // Rules may take long, and a limit of time counts from when a task is taken: then none is taken ahead.
        let takes_ahead = self.rules.is_none() && settings.task_timeout.is_none_or(|timeout| timeout.is_zero());
        let at_once = settings.concurrency.unwrap_or(if takes_ahead { IN_HAND } else { 1 });
        if let Some(rules) = &self.rules {
            tracing::info!("Loaded {} yara classifier rules", rules.count());
        }
        let time = Time::new(settings.task_timeout, at_once, workers.count());
        let files = Arc::new(Semaphore::new(workers.count()));
        let memory = Arc::new(Semaphore::new((workers.count() + AHEAD) * kibibytes(IN_MEMORY) as usize));
        let bench = Arc::new(Bench { workers, files, memory, has_rules: self.rules.is_some(), time });
        Consumer::new(IDENTITY)
            .version(VERSION)
            .info(INFO)
            .filters(json!([{"type": "sample", "kind": "raw"}]))
            .concurrency(at_once)
            .process(move |karton, task| process(karton, task, Arc::clone(&bench)))
            .run(&config, shutdown)
            .await?;
        Ok(())
    }
}

/// Serves until `shutdown`.
///
/// # Errors
/// When the configuration or its YARA rules cannot be used, or libmagic has no database.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (classifier, config) = tokio::task::spawn_blocking(move || (Classifier::new(&config), config)).await?;
    classifier?.run(config, shutdown).await
}

/// What was found out on a worker.
struct Findings {
    detection: Detection,
    /// In the order of sending: what the YARA rules say, then the decision list.
    classes: Vec<Classification>,
    warnings: Vec<String>,
    found: Found,
}

/// What samples are looked at with.
struct Bench {
    workers: Workers,
    /// The right to have a large sample on disk: for as many as are looked at.
    files: Arc<Semaphore>,
    /// The right to hold so many KiB of samples in memory.
    memory: Arc<Semaphore>,
    has_rules: bool,
    time: Time,
}

/// How long the rules may take for a sample. A scan cannot be stopped from outside, and a task that has timed out
/// gives its place to the next one: without these limits that one would wait behind the scan until it times out, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    task: Option<Duration>,
    scan: Duration,
}

impl Time {
    /// Where a task has a limit, so long that all that wait for a worker have their turn before they reach theirs.
    fn new(task_timeout: Option<Duration>, tasks_at_once: usize, workers: usize) -> Self {
        let task = task_timeout.filter(|timeout| !timeout.is_zero());
        let turns = u32::try_from(tasks_at_once.div_ceil(workers.max(1))).unwrap_or(u32::MAX).max(1);
        Self { task, scan: task.map_or(SCAN_TIMEOUT, |timeout| SCAN_TIMEOUT.min(timeout / turns)) }
    }

    /// For a task that has taken so long until its scan begins.
    fn left(self, taken: Duration) -> Duration {
        self.task.map_or(self.scan, |task| self.scan.min(task.saturating_sub(taken)))
    }
}

async fn process(karton: Karton, task: Task, bench: Arc<Bench>) -> anyhow::Result<()> {
    let started = Instant::now();
    let sample = task.resource(task::SAMPLE)?;
    let need = if bench.has_rules || task::lacks_sha256(&sample) { Need::Whole } else { Need::Parts };
    let room = match sample.size.filter(|size| *size <= IN_MEMORY) {
        Some(size) => Arc::clone(&bench.memory).acquire_many_owned(kibibytes(size)).await?,
        None => Arc::clone(&bench.files).acquire_owned().await?,
    };
    let content = fetch(&karton, &sample, need).await?;
    let name = if sample.name.is_empty() { "sample".to_owned() } else { sample.name.clone() };

    let task = Arc::new(task);
    let findings = {
        let (task, name, sample, time) = (Arc::clone(&task), name.clone(), sample.clone(), bench.time);
        let look = move |tools: &mut Tools<'_>| {
            let findings = find_out(tools, &task, &name, &sample, &content, time.left(started.elapsed()));
            drop((content, room));
            findings
        };
        bench.workers.run(look).await??
    };
    report(&name, &findings);

    if findings.classes.is_empty() {
        send(&karton, task::unrecognized(&task, &sample, &findings.found)).await?;
    }
    for class in &findings.classes {
        send(&karton, task::recognized(&task, &sample, class, &findings.found)).await?;
    }
    Ok(())
}

/// As few as hold so many bytes, of a sample that fits into memory.
fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// Fetches a sample, and waits while the object store is away: a sample crashes for what it is, not for an outage. One
/// at which the store fails while it answers others must not hold up the rest for ever.
async fn fetch(karton: &Karton, sample: &Resource, need: Need) -> anyhow::Result<Content> {
    let (mut pause, mut failures, mut counted) = (FIRST_PAUSE, 0_u32, 0);
    loop {
        let error = match Content::fetch(karton, sample, need).await {
            Err(error) if of_store(&error).is_some_and(Error::is_temporary) => error,
            outcome => return outcome,
        };
        let is_alone = !of_store(&error).is_some_and(Error::is_denied) && karton.store_answers(sample).await;
        counted += u32::from(is_alone);
        if is_alone && counted > RETRIES {
            return Err(error.context(format!("the object store answers, but fails at this sample, {counted} times")));
        }
        if !failures.is_multiple_of(SILENT) {
            tracing::debug!("{error:#}");
        } else if is_alone {
            tracing::warn!("the object store fails at this sample, trying again, {RETRIES} times at most: {error:#}");
        } else {
            tracing::error!("the object store does not answer, trying again until it does: {error:#}");
        }
        failures = failures.saturating_add(1);
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = karton.stopping().cancelled() => return Err(HandBack("stopped while the object store is away".to_owned()).into()),
        }
    }
}

/// The error of the object store that this is, if it is one.
fn of_store(error: &anyhow::Error) -> Option<&Error> {
    error.downcast_ref().filter(|error| matches!(error, Error::Storage { .. }))
}

fn find_out(
    tools: &mut Tools<'_>,
    task: &Task,
    name: &str,
    sample: &Resource,
    content: &Content,
    scan_limit: Duration,
) -> anyhow::Result<Findings> {
    let scan = |scanner: &mut Scanner<'_>| -> anyhow::Result<Vec<YaraClass>> { Ok(scanner.scan(&content.whole()?, scan_limit)?) };
    let matches = tools.scanner.as_mut().map(scan).transpose().with_context(|| format!("cannot scan `{name}`"))?;
    let detection = detect(&tools.libmagic, content.unpadded(), task::fallback(task));
    let outcome = classify(name, content, &detection);
    let classes: Vec<Classification> = matches.into_iter().flatten().map(Classification::from).chain(outcome.class).collect();
    let wants_sha256 = task::lacks_sha256(sample) && !classes.is_empty();
    let sha256 = wants_sha256.then(|| content.sha256()).transpose().context("cannot hash the sample")?;
    // karton-core knows no size of an empty content.
    let size = Some(content.size()).filter(|size| sample.size.is_none() && *size > 0);
    Ok(Findings { detection, classes, warnings: outcome.warnings, found: Found { size, sha256 } })
}

fn report(name: &str, findings: &Findings) {
    let Findings { detection, classes, warnings, .. } = findings;
    if let Some(failure) = &detection.failure {
        tracing::warn!("unable to get magic: {failure}");
    }
    if detection.zip_fallback {
        tracing::info!("libmagic sees mere data that carries a zip end record: taken as a zip archive");
    }
    tracing::info!("Classifying sample with magic: {}, extension: {}", detection.magic, extension(name));
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    for class in classes {
        let source = if class.yara_rule.is_some() { "YARA rule" } else { "rule" };
        tracing::info!("Classified {name:?} as {} by {source} {}", class.tag(), class.rule);
    }
    if classes.is_empty() {
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_scan_leaves_time_for_those_that_wait_behind_it() {
        for (timeout, at_once, workers, expected) in [
            (None, 8, 2, SCAN_TIMEOUT),
            (Some(seconds(0)), 8, 2, SCAN_TIMEOUT),
            (Some(seconds(3600)), 1, 1, SCAN_TIMEOUT),
            (Some(seconds(20)), 1, 1, seconds(20)),
            (Some(seconds(20)), 2, 2, seconds(20)),
            (Some(seconds(20)), 8, 2, seconds(5)),
            (Some(seconds(20)), 3, 2, seconds(10)),
        ] {
            assert_eq!(Time::new(timeout, at_once, workers).scan, expected, "{timeout:?} {at_once} {workers}");
        }
        let time = Time::new(Some(seconds(20)), 1, 1);
        assert_eq!((time.left(seconds(12)), time.left(seconds(30))), (seconds(8), Duration::ZERO));
    }
}
