//! `karton quarantine`: what could not be read, and what becomes of it.

use anyhow::bail;

use super::{
    Context, Outcome, Usage,
    output::{Cell, Out, Style, Table, cut, escape, escape_bytes, flexible, text},
    values,
};
use crate::{
    backend::{Backend, QuarantineKind as Kind, Quarantined, read_filters, read_task},
    json::Map,
    task::now,
};

/// What `show` prints of a record, in characters.
const SHOWN: usize = 4_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List everything in quarantine
    List {
        /// Print one object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one entry, with what it is about
    Show {
        /// Its name in the list
        name: String,
        /// Print one object, the record whole
        #[arg(long)]
        json: bool,
    },
    /// Give back what can be read now
    Retry(Several),
    /// Forget entries, and delete the records and binds that still cannot be read
    Drop {
        #[command(flatten)]
        several: Several,
        /// Forget the entry alone; the collector finds the record again
        #[arg(long)]
        keep_record: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Several {
    /// Names in the list; several may be given
    #[arg(required_unless_present = "all")]
    names: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Do not ask before more than one
    #[arg(short, long)]
    yes: bool,
    /// Print one object a line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let inspect = context.inspect()?;
    let backend = inspect.backend();
    let entries = backend.quarantined().await?;
    let looks = matches!(args.command, Command::List { .. } | Command::Show { .. });
    let mut out = if looks { Out::new() } else { Out::of_deeds() };
    let outcome = match args.command {
        Command::List { json } => list(&mut out, &entries, json)?,
        Command::Show { name, json } => show(&mut out, context, backend, find(context, &entries, &name)?, json).await?,
        Command::Retry(several) => {
            let Some(chosen) = choose(context, entries, &several, "Retry").await? else { bail!("aborted: nothing was done") };
            each(&mut out, chosen, several.json, |entry| retry(context, backend, entry)).await?
        }
        Command::Drop { several, keep_record } => {
            let Some(chosen) = choose(context, entries, &several, "Drop").await? else { bail!("aborted: nothing was done") };
            each(&mut out, chosen, several.json, |entry| drop_entry(backend, entry, keep_record)).await?
        }
    };
    out.flush()?;
    Ok(outcome)
}

fn list(out: &mut Out, entries: &[Quarantined], json: bool) -> anyhow::Result<Outcome> {
    if json {
        for entry in entries {
            out.json(&object(entry).into())?;
        }
        return Ok(Outcome::Done);
    }
    let mut table = Table::new(out, &[text("what"), text("age"), flexible("reason"), text("name")]);
    for entry in entries {
        let age = entry.time.map_or_else(|| "-".to_owned(), |time| values::age(now() - time));
        // The name is what the other commands take: it is shown whole, as it has to be typed.
        let name = Cell::new(escape_bytes(&entry.name));
        table.row(vec![Cell::styled(entry.kind.word(), Style::Yellow), Cell::new(age), Cell::new(&entry.reason), name])?;
    }
    table.finish()?;
    if entries.is_empty() {
        note!("The quarantine is empty.");
    }
    Ok(Outcome::Done)
}

fn object(entry: &Quarantined) -> Map {
    Map::from_iter([
        ("name".to_owned(), escape_bytes(&entry.name).into()),
        ("kind".to_owned(), entry.kind.word().into()),
        ("reason".to_owned(), entry.reason.as_str().into()),
        ("time".to_owned(), entry.time.into()),
    ])
}

fn find<'a>(context: &Context, entries: &'a [Quarantined], name: &str) -> anyhow::Result<&'a Quarantined> {
    let found = entries.iter().find(|entry| entry.name == name.as_bytes() || escape_bytes(&entry.name) == name);
    let list = context.commands.karton("quarantine list", &[]);
    found.ok_or_else(|| anyhow::anyhow!("nothing called `{name}` is in quarantine; `{list}` shows all"))
}

async fn show(out: &mut Out, context: &Context, backend: &Backend, entry: &Quarantined, json: bool) -> anyhow::Result<Outcome> {
    let content = backend.quarantined_content(entry).await?;
    let now_readable = content.as_deref().map(|content| readable(entry, content));
    if json {
        let mut object = object(entry);
        object.insert("readable".to_owned(), now_readable.as_ref().map(Result::is_ok).into());
        let is_text = content.as_deref().map(|content| std::str::from_utf8(content).is_ok());
        object.insert("is_text".to_owned(), is_text.into());
        object.insert("record".to_owned(), content.map(|content| String::from_utf8_lossy(&content).into_owned()).into());
        out.json(&object.into())?;
        return Ok(Outcome::Done);
    }
    out.line(format!("{} {}", entry.kind.word(), escape_bytes(&entry.name)))?;
    out.line(format!("put aside {}", entry.time.map_or_else(|| "at an unknown time".to_owned(), values::moment)))?;
    out.line(format!("reason: {}", out.paint(Style::Red, &escape(&entry.reason))))?;
    match (&content, now_readable) {
        (None, _) => out.line(format!("what it was about is gone: `{}` forgets the entry", to_forget(context, entry)))?,
        (Some(content), readable) => {
            match readable {
                Some(Ok(())) => {
                    let retry = context.commands.karton("quarantine retry", &[&escape_bytes(&entry.name)]);
                    out.line(format!("it can be read now: `{retry}` gives it back"))?;
                }
                Some(Err(reason)) if reason != entry.reason => out.line(format!("now: {}", escape(&reason)))?,
                _ => {}
            }
            out.line(format!("{} bytes:", content.len()))?;
            out.line(cut(&escape_bytes(&content[..content.len().min(SHOWN * 4)]), SHOWN))?;
        }
    }
    Ok(Outcome::Done)
}

/// The command that forgets an entry, by the name that the list shows.
fn to_forget(context: &Context, entry: &Quarantined) -> String {
    context.commands.karton("quarantine drop", &[&escape_bytes(&entry.name)])
}

/// Whether what was put aside can be used now.
fn readable(entry: &Quarantined, content: &[u8]) -> Result<(), String> {
    match &entry.kind {
        Kind::Task(uid) => read_task(uid, content).map(drop),
        Kind::Bind(identity) => read_filters(identity, content).map(drop),
        Kind::Operation(_) => crate::system::operation(content).map(drop),
        Kind::Garbage => Err("it is no uid".to_owned()),
    }
}

async fn choose(context: &Context, entries: Vec<Quarantined>, several: &Several, verb: &str) -> anyhow::Result<Option<Vec<Quarantined>>> {
    let chosen = if several.all {
        entries
    } else {
        several.names.iter().map(|name| find(context, &entries, name).cloned()).collect::<Result<_, _>>()?
    };
    if chosen.len() > 1 && !several.yes && !context.confirmed(&format!("{verb} {} entries?", chosen.len())).await? {
        return Ok(None);
    }
    Ok(Some(chosen))
}

async fn each<F: Future<Output = anyhow::Result<(bool, String)>>>(
    out: &mut Out,
    entries: Vec<Quarantined>,
    json: bool,
    mut act: impl FnMut(Quarantined) -> F,
) -> anyhow::Result<Outcome> {
    if entries.is_empty() {
        note!("The quarantine is empty.");
    }
    let mut all = true;
    for entry in entries {
        let (name, mut object) = (escape_bytes(&entry.name), object(&entry));
        let (done, told) = act(entry).await?;
        all &= done;
        if json {
            object.insert("done".to_owned(), done.into());
            object.insert("result".to_owned(), told.into());
            out.json(&object.into())?;
            out.flush()?;
            continue;
        }
        out.line(format!("{name}: {}", out.paint(if done { Style::Plain } else { Style::Yellow }, &escape(&told))))?;
        out.flush()?;
    }
    Ok(if all { Outcome::Done } else { Outcome::Failed })
}

async fn retry(context: &Context, backend: &Backend, entry: Quarantined) -> anyhow::Result<(bool, String)> {
    let Some(content) = backend.quarantined_content(&entry).await? else {
        return Ok((false, format!("what it was about is gone; `{}` forgets the entry", to_forget(context, &entry))));
    };
    if let Err(reason) = readable(&entry, &content) {
        return Ok((false, format!("still cannot be read: {reason}")));
    }
    Ok((
        true,
        match &entry.kind {
            Kind::Task(uid) => {
                let task = read_task(uid, &content).map_err(Usage)?;
                format!("{}, {}", task.status(), backend.readmit(&entry, &task).await?)
            }
            Kind::Operation(operation) => {
                backend.readmit_operation(&entry, operation).await?;
                "handed to the broker".to_owned()
            }
            Kind::Bind(_) | Kind::Garbage => {
                backend.drop_quarantined(&entry, None).await?;
                "can be used; the entry is forgotten".to_owned()
            }
        },
    ))
}

async fn drop_entry(backend: &Backend, entry: Quarantined, keep_record: bool) -> anyhow::Result<(bool, String)> {
    let content = backend.quarantined_content(&entry).await?;
    // What can be read now is nobody's to delete here.
    let unreadable = content.filter(|content| !keep_record && readable(&entry, content).is_err());
    let had_record = unreadable.is_some() && matches!(entry.kind, Kind::Task(_) | Kind::Bind(_));
    backend.drop_quarantined(&entry, unreadable.as_deref()).await?;
    Ok((true, if had_record { "forgotten, and deleted".to_owned() } else { "forgotten".to_owned() }))
}
