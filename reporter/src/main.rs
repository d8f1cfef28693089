//! `karton-mwdb-reporter`: the service.

use std::process::ExitCode;

use clap::Parser;
use karton_rs::{
    ConsumerArgs,
    service::{run_main, start_logging},
};

/// Puts samples, configs and blobs that a pipeline has found into MWDB
#[derive(Parser)]
#[command(name = "karton-mwdb-reporter", version = reporter::VERSION)]
struct Arguments {
    #[command(flatten)]
    consumer: ConsumerArgs,
    /// Upload samples that no service has recognized, too
    #[arg(long)]
    report_unrecognized: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.consumer.config().map(|mut config| {
        if arguments.report_unrecognized {
            config.set("mwdb-reporter", "report_unrecognized", "1");
        }
        config
    });
    // Wrong settings are told apart from a failure: exit code 2.
    if let Ok(config) = &config
        && let Err(error) = reporter::Settings::from_config(config)
    {
        start_logging(Some(config));
        tracing::error!("{error}");
        return ExitCode::from(2);
    }
    run_main(config, reporter::run)
}
