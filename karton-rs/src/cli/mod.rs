//! The `karton` command.
//!
//! The one rule: data goes to stdout, everything else to stderr. See Karton protocol §13.

/// Tells something on stderr. Whoever reads it may have left, and there is nobody else to tell.
macro_rules! note {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($text)*)));
    }};
}

mod act;
mod analysis;
mod commands;
mod configure;
mod delete;
mod doctor;
mod explain;
mod generate;
mod list;
mod logs;
mod new;
mod output;
mod quarantine;
mod queues;
mod replay;
mod select;
mod send;
mod task;
mod tasks;
mod top;
mod values;
mod wait;

/// Tables that fit a terminal, for the other programs of this project.
#[doc(hidden)]
pub mod table {
    pub use super::output::{Cell, Column, Spare, flexible, lines, path, terminal_width, text};
}

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use crate::{Config, ConfigError, Inspect};

/// Look into Karton, steer it and set it up
///
/// ```
/// use clap::Parser;
/// use karton_rs::cli::Cli;
///
/// assert!(Cli::try_parse_from(["karton", "list", "-o", "json"]).is_ok());
/// ```
#[derive(Debug, clap::Parser)]
// The example above is for readers of the code, not for `--help` and the manual page.
#[command(about = "Look into Karton, steer it and set it up", long_about = None)]
#[command(
    name = "karton",
    version,
    // As the reference's parser does.
    infer_long_args = true,
    arg_required_else_help = false,
    after_help = "Exit codes: 0 done, 1 failed or something is wrong, 2 wrong usage or configuration, 3 waited in vain, 130 interrupted; `logs` and a live `top`, which run until then, give 0."
)]
pub struct Cli {
    /// Configuration file, read after the standard ones; `configure` writes it
    #[arg(short = 'c', long, value_name = "FILE", global = true)]
    config_file: Option<PathBuf>,
    /// Log what the tool itself does
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the services that have declared what they want
    List(list::Args),
    /// Show what waits, runs and has failed in each service
    Queues(queues::Args),
    /// List tasks
    Tasks(tasks::Args),
    /// Show one task
    Task(task::Args),
    /// Show the tasks of an analysis as a tree
    Analysis(analysis::Args),
    /// Wait until an analysis is finished
    ///
    /// Exit codes: 0 finished, 1 with crashed tasks or unknown, 3 not within the time. While Redis is away after
    /// the first answer it is asked again.
    Wait(wait::Args),
    /// Send a task
    Send(send::Args),
    /// Start tasks again
    ///
    /// A fresh copy of a task goes to the same service; the old record is then Finished. Without `--status`, filters
    /// take Crashed tasks alone. A task that is named and Finished, which it is after a restart too, takes `--force`. A
    /// Declared task that the broker has lost is handed to it again.
    Restart(act::RestartArgs),
    /// End tasks that are not to be processed
    ///
    /// A task leaves its queue and becomes Finished. Without `--status`, filters take Declared and Spawned tasks. A
    /// Started task is cancelled with `--force` only: its consumer is not stopped.
    Cancel(act::CancelArgs),
    /// Look at what could not be read, and decide about it
    Quarantine(quarantine::Args),
    /// Tell which services want a task, and why the others do not
    Explain(explain::Args),
    /// Run a stored task against a service under development; nothing is written
    ///
    /// The service gets a Redis and an S3 of its own, with copies of the task and its files; what it sends is printed
    /// and goes nowhere. Only Redis and S3 are replaced: what else the service talks to is real.
    Replay(replay::Args),
    /// Check Redis, S3, broker, services and tasks
    Doctor(doctor::Args),
    /// Watch queues and rates
    Top(top::Args),
    /// Print the log records of all services, until it is interrupted: exit code 0
    Logs(logs::Args),
    /// Remove a service that is not running, with its queues
    Delete(delete::Args),
    /// Write a configuration file: the one that `-c` names, else `karton.ini` in this folder
    ///
    /// It holds keys and passwords, so that no other user may read it.
    Configure(configure::Args),
    /// Start a service crate
    New(new::Args),
    /// Print a completion script for a shell
    Completions(generate::CompletionsArgs),
    /// Write the manual pages into a folder
    Man(generate::ManArgs),
}

/// How a command has ended, when it could be run at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Something is wrong, and was told.
    Failed,
    TimedOut,
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::TimedOut => 3,
            Outcome::Interrupted => 130,
        })
    }
}

/// Wrong usage that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

impl Cli {
    /// Logs to stderr, in detail when that was asked for, with colours on a terminal only.
    pub fn start_logging(&self) {
        let level = if self.verbose { "debug" } else { "warn" };
        let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(crate::service::colours_on_stderr());
        // A second start in one process keeps the first subscriber.
        let _ = log.with_env_filter(level).with_target(false).try_init();
    }

    /// Runs the command and gives the exit code; an error is printed.
    pub async fn run(self, shutdown: CancellationToken) -> ExitCode {
        let commands = commands::Commands::new(self.config_file.clone());
        let context = Context { config_file: self.config_file, commands, shutdown };
        match dispatch(self.command, &context).await {
            Ok(outcome) => outcome.into(),
            // Of a command that only looks: who reads has read enough, as `head` does.
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(_) if context.shutdown.is_cancelled() => Outcome::Interrupted.into(),
            Err(error) => {
                note!(
                    "{} {}",
                    output::Style::Red.paint(crate::service::colours_on_stderr(), "error:"),
                    output::escape_lines(&told(&error))
                );
                if error.chain().any(<dyn std::error::Error + 'static>::is::<Usage>) {
                    ExitCode::from(2)
                } else {
                    crate::service::exit_code(&error)
                }
            }
        }
    }
}

async fn dispatch(command: Option<Command>, context: &Context) -> anyhow::Result<Outcome> {
    use Command as C;
    match command {
        None => {
            <Cli as clap::CommandFactory>::command().print_help()?;
            Ok(Outcome::Done)
        }
        Some(C::List(args)) => context.unless_interrupted(list::run(context, args)).await,
        Some(C::Queues(args)) => context.unless_interrupted(queues::run(context, args)).await,
        Some(C::Tasks(args)) => context.unless_interrupted(tasks::run(context, args)).await,
        Some(C::Task(args)) => context.unless_interrupted(task::run(context, args)).await,
        Some(C::Analysis(args)) => context.unless_interrupted(analysis::run(context, args)).await,
        Some(C::Wait(args)) => context.unless_interrupted(wait::run(context, args)).await,
        Some(C::Send(args)) => context.unless_interrupted(send::run(context, args)).await,
        Some(C::Restart(args)) => act::restart(context, args).await,
        Some(C::Cancel(args)) => act::cancel(context, args).await,
        Some(C::Quarantine(args)) => context.unless_interrupted(quarantine::run(context, args)).await,
        Some(C::Explain(args)) => context.unless_interrupted(explain::run(context, args)).await,
        Some(C::Replay(args)) => replay::run(context, args).await,
        Some(C::Doctor(args)) => context.unless_interrupted(doctor::run(context, args)).await,
        Some(C::Top(args)) => top::run(context, args).await,
        Some(C::Logs(args)) => logs::run(context, args).await,
        Some(C::Delete(args)) => context.unless_interrupted(delete::run(context, args)).await,
        Some(C::Configure(args)) => context.unless_interrupted(configure::run(context, args)).await,
        Some(C::New(args)) => new::run(args),
        Some(C::Completions(args)) => generate::completions(&args),
        Some(C::Man(args)) => generate::man(&args),
    }
}

/// An error with its causes; some messages hold that of their cause already.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_stdout = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    // Of this tool's own output alone: Redis has an error of its own for its pipe.
    error.downcast_ref::<std::io::Error>().is_some_and(of_stdout)
}

/// Identity of the tool's own connections.
const IDENTITY: &str = "karton.cli";

/// What every command has.
struct Context {
    config_file: Option<PathBuf>,
    /// How commands for the user to copy are written.
    commands: commands::Commands,
    shutdown: CancellationToken,
}

impl Context {
    fn config(&self) -> Result<Config, ConfigError> {
        let config = Config::load(self.config_file.as_deref())?;
        config.skipped().iter().for_each(|problem| tracing::warn!("{problem}; it is left out"));
        Ok(config)
    }

    fn inspect(&self) -> anyhow::Result<Inspect> {
        Ok(Inspect::new(&self.config()?, IDENTITY, None)?)
    }

    /// Leaves a command that only looks, or that may be left anywhere, when the user asks for it.
    async fn unless_interrupted(&self, command: impl Future<Output = anyhow::Result<Outcome>>) -> anyhow::Result<Outcome> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Ok(Outcome::Interrupted),
            outcome = command => outcome,
        }
    }

    /// Asks on stderr; nothing when there is no answer.
    async fn ask(&self, question: &str) -> anyhow::Result<Option<String>> {
        // Unseen, it is answered by nobody.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), question.as_bytes());
        // The thread stays behind when the user interrupts instead of answering: the process ends then.
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|length| (length > 0).then(|| line.trim().to_owned()))
        });
        let answer = tokio::select! {
            answer = answer => answer??,
            () = self.shutdown.cancelled() => None,
        };
        if answer.is_none() || !std::io::stdin().is_terminal() {
            note!("");
        }
        Ok(answer)
    }

    /// Asks whether to go on.
    async fn confirmed(&self, question: &str) -> anyhow::Result<bool> {
        let answer = self.ask(&format!("{question} [y/N] ")).await?;
        Ok(answer.is_some_and(|answer| matches!(answer.to_lowercase().as_str(), "y" | "yes")))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::Cli;

    #[test]
    fn long_flags_may_be_shortened_as_with_the_reference() {
        for line in [["karton", "--config", "karton.ini", "list"], ["karton", "list", "--out", "json"], ["karton", "tasks", "--ident", "x"]]
        {
            assert!(Cli::try_parse_from(line).is_ok(), "{line:?}");
        }
        // As long as it is clear which one is meant.
        assert!(Cli::try_parse_from(["karton", "tasks", "--older", "1d"]).is_ok());
        assert!(Cli::try_parse_from(["karton", "tasks", "--old", "1d"]).is_err());
    }
}
