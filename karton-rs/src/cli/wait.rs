//! `karton wait ROOT`, and the waiting of `karton send --wait`.

use std::time::Duration;

use super::{
    Context, Outcome,
    analysis::{counts, counts_line, state},
    output::{Out, Style, escape},
    select::root_of,
    values,
};
use crate::{
    Inspect,
    json::{Map, Value},
    task::TaskState,
};

/// Ten years.
const FOR_EVER: Duration = Duration::from_hours(24 * 3650);

/// Exit codes: 0 finished, 1 with crashed tasks, 3 not within the time.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Uid of the analysis, or of any of its tasks
    root: String,
    /// Give up after this time: 90s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    timeout: Option<Duration>,
    /// Print one object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    finished(&context.inspect()?, root_of(&args.root), args.timeout, args.json).await
}

/// Waits for the end of an analysis, and tells of it.
pub(super) async fn finished(inspect: &Inspect, root: &str, timeout: Option<Duration>, json: bool) -> anyhow::Result<Outcome> {
    let analysis = inspect.wait(root, timeout.unwrap_or(FOR_EVER).min(FOR_EVER)).await?;
    let in_time = analysis.is_done();
    let mut out = Out::new();
    let state = if in_time { state(&analysis) } else { "running" };
    let crashed = analysis.history().iter().filter(|task| task.status == TaskState::Crashed);
    let crashed: Vec<&str> = crashed.map(|task| task.uid.as_str()).collect();
    if json {
        let counts: Map = counts(&analysis).into_iter().map(|(status, count)| (status.as_str().to_owned(), count.into())).collect();
        let object = Map::from_iter([
            ("root_uid".to_owned(), root.into()),
            ("state".to_owned(), state.into()),
            ("counts".to_owned(), counts.into()),
            ("crashed".to_owned(), Value::from(crashed.clone())),
        ]);
        out.json(&object.into())?;
    } else {
        let style = if state == "finished" { Style::Green } else { Style::Yellow };
        match state {
            "unknown" => eprintln!("No task of {} is known: it is finished and collected, or was never sent.", escape(root)),
            _ => out.line(format!("{}: {}", out.paint(style, state), counts_line(&analysis)))?,
        }
        if !in_time {
            eprintln!("Still running: `karton analysis {}` shows what is going on.", escape(root));
        } else if !crashed.is_empty() {
            eprintln!("`karton analysis {0}` shows what has crashed, `karton restart --root {0}` starts it again.", escape(root));
        }
    }
    out.flush()?;
    Ok(match (in_time, crashed.is_empty()) {
        (false, _) => Outcome::TimedOut,
        (true, false) => Outcome::Failed,
        (true, true) => Outcome::Done,
    })
}
