//! `karton restart` and `karton cancel`: one task, or all that are like that.
//!
//! The one rule: each task is looked at again just before, and what has changed meanwhile is left alone.

use std::time::Duration;

use super::{
    Context, Outcome, Usage,
    output::{Cell, Out, Spare, Style, Table, escape, flexible, name, text, uid},
    select::{self, Selection, headers_line, status_style},
    values,
};
use crate::{
    backend::{Acted, Backend, read_task},
    json::{Map, Value},
    task::{Task, TaskState, now},
};

/// What is asked before more than one task is touched.
#[derive(Debug, clap::Args)]
struct Common {
    /// Full uids, what stands behind the last `:`, or how that begins; several may be given
    #[arg(value_name = "UID")]
    uids: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// At most this many in a time: 20/s, 100/m
    #[arg(long, value_name = "NUMBER/s", value_parser = values::rate)]
    rate: Option<Duration>,
    /// Do not ask before more than one
    #[arg(short, long)]
    yes: bool,
    /// Also tasks that a consumer may be working on, whose work is not stopped; of Finished ones that are named, do
    /// the work once more
    #[arg(long)]
    force: bool,
    /// Print one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct RestartArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Restart,
    Cancel,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Cancel => "cancel",
        }
    }

    /// The statuses that filters mean when none is named.
    fn usual(self) -> Vec<TaskState> {
        match self {
            Self::Restart => vec![TaskState::Crashed],
            Self::Cancel => vec![TaskState::Declared, TaskState::Spawned],
        }
    }
}

pub(super) async fn restart(context: &Context, args: RestartArgs) -> anyhow::Result<Outcome> {
    run(context, Action::Restart, args.common).await
}

pub(super) async fn cancel(context: &Context, args: CancelArgs) -> anyhow::Result<Outcome> {
    run(context, Action::Cancel, args.common).await
}

async fn run(context: &Context, action: Action, mut args: Common) -> anyhow::Result<Outcome> {
    if args.uids.is_empty() && args.selection.is_empty() {
        return Err(Usage(format!("name what to {}: uids, or filters as --identity and --root", action.word())).into());
    }
    if !args.uids.is_empty() && !args.selection.is_empty() {
        return Err(Usage("give uids or filters, not both".to_owned()).into());
    }
    let inspect = context.inspect()?;
    let backend = inspect.backend();
    let mut uids = Vec::new();
    if args.uids.is_empty() {
        if args.selection.status.is_empty() {
            args.selection.status = action.usual();
        }
        let selection = &mut args.selection;
        let found = async {
            selection.find_root(backend).await?;
            select::matching(backend, selection).await
        };
        uids = tokio::select! {
            () = context.shutdown.cancelled() => return Ok(Outcome::Interrupted),
            found = found => found?,
        };
        if uids.is_empty() {
            let statuses: Vec<&str> = args.selection.status.iter().map(|status| status.as_str()).collect();
            note!("No task is like that (status {}): nothing to {}.", statuses.join(" or "), action.word());
            return Ok(Outcome::Done);
        }
    }
    for typed in &args.uids {
        uids.push(select::resolve(context, backend, typed).await?);
    }
    let count = uids.len();
    if count > 1 && !args.yes && !args.dry_run {
        let question = format!("{} {count} tasks?", if action == Action::Restart { "Restart" } else { "Cancel" });
        if !context.confirmed(&question).await? {
            if context.shutdown.is_cancelled() {
                return Ok(Outcome::Interrupted);
            }
            anyhow::bail!("aborted: nothing was done; --yes does not ask, --dry-run shows the tasks");
        }
    }
    act_on_all(context, backend, action, &args, uids).await
}

async fn act_on_all(context: &Context, backend: &Backend, action: Action, args: &Common, uids: Vec<String>) -> anyhow::Result<Outcome> {
    let mut out = Out::of_deeds();
    let (mut done, mut left) = (0_u64, 0_u64);
    // One task is told of in a sentence, many in a table.
    let mut rows = (!args.json && uids.len() > 1).then(Vec::new);
    let count = uids.len();
    for (index, uid) in uids.into_iter().enumerate() {
        if let Some(pause) = args.rate.filter(|_| index > 0 && !args.dry_run) {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = context.shutdown.cancelled() => {}
            }
        }
        if context.shutdown.is_cancelled() {
            break;
        }
        let result = act_on(context, backend, action, args, &uid).await?;
        if result.done {
            done += 1;
        } else {
            left += 1;
        }
        if args.json {
            out.json(&result.object(&uid, args.dry_run))?;
            out.flush()?;
        } else if let Some(rows) = &mut rows {
            rows.push(result.row(&uid));
        } else {
            let style = if result.done { Style::Plain } else { Style::Yellow };
            out.line(format!("{}: {}", escape(&uid), out.paint(style, &escape(&result.told))))?;
        }
        if rows.as_ref().is_some_and(|rows| rows.len() >= 50 || index + 1 == count) {
            print_rows(&mut out, &mut rows)?;
        }
    }
    print_rows(&mut out, &mut rows)?;
    if count > 1 && !args.json {
        let would = if args.dry_run { "would be " } else { "" };
        let verb = if action == Action::Restart { "restarted" } else { "cancelled" };
        out.line(format!("{done} {would}{verb}, {left} left alone"))?;
    }
    out.flush()?;
    if context.shutdown.is_cancelled() {
        return Ok(Outcome::Interrupted);
    }
    // What is named is to be done; of what filters found, something may have ended meanwhile.
    let enough = left == 0 || (args.uids.is_empty() && count > 1 && done > 0);
    Ok(if enough { Outcome::Done } else { Outcome::Failed })
}

fn print_rows(out: &mut Out, rows: &mut Option<Vec<Vec<Cell>>>) -> std::io::Result<()> {
    if let Some(rows) = rows.as_mut().filter(|rows| !rows.is_empty()) {
        let columns =
            [text("was").spare(Spare::Last), name("service"), flexible("headers").spare(Spare::Second), flexible("result"), uid("task")];
        let mut table = Table::new(out, &columns);
        rows.drain(..).try_for_each(|row| table.row(row))?;
        table.finish()?;
        out.flush()?;
    }
    Ok(())
}

/// What became of one task.
struct Told {
    done: bool,
    told: String,
    task: Option<Task>,
    copy: Option<String>,
}

impl Told {
    fn left(task: Option<Task>, told: impl Into<String>) -> Self {
        Self { done: false, told: told.into(), task, copy: None }
    }

    fn done(task: Task, told: impl Into<String>) -> Self {
        Self { done: true, told: told.into(), task: Some(task), copy: None }
    }

    /// In a dry run nothing is done, whatever would be.
    fn object(&self, uid: &str, dry_run: bool) -> Value {
        Map::from_iter([
            ("uid".to_owned(), uid.into()),
            ("done".to_owned(), (self.done && !dry_run).into()),
            ("result".to_owned(), self.told.as_str().into()),
            ("status".to_owned(), self.task.as_ref().map(|task| task.status().as_str().to_owned()).into()),
            ("receiver".to_owned(), self.task.as_ref().and_then(|task| task.header_str("receiver")).map(str::to_owned).into()),
            ("new_uid".to_owned(), self.copy.clone().into()),
        ])
        .into()
    }

    fn row(&self, uid: &str) -> Vec<Cell> {
        let task = self.task.as_ref();
        let status = task.map(Task::status);
        vec![
            status.map_or_else(|| Cell::new("-"), |status| Cell::styled(status.as_str(), status_style(status))),
            Cell::new(task.and_then(|task| task.header_str("receiver")).unwrap_or("-")),
            Cell::new(task.map(|task| headers_line(task.headers())).unwrap_or_default()),
            Cell::styled(&self.told, if self.done { Style::Green } else { Style::Yellow }),
            Cell::styled(task.map_or(uid, Task::task_uid), Style::Dim),
        ]
    }
}

async fn act_on(context: &Context, backend: &Backend, action: Action, args: &Common, uid: &str) -> anyhow::Result<Told> {
    let record = backend.records(&[uid.to_owned()]).await?.into_iter().flatten().next();
    let Some(record) = record else { return Ok(Told::left(None, "is gone")) };
    let task = match read_task(uid, &record) {
        Ok(task) => task,
        Err(reason) => {
            let list = context.commands.karton("quarantine list", &[]);
            return Ok(Told::left(None, format!("cannot be read: {reason}; see `{list}`")));
        }
    };
    // Filters found it a moment ago; what it is like now decides.
    if args.uids.is_empty() && !args.selection.holds(&task, now()) {
        return Ok(Told::left(Some(task), "has changed meanwhile"));
    }
    let status = task.status();
    let refusal = match (action, status) {
        (Action::Cancel, TaskState::Finished) => Some("is finished already"),
        // It may have been restarted already: its copy does the work. Filters that find it were told so.
        (Action::Restart, TaskState::Finished) if !args.force && !args.uids.is_empty() => {
            Some("is Finished: done, cancelled or restarted already; --force starts it once more")
        }
        (_, TaskState::Started) if !args.force => Some("is being processed; --force does it nevertheless"),
        (Action::Restart, TaskState::Spawned) if !args.force => {
            Some("waits in its queue, or a consumer has just taken it; --force does it nevertheless")
        }
        (Action::Restart, _) if status != TaskState::Declared && task.header_str("receiver").is_none() => {
            Some("was never routed to a service: send it again instead")
        }
        _ => None,
    };
    if let Some(refusal) = refusal {
        return Ok(Told::left(Some(task), refusal));
    }
    if action == Action::Restart && status == TaskState::Declared && !args.force {
        // An object store that is away is nothing to wait for here: the services do.
        if let Ok(Some(file)) = select::missing_file(backend, &task.resources()).await {
            let refusal =
                format!("its file `{}` was never uploaded: its producer has failed while sending it; send it again instead", file.name);
            return Ok(Told::left(Some(task), refusal));
        }
    }
    if args.dry_run {
        return Ok(Told::done(task, if action == Action::Restart { "would be restarted" } else { "would be cancelled" }));
    }
    match action {
        Action::Cancel => {
            let acted = backend.cancel(&task, &record, args.force).await?;
            Ok(match acted {
                Acted::Done(0) if status == TaskState::Spawned => {
                    Told::done(task, "cancelled; it was in no queue, so a consumer that makes no claims may have just taken it")
                }
                Acted::Done(0) if status == TaskState::Declared => {
                    Told::done(task, "cancelled; it was in no queue, so a broker of another kind may have just taken it")
                }
                Acted::Done(_) if status == TaskState::Started => {
                    Told::done(task, "cancelled; its consumer was not stopped, and may write how it ended")
                }
                acted => settled(acted, task, "cancelled"),
            })
        }
        Action::Restart if status == TaskState::Declared => Ok(match backend.route_again(&task, &record).await? {
            Acted::Done(0) => Told::left(Some(task), "waits for the broker already"),
            acted => settled(acted, task, "handed to the broker again"),
        }),
        Action::Restart => {
            let (acted, copy) = backend.restart(&task, &record, args.force).await?;
            let told = settled(acted, task, &format!("restarted as {}", copy.uid()));
            Ok(Told { copy: told.done.then(|| copy.uid().to_owned()), ..told })
        }
    }
}

fn settled(acted: Acted, task: Task, done: &str) -> Told {
    match acted {
        Acted::Done(_) => Told::done(task, done),
        Acted::Changed => Told::left(Some(task), "has changed at this moment: look again"),
        Acted::Claimed => Told::left(Some(task), "was just taken by a consumer; --force does it nevertheless"),
    }
}
