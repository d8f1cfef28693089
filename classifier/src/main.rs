//! `karton-classifier`: the service, and its rules on local files.

use std::{
    io::{BufWriter, ErrorKind, IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use classifier::Classifier;
use karton_rs::{
    ConsumerArgs,
    service::{run_main, start_logging},
};

mod cli;

use cli::ClassifyArguments;

#[derive(Parser)]
#[command(name = "karton-classifier", about = classifier::INFO.trim_start().lines().next(), long_about = None)]
#[command(args_conflicts_with_subcommands = true, infer_long_args = true)]
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
    // clap's own flag would print the name of the program, too.
    /// Print version
    #[arg(short = 'V', long)]
    version: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Classify local files, without Karton
    ///
    /// Ends with 0 when all files were looked at, whether or not they were recognized, with 1 when some could not
    /// be read, and with 2 when arguments or YARA rules cannot be used.
    Classify(ClassifyArguments),
}

/// Code for arguments, configuration and rules that cannot be used.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Classify(arguments)) => classify(&arguments),
        None if arguments.service.version => match writeln!(std::io::stdout(), "{}", classifier::VERSION) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        None => serve(&arguments.service),
    }
}

fn serve(arguments: &Service) -> ExitCode {
    let config = arguments.consumer.config().map(|mut config| {
        if let Some(folder) = &arguments.yara_rules {
            config.set_by_flag("--yara-rules", "classifier", "yara_rules", folder);
        }
        config
    });
    let service = match config.as_ref().map(Classifier::new) {
        Ok(Ok(service)) => Some(service),
        Ok(Err(error)) => {
            start_logging(config.as_ref().ok());
            if let Ok(config) = &config {
                tracing::error!("{}: the rules cannot be used", config.place("classifier", "yara_rules"));
            }
            for line in error.to_string().lines() {
                tracing::error!("{line}");
            }
            return ExitCode::from(UNUSABLE);
        }
        // Reported below.
        Err(_) => None,
    };
    run_main(config, async move |config, shutdown| match service {
        Some(service) => service.run(config, shutdown).await,
        None => classifier::run(config, shutdown).await,
    })
}

fn classify(arguments: &ClassifyArguments) -> ExitCode {
    let mut errors = std::io::stderr().lock();
    // When stderr is gone as well, the exit code still tells.
    let mut refuse = |message: &dyn std::fmt::Display| {
        let _ = writeln!(errors, "{message}");
        ExitCode::from(UNUSABLE)
    };
    if arguments.name.is_some() && arguments.files.len() > 1 {
        return refuse(&"`--name` is the name of one sample: give a single file with it");
    }
    let rules = match arguments.rules() {
        Ok(rules) => rules,
        Err(error) => return refuse(&format!("{error:#}")),
    };
    let stdout = std::io::stdout();
    let format = arguments.format(stdout.is_terminal());
    let mut out = BufWriter::new(stdout.lock());
    let outcome =
        cli::classify(arguments, rules.as_ref(), format, &mut out, &mut errors).and_then(|all_read| Ok(out.flush().map(|()| all_read)?));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Who closes the pipe has read enough.
            let closed = error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe);
            if !closed {
                let _ = writeln!(errors, "{error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
