//! `karton-classifier classify`: what the service would say about local files.
//!
//! The one rule: results go to `out`, in order, and a file that cannot be read is reported to `errors` while the
//! others go on. Neither Redis nor S3 nor a configuration is needed.

mod finding;
mod print;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use classifier::{
    content::Content,
    magic::LibMagic,
    yara::{Rules, Scanner},
};

use finding::Finding;
pub(crate) use print::Format;

/// The name on the command line that stands for standard input.
const STDIN: &str = "-";

/// What the command line asks for.
#[derive(Args)]
pub(crate) struct ClassifyArguments {
    /// The files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// One JSON object a file instead of a table
    #[arg(long)]
    json: bool,
    /// Tell which rules were tried, and why each holds or not
    #[arg(long)]
    explain: bool,
    /// Name of the sample, whose extension is looked at; only with a single file
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Directory containing classifier YARA rules
    #[arg(long, value_name = "DIR")]
    yara_rules: Option<PathBuf>,
}

impl ClassifyArguments {
    /// How to print. `terminal`: whether the results go to one.
    pub(crate) fn format(&self, terminal: bool) -> Format {
        match (self.json, self.explain) {
            (true, _) => Format::Json,
            (false, true) => Format::Text,
            (false, false) if terminal => Format::Table,
            (false, false) => Format::Columns,
        }
    }

    /// Loads the YARA rules, if there are to be any.
    pub(crate) fn rules(&self) -> anyhow::Result<Option<Rules>> {
        let folder = self.yara_rules.as_deref().filter(|folder| !folder.as_os_str().is_empty());
        folder.map(Rules::load).transpose().context("--yara-rules")
    }
}

/// Classifies the files; false when one of them could not be read.
pub(crate) fn classify(
    arguments: &ClassifyArguments,
    rules: Option<&Rules>,
    format: Format,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> anyhow::Result<bool> {
    let libmagic = LibMagic::open()?;
    let mut scanner = rules.map(Rules::scanner);
    let mut printer = format.printer(out);
    let mut all_read = true;
    for file in &arguments.files {
        match look_at(&libmagic, scanner.as_mut(), file, arguments) {
            Ok(finding) => {
                for warning in &finding.warnings {
                    writeln!(errors, "{}: {warning}", file.display())?;
                }
                printer.print(&finding)?;
            }
            Err(error) => {
                writeln!(errors, "{error:#}")?;
                all_read = false;
            }
        }
    }
    printer.finish()?;
    Ok(all_read)
}

fn look_at(libmagic: &LibMagic, scanner: Option<&mut Scanner<'_>>, file: &Path, arguments: &ClassifyArguments) -> anyhow::Result<Finding> {
    let is_stdin = file.as_os_str() == STDIN;
    let content =
        if is_stdin { Content::spool(&mut std::io::stdin().lock()).context("cannot read standard input")? } else { Content::open(file)? };
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None if is_stdin => String::new(),
        None => file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    // What the service calls a sample without a name.
    let name = if name.is_empty() { "sample".to_owned() } else { name };
    finding::find(libmagic, scanner, file.to_string_lossy().into_owned(), &name, &content, arguments.explain)
        .with_context(|| format!("cannot classify `{}`", file.display()))
}
