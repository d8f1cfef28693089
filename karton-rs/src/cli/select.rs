//! Which tasks a command is about: given by uid, or found by what they are like.
//!
//! The one rule: records are looked at a piece at a time; what is kept of them is what was asked for.

use anyhow::{Context as _, bail};

use super::{
    Context, Usage,
    values::{self, HeaderTest},
};
use crate::{
    Error, Resource,
    backend::{Backend, Glimpse, keys, read_task},
    inspect::find_tasks,
    json::{Key, Map, Value},
    task::{Task, TaskState, now},
};

/// What tasks are like.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Which tasks")]
pub(super) struct Selection {
    /// Of this service; several may be given
    #[arg(long, value_name = "IDENTITY")]
    pub(super) identity: Vec<String>,
    /// In this status: Declared, Spawned, Started, Finished or Crashed; several may be given
    #[arg(long, value_name = "STATUS", value_parser = values::status)]
    pub(super) status: Vec<TaskState>,
    /// With this header: NAME=TEXT, NAME:=JSON, or NAME alone for any value; all that are given must hold
    #[arg(long = "header", value_name = "NAME=TEXT", value_parser = values::header_test)]
    headers: Vec<HeaderTest>,
    /// Whose error holds this text
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// Not changed for this long: 90s, 10m, 2h, 3d
    #[arg(long, value_name = "AGE", value_parser = values::duration)]
    older: Option<std::time::Duration>,
    /// Changed within this time
    #[arg(long, value_name = "AGE", value_parser = values::duration)]
    newer: Option<std::time::Duration>,
    /// Of this analysis: its uid, or that of any of its tasks
    #[arg(long, value_name = "ROOT")]
    root: Option<String>,
}

impl Selection {
    pub(super) fn is_empty(&self) -> bool {
        self.identity.is_empty()
            && self.status.is_empty()
            && self.headers.is_empty()
            && self.error.is_none()
            && self.older.is_none()
            && self.newer.is_none()
            && self.root.is_none()
    }

    /// Finds the analysis that is meant; to be called before tasks are held against it.
    pub(super) async fn find_root(&mut self, backend: &Backend) -> anyhow::Result<()> {
        if let Some(root) = &mut self.root {
            *root = root_of(backend, root).await?;
        }
        Ok(())
    }

    pub(super) fn holds(&self, task: &Task, now: f64) -> bool {
        let age = now - task.last_update();
        let has = |list: &[String], text: Option<&str>| list.is_empty() || text.is_some_and(|text| list.iter().any(|item| item == text));
        (self.status.is_empty() || self.status.contains(&task.status()))
            && has(&self.identity, task.header_str("receiver"))
            && self.root.as_deref().is_none_or(|root| root == task.root_uid())
            && self.older.is_none_or(|older| age >= older.as_secs_f64())
            && self.newer.is_none_or(|newer| age <= newer.as_secs_f64())
            && self.headers.iter().all(|test| test.holds(task.headers()))
            && self.error.as_deref().is_none_or(|text| task.error().concat().contains(text))
    }
}

impl Selection {
    /// False when a glimpse of the record is enough to tell that it is none of them.
    pub(super) fn may_hold(&self, record: &[u8], now: f64) -> bool {
        let Some(glimpse) = Glimpse::of_readable(record) else { return true };
        let age = glimpse.last_update.map(|time| now - time);
        (self.status.is_empty() || self.status.contains(&glimpse.status))
            && !age.is_some_and(|age| self.older.is_some_and(|older| age < older.as_secs_f64()))
            && !age.is_some_and(|age| self.newer.is_some_and(|newer| age > newer.as_secs_f64()))
            && (self.identity.is_empty() || glimpse.receiver().is_some_and(|receiver| self.identity.contains(&receiver)))
    }
}

/// What a look at all records has come across beside what was asked for.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Seen {
    pub(super) total: u64,
    pub(super) unreadable: u64,
}

/// Calls `each` with every record that is wanted, read or with the reason why it is no task, until it
/// says stop.
pub(super) async fn each_task(
    backend: &Backend,
    wanted: impl Fn(&[u8]) -> bool,
    mut each: impl FnMut(&str, Result<Task, String>) -> std::io::Result<bool>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut scan = backend.scan(keys::EVERY_TASK);
    while let Some(records) = scan.next().await? {
        for (uid, record) in records {
            seen.total += 1;
            if !wanted(&record) {
                continue;
            }
            let task = read_task(&uid, &record);
            seen.unreadable += u64::from(task.is_err());
            if !each(&uid, task)? {
                return Ok(seen);
            }
        }
    }
    Ok(seen)
}

/// The uids of all tasks that are asked for.
pub(super) async fn matching(backend: &Backend, selection: &Selection) -> anyhow::Result<Vec<String>> {
    let (mut uids, now) = (Vec::new(), now());
    let wanted = |record: &[u8]| selection.may_hold(record, now);
    each_task(backend, wanted, |uid, task| {
        if task.is_ok_and(|task| selection.holds(&task, now)) {
            uids.push(uid.to_owned());
        }
        Ok(true)
    })
    .await?;
    Ok(uids)
}

/// The full uid of what was typed: a full uid, the part behind the last `:`, or how that part begins.
pub(super) async fn resolve(context: &Context, backend: &Backend, typed: &str) -> anyhow::Result<String> {
    if let Some(uid) = find(backend, typed).await? {
        return Ok(uid);
    }
    let root = keys::root_in(typed).unwrap_or(typed);
    if backend.has_analysis(root).await? {
        let show = context.commands.karton("analysis", &[root]);
        bail!("no task `{typed}`, but an analysis of that name has tasks: `{show}` shows them");
    }
    let list = context.commands.karton("tasks", &[]);
    bail!("no task `{typed}` in Redis: it may be finished and collected, or mistyped; `{list}` lists what is there");
}

/// As [`resolve`]; none when no task is meant.
async fn find(backend: &Backend, typed: &str) -> anyhow::Result<Option<String>> {
    let mut uids = find_tasks(backend, typed).await?;
    match (uids.pop(), uids.pop()) {
        (uid, None) => Ok(uid),
        (one, Some(other)) => {
            let one = one.unwrap_or_default();
            Err(Usage(format!("several tasks are meant by `{typed}`, as `{one}` and `{other}`: give one of them whole")).into())
        }
    }
}

/// A stored task, and its record.
pub(super) async fn load(context: &Context, backend: &Backend, typed: &str) -> anyhow::Result<(Task, Vec<u8>)> {
    let uid = resolve(context, backend, typed).await?;
    let record = backend.records(std::slice::from_ref(&uid)).await?.into_iter().flatten().next();
    let record = record.with_context(|| format!("task `{uid}` was deleted just now"))?;
    let task = read_task(&uid, &record).map_err(|reason| {
        let show = context.commands.karton("quarantine show", &[&uid]);
        anyhow::anyhow!("the record of task `{uid}` cannot be read: {reason}; `{show}` shows it once the collector has met it")
    })?;
    Ok((task, record))
}

/// The first of these files that is not in the object store: the task was never sent whole, or was collected.
pub(super) async fn missing_file<'a>(backend: &Backend, files: &'a [Resource]) -> Result<Option<&'a Resource>, Error> {
    for file in files {
        if !backend.storage().exists(file).await? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The root uid of the analysis that was meant: by this uid, or by that of any of its tasks. A child that no
/// broker has met has a uid that tells nothing of its analysis; its record does.
pub(super) async fn root_of(backend: &Backend, typed: &str) -> anyhow::Result<String> {
    if let Some(uid) = find(backend, typed).await? {
        let record = backend.records(std::slice::from_ref(&uid)).await?.into_iter().flatten().next();
        if let Some(task) = record.and_then(|record| read_task(&uid, &record).ok()) {
            return Ok(task.root_uid().to_owned());
        }
    }
    Ok(keys::root_in(typed).unwrap_or(typed).to_owned())
}

/// A task in JSON, without its payload.
pub(super) fn summary(task: &Task, now: f64) -> Value {
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    set("uid", task.uid().into());
    set("root_uid", task.root_uid().into());
    set("parent_uid", task.parent_uid().map(str::to_owned).into());
    set("orig_uid", task.orig_uid().map(str::to_owned).into());
    set("status", task.status().as_str().into());
    set("priority", task.priority().as_str().into());
    set("receiver", task.header("receiver").cloned().unwrap_or_default());
    set("last_update", task.last_update().into());
    set("age", (now - task.last_update()).into());
    set("headers", task.headers().clone().into());
    set("error", if task.error().is_empty() { Value::Null } else { task.error().into() });
    fields.into()
}

/// Headers in one line, those that tell most first.
pub(super) fn headers_line(headers: &Map) -> String {
    const FIRST: [&str; 4] = ["type", "kind", "stage", "platform"];
    let place = |name: &Key| FIRST.iter().position(|first| *name == *first).unwrap_or(FIRST.len());
    let mut headers: Vec<_> = headers.iter().filter(|(name, _)| !matches!(name.as_str(), Some("receiver" | "origin"))).collect();
    headers.sort_by(|(a, _), (b, _)| (place(a), a).cmp(&(place(b), b)));
    headers.into_iter().map(|(name, value)| format!("{name}={}", one_word(value))).collect::<Vec<_>>().join(" ")
}

fn one_word(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => text.clone(),
        Value::String(text) => format!("\"{}\"", text.replace('"', "\\\"")),
        value => value.to_json(),
    }
}

/// How a status stands out.
pub(super) fn status_style(status: TaskState) -> super::output::Style {
    use super::output::Style;
    match status {
        TaskState::Declared | TaskState::Spawned => Style::Plain,
        TaskState::Started => Style::Cyan,
        TaskState::Finished => Style::Green,
        TaskState::Crashed => Style::Red,
    }
}
