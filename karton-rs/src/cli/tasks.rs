//! `karton tasks`: all tasks, or those that are asked for, as they come.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{
    Context, Outcome,
    output::{Cell, Out, Spare, Style, Table, flexible, name, text, uid},
    select::{Selection, each_task, headers_line, status_style, summary},
    values,
};
use crate::{
    json::Map,
    task::{Task, now},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// At most this many
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// The ones that changed last, in that order; takes a limit
    #[arg(long, requires = "limit", conflicts_with = "oldest")]
    newest: bool,
    /// The ones that have not changed for the longest time, in that order; takes a limit
    #[arg(long, requires = "limit")]
    oldest: bool,
    /// Instead of tasks, the records that cannot be read
    #[arg(long, conflicts_with_all = ["newest", "oldest"])]
    unreadable: bool,
    /// Print one object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, mut args: Args) -> anyhow::Result<Outcome> {
    let inspect = context.inspect()?;
    args.selection.find_root(inspect.backend()).await?;
    let mut out = Out::new();
    let (now, limit) = (now(), args.limit.unwrap_or(usize::MAX));
    let headers = if args.unreadable { "reason" } else { "headers" };
    let columns = [text("status"), text("age").spare(Spare::Second), name("service"), flexible(headers).spare(Spare::Last), uid("task")];
    let mut shown = 0;
    let json = args.json;
    let unreadable = if limit == 0 {
        0
    } else if args.json {
        let mut print = |item: Item<'_>| match item {
            Item::Task(task) => out.json(&summary(task, now)),
            Item::Unreadable(uid, reason) => {
                out.json(&Map::from_iter([("uid".to_owned(), uid.into()), ("unreadable".to_owned(), reason.into())]).into())
            }
        };
        look(inspect.backend(), &args, now, limit, &mut shown, &mut print).await?
    } else {
        let mut table = Table::new(&mut out, &columns);
        let mut print = |item: Item<'_>| table.row(row(&item, now));
        let seen = look(inspect.backend(), &args, now, limit, &mut shown, &mut print).await?;
        table.finish()?;
        seen
    };
    out.flush()?;
    if unreadable > 0 && !args.unreadable && !json {
        let list = context.commands.karton("tasks", &["--unreadable"]);
        note!("{unreadable} records cannot be read: `{list}` lists them");
    }
    if shown == 0 && limit > 0 && !json {
        note!(
            "{}",
            match (args.unreadable, args.selection.is_empty()) {
                (true, _) => "Every record can be read.",
                (false, true) => "There are no tasks.",
                (false, false) => "No task is like that.",
            }
        );
    }
    Ok(Outcome::Done)
}

enum Item<'a> {
    Task(&'a Task),
    Unreadable(&'a str, &'a str),
}

/// Goes through the records; gives how many cannot be read.
async fn look(
    backend: &crate::backend::Backend,
    args: &Args,
    now: f64,
    limit: usize,
    shown: &mut usize,
    print: &mut dyn FnMut(Item<'_>) -> std::io::Result<()>,
) -> anyhow::Result<u64> {
    let mut best: BinaryHeap<Ranked> = BinaryHeap::new();
    let sorted = args.newest || args.oldest;
    let wanted = |record: &[u8]| args.selection.may_hold(record, now);
    let seen = each_task(backend, wanted, |uid, task| {
        match task {
            Err(reason) if args.unreadable => {
                *shown += 1;
                print(Item::Unreadable(uid, &reason))?;
            }
            Ok(task) if !args.unreadable && args.selection.holds(&task, now) => {
                if sorted {
                    // The heap gives up what is furthest from what is asked for.
                    let rank = if args.newest { -task.last_update() } else { task.last_update() };
                    best.push(Ranked { rank, task });
                    if best.len() > limit {
                        best.pop();
                    }
                } else {
                    *shown += 1;
                    print(Item::Task(&task))?;
                }
            }
            _ => {}
        }
        Ok(*shown < limit)
    })
    .await?;
    for Ranked { task, .. } in best.into_sorted_vec() {
        *shown += 1;
        print(Item::Task(&task))?;
    }
    Ok(seen.unreadable)
}

struct Ranked {
    rank: f64,
    task: Task,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.total_cmp(&other.rank)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

fn row(item: &Item<'_>, now: f64) -> Vec<Cell> {
    match item {
        Item::Task(task) => vec![
            Cell::styled(task.status().as_str(), status_style(task.status())),
            Cell::new(values::age(now - task.last_update())),
            Cell::new(task.header_str("receiver").unwrap_or("-")),
            Cell::new(headers_line(task.headers())),
            Cell::styled(short(task), Style::Dim),
        ],
        Item::Unreadable(uid, reason) => {
            vec![Cell::styled("unreadable", Style::Red), Cell::new("-"), Cell::new("-"), Cell::new(reason), Cell::new(uid)]
        }
    }
}

/// The part of the uid that the other commands take, when it tells the whole.
fn short(task: &Task) -> &str {
    if task.uid().starts_with('{') { task.task_uid() } else { task.uid() }
}
