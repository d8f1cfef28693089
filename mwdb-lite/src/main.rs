//! The `mwdb-lite` command: flags, and which function of the library they mean.

mod prompt;

use std::io::{IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use mwdb_lite::{Config, ConfigError, backup, check, config::LogConfig, push};
use rustix::{fs::Mode, process::umask};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// MWDB in one binary: malware repository with the API of MWDB Core.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and the web interface
    Run {
        #[command(flatten)]
        source: Source,
        /// IP address to listen on, or localhost
        #[arg(long, value_parser = mwdb_lite::config::listening_address)]
        host: Option<IpAddr>,
        /// Port to listen on, 0 for a free one
        #[arg(long)]
        port: Option<u16>,
    },
    /// Make the database, the folders and the first account
    Configure {
        #[command(flatten)]
        source: Source,
        /// Accepted for scripts written for MWDB Core: there is nothing to ask
        #[arg(short, long)]
        quiet: bool,
        #[arg(hide = true)]
        _kind: Option<String>,
    },
    /// Give the administrator a new password
    SetAdminPassword {
        #[command(flatten)]
        source: Source,
        /// The new password; without it, it is asked for, or the first line of standard input
        password: Option<String>,
    },
    /// Copy database and content to a folder, also while the server runs; again: only what is new
    Backup {
        #[command(flatten)]
        source: Source,
        /// The folder of the copy
        dest: PathBuf,
        /// Print the outcome as JSON
        #[arg(long)]
        json: bool,
    },
    /// Look at every row, every file and every hash; exit code 1 when something is wrong
    Check {
        #[command(flatten)]
        source: Source,
        /// Repair what can be repaired; the server must be stopped
        #[arg(long)]
        repair: bool,
        /// Check a copy that `backup` made
        #[arg(long, value_name = "FOLDER")]
        copy: Option<PathBuf>,
        /// Print the outcome as JSON
        #[arg(long)]
        json: bool,
    },
    /// Send everything to another MWDB through its API; again: only what is new
    Push {
        #[command(flatten)]
        source: Source,
        #[command(flatten)]
        target: PushTarget,
        /// Print the outcome as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the version
    Version,
}

#[derive(clap::Args)]
struct PushTarget {
    /// Address of the other MWDB
    url: String,
    /// API key of the account there
    #[arg(long, env = "MWDB_PUSH_API_KEY", hide_env_values = true)]
    api_key: String,
    /// File that keeps how far the push has come
    #[arg(long, value_name = "FILE", default_value = "mwdb-lite-push.json")]
    state: PathBuf,
    /// Go over everything again: what is there already changes only where something is missing
    #[arg(long)]
    restart: bool,
    /// Send nothing, tell what would be sent
    #[arg(long)]
    dry_run: bool,
    /// Objects on their way at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Accept any certificate
    #[arg(long)]
    no_verify_ssl: bool,
}

#[derive(clap::Args)]
struct Source {
    /// Configuration file, read after the standard ones
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    keep_from_others();
    take_more_files();
    karton_rs::service::install_crypto();
    match start(args.command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Settings that cannot be read do not say how to log either.
            start_logging(&LogConfig::default());
            tracing::error!("{error:#}");
            exit_code(&error)
        }
    }
}

/// Each connection is an open file, and so is what it asks for: the usual limit of 1,024 is soon used up.
fn take_more_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, the limit stays as it is.
    let _ = setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit });
}

/// Runs a command; false when it went through and the answer is no.
fn start(command: Command) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Run { source, host, port } => {
                let mut config = load(&source)?;
                config.host = host.unwrap_or(config.host);
                config.port = port.unwrap_or(config.port);
                let shutdown = CancellationToken::new();
                karton_rs::service::cancel_on_signal(shutdown.clone());
                mwdb_lite::run(config, shutdown).await?;
            }
            Command::Configure { source, quiet: _, _kind: _ } => mwdb_lite::setup(load(&source)?).await?,
            Command::SetAdminPassword { source, password } => {
                let config = load(&source)?;
                mwdb_lite::set_admin_password(config, new_password(password).await?).await?;
            }
            Command::Backup { source, dest, json } => {
                let report = backup::run(&load(&source)?, &dest).await?;
                print(json, &report, &backup_lines(&report))?;
                return Ok(report.unreadable.is_empty());
            }
            Command::Check { source, repair, copy, json } => {
                let mut config = load(&source)?;
                if let Some(folder) = copy {
                    config = backup::settings_of_copy(&config, &folder);
                    anyhow::ensure!(config.sqlite_path.is_file(), "there is no copy made by `backup` in `{}`", folder.display());
                }
                let report = check::run(&config, if repair { check::Mode::Repair } else { check::Mode::Look }).await?;
                print(json, &report, &check_lines(&report))?;
                return Ok(report.is_clean());
            }
            Command::Push { source, target, json } => {
                let stop = CancellationToken::new();
                karton_rs::service::cancel_on_signal(stop.clone());
                let options = push::Options {
                    url: target.url,
                    api_key: target.api_key,
                    state: target.state,
                    restart: target.restart,
                    dry_run: target.dry_run,
                    jobs: target.jobs.into(),
                    verify_ssl: !target.no_verify_ssl,
                };
                let report = push::run(&load(&source)?, &options, stop).await?;
                print(json, &report, &push_lines(&report))?;
                return Ok(report.is_complete());
            }
            Command::Version => print_lines(&[format!("mwdb-lite {}", env!("CARGO_PKG_VERSION"))])?,
        }
        Ok(true)
    })
}

/// What we write is for our account, and for its group where that is usual here: password hashes, the key of all tokens,
/// malware.
fn keep_from_others() {
    let others = Mode::RWXO;
    umask(umask(others) | others);
}

/// The new password: an argument, what is typed twice on a terminal, or the first line of standard input.
async fn new_password(argument: Option<String>) -> anyhow::Result<String> {
    if let Some(password) = argument {
        return Ok(password);
    }
    if !std::io::stdin().is_terminal() {
        return std::io::stdin().lines().next().unwrap_or(Ok(String::new())).context("cannot read the password");
    }
    let password = prompt::password("New password: ").await?;
    let again = prompt::password("Once more: ").await?;
    anyhow::ensure!(password == again, "the two are not the same: nothing was changed");
    Ok(password)
}

fn print(json: bool, report: &impl Serialize, lines: &[String]) -> anyhow::Result<()> {
    if json { print_lines(&[serde_json::to_string(report)?]) } else { print_lines(lines) }
}

/// Writes the answer of a command; who reads no further is no failure.
fn print_lines(lines: &[String]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

fn backup_lines(report: &backup::Report) -> Vec<String> {
    let backup::Report { files, copied, copied_bytes, removed, database_bytes, unreadable } = report;
    let mut lines: Vec<String> = unreadable.iter().map(|hash| format!("not copied: {hash}")).collect();
    lines.push(format!(
        "database of {database_bytes} bytes, {files} files: {copied} of them new ({copied_bytes} bytes); {removed} removed that are no longer named"
    ));
    lines
}

fn check_lines(report: &check::Report) -> Vec<String> {
    let mut lines: Vec<String> = report
        .problems
        .iter()
        .map(|problem| {
            let done = problem.repaired.as_ref().map(|how| format!(" [repaired: {how}]")).unwrap_or_default();
            format!("{}: {}: {}{done}", problem.kind, problem.subject, problem.detail)
        })
        .collect();
    lines.push(format!(
        "{} objects, {} files with {} bytes: {} problems, {} repaired",
        report.objects, report.files, report.bytes, report.unrepaired, report.repaired
    ));
    lines
}

fn push_lines(report: &push::Report) -> Vec<String> {
    let mut lines: Vec<String> = report.notes.iter().map(|note| format!("note: {note}")).collect();
    lines.extend(report.failed.iter().map(|failure| format!("failed: {}: {}", failure.subject, failure.reason)));
    let verb = if report.dry_run { "would send" } else { "sent" };
    lines.push(format!(
        "{verb} {} files, {} blobs, {} configs, {} relations; {} failed",
        report.files,
        report.blobs,
        report.configs,
        report.relations,
        report.failed.len()
    ));
    if report.stopped {
        lines.push("stopped before the end: the same command goes on from here".to_owned());
    }
    lines
}

/// The settings; from here on the log is written as they say.
fn load(source: &Source) -> anyhow::Result<Config> {
    let config = Config::load(source.config.as_deref())?;
    start_logging(&config.log);
    Ok(config)
}

/// Logs to stderr. The first call counts.
fn start_logging(log: &LogConfig) {
    let level = &log.level;
    // What libraries tell in detail is for who names them in `RUST_LOG`.
    let levels = match level.as_str() {
        "debug" | "trace" => format!("info,mwdb_lite={level},karton_rs={level}"),
        level => level.to_owned(),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| format!("{levels},{}", mwdb_lite::QUIET).into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if log.json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        builder.with_ansi(karton_rs::service::colours_on_stderr()).try_init()
    };
}

/// 2 for a configuration that cannot be used, ours or Karton's.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(<dyn std::error::Error>::is::<ConfigError>) { ExitCode::from(2) } else { karton_rs::service::exit_code(error) }
}
