//! Prints the log records of all services, one line of JSON each.
//!
//! `cargo run -p examples --bin log_consumer -- --config-file playground-data/karton.ini`

use std::io::Write;

use clap::Parser;
use karton_rs::{LogConsumer, ServiceArgs, service::run_main};

#[derive(Parser)]
#[command(version, about = "Prints the log records of all services, one line of JSON each")]
struct Args {
    #[command(flatten)]
    service: ServiceArgs,
    /// Only records of this level: debug, info, warning, error, critical
    #[arg(long, default_value = "*")]
    level: String,
}

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    run_main(args.service.config(), |config, shutdown| async move {
        let stop = shutdown.clone();
        let print = move |record| {
            if writeln!(std::io::stdout(), "{record}").is_err() {
                stop.cancel();
            }
        };
        LogConsumer::new("karton.example-logs").version("1.0.0").level(&args.level).run(&config, shutdown, print).await?;
        Ok(())
    })
}
