//! Speed and memory of every part beside the Python reference, in one run: `make bench`.
//!
//! Each figure is taken of ours, of the reference and of the floor (the same Redis or S3 commands, sent
//! in batches by a client that does nothing else), in turn, so that all three meet the same machine.
//! The one rule: what counts is the ratio of one run; absolute figures belong to the machine.
//!
//! A new section is a file in `sections` and a line in its list.

mod bed;
mod folder;
mod peer;
mod process;
mod report;
mod samples;
mod sections;
mod tasks;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tokio_util::sync::CancellationToken;

use report::Report;
use sections::SECTIONS;

/// Measures Karton in Rust beside karton-core
#[derive(Parser)]
#[command(name = "playground-bench", version)]
struct Args {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// How many tasks Redis holds besides those that are measured
    #[arg(long, value_name = "TASKS,...", value_delimiter = ',', default_values_t = [1_000, 100_000])]
    stored: Vec<u64>,
    /// How many objects MWDB holds when it is searched
    #[arg(long, value_name = "OBJECTS,...", value_delimiter = ',', default_values_t = [1_000, 100_000])]
    objects: Vec<u32>,
    /// How often each figure is taken; the median is printed
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Only these sections
    #[arg(long, value_name = "SECTION,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Interpreter with karton-core; without one, there is no reference
    #[arg(long, env = "KARTON_PEERS_PYTHON")]
    python: Option<PathBuf>,
    /// Interpreter with mwdb-core; without one, MWDB has no reference
    #[arg(long, env = "MWDB_PEERS_PYTHON")]
    mwdb_python: Option<PathBuf>,
    /// Folder with the programs to measure; without one, those beside this program
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    #[command(subcommand)]
    peer: Option<peer::Role>,
}

/// What sections are asked for.
pub(crate) struct Plan {
    pub(crate) stored: Vec<u64>,
    pub(crate) objects: Vec<u32>,
    pub(crate) runs: usize,
    pub(crate) python: Option<PathBuf>,
    pub(crate) mwdb_python: Option<PathBuf>,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what it is for")]
fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(role) = args.peer {
        return role.run();
    }
    if let Some(unknown) = args.only.iter().find(|name| !SECTIONS.iter().any(|section| section.name == **name)) {
        let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
        eprintln!("--only: there is no section `{unknown}`; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    karton_rs::service::install_crypto();
    // Processes are started in folders of their own.
    let absolute = |path: Option<PathBuf>| path.map(|path| std::path::absolute(&path).unwrap_or(path));
    let (python, mwdb_python) = (absolute(args.python), absolute(args.mwdb_python));
    if let Some(folder) = absolute(args.programs) {
        process::use_programs_of(folder);
    }
    let plan = Plan { stored: args.stored, objects: args.objects, runs: args.runs.max(1), python, mwdb_python };
    if plan.python.is_none() {
        eprintln!("without --python or KARTON_PEERS_PYTHON there is no reference to compare with; `make bench` prepares one");
    }
    let mut report = Report::default();
    let outcome = tokio::runtime::Runtime::new().map_err(anyhow::Error::from).and_then(|runtime| {
        let _folders = folder::of_run().context("cannot make a folder")?;
        runtime.block_on(async {
            let stop = CancellationToken::new();
            karton_rs::service::cancel_on_signal(stop.clone());
            let measure = async {
                for section in SECTIONS.iter().filter(|section| args.only.is_empty() || args.only.iter().any(|name| name == section.name)) {
                    eprintln!("measuring {}", section.name);
                    (section.run)(&plan, &mut report).await?;
                }
                Ok(())
            };
            // Whatever was started or written ends with the values that are dropped here.
            tokio::select! {
                outcome = measure => outcome,
                () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
            }
        })
    });
    println!("{}", if args.json { report.json() } else { report.table() });
    if let Err(error) = outcome {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
