//! The `karton` command.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use karton_rs::{cli::Cli, service};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.start_logging();
    service::install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        service::cancel_on_signal(shutdown.clone());
        cli.run(shutdown).await
    });
    // A question that was not answered must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}
