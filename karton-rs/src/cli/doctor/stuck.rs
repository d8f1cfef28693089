//! Tasks that nothing will happen to any more, and those that have crashed.
//!
//! The one rule: queues are read before records, and what changed within a minute is not judged, so a
//! task on its way is not taken for a lost one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Report, values};
use crate::{
    Inspect, Task, TaskState,
    backend::{Glimpse, Places},
    cli::select::{each_task, missing_file},
};

/// Seconds in which a task may be on its way.
const ON_ITS_WAY: f64 = 60.0;
/// uids in a command to copy.
const NAMED: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    LostByBroker,
    NotSent,
    Unclear,
    LostFromQueue,
    LostByConsumer,
    Slow,
}

struct Held {
    places: Places,
    claims: BTreeMap<String, f64>,
    online: std::collections::HashMap<String, usize>,
    now: f64,
}

pub(super) async fn check(inspect: &Inspect, stuck_after: Duration, report: &mut Report) -> anyhow::Result<()> {
    let backend = inspect.backend();
    let held = Held {
        places: backend.all_places().await?,
        claims: backend.claims().await?,
        online: inspect.online_consumers().await?,
        now: backend.server_time().await?,
    };
    let mut troubles: BTreeMap<Trouble, (u64, Vec<String>)> = BTreeMap::new();
    let mut crashed = 0_u64;
    // What has finished, or has changed a moment ago, is not stuck; a crash is one at once.
    let wanted = |record: &[u8]| {
        Glimpse::of_readable(record).is_none_or(|glimpse| match glimpse.status {
            TaskState::Crashed => true,
            status => status.is_pending() && glimpse.last_update.is_some_and(|time| held.now - time >= ON_ITS_WAY),
        })
    };
    let mut note = |trouble, uid: &str| {
        let (count, uids): &mut (u64, Vec<String>) = troubles.entry(trouble).or_default();
        *count += 1;
        if uids.len() < NAMED {
            uids.push(uid.to_owned());
        }
    };
    // Whether these were sent whole is seen in the object store.
    let mut with_files = Vec::new();
    let seen = each_task(backend, wanted, |uid, task| {
        crashed += u64::from(task.as_ref().is_ok_and(|task| task.status() == TaskState::Crashed));
        if let Ok(task) = task {
            match trouble(&task, &held, stuck_after) {
                Some(Trouble::LostByBroker) if !task.resources().is_empty() => with_files.push((uid.to_owned(), task.resources())),
                Some(trouble) => note(trouble, uid),
                None => {}
            }
        }
        Ok(true)
    })
    .await?;
    let mut unclear = String::new();
    for (uid, files) in with_files {
        match missing_file(backend, &files).await {
            Ok(None) => note(Trouble::LostByBroker, &uid),
            Ok(Some(_)) => note(Trouble::NotSent, &uid),
            Err(error) => {
                unclear = error.to_string();
                note(Trouble::Unclear, &uid);
            }
        }
    }
    for (trouble, (count, uids)) in &troubles {
        let restart = |flags: &[&str]| {
            let words: Vec<&str> = flags.iter().copied().chain(uids.iter().map(String::as_str)).collect();
            let restart = report.commands.karton("restart", &words);
            let again = report.commands.karton("doctor", &[]);
            let more = if *count > uids.len() as u64 { format!(", then `{again}` again for more") } else { String::new() };
            format!("{restart}{more}")
        };
        let forced = restart(&["--yes", "--force"]);
        let system = report.commands.system(&[]);
        match trouble {
            Trouble::LostByBroker => {
                let fix = restart(&["--yes"]);
                report.wrong("tasks", format!("{count} are Declared and in no queue: a broker that ended has lost them"), fix)?;
            }
            Trouble::NotSent => {
                let words: Vec<&str> = std::iter::once("--yes").chain(uids.iter().map(String::as_str)).collect();
                let cancel = report.commands.karton("cancel", &words);
                report.warning(
                    "tasks",
                    format!(
                        "{count} are Declared and without some of their files: their producer has failed while sending, or still uploads"
                    ),
                    format!("if it has failed, let it send them anew, and end these: {cancel}"),
                )?;
            }
            Trouble::Unclear => {
                let again = report.commands.karton("doctor", &[]);
                report.warning(
                    "tasks",
                    format!("{count} are Declared and in no queue; whether their files were sent cannot be told: {unclear}"),
                    format!("see to the object store, then `{again}` again"),
                )?;
            }
            Trouble::LostFromQueue => report.wrong(
                "tasks",
                format!("{count} are Spawned and in no queue: a consumer that ended has lost them"),
                format!("run this project's `{system}`, which brings them back, or {forced}"),
            )?,
            Trouble::LostByConsumer => report.wrong(
                "tasks",
                format!("{count} are Started, and nobody is there who could be working on them"),
                format!("run this project's `{system}`, which brings them back, or {forced}"),
            )?,
            Trouble::Slow => {
                let task = report.commands.karton("task", &[]);
                report.warning(
                    "tasks",
                    format!("{count} are Started for longer than {}", values::age(stuck_after.as_secs_f64())),
                    format!("look at one with `{task}`, give the service a task_timeout, or {forced}"),
                )?;
            }
        }
    }
    if seen.unreadable > 0 {
        let (tasks, list) = (report.commands.karton("tasks", &["--unreadable"]), report.commands.karton("quarantine list", &[]));
        report.wrong(
            "tasks",
            format!("{} records cannot be read: Python collectors stop at the first one", seen.unreadable),
            format!("{tasks}, then `{list}` once the collector has met them"),
        )?;
    }
    if crashed > 0 {
        let (list, restart) =
            (report.commands.karton("tasks", &["--status", "Crashed"]), report.commands.karton("restart", &["--status", "Crashed"]));
        let (have, them) = if crashed == 1 { ("has", "it") } else { ("have", "them") };
        report.warning(
            "tasks",
            format!("{crashed} {have} crashed"),
            format!("`{list}` lists {them}, `{restart}` starts {them} again once the cause is mended"),
        )?;
    }
    if troubles.is_empty() && seen.unreadable == 0 && crashed == 0 {
        report.fine("tasks", format!("{}, none is stuck", seen.total))?;
    }
    Ok(())
}

fn trouble(task: &Task, held: &Held, stuck_after: Duration) -> Option<Trouble> {
    let age = held.now - task.last_update();
    if age < ON_ITS_WAY {
        return None;
    }
    let claim = held.claims.get(task.uid());
    match task.status() {
        TaskState::Declared => (!held.places.contains(task.uid())).then_some(Trouble::LostByBroker),
        TaskState::Spawned => (!held.places.contains(task.uid())).then_some(Trouble::LostFromQueue),
        TaskState::Started => {
            let somebody = match claim {
                Some(lapses) => held.now - lapses < ON_ITS_WAY,
                None => task.header_str("receiver").is_some_and(|receiver| held.online.contains_key(receiver)),
            };
            if somebody { (age > stuck_after.as_secs_f64()).then_some(Trouble::Slow) } else { Some(Trouble::LostByConsumer) }
        }
        TaskState::Finished | TaskState::Crashed => None,
    }
}
