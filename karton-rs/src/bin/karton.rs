//! The `karton` command.

use std::process::ExitCode;

use clap::Parser;
use karton_rs::{cli::Cli, service};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = if cli.is_verbose() { "debug" } else { "warn" };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(level).with_target(false).init();
    service::install_crypto();
    let shutdown = CancellationToken::new();
    service::cancel_on_signal(shutdown.clone());
    match cli.run(shutdown).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            service::exit_code(&error)
        }
    }
}
