//! `karton list`.

use super::{
    Context, Outcome,
    output::{Out, escape},
};
use crate::{Bind, json::Value};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// The same as `--output json`
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// Aligned columns
    Table,
    /// One bind a line
    Json,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let binds = context.inspect()?.binds().await?;
    let mut out = Out::new();
    if args.json || args.output == Output::Json {
        for bind in &binds {
            out.line(bind.to_json())?;
        }
    } else {
        out.line(table(&binds))?;
    }
    out.flush()?;
    Ok(Outcome::Done)
}

/// The columns of the reference; long names push what follows to the right.
fn table(binds: &[Bind]) -> String {
    let text = |value: &Value| escape(value.as_str().unwrap_or("-")).into_owned();
    let row = |name: &str, version: &str, karton: &str| format!("{name:<50} {version:<10} {karton:<10}").trim_end().to_owned();
    let mut lines = vec![row("karton name", "version", "karton"), "-".repeat(72)];
    lines.extend(binds.iter().map(|bind| row(&escape(&bind.identity), &text(&bind.service_version), &text(&bind.version))));
    lines.join("\n")
}
