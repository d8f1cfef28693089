//! Tells what one task would change in MWDB; changes, claims and consumes nothing.
//!
//! The one rule: everything here reads. Redis is asked for one record, S3 whether files are there, MWDB
//! for what it has; no bind is registered, and a task in a queue stays where it is.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use karton_rs::{Config, Inspect, Karton, Task, json::Value};
use tokio_util::sync::CancellationToken;

use crate::{
    IDENTITY, Settings,
    mwdb::Client,
    report::{Change, Reporter},
};

/// Longest text of a task that is read.
const LONGEST_TASK: u64 = 256 * 1024 * 1024;

/// Where the task comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Source {
    /// The record in Redis of this uid, as [`Inspect::find_tasks`] takes it.
    Uid(String),
    /// A file with the JSON of a task.
    File(PathBuf),
    /// The JSON of a task on standard input.
    Stdin,
}

/// Finds out what the task would change.
///
/// # Errors
/// When there is no such task, it cannot be reported, or a server does not answer.
pub async fn plan(mut settings: Settings, config: &Config, source: &Source) -> anyhow::Result<Vec<Change>> {
    karton_rs::service::install_crypto();
    // Somebody waits for this.
    settings.mwdb.patience.wait_for_server = false;
    settings.mwdb.patience.retries = settings.mwdb.patience.retries.min(1);
    let karton = Karton::prepare(config, IDENTITY, None)?;
    let task = match source {
        Source::Uid(uid) => stored(&karton, &Inspect::of(&karton), uid).await?,
        Source::File(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("--task-file {}", path.display()))?;
            read(file).with_context(|| format!("--task-file {}", path.display()))?
        }
        // On a thread that stays behind when the user interrupts instead of typing a task.
        Source::Stdin => {
            let read = tokio::task::spawn_blocking(|| read(std::io::stdin().lock()));
            read.await?.context("the task on standard input")?
        }
    };
    let mwdb = Client::new(settings.mwdb, CancellationToken::new())?;
    Ok(Reporter::new(mwdb, settings.report).plan(&task, &karton).await?)
}

/// Writes changes, one a line: for people, or with `json` as objects for programs.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write(changes: &[Change], json: bool, out: &mut impl Write) -> std::io::Result<()> {
    for change in changes {
        if json {
            writeln!(out, "{}", change.to_value().to_json())?;
        } else {
            writeln!(out, "{change}")?;
        }
    }
    if changes.is_empty() && !json {
        writeln!(out, "nothing: MWDB would stay as it is")?;
    }
    out.flush()
}

async fn stored(karton: &Karton, inspect: &Inspect, typed: &str) -> anyhow::Result<Task> {
    let uids = inspect.find_tasks(typed).await?;
    let uid = match uids.as_slice() {
        [uid] => uid,
        [] => bail!("--task {typed}: Redis has no such task; it takes a uid as `karton tasks` and dashboards show it"),
        [one, other, ..] => bail!("--task {typed}: several tasks are meant, as `{one}` and `{other}`: give one of them whole"),
    };
    let cannot_be_read = || format!("--task {typed}: the record of `{uid}` is gone or cannot be read: `karton task '{uid}'` tells more");
    karton.task(uid).await?.with_context(cannot_be_read)
}

fn read(source: impl Read) -> anyhow::Result<Task> {
    let mut text = String::new();
    source.take(LONGEST_TASK + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_TASK {
        bail!("longer than {LONGEST_TASK} bytes");
    }
    Ok(Task::from_json(&completed(&text)?)?)
}

/// The record of a task that may be given by its headers and payload alone.
fn completed(text: &str) -> anyhow::Result<String> {
    let Value::Object(mut given) = Value::parse(text).context("not JSON")? else { bail!("not a JSON object") };
    let fresh = Task::new(Value::Object(karton_rs::json::Map::new()));
    let Value::Object(record) = Value::parse(&fresh.to_json())? else { bail!("a task is a JSON object") };
    for (field, value) in record {
        // A record without headers is one that was meant to be something else.
        if field != "headers" {
            given.entry(field).or_insert(value);
        }
    }
    Ok(Value::Object(given).to_json())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_payload_are_enough() {
        let task = read(r#"{"headers": {"type": "blob"}, "payload": {"content": "x"}}"#.as_bytes()).unwrap();
        assert_eq!((task.header_str("type"), task.payload("content").unwrap().as_str()), (Some("blob"), Some("x")));
        let record = task.to_json();
        assert_eq!(read(record.as_bytes()).unwrap().uid(), task.uid());
    }

    #[test]
    fn what_is_no_task_says_so() {
        for (text, expected) in [("", "not JSON"), ("[]", "not a JSON object"), ("{}", "`headers`"), (r#"{"headers": 5}"#, "`headers`")] {
            let error = format!("{:#}", read(text.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
