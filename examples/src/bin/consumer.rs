//! Logs what the classifier found out about each sample: the smallest complete service.
//!
//! `cargo run -p examples --bin consumer -- --config-file playground-data/karton.ini`

use clap::Parser;
use karton_rs::{Consumer, ConsumerArgs, service::run_main};
use serde_json::json;

#[derive(Parser)]
#[command(version, about = "Logs what the classifier found out about each sample")]
struct Args {
    #[command(flatten)]
    consumer: ConsumerArgs,
}

fn main() -> std::process::ExitCode {
    run_main(Args::parse().consumer.config(), |config, shutdown| async move {
        Consumer::new("karton.example-consumer")
            .version("1.0.0")
            .filters(json!([{"type": "sample", "stage": "recognized"}, {"type": "sample", "stage": "unrecognized"}]))
            .process(|_karton, task| async move {
                let sample = task.resource("sample")?;
                let header = |name| task.header_str(name).unwrap_or("-");
                let (kind, platform, extension) = (header("kind"), header("platform"), header("extension"));
                tracing::info!("{}: kind {kind}, platform {platform}, extension {extension}", sample.name);
                Ok(())
            })
            .run(&config, shutdown)
            .await?;
        Ok(())
    })
}
