//! `karton wait ROOT`, and the waiting of `karton send --wait`.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Context, Outcome,
    analysis::{counts, counts_line, state, unknown},
    output::{Out, Style, escape},
    select::root_of,
    values,
};
use crate::{
    Analysis, Inspect,
    json::{Map, Value},
    service::Outage,
    task::TaskState,
};

/// Ten years.
const FOR_EVER: Duration = Duration::from_hours(24 * 3650);

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
    let inspect = context.inspect()?;
    let root = &root_of(inspect.backend(), &args.root).await?;
    let limit = args.timeout.unwrap_or(FOR_EVER);
    let begun = Instant::now();
    // A mistyped uid, or a Redis that is not there, is told at once.
    if inspect.analysis(root).await?.history().is_empty() {
        return Err(unknown(root));
    }
    finished(context, &inspect, root, None, Some(limit.saturating_sub(begun.elapsed())), args.json).await
}

/// Waits for the end of an analysis that was there, and tells of it; of the task that began it, too, when it is given.
pub(super) async fn finished(
    context: &Context,
    inspect: &Inspect,
    root: &str,
    task: Option<&str>,
    timeout: Option<Duration>,
    json: bool,
) -> anyhow::Result<Outcome> {
    let deadline = Instant::now() + timeout.unwrap_or(FOR_EVER).min(FOR_EVER);
    let Some(analysis) = end(context, inspect, root, deadline).await? else {
        note!("Redis is still away: nothing is known of analysis {}.", escape(root));
        if json {
            let mut out = Out::of_deeds();
            out.json(&object(root, task, "unknown", Map::new(), &[]))?;
            out.flush()?;
        }
        return Ok(Outcome::TimedOut);
    };
    let in_time = analysis.is_done();
    let mut out = Out::of_deeds();
    let state = match (in_time, analysis.history().is_empty()) {
        (false, _) => "running",
        // It was there, and is not any more: that is the work of the collector.
        (true, true) => "finished",
        (true, false) => state(&analysis),
    };
    let crashed = analysis.history().iter().filter(|task| task.status == TaskState::Crashed);
    let crashed: Vec<&str> = crashed.map(|task| task.uid.as_str()).collect();
    if json {
        let counts: Map = counts(&analysis).into_iter().map(|(status, count)| (status.as_str().to_owned(), count.into())).collect();
        out.json(&object(root, task, state, counts, &crashed))?;
    } else {
        let style = if state == "finished" { Style::Green } else { Style::Yellow };
        let counts = if analysis.history().is_empty() { "and collected".to_owned() } else { counts_line(&analysis) };
        out.line(format!("{}: {counts}", out.paint(style, state)))?;
        // What is noted on stderr comes after it.
        out.flush()?;
        let show = context.commands.karton("analysis", &[root]);
        if !in_time {
            note!("Still running: `{show}` shows what is going on.");
        } else if !crashed.is_empty() {
            let restart = context.commands.karton("restart", &["--root", root]);
            note!("`{show}` shows what has crashed, `{restart}` starts it again.");
        }
    }
    out.flush()?;
    Ok(match (in_time, crashed.is_empty()) {
        (false, _) => Outcome::TimedOut,
        (true, false) => Outcome::Failed,
        (true, true) => Outcome::Done,
    })
}

fn object(root: &str, task: Option<&str>, state: &str, counts: Map, crashed: &[&str]) -> Value {
    let mut object = Map::from_iter(task.map(|uid| ("uid".to_owned(), uid.into())));
    object.extend([
        ("root_uid".to_owned(), root.into()),
        ("state".to_owned(), state.into()),
        ("counts".to_owned(), counts.into()),
        ("crashed".to_owned(), Value::from(crashed.to_vec())),
    ]);
    object.into()
}

/// The analysis when it has ended or at the deadline; none when Redis is away then.
async fn end(context: &Context, inspect: &Inspect, root: &str, deadline: Instant) -> anyhow::Result<Option<Analysis>> {
    let (mut outage, mut was_away) = (Outage::default(), false);
    loop {
        match inspect.wait(root, deadline.saturating_duration_since(Instant::now())).await {
            Err(error) if error.is_temporary() && !error.is_denied() => {
                was_away = true;
                let pause = outage.wait(&error, &context.shutdown);
                if tokio::time::timeout_at(deadline, pause).await.is_err() {
                    return Ok(None);
                }
            }
            // It may have been lost with the server, or collected: nobody can tell.
            Ok(analysis) if was_away && analysis.history().is_empty() => return Err(unknown(root)),
            outcome => return Ok(Some(outcome?)),
        }
    }
}
