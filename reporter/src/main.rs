//! `karton-mwdb-reporter`: the service, and `--dry-run` for a look at one task.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use karton_rs::{Config, ConsumerArgs, service::run_main};
use reporter::{Settings, dry_run};

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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.version {
        return match writeln!(std::io::stdout(), "{}", reporter::VERSION) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    // Python has one code for whatever goes wrong once the flags were read.
    if run(arguments) == ExitCode::SUCCESS { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(arguments: Arguments) -> ExitCode {
    let config = arguments.consumer.config().map(|mut config| {
        if arguments.report_unrecognized {
            config.set("mwdb-reporter", "report_unrecognized", "1");
        }
        config
    });
    if arguments.dry_run {
        let source = match (arguments.task, arguments.task_file) {
            (Some(uid), _) => dry_run::Source::Uid(uid),
            (None, Some(path)) if path.as_os_str() != "-" => dry_run::Source::File(path),
            _ => dry_run::Source::Stdin,
        };
        return run_main(config, move |config, shutdown| async move {
            tokio::select! {
                printed = print_plan(config, source, arguments.json) => printed,
                () = shutdown.cancelled() => Ok(()),
            }
        });
    }
    run_main(config, reporter::run)
}

async fn print_plan(config: Config, source: dry_run::Source, json: bool) -> anyhow::Result<()> {
    let changes = dry_run::plan(Settings::from_config(&config)?, &config, &source).await?;
    Ok(dry_run::write(&changes, json, &mut std::io::stdout().lock())?)
}
