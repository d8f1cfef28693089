//! `karton-classifier`: the service, and its rules on local files.

use std::{
    io::{BufWriter, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use karton_rs::{
    ConsumerArgs,
    service::{run_main, start_logging},
};

mod cli;

/// Says what kind of file a raw sample is, so that the services for that kind receive it
#[derive(Parser)]
#[command(name = "karton-classifier", version = classifier::VERSION, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    service: Service,
}

#[derive(Args)]
struct Service {
    #[command(flatten)]
    consumer: ConsumerArgs,
    /// Directory containing classifier YARA rules
    #[arg(long, value_name = "DIR")]
    yara_rules: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Classify local files, without Karton
    Classify {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// One JSON object a line instead of a table
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Classify { files, json }) => classify(&files, json),
        None => serve(&arguments.service),
    }
}

fn serve(arguments: &Service) -> ExitCode {
    let config = arguments.consumer.config().map(|mut config| {
        if let Some(folder) = &arguments.yara_rules {
            config.set("classifier", "yara_rules", folder);
        }
        config
    });
    if let Ok(config) = &config
        && let Err(error) = classifier::check(config)
    {
        start_logging(Some(config));
        tracing::error!("{error}");
        return ExitCode::from(2);
    }
    run_main(config, classifier::run)
}

fn classify(files: &[PathBuf], json: bool) -> ExitCode {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut errors = std::io::stderr().lock();
    let outcome = cli::classify(files, json, &mut out, &mut errors).and_then(|all_read| Ok(out.flush().map(|()| all_read)?));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // When stderr is gone as well, the exit code still tells.
            let _ = writeln!(errors, "{error:#}");
            ExitCode::FAILURE
        }
    }
}
