//! `karton analysis ROOT`: its tasks as a tree.
//!
//! The one rule: a routed task is a node, and what was sent during it is below it. The unrouted task
//! it was made from is left out, unless nothing was made from it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    Context, Outcome,
    output::{Out, Style, cut, escape, terminal_width},
    select::{headers_line, root_of, status_style},
    values,
};
use crate::{
    Analysis, TaskHistory,
    json::{Map, Value},
    task::{Task, TaskState, now},
};

/// Levels that are drawn; a loop of parents, which only a broken record makes, ends there.
const DEEPEST: usize = 60;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Uid of the analysis, or of any of its tasks
    root: String,
    /// Print one object: the analysis with its tasks
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let inspect = context.inspect()?;
    let root = &root_of(inspect.backend(), &args.root).await?;
    let analysis = inspect.analysis(root).await?;
    if analysis.history().is_empty() {
        return Err(unknown(root));
    }
    let mut out = Out::new();
    if args.json {
        out.json(&object(root, &analysis))?;
    } else {
        print(&mut out, root, &analysis)?;
    }
    out.flush()?;
    Ok(Outcome::Done)
}

/// What is said of an analysis that Redis knows nothing of.
pub(super) fn unknown(root: &str) -> anyhow::Error {
    anyhow::anyhow!("no task of analysis `{root}` in Redis: it is finished and collected, or was never sent")
}

/// How an analysis stands, in a word.
pub(super) fn state(analysis: &Analysis) -> &'static str {
    let crashed = analysis.history().iter().any(|task| task.status == TaskState::Crashed);
    match (analysis.history().is_empty(), analysis.is_done(), crashed) {
        (true, _, _) => "unknown",
        (_, false, _) => "running",
        (_, true, true) => "crashed",
        (_, true, false) => "finished",
    }
}

/// How many tasks there are in each status, unrouted ones included.
pub(super) fn counts(analysis: &Analysis) -> BTreeMap<TaskState, u64> {
    count(analysis.history().iter())
}

fn count<'a>(tasks: impl Iterator<Item = &'a TaskHistory>) -> BTreeMap<TaskState, u64> {
    tasks.fold(BTreeMap::new(), |mut counts, task| {
        *counts.entry(task.status).or_default() += 1;
        counts
    })
}

/// The tasks that are drawn, counted.
pub(super) fn counts_line(analysis: &Analysis) -> String {
    let counts = count(nodes(analysis.history()));
    counts.iter().map(|(status, count)| format!("{count} {}", status.as_str().to_lowercase())).collect::<Vec<_>>().join(", ")
}

/// All but the unrouted tasks that others were made from.
fn nodes(tasks: &[TaskHistory]) -> impl Iterator<Item = &TaskHistory> {
    let made_from: HashSet<&str> = tasks.iter().filter_map(|task| task.orig_uid.as_deref()).collect();
    tasks.iter().filter(move |task| task.orig_uid.is_some() || !made_from.contains(task.uid.as_str()))
}

fn object(root: &str, analysis: &Analysis) -> Value {
    let records = records(analysis);
    let counts: Map = counts(analysis).into_iter().map(|(status, count)| (status.as_str().to_owned(), count.into())).collect();
    Map::from_iter([
        ("root_uid".to_owned(), root.into()),
        ("state".to_owned(), state(analysis).into()),
        ("last_update".to_owned(), last_change(analysis).into()),
        ("counts".to_owned(), counts.into()),
        ("tasks".to_owned(), Value::Array(analysis.history().iter().map(|task| task_object(task, ended(task, &records))).collect())),
    ])
    .into()
}

/// The tasks that have a record, by uid.
fn records(analysis: &Analysis) -> HashMap<&str, &Task> {
    analysis.tasks().iter().map(|task| (task.uid(), task)).collect()
}

/// When a task has ended: where nobody has told, as consumers of other libraries do not, its record was
/// changed last by its end.
fn ended(task: &TaskHistory, records: &HashMap<&str, &Task>) -> Option<f64> {
    let of_record = || records.get(task.uid.as_str()).filter(|record| !record.status().is_pending()).map(|record| record.last_update());
    task.ended.or_else(of_record)
}

fn task_object(task: &TaskHistory, ended: Option<f64>) -> Value {
    Map::from_iter([
        ("uid".to_owned(), task.uid.as_str().into()),
        ("parent_uid".to_owned(), task.parent_uid.clone().into()),
        ("orig_uid".to_owned(), task.orig_uid.clone().into()),
        ("receiver".to_owned(), task.receiver().map(str::to_owned).into()),
        ("status".to_owned(), task.status.as_str().into()),
        ("created".to_owned(), task.created.into()),
        ("started".to_owned(), task.started.into()),
        ("ended".to_owned(), ended.into()),
        ("headers".to_owned(), task.headers.clone().into()),
        ("error".to_owned(), task.error.clone().into()),
    ])
    .into()
}

fn last_change(analysis: &Analysis) -> Option<f64> {
    let times = |task: &TaskHistory| [Some(task.created), task.started, task.ended];
    analysis.history().iter().flat_map(times).flatten().chain(analysis.last_update()).reduce(f64::max)
}

fn print(out: &mut Out, root: &str, analysis: &Analysis) -> std::io::Result<()> {
    let age = last_change(analysis).map_or_else(String::new, |at| format!(", last change {} ago", values::age(now() - at)));
    let state = state(analysis);
    let style = match state {
        "running" => Style::Cyan,
        "crashed" => Style::Red,
        _ => Style::Green,
    };
    out.line(format!("analysis {} {}: {}{age}", escape(root), out.paint(style, state), counts_line(analysis)))?;
    let tree = Tree::of(analysis);
    let mut drawn = HashSet::new();
    for (missing, tasks) in &tree.tops {
        // Of tasks that nothing is known of any more, what came of them tells.
        if let Some(parent) = missing {
            out.line(out.paint(Style::Dim, &format!("(collected) {}", escape(parent))))?;
        }
        for (index, task) in tasks.iter().enumerate() {
            tree.draw(out, task, "", missing.map(|_| index + 1 == tasks.len()), &mut drawn, 0)?;
        }
    }
    Ok(())
}

struct Tree<'a> {
    /// Tasks below no other one that is known, by the parent that is missing.
    tops: BTreeMap<Option<&'a str>, Vec<&'a TaskHistory>>,
    children: BTreeMap<&'a str, Vec<&'a TaskHistory>>,
    records: HashMap<&'a str, &'a Task>,
}

impl<'a> Tree<'a> {
    fn of(analysis: &'a Analysis) -> Self {
        let nodes: Vec<&TaskHistory> = nodes(analysis.history()).collect();
        let known: HashSet<&str> = nodes.iter().map(|task| task.uid.as_str()).collect();
        let mut tree = Self { tops: BTreeMap::new(), children: BTreeMap::new(), records: records(analysis) };
        for task in nodes {
            let parent = task.parent_uid.as_deref();
            match parent.filter(|parent| known.contains(parent) && *parent != task.uid) {
                Some(parent) => tree.children.entry(parent).or_default().push(task),
                None => tree.tops.entry(parent).or_default().push(task),
            }
        }
        tree
    }

    /// `last` tells how a task hangs below another one.
    fn draw(
        &self,
        out: &mut Out,
        task: &'a TaskHistory,
        indent: &str,
        last: Option<bool>,
        drawn: &mut HashSet<&'a str>,
        level: usize,
    ) -> std::io::Result<()> {
        if !drawn.insert(&task.uid) || level > DEEPEST {
            return Ok(());
        }
        let (branch, below) = match last {
            None => ("", ""),
            Some(true) => ("└─ ", "   "),
            Some(false) => ("├─ ", "│  "),
        };
        line(out, task, ended(task, &self.records), &format!("{indent}{branch}"))?;
        let indent = format!("{indent}{below}");
        let children = self.children.get(task.uid.as_str()).map_or(&[][..], Vec::as_slice);
        if let (TaskState::Crashed, Some(reason)) = (task.status, self.reason(task)) {
            let bar = if children.is_empty() { "   " } else { "│  " };
            let line = format!("{indent}{bar}{}", escape(&reason));
            let line = if out.is_terminal() { cut(&line, terminal_width()).into_owned() } else { line };
            out.line(out.paint(Style::Red, &line))?;
        }
        for (index, child) in children.iter().enumerate() {
            self.draw(out, child, &indent, Some(index + 1 == children.len()), drawn, level + 1)?;
        }
        Ok(())
    }

    /// Of a Python traceback the last line says most, of ours the first.
    fn reason(&self, task: &TaskHistory) -> Option<String> {
        let whole = self.records.get(task.uid.as_str()).map(|record| record.error().concat());
        let error = whole.filter(|error| !error.is_empty()).or_else(|| task.error.clone())?;
        let mut lines = error.lines().filter(|line| !line.trim().is_empty());
        let reason = if error.starts_with("Traceback") { lines.next_back() } else { lines.next() };
        reason.map(str::to_owned)
    }
}

fn line(out: &mut Out, task: &TaskHistory, ended: Option<f64>, start: &str) -> std::io::Result<()> {
    let name = match (task.receiver(), task.status) {
        (Some(receiver), _) => receiver,
        (None, TaskState::Declared) => "(waits for the broker)",
        (None, _) => "(nobody wanted it)",
    };
    let (name, status) = (escape(name).into_owned(), task.status);
    let time = match (task.started, ended) {
        (Some(started), Some(ended)) if ended >= started => format!("in {:.1}s", ended - started),
        (None, Some(ended)) => format!("{} ago", values::age(now() - ended)),
        (started, _) => format!("for {}", values::age(now() - started.unwrap_or(task.created))),
    };
    let uid = task.uid.rsplit(':').next().unwrap_or(&task.uid);
    let tail = format!("{}  {}", escape(&headers_line(&task.headers)), escape(uid));
    let fixed = start.chars().count() + name.chars().count() + status.as_str().len() + time.len() + 6;
    let tail = if out.is_terminal() { cut(&tail, terminal_width().saturating_sub(fixed).max(10)).into_owned() } else { tail };
    let status = out.paint(status_style(status), status.as_str());
    out.line(format!("{start}{}  {status}  {time}  {}", out.paint(Style::Bold, &name), out.paint(Style::Dim, &tail)))
}
