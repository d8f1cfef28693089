//! `karton delete`.

use std::io::{IsTerminal, Write};

use anyhow::{bail, ensure};

use crate::{Bind, Config, Inspect, json::Value};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose bind and queues to remove
    identity: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// Leaves an empty bind that is not persistent: the collector then removes it with its queues and tasks.
pub(super) async fn run(config: &Config, args: Args) -> anyhow::Result<()> {
    let identity = args.identity;
    let inspect = Inspect::new(config, super::IDENTITY, None)?;
    let known = inspect.binds().await?.into_iter().any(|bind| bind.identity == identity);
    ensure!(known, "no service `{identity}` has declared a bind; `karton list` shows all");
    let online = inspect.online_consumers().await?.get(&identity).copied().unwrap_or(0);
    ensure!(online == 0, "`{identity}` is running ({online} connections): stop it first");
    if !args.yes && !confirmed(&identity)? {
        bail!("aborted");
    }
    let mut bind = Bind::new(&identity, Value::Array(Vec::new()));
    bind.persistent = false;
    inspect.backend().register_bind(&bind).await?;
    println!("`{identity}` and its queued tasks are removed at the next collection");
    Ok(())
}

fn confirmed(identity: &str) -> anyhow::Result<bool> {
    print!("Queued tasks of `{identity}` will be lost. Type its name to go on: ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if !std::io::stdin().is_terminal() {
        println!();
    }
    Ok(answer.trim() == identity)
}
