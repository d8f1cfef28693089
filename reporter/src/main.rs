//! `karton-mwdb-reporter`: the service, and `--dry-run` for a look at one task.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use clap::Parser;
use karton_rs::{Config, ConfigError, ConsumerArgs, service::run_main};
use reporter::{Settings, dry_run, mwdb::SettingsError};

#[derive(Parser)]
#[command(name = "karton-mwdb-reporter", about = reporter::INFO.trim_start().lines().next(), long_about = None, infer_long_args = true)]
struct Arguments {
    #[command(flatten)]
    consumer: ConsumerArgs,
    /// Upload samples that no service has recognized, too
    #[arg(long)]
    report_unrecognized: bool,
    /// Print what one task would change in MWDB, and leave: nothing is changed, claimed or consumed
    #[arg(long)]
    dry_run: bool,
    /// The task of a dry run: its uid in Redis
    #[arg(long, value_name = "UID", requires = "dry_run", conflicts_with = "task_file")]
    task: Option<String>,
    /// The task of a dry run: a file with its JSON, of which headers and payload are enough [default: standard input]
    #[arg(long, value_name = "FILE", requires = "dry_run")]
    task_file: Option<PathBuf>,
    /// Print a dry run as one JSON object a line
    #[arg(long, requires = "dry_run")]
    json: bool,
    // clap's own flag would print the name of the program, too.
    /// Print version
    #[arg(short = 'V', long)]
    version: bool,
}

/// Code of a dry run that was interrupted before it had an answer.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.version {
        return match writeln!(std::io::stdout(), "{}", reporter::VERSION) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    run(arguments)
}

fn run(arguments: Arguments) -> ExitCode {
    let config = arguments.consumer.config().map(|mut config| {
        if arguments.report_unrecognized {
            config.set_by_flag("--report-unrecognized", "mwdb-reporter", "report_unrecognized", "1");
        }
        config
    });
    if !arguments.dry_run {
        return run_main(config, |config, shutdown| async move { reporter::run(config, shutdown).await.map_err(of_configuration) });
    }
    let source = match (arguments.task, arguments.task_file) {
        (Some(uid), _) => dry_run::Source::Uid(uid),
        (None, Some(path)) if path.as_os_str() != "-" => dry_run::Source::File(path),
        _ => dry_run::Source::Stdin,
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&interrupted);
    let code = run_main(config, move |config, shutdown| async move {
        tokio::select! {
            printed = print_plan(config, source, arguments.json) => printed.map_err(of_configuration),
            () = shutdown.cancelled() => {
                told.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    });
    // Nobody is to take it for a task that would change nothing.
    if interrupted.load(Ordering::Relaxed) { ExitCode::from(INTERRUPTED) } else { code }
}

/// What `[mwdb]` holds is configuration as well: exit code 2.
fn of_configuration(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<SettingsError>() {
        Ok(SettingsError::Config(error)) => error.into(),
        Ok(error) => ConfigError::unusable(error.to_string()).into(),
        Err(error) => error,
    }
}

async fn print_plan(config: Config, source: dry_run::Source, json: bool) -> anyhow::Result<()> {
    let changes = dry_run::plan(Settings::from_config(&config)?, &config, &source).await?;
    Ok(dry_run::write(&changes, json, &mut std::io::stdout().lock())?)
}
