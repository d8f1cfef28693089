//! `karton send`: a task from the command line.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use super::{
    Context, Outcome, Usage,
    output::Out,
    values::{self, Entry},
    wait,
};
use crate::{
    Inspect, Karton, LocalResource,
    json::Map,
    task::{Task, TaskPriority},
};

/// Where records keep persistent headers, among the payload. See Karton protocol §4.1 and §4.4.
const PERSISTENT_HEADERS: &str = "__headers_persistent";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A header: NAME=TEXT, or NAME:=JSON for what is no text
    #[arg(long = "header", value_name = "NAME=TEXT", value_parser = values::header, required = true)]
    headers: Vec<Entry>,
    /// A payload entry: NAME=JSON, and what is not JSON is text
    #[arg(long = "payload", value_name = "NAME=JSON", value_parser = values::payload)]
    payload: Vec<Entry>,
    /// A file for the payload, uploaded with the task; a folder becomes a zip
    #[arg(long = "resource", value_name = "NAME=PATH", value_parser = values::file)]
    resources: Vec<(String, PathBuf)>,
    /// Name of a header, payload entry or file that all tasks of the analysis inherit; several may be given
    #[arg(long, value_name = "NAME")]
    persistent: Vec<String>,
    /// Which queue of its receivers the task goes to: high, normal or low
    #[arg(long, value_name = "PRIORITY", default_value = "normal")]
    priority: TaskPriority,
    /// Wait for the end of the analysis; exit codes as of `karton wait`
    #[arg(long)]
    wait: bool,
    /// Give up waiting after this time
    #[arg(long, value_name = "TIME", value_parser = values::duration, requires = "wait")]
    timeout: Option<Duration>,
    /// Print one object; with `--wait` at the end, as `karton wait` does, with `uid` besides
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let task = build(&args).await?;
    let karton = Karton::connect(&context.config()?, super::IDENTITY, None).await?;
    let sent = karton.send_task(task).await?;
    if args.json && args.wait {
        // One object at the end; who interrupts the waiting has the uid from here.
        note!("Sent {}", sent.uid());
    } else {
        let mut out = Out::of_deeds();
        if args.json {
            let uids = [("uid".to_owned(), sent.uid().into()), ("root_uid".to_owned(), sent.root_uid().into())];
            out.json(&Map::from_iter(uids).into())?;
        } else {
            out.line(sent.root_uid())?;
        }
        out.flush()?;
    }
    if args.wait {
        let task = Some(sent.uid());
        wait::finished(context, &Inspect::of(&karton), sent.root_uid(), task, args.timeout, args.json).await
    } else {
        Ok(Outcome::Done)
    }
}

/// Each name once: of two values one would be lost without a word.
fn check_names(args: &Args) -> Result<(), Usage> {
    let mut headers = BTreeSet::new();
    if let Some(Entry { name, .. }) = args.headers.iter().find(|header| !headers.insert(&header.name)) {
        return Err(Usage(format!("--header {name} is given twice")));
    }
    let files = args.resources.iter().map(|(name, _)| ("--resource", name));
    let mut entries = BTreeSet::new();
    for (flag, name) in args.payload.iter().map(|entry| ("--payload", &entry.name)).chain(files) {
        if name == PERSISTENT_HEADERS {
            return Err(Usage(format!("{flag} {name}: Karton keeps persistent headers under this name")));
        }
        if !entries.insert(name) {
            return Err(Usage(format!("{flag} {name}: the payload has an entry or a file of that name already")));
        }
    }
    Ok(())
}

async fn build(args: &Args) -> anyhow::Result<Task> {
    check_names(args)?;
    let mut unused: BTreeSet<&str> = args.persistent.iter().map(String::as_str).collect();
    let persistent: BTreeSet<&str> = unused.clone();
    let mut task = Task::new(Map::new());
    for Entry { name, value } in &args.headers {
        unused.remove(name.as_str());
        if persistent.contains(name.as_str()) {
            task.set_persistent_header(name, value.clone());
        } else {
            task.set_header(name, value.clone());
        }
    }
    for Entry { name, value } in &args.payload {
        unused.remove(name.as_str());
        if persistent.contains(name.as_str()) {
            task.set_payload_persistent(name, value.clone());
        } else {
            task.set_payload(name, value.clone());
        }
    }
    for (name, path) in &args.resources {
        unused.remove(name.as_str());
        let file_name = path.file_name().map_or_else(|| name.clone(), |file_name| file_name.to_string_lossy().into_owned());
        let resource = if path.is_dir() {
            LocalResource::from_directory(&format!("{file_name}.zip"), path).await
        } else {
            LocalResource::from_path(&file_name, path).await
        };
        let resource = resource.with_context(|| format!("--resource {name}"))?;
        let value = task.attach_value(resource);
        if persistent.contains(name.as_str()) {
            task.set_payload_persistent(name, value);
        } else {
            task.set_payload(name, value);
        }
    }
    if let Some(name) = unused.first() {
        return Err(Usage(format!("--persistent {name}: there is no header, payload entry or file of that name")).into());
    }
    task.set_priority(args.priority);
    Ok(task)
}
