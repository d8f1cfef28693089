//! `karton completions` and `karton man`, made from the definition of the command line.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::{Cli, Outcome, output::Out};

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Folder for `karton.1`, `karton-list.1` and so on; it is made when it is missing
    folder: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "karton", &mut script);
    // All at once, so that a reader that leaves early is no reason to panic.
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(Outcome::Done)
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<Outcome> {
    std::fs::create_dir_all(&args.folder).with_context(|| args.folder.display().to_string())?;
    let mut command = Cli::command();
    command.build();
    let count = pages(&command, "karton", &args.folder)?;
    let mut out = Out::of_deeds();
    out.line(format!("Wrote {count} pages to {}", args.folder.display()))?;
    out.flush()?;
    Ok(Outcome::Done)
}

fn pages(command: &clap::Command, name: &str, folder: &Path) -> anyhow::Result<usize> {
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone().display_name(name)).title(name).render(&mut page)?;
    std::fs::write(&path, page).with_context(|| path.display().to_string())?;
    let below = command.get_subcommands().filter(|command| command.get_name() != "help");
    below.map(|command| pages(command, &format!("{name}-{}", command.get_name()), folder)).try_fold(1, |sum, count| Ok(sum + count?))
}
