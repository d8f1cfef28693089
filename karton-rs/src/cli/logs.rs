//! `karton logs`.

use super::{
    Context, Outcome,
    output::{Out, Style, escape, escape_lines},
};
use crate::{LogConsumer, json::Value};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this logger: an identity, or a glob as `karton.*`
    #[arg(long, value_name = "GLOB", default_value = "*")]
    filter: String,
    /// Print whole records as JSON, one a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let mut out = Out::new();
    let stop = context.shutdown.child_token();
    let reading = stop.clone();
    let mut failed = None;
    let print = |record: Value| {
        if let Err(error) = print(&mut out, &record, args.json) {
            failed.get_or_insert(error);
            // Nobody reads any more.
            reading.cancel();
        }
    };
    LogConsumer::new("karton.cli-logger").logger(&args.filter).run(&context.config()?, stop, print).await?;
    failed.map_or(Ok(Outcome::Done), |error| Err(error.into()))
}

/// Each record at once: somebody waits for it.
fn print(out: &mut Out, record: &Value, json: bool) -> std::io::Result<()> {
    if json {
        out.json(record)?;
    } else if record.get("type").and_then(Value::as_str) == Some("log") {
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let level = text("levelname");
        let style = match level {
            "ERROR" | "CRITICAL" => Style::Red,
            "WARNING" => Style::Yellow,
            "DEBUG" => Style::Dim,
            _ => Style::Plain,
        };
        let (level, name) = (out.paint(style, &format!("[{}]", escape(level))), out.paint(Style::Cyan, &escape(text("name"))));
        out.line(format!("{level} {name}: {}", escape_lines(text("message"))))?;
    }
    out.flush()
}
