//! The `playground` command: a whole Karton with MWDB on one machine.
//!
//! Flags, exit codes and printing live here; [`up`] holds the order in which things start and stop.

mod connections;
mod demo;
mod folder;
mod logging;
mod mwdb;
mod ports;
mod ready;
mod redis_server;
mod samples;
mod services;
mod settings;
mod status;
mod supervise;
mod table;
mod up;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use settings::{UpArgs, Usage};

/// Karton and MWDB on this machine: broker, classifier, reporter, repository, S3 and Redis.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: UpArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything and stay until interrupted (the default)
    Up(UpArgs),
    /// Ask each part of a running playground how it is
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Upload a few harmless files and show what becomes of them
    Demo {
        #[command(flatten)]
        place: Place,
        /// How long to wait for the analyses, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 60)]
        timeout: u64,
    },
}

/// Which playground is meant.
#[derive(Debug, clap::Args)]
struct Place {
    /// Folder of the running playground
    #[arg(long, value_name = "FOLDER", default_value = settings::DATA)]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let command = args.command.unwrap_or(Command::Up(args.up));
    logging::start();
    karton_rs::service::install_crypto();
    let outcome = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from).and_then(|runtime| {
        let outcome = runtime.block_on(run(command));
        runtime.shutdown_timeout(Duration::from_millis(500));
        outcome
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            let usage = error.chain().any(<dyn std::error::Error>::is::<Usage>);
            if usage { ExitCode::from(2) } else { karton_rs::service::exit_code(&error) }
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(args) => {
            let shutdown = CancellationToken::new();
            karton_rs::service::cancel_on_signal(shutdown.clone());
            let json = args.json;
            up::run(args, shutdown, |ready| print(&if json { ready.json_line() } else { ready.welcome() })).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Status { place } => {
            let report = status::ask(&place.data).await?;
            print(&if place.json { report.json_line() } else { report.table() });
            Ok(if report.is_well() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Demo { place, timeout } => {
            let report = demo::run(&place.data, Duration::from_secs(timeout), |line| {
                if !place.json {
                    print(line);
                }
            });
            let report = report.await?;
            print(&if place.json { report.json_line() } else { report.table() });
            Ok(if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// A reader that went away must not end the playground: `println!` would panic.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        tracing::debug!(%error, "nobody reads the output");
    }
}
