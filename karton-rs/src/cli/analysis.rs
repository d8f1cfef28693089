//! `karton analysis ROOT`: its tasks as a tree.
//!
//! The one rule: a routed task is a node, and what was sent during it is below it. The unrouted task
//! it was made from is left out, unless nothing was made from it.

use std::collections::{BTreeMap, HashMap, HashSet};

use unicode_width::UnicodeWidthStr as _;

use super::{
    Context, Outcome,
    output::{Out, SHORT_UID, Style, cut, cut_name, cut_uid, escape},
    select::{headers_line, root_of, status_style},
    values,
};
use crate::{
    Analysis, TaskHistory,
    inspect::end_of,
    json::{Map, Value},
    task::{Task, TaskState, now},
};

/// Levels that are drawn; a loop of parents, which only a broken record makes, ends there.
const DEEPEST: usize = 60;
/// What a name keeps while there is something else to do without.
const USEFUL_WIDTH: usize = 16;
/// What is not cut any shorter while something else can be.
const LEAST_WIDTH: usize = 8;

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

/// How many of the tasks that are drawn are in each status: the same in text and in JSON.
pub(super) fn counts(analysis: &Analysis) -> BTreeMap<TaskState, u64> {
    nodes(analysis.history()).fold(BTreeMap::new(), |mut counts, task| {
        *counts.entry(task.status).or_default() += 1;
        counts
    })
}

pub(super) fn counts_line(analysis: &Analysis) -> String {
    counts(analysis).iter().map(|(status, count)| format!("{count} {}", status.as_str().to_lowercase())).collect::<Vec<_>>().join(", ")
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
    let (root, rest) = (escape(root), format!(": {}{age}", counts_line(analysis)));
    let width = out.width();
    if format!("analysis {root} {state}{rest}").width() <= width {
        out.line(format!("analysis {root} {}{rest}", out.paint(style, state)))?;
    } else {
        // The uid is what has to be copied.
        let head = format!("analysis {root}");
        out.line(if head.width() <= width { &head } else { root.as_ref() })?;
        let rest = cut(&rest, width.saturating_sub(state.width()));
        out.line(format!("{}{rest}", out.paint(style, state)))?;
    }
    let tree = Tree::of(analysis);
    let mut drawn = HashSet::new();
    for (missing, tasks) in &tree.tops {
        // Of tasks that nothing is known of any more, what came of them tells.
        if let Some(parent) = missing {
            let whole = format!("(collected) {}", escape(parent));
            let told = if whole.width() <= out.width() { whole } else { format!("(collected) {}", escape(end_of(parent))) };
            out.line(out.paint(Style::Dim, &told))?;
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
            out.line(out.paint(Style::Red, &cut(&line, out.width())))?;
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
    let time = match (task.started, ended) {
        (Some(started), Some(ended)) if ended >= started => format!("in {:.1}s", ended - started),
        (None, Some(ended)) => format!("{} ago", values::age(now() - ended)),
        (started, _) => format!("for {}", values::age(now() - started.unwrap_or(task.created))),
    };
    let mut line = Line {
        start: start.to_owned(),
        name: escape(name).into_owned(),
        status: task.status.as_str(),
        time: Some(time),
        headers: escape(&headers_line(&task.headers)).into_owned(),
        uid: escape(end_of(&task.uid)).into_owned(),
    };
    line.fit(out.width());
    let words = [
        Some(out.paint(Style::Bold, &line.name)),
        Some(out.paint(status_style(task.status), line.status)),
        line.time,
        Some(line.headers).filter(|headers| !headers.is_empty()).map(|headers| out.paint(Style::Dim, &headers)),
        Some(out.paint(Style::Dim, &line.uid)),
    ];
    out.line(line.start + &words.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

/// What is told of a task. Its uid is what is copied into other commands: they take its first signs, too.
struct Line {
    /// The branches before it.
    start: String,
    name: String,
    status: &'static str,
    time: Option<String>,
    headers: String,
    uid: String,
}

impl Line {
    /// Headers are cut first, then the name, down to what tells services apart; then the time goes, the uid is
    /// shown by its first signs, and the branches go of a tree that is deeper than the terminal is wide.
    fn fit(&mut self, width: usize) {
        let room = width.saturating_sub(self.used_without_headers() + 2);
        self.headers =
            if self.headers.width() <= room || room >= LEAST_WIDTH { cut(&self.headers, room).into_owned() } else { String::new() };
        let name = self.name.clone();
        self.shorten(&name, USEFUL_WIDTH, width);
        if self.used_without_headers() > width {
            self.time = None;
        }
        if self.used_without_headers() > width {
            self.uid = cut_uid(&self.uid, SHORT_UID).into_owned();
            self.shorten(&name, USEFUL_WIDTH, width);
        }
        self.shorten(&name, LEAST_WIDTH, width);
        let spare = self.used_without_headers().saturating_sub(width);
        if spare > 0 && !self.start.is_empty() {
            let kept: Vec<char> = self.start.chars().skip(spare + 1).collect();
            self.start = "…".chars().chain(kept).collect();
        }
        self.shorten(&name, 1, width);
    }

    fn used_without_headers(&self) -> usize {
        let time = self.time.as_ref().map_or(0, |time| time.width() + 2);
        self.start.width() + self.name.width() + self.status.len() + time + self.uid.width() + 4
    }

    fn shorten(&mut self, name: &str, least: usize, width: usize) {
        let room = width.saturating_sub(self.used_without_headers() - self.name.width()).max(least);
        self.name = cut_name(name, room).into_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_the_terminal_with_a_uid_that_can_be_used() {
        let uid = "01234567-89ab-cdef-0123-456789abcdef";
        let shown = |start: &str, width: usize| {
            let mut line = Line {
                start: start.to_owned(),
                name: "karton.archive-extractor".to_owned(),
                status: "Finished",
                time: Some("in 12.3s".to_owned()),
                headers: "type=sample kind=raw".to_owned(),
                uid: uid.to_owned(),
            };
            line.fit(width);
            let headers = Some(line.headers).filter(|headers| !headers.is_empty());
            let words = [Some(line.name), Some(line.status.to_owned()), line.time, headers, Some(line.uid)];
            line.start + &words.into_iter().flatten().collect::<Vec<_>>().join("  ")
        };
        assert_eq!(shown("└─ ", usize::MAX), format!("└─ karton.archive-extractor  Finished  in 12.3s  type=sample kind=raw  {uid}"));
        assert_eq!(shown("└─ ", 99), format!("└─ karton.archive-extractor  Finished  in 12.3s  type=sample…  {uid}"));
        assert_eq!(shown("└─ ", 80), format!("└─ …archive-extractor  Finished  in 12.3s  {uid}"));
        assert_eq!(shown("└─ ", 70), format!("└─ …archive-extractor  Finished  {uid}"));
        assert_eq!(shown("└─ ", 60), "└─ karton.archive-extractor  Finished  01234567");
        assert_eq!(shown("└─ ", 40), "└─ …archive-extract…  Finished  01234567");
        for (start, width) in [("", 36), ("└─ ", 30), (&"│  ".repeat(8), 60), (&"│  ".repeat(59), 40)] {
            let line = shown(start, width);
            assert!(line.width() <= width && line.ends_with("  01234567") && line.contains("…arch"), "{width}: {line}");
        }
    }
}
