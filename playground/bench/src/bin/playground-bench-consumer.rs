//! A consumer that does nothing: what is measured of it is the library's own. A program by itself, as a service is.

use clap::Parser;
use karton_rs::{Consumer, ConsumerArgs, service::run_main};
use serde_json::json;

#[derive(Parser)]
#[command(version, about = "A consumer that does nothing, to be measured")]
struct Args {
    #[command(flatten)]
    consumer: ConsumerArgs,
}

fn main() -> std::process::ExitCode {
    run_main(Args::parse().consumer.config(), |config, shutdown| async move {
        Consumer::new("karton.bench0").filters(json!([{"type": "sample"}])).process(|_, _| async { Ok(()) }).run(&config, shutdown).await?;
        Ok(())
    })
}
