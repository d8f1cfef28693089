//! `karton top`: queues and rates, again and again on a terminal, once into a pipe.
//!
//! The one rule: a look reads queues and counters, no records, so it costs Redis the same however many
//! tasks there are.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{
    Context, Outcome,
    output::{Cell, Out, Style, Table, flexible, number},
    values,
};
use crate::{
    Inspect,
    backend::Pending,
    backend::keys::Metric,
    json::{Map, Value},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Time between two looks
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "2s")]
    interval: Duration,
    /// Leave after this many looks
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
    let inspect = context.inspect()?;
    let interval = args.interval.max(Duration::from_millis(100));
    let mut out = Out::new();
    let live = out.is_terminal() && !args.json;
    let mut left = if live { args.count.unwrap_or(u64::MAX) } else { args.count.unwrap_or(1) };
    let mut before = sample(&inspect).await?;
    if live {
        // At once; the rates follow.
        draw(&mut out, &before, &before, true)?;
        out.flush()?;
    }
    while left > 0 {
        left -= 1;
        tokio::time::sleep(interval).await;
        let now = sample(&inspect).await?;
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

async fn sample(inspect: &Inspect) -> anyhow::Result<Sample> {
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

fn draw(out: &mut Out, before: &Sample, now: &Sample, live: bool) -> std::io::Result<()> {
    if live {
        // Home, and nothing left of what stood there.
        out.raw("\x1b[H\x1b[2J")?;
    }
    let waiting: u64 = now.queues.values().map(|(pending, _)| pending.total()).sum();
    let total = |counter: usize| now.counters[counter].keys().map(|identity| rate(identity, counter, before, now)).sum::<f64>();
    out.line(format!(
        "{} for the broker, {waiting} in queues; sent {:.1}/s, done {:.1}/s, crashed {:.1}/s",
        now.unrouted,
        total(0),
        total(2),
        total(3)
    ))?;
    let columns = [
        flexible("service"),
        number("high"),
        number("normal"),
        number("low"),
        number("online"),
        number("in/s"),
        number("done/s"),
        number("crashed/s"),
        number("sent/s"),
        number("done"),
        number("crashed"),
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
