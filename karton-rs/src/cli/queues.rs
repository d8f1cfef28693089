//! `karton queues`: what waits, runs and has failed in each service.

use super::{
    Context, Outcome,
    output::{Cell, Out, Spare, Style, Table, flexible, name, number, text},
};
use crate::{
    inspect::QueueOverview,
    json::{Map, Value},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this service; several may be given
    identity: Vec<String>,
    /// Print one object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let overview = context.inspect()?.overview().await?;
    let unknown = args.identity.iter().find(|identity| !overview.queues.iter().any(|queue| queue.identity == **identity));
    if let Some(identity) = unknown {
        anyhow::bail!("no service `{identity}` has a bind or a queue; `{}` shows all", context.commands.karton("queues", &[]));
    }
    let mut queues = overview.queues;
    queues.retain(|queue| args.identity.is_empty() || args.identity.contains(&queue.identity));
    let mut out = Out::new();
    if args.json {
        for queue in &queues {
            out.json(&object(queue))?;
        }
    } else {
        let columns = [
            name("service"),
            number("high").short("hi").spare(Spare::Last),
            number("normal").short("no").spare(Spare::Last),
            number("low").short("lo").spare(Spare::Last),
            number("started").short("run").spare(Spare::Last),
            number("crashed").short("crash").spare(Spare::Last),
            number("online").short("on").spare(Spare::Last),
            text("version").spare(Spare::First),
            text("karton").spare(Spare::First),
            flexible("note").spare(Spare::Second),
        ];
        let mut table = Table::new(&mut out, &columns);
        for queue in &queues {
            table.row(row(queue))?;
        }
        table.finish()?;
        if args.identity.is_empty() {
            let unrouted = overview.unrouted;
            out.line(format!("{unrouted} {} for the broker", if unrouted == 1 { "task waits" } else { "tasks wait" }))?;
        }
    }
    out.flush()?;
    if overview.unreadable > 0 && !args.json {
        let list = context.commands.karton("tasks", &["--unreadable"]);
        note!("{} records cannot be read: `{list}` lists them", overview.unreadable);
    }
    Ok(Outcome::Done)
}

fn row(queue: &QueueOverview) -> Vec<Cell> {
    let version = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("-").to_owned();
    let nobody = queue.nobody_serves_it();
    let service = if nobody { Style::Yellow } else { Style::Bold };
    vec![
        Cell::styled(&queue.identity, service),
        Cell::count(queue.pending.high, Style::Plain),
        Cell::count(queue.pending.normal + queue.pending.old, Style::Plain),
        Cell::count(queue.pending.low, Style::Plain),
        Cell::count(queue.started, Style::Cyan),
        Cell::count(queue.crashed, Style::Red),
        Cell::count(queue.online as u64, Style::Green),
        Cell::new(version(queue.bind.as_ref().map(|bind| &bind.service_version))),
        Cell::new(version(queue.bind.as_ref().map(|bind| &bind.version))),
        Cell::styled(note(queue), if nobody { Style::Yellow } else { Style::Dim }),
    ]
}

fn note(queue: &QueueOverview) -> String {
    let mut notes = Vec::new();
    match &queue.bind {
        None if queue.bind_unreadable => notes.push("bind cannot be read"),
        None => notes.push("no bind"),
        Some(bind) if !bind.persistent => notes.push("not persistent"),
        Some(_) => {}
    }
    if queue.online == 0 {
        notes.push("no consumers");
    }
    notes.join(", ")
}

fn object(queue: &QueueOverview) -> Value {
    let of_bind = |value: fn(&crate::Bind) -> Value| queue.bind.as_ref().map_or(Value::Null, value);
    let pending = [
        ("high", queue.pending.high),
        ("normal", queue.pending.normal),
        ("low", queue.pending.low),
        ("old", queue.pending.old),
        ("total", queue.pending.total()),
    ];
    Map::from_iter([
        ("identity".to_owned(), queue.identity.as_str().into()),
        ("pending".to_owned(), Map::from_iter(pending.map(|(name, count)| (name.to_owned(), count.into()))).into()),
        ("started".to_owned(), queue.started.into()),
        ("crashed".to_owned(), queue.crashed.into()),
        ("online".to_owned(), (queue.online as u64).into()),
        ("bind".to_owned(), queue.bind.is_some().into()),
        ("bind_unreadable".to_owned(), queue.bind_unreadable.into()),
        ("version".to_owned(), of_bind(|bind| bind.version.clone())),
        ("service_version".to_owned(), of_bind(|bind| bind.service_version.clone())),
        ("persistent".to_owned(), of_bind(|bind| bind.persistent.into())),
        ("no_consumers".to_owned(), (queue.online == 0).into()),
    ])
    .into()
}
