//! What the `main` of every Karton binary does: flags, logging, signals, exit codes.
//!
//! The one rule: libraries never exit the process or read its environment; this module and
//! [`config`](crate::config) do. See Karton protocol §11.6.

use std::future::Future;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, prelude::*};

use crate::{
    config::{Config, ConfigError, log_level},
    consumer::longest_stop,
    error::Error,
    logs::{PublishLayer, Stderr},
};

#[cfg_attr(
    any(doc, doctest),
    doc = r#"The flags that every Karton service has. Flags that are not given change nothing.

 ```
 use clap::Parser;
 use karton_rs::ServiceArgs;

 #[derive(Parser)]
 struct Args {
     #[command(flatten)]
     service: ServiceArgs,
 }

 let args = Args::parse_from(["demo", "--identity", "karton.demo"]);
 assert_eq!(args.service.identity.as_deref(), Some("karton.demo"));
 ```"#
)]
// Clap takes the documentation of a flattened struct for that of the command: it is told of none.
#[cfg_attr(not(any(doc, doctest)), expect(missing_docs, reason = "see above"))]
#[derive(Debug, Clone, Default, clap::Args)]
#[non_exhaustive]
pub struct ServiceArgs {
    /// Configuration file, read after the standard ones
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Identity of the service
    #[arg(long, value_name = "IDENTITY")]
    pub identity: Option<String>,
    /// Least level of log records: DEBUG, INFO, WARNING, ERROR, CRITICAL or a number
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Run beside the real service: random identity, not persistent, no log publishing
    #[arg(long)]
    pub debug: bool,
}

#[cfg_attr(
    any(doc, doctest),
    doc = r#"The flags of a service that consumes tasks, beside [`ServiceArgs`].

 ```
 use clap::Parser;
 use karton_rs::ConsumerArgs;

 #[derive(Parser)]
 struct Args {
     #[command(flatten)]
     consumer: ConsumerArgs,
 }

 assert!(Args::parse_from(["demo", "--non-persistent"]).consumer.non_persistent);
 ```"#
)]
// Clap takes the documentation of a flattened struct for that of the command: it is told of none.
#[cfg_attr(not(any(doc, doctest)), expect(missing_docs, reason = "see above"))]
#[derive(Debug, Clone, Default, clap::Args)]
#[non_exhaustive]
pub struct ConsumerArgs {
    /// The flags of every service.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Do not queue tasks while no replica is online
    #[arg(long)]
    pub non_persistent: bool,
    /// Longest time for one task, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub task_timeout: Option<u64>,
    /// How many tasks run at once
    #[arg(long, value_name = "TASKS")]
    pub concurrency_limit: Option<u32>,
}

impl ServiceArgs {
    /// Loads the configuration and applies the flags over it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config_file.as_deref())?;
        self.apply(&mut config);
        Ok(config)
    }

    /// Applies the flags over a configuration.
    pub fn apply(&self, config: &mut Config) {
        if let Some(identity) = &self.identity {
            config.set_by_flag("--identity", "karton", "identity", identity);
        }
        if let Some(level) = &self.log_level {
            config.set_by_flag("--log-level", "logging", "level", level);
        }
        if self.debug {
            config.set_by_flag("--debug", "karton", "debug", "1");
        }
    }
}

impl ConsumerArgs {
    /// Loads the configuration and applies the flags over it.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.service.config_file.as_deref())?;
        self.apply(&mut config);
        Ok(config)
    }

    /// Applies the flags over a configuration.
    pub fn apply(&self, config: &mut Config) {
        self.service.apply(config);
        if self.non_persistent {
            config.set_by_flag("--non-persistent", "karton", "persistent", "0");
        }
        if let Some(seconds) = self.task_timeout {
            config.set_by_flag("--task-timeout", "karton", "task_timeout", seconds.to_string());
        }
        if let Some(tasks) = self.concurrency_limit {
            config.set_by_flag("--concurrency-limit", "karton", "concurrency_limit", tasks.to_string());
        }
    }
}

/// Runs a service until it ends or the process is told to stop, and gives the exit code.
///
/// SIGINT and SIGTERM cancel the token once; a second SIGINT ends the process at once. An error is
/// logged, and is code 1, or 2 when it is one of configuration.
///
/// The service and its connections have one thread: what Redis answers wakes no other. Async handlers share it; what
/// computes for long belongs into [`process_blocking`](crate::ConsumerBuilder::process_blocking), which has threads of
/// its own. `TOKIO_WORKER_THREADS` gives it more. The main thread hears of signals, whatever the others do.
pub fn run_main<F, S>(config: Result<Config, ConfigError>, service: S) -> ExitCode
where
    S: FnOnce(Config, CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    start_logging(config.as_ref().ok());
    install_crypto();
    let outcome = config.map_err(anyhow::Error::from).and_then(|config| {
        let longest_stop = longest_stop(&config)?;
        let runtime = service_runtime()?;
        let outcome = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
            let shutdown = CancellationToken::new();
            cancel_on_signal(shutdown.clone());
            let service = {
                let _entered = runtime.enter();
                tokio::spawn(service(config, shutdown.clone()))
            };
            tokio::select! {
                outcome = service => outcome?,
                () = stuck(runtime.handle(), &shutdown, longest_stop) => anyhow::bail!(
                    "a handler that never waits has kept the service from stopping for {} s: left; its task is queued again when \
                     the claim on it lapses",
                    longest_stop.as_secs()
                ),
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            exit_code(&error)
        }
    }
}

/// Waits until the service was told to stop, and none of its threads has had a moment for `patience` since.
async fn stuck(service: &Handle, shutdown: &CancellationToken, patience: Duration) {
    shutdown.cancelled().await;
    while tokio::time::timeout(patience, service.spawn(async {})).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn service_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // Tokio reads it itself.
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(1);
    }
    builder.enable_all().build()
}

/// 2 for a configuration that cannot be used, 1 for everything else.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let of_configuration =
        error.chain().any(|cause| cause.is::<ConfigError>() || matches!(cause.downcast_ref(), Some(Error::Config(_) | Error::Filter(_))));
    ExitCode::from(if of_configuration { 2 } else { 1 })
}

/// Logs to stderr, with colours on a terminal only, and to Karton's channels. `RUST_LOG` wins over `[logging] level`.
pub fn start_logging(config: Option<&Config>) {
    let level = least_level(config);
    // Rocket tells of each request in several lines, and of an unknown page as an error.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("{level},rocket=off")));
    let stderr = tracing_subscriber::fmt::layer().with_writer(Stderr).with_ansi(colours_on_stderr()).with_target(false);
    // A second start in one process (tests) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(filter).with(stderr).with(PublishLayer).try_init();
    config.into_iter().flat_map(Config::skipped).for_each(|problem| tracing::warn!("{problem}; it is left out"));
}

/// The level of `[logging] level` in the words of `tracing`.
fn least_level(config: Option<&Config>) -> &'static str {
    // One that cannot be understood is told of when the service reads its settings.
    match config.and_then(|config| log_level(config).ok()) {
        Some(..=10) => "debug",
        Some(21..=30) => "warn",
        Some(31..) => "error",
        _ => "info",
    }
}

/// Whether colours are wanted on a terminal: `NO_COLOR` is not set, and the terminal is not a dumb one.
pub(crate) fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether what is written to stderr may have colours: it is a terminal, and [`NO_COLOR`](https://no-color.org) is not set.
pub fn colours_on_stderr() -> bool {
    std::io::stderr().is_terminal() && colours_wanted()
}

/// Chooses the one TLS implementation of the process; call it before the first connection.
pub fn install_crypto() {
    // An error only says that it was done before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Cancels `shutdown` on the first SIGINT or SIGTERM.
pub fn cancel_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        tracing::warn!("signals cannot be watched: stop the process with SIGKILL");
        return;
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("Got signal, shutting down");
        shutdown.cancel();
        interrupt.recv().await;
        tracing::warn!("Got second interrupt, leaving at once");
        std::process::exit(130);
    });
}

/// A server that is away: says so once and why, and again now and then, waits longer each time, and says when it is over.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    failures: u32,
    /// [`Self::note`] has said something.
    noted: bool,
    /// What [`Self::wait`] has said, each reason once.
    told: Vec<String>,
    /// When the wait began, and when it said something last.
    times: Option<(Instant, Instant)>,
}

/// What [`Outage::wait`] has to say.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Reason,
    Reminder { minutes: u64 },
    Nothing,
}

impl Outage {
    const LONGEST: Duration = Duration::from_secs(5);
    /// So much silence, and whoever looks at the log might think that all is well.
    const SILENCE: Duration = Duration::from_mins(10);
    /// No more reasons than this: some have a number in them that is never the same.
    const REASONS: usize = 8;

    pub(crate) async fn wait(&mut self, error: &Error, shutdown: &CancellationToken) {
        match self.word(&error.to_string(), Instant::now()) {
            Word::Reason => tracing::error!("{error}; trying again until it works"),
            Word::Reminder { minutes } => tracing::error!("{error}; trying again until it works, for {minutes} minutes now"),
            Word::Nothing => tracing::debug!("{error}"),
        }
        self.rest(shutdown).await;
    }

    fn word(&mut self, reason: &str, now: Instant) -> Word {
        let (began, told) = *self.times.get_or_insert((now, now));
        let is_new = self.told.len() < Self::REASONS && !self.told.iter().any(|told| told == reason);
        let word = if is_new {
            self.told.push(reason.to_owned());
            Word::Reason
        } else if now.duration_since(told) >= Self::SILENCE {
            Word::Reminder { minutes: now.duration_since(began).as_secs() / 60 }
        } else {
            return Word::Nothing;
        };
        self.times = Some((began, now));
        word
    }

    /// Waits before the next attempt, longer each time.
    pub(crate) async fn rest(&mut self, shutdown: &CancellationToken) {
        let pause = (Duration::from_millis(100) * 2_u32.saturating_pow(self.failures)).min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// For work that comes again by itself: another loop tells when a server is away, and anything else
    /// is said once.
    pub(crate) fn note(&mut self, action: &str, error: &Error) {
        if (error.is_temporary() && !error.is_denied()) || std::mem::replace(&mut self.noted, true) {
            tracing::debug!("cannot {action}: {error}");
        } else {
            tracing::warn!("cannot {action}: {error}; trying again until it works");
        }
    }

    pub(crate) fn over(&mut self) {
        self.noted = false;
        self.told.clear();
        self.times = None;
        if self.failures > 0 {
            tracing::info!("back after {} failed attempts", self.failures);
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    #[test]
    fn the_flags_leave_the_description_of_a_service_alone() {
        #[derive(clap::Parser)]
        #[command(about = "What it is for")]
        struct Args {
            #[command(flatten)]
            _consumer: ConsumerArgs,
        }
        let help = <Args as clap::CommandFactory>::command().render_long_help().to_string();
        assert!(help.starts_with("What it is for\n\nUsage") && help.contains("--non-persistent"), "{help}");
    }

    #[test]
    fn an_outage_is_told_at_its_beginning_at_each_new_reason_and_every_ten_minutes() {
        let (mut outage, start) = (Outage::default(), Instant::now());
        let at = |minutes| start + Duration::from_mins(minutes);
        assert_eq!(outage.word("refused", start), Word::Reason);
        assert_eq!(outage.word("refused", at(9)), Word::Nothing);
        assert_eq!(outage.word("wrong password", at(9)), Word::Reason);
        assert_eq!(outage.word("refused", at(18)), Word::Nothing);
        assert_eq!(outage.word("refused", at(19)), Word::Reminder { minutes: 19 });
        assert_eq!(outage.word("refused", at(20)), Word::Nothing);
        // What never says the same is not told each time.
        assert!((0..100).filter(|number| outage.word(&format!("number {number}"), at(20)) == Word::Reason).count() < 10);
        outage.over();
        assert_eq!(outage.word("refused", at(21)), Word::Reason);
    }

    /// Set for the process that a test starts.
    const BUSY: &str = "KARTON_TEST_BUSY";

    #[test]
    fn a_service_that_never_waits() {
        let Ok(ini) = std::env::var(BUSY) else { return };
        run_main(Config::from_parts(&[("k", &ini)], []), |_, _| async {
            tracing::info!("busy");
            loop {
                std::thread::park();
            }
        });
    }

    /// Runs that service, and tells it to stop after it has said each of these words; gives its exit code and the last line.
    fn stopped(ini: &str, signals: &[(&str, Signal)]) -> anyhow::Result<(Option<i32>, String)> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.args(["service::tests::a_service_that_never_waits", "--exact", "--nocapture"]).env("RUST_LOG", "info");
        command.env(BUSY, format!("[redis]\nhost = h\n[s3]\naddress = http://s3\n{ini}"));
        let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn()?;
        let pid = Pid::from_child(&child);
        // It would be waited for for ever. Who has ended by then is not there to be killed.
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(20));
            let _ = kill_process(pid, Signal::KILL);
        });
        let mut said = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        for (words, signal) in signals {
            assert!(said.any(|line| line.is_ok_and(|line| line.contains(words))), "never said `{words}`");
            kill_process(pid, *signal)?;
        }
        let last = said.map_while(Result::ok).last().unwrap_or_default();
        Ok((child.wait()?.code(), last))
    }

    #[test]
    fn two_interrupts_end_a_service_that_keeps_its_thread_busy() -> anyhow::Result<()> {
        assert_eq!(stopped("", &[("busy", Signal::INT), ("Got signal", Signal::INT)])?.0, Some(130));
        Ok(())
    }

    #[test]
    fn a_service_that_keeps_its_thread_busy_ends_when_its_time_to_stop_is_over() -> anyhow::Result<()> {
        // The test itself succeeds when the service is left, whatever that one's code is.
        let (_, last) = stopped("[karton]\nstop_timeout = 0\n", &[("busy", Signal::TERM)])?;
        assert!(last.contains("has kept the service from stopping for 10 s"), "{last}");
        Ok(())
    }

    #[test]
    fn levels_are_words_or_numbers_as_python_has_them() {
        let levels = [
            ("DEBUG", "debug"),
            ("10", "debug"),
            ("NOTSET", "debug"),
            ("INFO", "info"),
            ("20", "info"),
            ("WARN", "warn"),
            ("30", "warn"),
            ("25", "warn"),
            ("ERROR", "error"),
            ("50", "error"),
            ("loud", "info"),
        ];
        for (level, expected) in levels {
            let text = format!("[redis]\nhost = h\n[s3]\naddress = http://s3\n[logging]\nlevel = {level}\n");
            let config = Config::from_parts(&[("k", &text)], []).expect("a configuration");
            assert_eq!(least_level(Some(&config)), expected, "{level}");
        }
        assert_eq!(least_level(None), "info");
    }
}
