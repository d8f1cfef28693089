//! `karton logs`.

use tokio_util::sync::CancellationToken;

use crate::{Config, LogConsumer, json::Value};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this logger: an identity, or a glob as `karton.*`
    #[arg(long, value_name = "GLOB", default_value = "*")]
    filter: String,
    /// Print whole records as JSON, one a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Config, args: Args, shutdown: CancellationToken) -> anyhow::Result<()> {
    let print = move |record: Value| {
        if args.json {
            println!("{record}");
        } else if record.get("type").and_then(Value::as_str) == Some("log") {
            let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
            println!("[{}] {}: {}", text("levelname"), text("name"), text("message"));
        }
    };
    Ok(LogConsumer::new("karton.cli-logger").logger(&args.filter).run(config, shutdown, print).await?)
}
