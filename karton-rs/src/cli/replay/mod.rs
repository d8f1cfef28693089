//! `karton replay UID`: a stored task, once more, against a service under development.
//!
//! The service runs as it is, in any language: it gets a redis-server of its own that holds a copy of
//! this one task, and an S3 server of its own that holds copies of its files, both by the environment.
//! The one rule: the real Redis and the real S3 are only read, and only by this tool. There is no
//! broker in there, so what the service sends stays where it can be looked at.

mod objects;
mod outcome;
mod sandbox;

use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::{
    Context, Outcome,
    commands::quoted,
    explain::Verdict,
    output::{Out, escape},
    select, values,
};
use crate::{
    backend::{Backend, read_task},
    json::Map,
    task::{Task, TaskState},
};
use outcome::Replayed;
use sandbox::Sandbox;

/// Between two looks at what the service has done.
const LOOK: Duration = Duration::from_millis(50);
/// How long a service may take to end before it is killed.
const STOP: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Full uid, or what stands behind its last `:`
    uid: String,
    /// How to start the service; without it, the variables to start it with are printed
    #[arg(last = true)]
    command: Vec<String>,
    /// How long the service may take to ask for tasks, and then to work on the task
    #[arg(long, value_name = "TIME", value_parser = values::duration, default_value = "10m")]
    timeout: Duration,
    /// Keep the folder with what the service has uploaded
    #[arg(long)]
    keep: bool,
    /// Print one object; without a command, one with the variables first
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let config = context.config()?;
    let inspect = context.inspect()?;
    let real = inspect.backend();
    let work = async {
        let (task, _) = select::load(context, real, &args.uid).await?;
        let sandbox = Sandbox::start(&config, real, &task).await?;
        let mut service = start(&args, &sandbox)?;
        let outcome = replay(&sandbox, service.as_mut().map(|service| &mut service.0), task, args.timeout).await;
        if let Some(service) = service {
            service.stop().await;
        }
        let replayed = outcome?;
        let failed = replayed.task.status() != TaskState::Finished;
        let folder = sandbox.end(args.keep);
        let binds = real.binds_raw().await?;
        outcome::print(&replayed, &binds, folder.as_deref(), args.json)?;
        Ok(if failed { Outcome::Failed } else { Outcome::Done })
    };
    context.unless_interrupted(work).await
}

fn start(args: &Args, sandbox: &Sandbox) -> anyhow::Result<Option<Service>> {
    let Some((program, arguments)) = args.command.split_first() else {
        note!("Start the service with these, in another terminal or a debugger:");
        tell_variables(sandbox.variables(), args.json)?;
        note!("Waiting {} for it; Ctrl-C leaves.", values::age(args.timeout.as_secs_f64()));
        return Ok(None);
    };
    let mut command = Command::new(program);
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("KARTON_REDIS_") || name.starts_with("KARTON_S3_")) {
            command.env_remove(name);
        }
    }
    command.envs(sandbox.variables());
    // What is printed here may be read by a program: the service speaks on stderr alone.
    command.stdin(std::process::Stdio::null()).stdout(std::io::stderr());
    command.process_group(0).kill_on_drop(true);
    Ok(Some(Service(command.spawn().with_context(|| format!("cannot start `{program}`"))?)))
}

/// The variables on stdout, at once: whoever reads them starts the service.
fn tell_variables(variables: Vec<(String, String)>, json: bool) -> std::io::Result<()> {
    let mut out = Out::of_deeds();
    if json {
        let variables: Map = variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        out.json(&Map::from_iter([("variables".to_owned(), variables.into())]).into())?;
    } else {
        for (name, value) in variables {
            out.line(format!("export {name}={}", quoted(&value)))?;
        }
    }
    out.flush()
}

/// Hands the task to the service and waits for its end.
async fn replay(sandbox: &Sandbox, mut service: Option<&mut Child>, task: Task, timeout: Duration) -> anyhow::Result<Replayed> {
    let private = sandbox.backend();
    let limit = values::age(timeout.as_secs_f64());
    let begun = Instant::now();
    let identity = loop {
        if let Some((identity, bind)) = private.binds_raw().await?.pop() {
            check_wanted(&identity, &bind, &task)?;
            break identity;
        }
        if let Some(status) = ended(service.as_deref_mut())? {
            bail!("the service ended ({status}) before it asked for tasks");
        }
        if begun.elapsed() > timeout {
            bail!("no service asked for tasks within {limit}; --timeout gives it longer");
        }
        tokio::time::sleep(LOOK).await;
    };
    let mut copy = task;
    copy.prepare_replay(&identity);
    private.hand_out(&copy, &identity).await?;
    let begun = Instant::now();
    loop {
        if let Some(done) = stored(private, copy.uid()).await?.filter(|task| !task.status().is_pending()) {
            let seconds = begun.elapsed().as_secs_f64();
            let sent = sent(private).await?;
            return Ok(Replayed { service: identity, task: done, seconds, sent, objects: sandbox.uploaded()? });
        }
        if let Some(status) = ended(service.as_deref_mut())? {
            // It may have finished the task as the last thing.
            if stored(private, copy.uid()).await?.is_none_or(|task| task.status().is_pending()) {
                bail!("the service ended ({status}) before it was done with the task");
            }
            continue;
        }
        if begun.elapsed() > timeout {
            bail!("the service was not done with the task after {limit}; --timeout gives it longer");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A service drops tasks that its filters do not match, without a word.
fn check_wanted(identity: &str, bind: &[u8], task: &Task) -> anyhow::Result<()> {
    let mut headers = task.headers().clone();
    headers.insert("receiver".to_owned(), identity.into());
    let verdict = Verdict::of(identity, bind, &headers);
    if verdict.outcome != Ok(true) {
        bail!("`{}` does not want this task:\n{}", escape(identity), verdict.reasons().join("\n"));
    }
    Ok(())
}

fn ended(service: Option<&mut Child>) -> anyhow::Result<Option<std::process::ExitStatus>> {
    Ok(match service {
        Some(service) => service.try_wait()?,
        None => None,
    })
}

async fn stored(private: &Backend, uid: &str) -> anyhow::Result<Option<Task>> {
    let record = private.records(&[uid.to_owned()]).await?.into_iter().flatten().next();
    Ok(record.and_then(|record| read_task(uid, &record).ok()))
}

/// What the service has handed to the broker, which there is none of.
async fn sent(private: &Backend) -> anyhow::Result<Vec<Task>> {
    let uids = private.unrouted_uids().await?;
    let records = private.records(&uids).await?;
    let mut seen = std::collections::HashSet::new();
    let found = uids.iter().zip(records).filter(|(uid, _)| seen.insert((*uid).clone()));
    Ok(found.filter_map(|(uid, record)| read_task(uid, &record?).ok()).collect())
}

/// The service, and what it has started itself: `cargo run` is not the service.
struct Service(Child);

impl Service {
    /// SIGTERM, and SIGKILL when that is not enough.
    async fn stop(mut self) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(STOP, self.0.wait()).await.is_err() {
            self.signal(Signal::KILL);
            // It is gone then, or nobody can help.
            let _ = self.0.wait().await;
        }
    }

    fn signal(&self, signal: Signal) {
        // Nothing once it was waited for: its number may be somebody else's by then.
        let group = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // A group that is gone is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Service {
    /// After an interrupt; the service alone would be killed otherwise, and what it has started live on.
    fn drop(&mut self) {
        self.signal(Signal::TERM);
    }
}
