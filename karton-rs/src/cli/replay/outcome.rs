//! What a service has made of a replayed task.

use std::path::Path;

use indexmap::IndexMap;

use crate::{
    cli::{
        explain::Verdict,
        output::{Out, Style, escape, escape_lines},
        select::{headers_line, status_style},
        task::shorten,
    },
    json::{Map, Value},
    task::Task,
};

/// What is shown of a payload entry.
const ENTRY_LENGTH: usize = 120;

pub(super) struct Replayed {
    pub(super) service: String,
    pub(super) task: Task,
    pub(super) seconds: f64,
    pub(super) sent: Vec<Task>,
    /// Files that it has uploaded, with their sizes.
    pub(super) objects: Vec<(String, u64)>,
}

pub(super) fn print(replayed: &Replayed, binds: &IndexMap<String, Vec<u8>>, folder: Option<&Path>, json: bool) -> std::io::Result<()> {
    let mut out = Out::of_deeds();
    if json {
        out.json(&object(replayed, binds, folder))?;
        return out.flush();
    }
    let status = replayed.task.status();
    let told = out.paint(status_style(status), status.as_str());
    out.line(format!(
        "{}: {told} after {:.2} s, {} sent",
        escape(&replayed.service),
        replayed.seconds,
        count(replayed.sent.len(), "task")
    ))?;
    for line in escape_lines(&replayed.task.error().concat()).lines() {
        out.line(format!("  {}", out.paint(Style::Red, line)))?;
    }
    for (index, task) in replayed.sent.iter().enumerate() {
        out.line(format!("{} {}", out.paint(Style::Bold, &format!("{}.", index + 1)), escape(&headers_line(task.headers()))))?;
        let payload = task.payloads().iter().chain(task.payloads_persistent());
        for (name, value) in payload.filter(|(name, _)| *name != "__headers_persistent") {
            out.line(format!("   {} = {}", escape(name.spelled()), shorten(value, ENTRY_LENGTH)))?;
        }
        let receivers = receivers(task, binds);
        let told = if receivers.is_empty() { "would go to nobody".to_owned() } else { format!("would go to {}", receivers.join(", ")) };
        out.line(format!("   {}", out.paint(Style::Dim, &escape(&told))))?;
    }
    if !replayed.objects.is_empty() {
        out.line(format!("{} uploaded, and not kept in S3", count(replayed.objects.len(), "file")))?;
    }
    if let Some(folder) = folder {
        out.line(format!("kept in {}", folder.join("objects").display()))?;
    }
    out.flush()
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Who would get it, in the pipeline that the task came from.
fn receivers(task: &Task, binds: &IndexMap<String, Vec<u8>>) -> Vec<String> {
    let wanted = binds.iter().filter(|(identity, bind)| Verdict::of(identity, bind, task.headers()).outcome == Ok(true));
    wanted.map(|(identity, _)| identity.clone()).collect()
}

fn object(replayed: &Replayed, binds: &IndexMap<String, Vec<u8>>, folder: Option<&Path>) -> Value {
    let sent = replayed.sent.iter().map(|task| {
        let record = Value::parse(&task.to_json()).unwrap_or_default();
        Value::from(Map::from_iter([("task".to_owned(), record), ("receivers".to_owned(), receivers(task, binds).into())]))
    });
    let objects = replayed.objects.iter().map(|(name, size)| {
        Value::from(Map::from_iter([("name".to_owned(), name.as_str().into()), ("size".to_owned(), Value::from(*size))]))
    });
    Map::from_iter([
        ("uid".to_owned(), replayed.task.uid().into()),
        ("service".to_owned(), replayed.service.as_str().into()),
        ("status".to_owned(), replayed.task.status().as_str().into()),
        ("seconds".to_owned(), replayed.seconds.into()),
        ("error".to_owned(), Value::from(replayed.task.error())),
        ("sent".to_owned(), Value::Array(sent.collect())),
        ("objects".to_owned(), Value::Array(objects.collect())),
        ("folder".to_owned(), folder.map(|folder| folder.display().to_string()).into()),
    ])
    .into()
}
