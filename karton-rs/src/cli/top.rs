//! `karton top`: queues and rates, again and again on a terminal, once into a pipe.
//!
//! The one rule: a look reads queues and counters, no records, so it costs Redis the same however many
//! tasks there are.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::time::Instant;

use super::{
    Context, Outcome,
    output::{Cell, Out, Spare, Style, Table, cut, name, number, terminal_width},
    values,
};
use crate::{
    Error, Inspect,
    backend::Pending,
    backend::keys::Metric,
    json::{Map, Value},
    service::Outage,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Time between two looks
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "2s")]
    interval: Duration,
    /// Leave after this many looks; a terminal is otherwise drawn on until Ctrl-C, which is exit code 0
    #[arg(long, value_name = "NUMBER")]
    count: Option<u64>,
    /// Print one object a line, one for each service, once
    #[arg(long)]
    json: bool,
}

/// What stands in Redis at a moment.
struct Sample {
    at: Instant,
    queues: BTreeMap<String, (Pending, usize)>,
    unrouted: u64,
    counters: [BTreeMap<String, i64>; 4],
}

/// Produced, assigned, consumed, crashed.
const COUNTERS: [Metric; 4] = [Metric::Produced, Metric::Assigned, Metric::Consumed, Metric::Crashed];

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let endless = args.count.is_none() && !args.json && std::io::stdout().is_terminal();
    match context.unless_interrupted(watch(context, args)).await? {
        // It runs until then, as `logs` does.
        Outcome::Interrupted if endless => Ok(Outcome::Done),
        outcome => Ok(outcome),
    }
}

async fn watch(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let inspect = context.inspect()?;
    let interval = args.interval.max(Duration::from_millis(100));
    let mut out = Out::new();
    let terminal = out.is_terminal() && !args.json;
    let mut left = if terminal { args.count.unwrap_or(u64::MAX) } else { args.count.unwrap_or(1) };
    // A single look is a snapshot, which leaves what stands on the terminal.
    let live = terminal && left > 1;
    let mut before = sample(&inspect).await?;
    if live && args.count.is_none() {
        // At once; the rates follow.
        draw(&mut out, &before, &before, true)?;
        out.flush()?;
    }
    while left > 0 {
        left -= 1;
        tokio::time::sleep(interval).await;
        let now = next_sample(context, &inspect).await?;
        if args.json {
            for identity in rows(&before, &now) {
                out.json(&object(&identity, &before, &now))?;
            }
        } else {
            draw(&mut out, &before, &now, live)?;
        }
        out.flush()?;
        before = now;
    }
    Ok(Outcome::Done)
}

/// As [`sample`], again and again while Redis is away.
async fn next_sample(context: &Context, inspect: &Inspect) -> Result<Sample, Error> {
    let mut outage = Outage::default();
    loop {
        match sample(inspect).await {
            Err(error) if error.is_temporary() && !error.is_denied() => outage.wait(&error, &context.shutdown).await,
            outcome => return outcome,
        }
    }
}

async fn sample(inspect: &Inspect) -> Result<Sample, Error> {
    let overview = inspect.overview_of_queues().await?;
    let backend = inspect.backend();
    let mut counters = [const { BTreeMap::new() }; 4];
    for (counter, metric) in counters.iter_mut().zip(COUNTERS) {
        *counter = backend.metric(metric).await?;
    }
    let queues = overview.queues.into_iter().map(|queue| (queue.identity, (queue.pending, queue.online))).collect();
    Ok(Sample { at: Instant::now(), queues, unrouted: overview.unrouted, counters })
}

/// Services with a queue, and those that only send.
fn rows(before: &Sample, now: &Sample) -> Vec<String> {
    let mut rows: Vec<String> = now.queues.keys().cloned().collect();
    let sending = now.counters[0].keys().filter(|identity| !now.queues.contains_key(*identity) && rate(identity, 0, before, now) > 0.0);
    rows.extend(sending.cloned());
    rows
}

fn rate(identity: &str, counter: usize, before: &Sample, now: &Sample) -> f64 {
    let count = |sample: &Sample| sample.counters[counter].get(identity).copied().unwrap_or(0);
    let seconds = now.at.duration_since(before.at).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate is shown to a tenth")]
    let change = (count(now) - count(before)).max(0) as f64;
    if seconds > 0.0 { change / seconds } else { 0.0 }
}

/// Of all services; the sum of nothing is 0, not the -0 of `sum`.
fn total_rate(counter: usize, before: &Sample, now: &Sample) -> f64 {
    now.counters[counter].keys().map(|identity| rate(identity, counter, before, now)).fold(0.0, |sum, rate| sum + rate)
}

fn draw(out: &mut Out, before: &Sample, now: &Sample, live: bool) -> std::io::Result<()> {
    if live {
        // Home, and nothing left of what stood there.
        out.raw("\x1b[H\x1b[2J")?;
    }
    let waiting: u64 = now.queues.values().map(|(pending, _)| pending.total()).sum();
    let summary = format!(
        "{} for the broker, {waiting} in queues; sent {:.1}/s, done {:.1}/s, crashed {:.1}/s",
        now.unrouted,
        total_rate(0, before, now),
        total_rate(2, before, now),
        total_rate(3, before, now)
    );
    out.line(if out.is_terminal() { cut(&summary, terminal_width()) } else { summary.into() })?;
    let columns = [
        name("service"),
        number("high").short("hi").spare(Spare::Last),
        number("normal").short("no").spare(Spare::Last),
        number("low").short("lo").spare(Spare::Last),
        number("online").short("on").spare(Spare::Last),
        number("in/s").spare(Spare::Last),
        number("done/s").spare(Spare::Last),
        number("crashed/s").short("crash/s").spare(Spare::Last),
        number("sent/s").spare(Spare::Second),
        number("done").spare(Spare::First),
        number("crashed").spare(Spare::First),
    ];
    let mut table = Table::new(out, &columns);
    for identity in rows(before, now) {
        let (pending, online) = now.queues.get(&identity).copied().unwrap_or_default();
        let per_second = |counter: usize, style: Style| {
            let rate = rate(&identity, counter, before, now);
            Cell::styled(format!("{rate:.1}"), if rate == 0.0 { Style::Dim } else { style })
        };
        let total = |counter: usize| now.counters[counter].get(&identity).and_then(|count| u64::try_from(*count).ok()).unwrap_or(0);
        let nobody = online == 0 && pending.total() > 0;
        table.row(vec![
            Cell::styled(&identity, if nobody { Style::Yellow } else { Style::Bold }),
            Cell::count(pending.high, Style::Plain),
            Cell::count(pending.normal + pending.old, Style::Plain),
            Cell::count(pending.low, Style::Plain),
            Cell::count(online as u64, Style::Green),
            per_second(1, Style::Plain),
            per_second(2, Style::Green),
            per_second(3, Style::Red),
            per_second(0, Style::Plain),
            Cell::count(total(2), Style::Plain),
            Cell::count(total(3), Style::Red),
        ])?;
    }
    table.finish()
}

fn object(identity: &str, before: &Sample, now: &Sample) -> Value {
    let (pending, online) = now.queues.get(identity).copied().unwrap_or_default();
    let mut fields = Map::from_iter([
        ("identity".to_owned(), Value::from(identity)),
        ("pending".to_owned(), pending.total().into()),
        ("online".to_owned(), (online as u64).into()),
    ]);
    for (counter, name) in ["produced", "assigned", "consumed", "crashed"].into_iter().enumerate() {
        fields.insert(name.to_owned(), now.counters[counter].get(identity).copied().unwrap_or(0).into());
        fields.insert(format!("{name}_per_second"), rate(identity, counter, before, now).into());
    }
    fields.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_all_has_the_rate_of_zero() {
        let sample = || Sample { at: Instant::now(), queues: BTreeMap::new(), unrouted: 0, counters: [const { BTreeMap::new() }; 4] };
        assert_eq!(format!("{:.1}", total_rate(0, &sample(), &sample())), "0.0");
    }
}
