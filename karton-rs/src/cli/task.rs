//! `karton task UID`: one task whole.

use super::{
    Context, Outcome,
    output::{Out, Style, cut, escape, escape_lines},
    select, values,
};
use crate::{
    Resource,
    backend::Backend,
    json::{Key, Map, Value},
    task::{Task, TaskState, now},
};

/// What is shown of a payload entry, in characters.
const ENTRY_LENGTH: usize = 200;
/// What is shown of an entry at most on a narrow terminal.
const LEAST_ENTRY: usize = 20;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Full uid, or what stands behind its last `:`
    uid: String,
    /// Print the whole record
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let inspect = context.inspect()?;
    let (task, record) = select::load(context, inspect.backend(), &args.uid).await?;
    let mut out = Out::new();
    if args.json {
        // As it is stored, unknown fields included, on one line.
        out.json(&Value::parse(&String::from_utf8_lossy(&record))?)?;
    } else {
        let place = place(inspect.backend(), &task).await?;
        print(&mut out, &task, &place)?;
    }
    out.flush()?;
    Ok(Outcome::Done)
}

fn print(out: &mut Out, task: &Task, place: &str) -> std::io::Result<()> {
    let mut field = |name: &str, value: &str| {
        let name = out.paint(Style::Dim, &format!("{name:<9}"));
        out.line(format!("{name} {value}"))
    };
    field("task", &escape(task.uid()))?;
    field("analysis", &escape(task.root_uid()))?;
    field("parent", &escape(task.parent_uid().unwrap_or("-")))?;
    field("made from", &escape(task.orig_uid().unwrap_or("-")))?;
    field("status", &format!("{}, {place}", task.status()))?;
    field("priority", task.priority().as_str())?;
    let since = values::age(now() - task.last_update());
    field("updated", &format!("{}, {since} ago", values::moment(task.last_update())))?;
    let persistent = task.headers_persistent();
    let mark = |name: &Key| if persistent.contains_key(name) { " (persistent)" } else { "" };
    section(out, "headers", task.headers(), &mark)?;
    section(out, "payload", task.payloads(), &|_| "")?;
    let hidden: Map = task
        .payloads_persistent()
        .iter()
        .filter(|(name, _)| *name != "__headers_persistent")
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    section(out, "persistent payload", &hidden, &|_| "")?;
    let error = task.error().concat();
    if !error.is_empty() {
        out.line(out.paint(Style::Bold, "error"))?;
        for line in escape_lines(&error).lines() {
            out.line(format!("  {}", out.paint(Style::Red, line)))?;
        }
    }
    Ok(())
}

fn section(out: &mut Out, title: &str, entries: &Map, mark: &dyn Fn(&Key) -> &'static str) -> std::io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    out.line(out.paint(Style::Bold, title))?;
    let mut names: Vec<&Key> = entries.keys().collect();
    names.sort();
    let widest = names.iter().map(|name| escape(name.spelled()).chars().count()).max().unwrap_or(0).min(30);
    for name in names {
        let room = if out.is_terminal() { super::output::terminal_width().saturating_sub(widest + 4) } else { ENTRY_LENGTH };
        let shown = escape(name.spelled());
        let value = shorten(&entries[name], room.clamp(LEAST_ENTRY, ENTRY_LENGTH));
        out.line(format!("  {}  {value}{}", out.paint(Style::Cyan, &format!("{shown:<widest$}")), mark(name)))?;
    }
    Ok(())
}

/// A value in one line.
pub(super) fn shorten(value: &Value, room: usize) -> String {
    if let Some(resource) = Resource::from_value(value) {
        let size = resource.size.map_or_else(|| "unknown size".to_owned(), |size| format!("{size} bytes"));
        let bucket = resource.bucket.as_deref().unwrap_or("-");
        return format!("file {} ({size}, {}/{})", escape(&resource.name), escape(bucket), escape(&resource.uid));
    }
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_json(),
    };
    let whole = escape(&text);
    let short = cut(&whole, room);
    if short.len() < whole.len() { format!("{short} ({} characters, --json shows all)", text.chars().count()) } else { short.into_owned() }
}

/// Where the task is.
async fn place(backend: &Backend, task: &Task) -> anyhow::Result<String> {
    let lists = match task.status() {
        TaskState::Declared | TaskState::Spawned => backend.places(task).await?,
        _ => Vec::new(),
    };
    for list in &lists {
        if let Some(position) = backend.position(list, task.uid()).await? {
            return Ok(format!("number {} in {}", position + 1, escape(list)));
        }
    }
    if let Some(until) = backend.delayed_until(task.uid()).await? {
        return Ok(format!("tried again in {}", values::age(until - backend.server_time().await?)));
    }
    let (claim, deliveries) = backend.claim(task.uid()).await?;
    let times =
        deliveries.filter(|times| *times > 0).map_or_else(String::new, |times| format!(", handed out in vain {times} times before"));
    Ok(match (claim, task.status()) {
        (Some(lapses), _) => {
            let left = lapses - backend.server_time().await?;
            if left > 0.0 {
                format!("claimed by a consumer for another {} unless renewed{times}", values::age(left))
            } else {
                format!("its claim lapsed {} ago{times}", values::age(-left))
            }
        }
        (None, TaskState::Declared | TaskState::Spawned) => "in no queue".to_owned(),
        (None, TaskState::Started) => "in the hands of a consumer that makes no claims".to_owned(),
        (None, TaskState::Finished) => "to be collected".to_owned(),
        (None, TaskState::Crashed) => "kept for a look".to_owned(),
    })
}
