//! `karton delete`.

use anyhow::{bail, ensure};

use super::{
    Context, Outcome,
    output::{Out, escape},
    values,
};
use crate::{
    Bind,
    json::{Map, Value},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose bind and queues to remove
    identity: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Print one object
    #[arg(long)]
    json: bool,
}

/// Leaves an empty bind that is not persistent: the collector then removes it with its queues and tasks.
pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Outcome> {
    let identity = args.identity;
    let inspect = context.inspect()?;
    let known = inspect.backend().binds_raw().await?.contains_key(&identity);
    ensure!(known, "no service `{identity}` has declared a bind; `{}` shows all", context.commands.karton("list", &[]));
    let online = inspect.online_consumers().await?.get(&identity).copied().unwrap_or(0);
    ensure!(online == 0, "`{identity}` is running ({}): stop it first", values::count(online as u64, "connection"));
    if !args.yes {
        let question = format!("Queued tasks of `{}` will be lost. Type its name to go on: ", escape(&identity));
        if context.ask(&question).await?.as_deref() != Some(identity.as_str()) {
            bail!("aborted");
        }
    }
    let mut bind = Bind::new(&identity, Value::Array(Vec::new()));
    bind.persistent = false;
    inspect.backend().register_bind(&bind).await?;
    let mut out = Out::of_deeds();
    if args.json {
        out.json(&Map::from_iter([("identity".to_owned(), identity.into()), ("done".to_owned(), true.into())]).into())?;
    } else {
        out.line(format!("`{}` and its queued tasks are removed at the next collection", escape(&identity)))?;
    }
    out.flush()?;
    Ok(Outcome::Done)
}
