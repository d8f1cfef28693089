//! The `karton` command.
//!
//! The one rule: data goes to stdout, everything else to stderr. See Karton protocol §13.
#![allow(clippy::print_stdout, reason = "a command line prints")]

mod configure;
mod delete;
mod list;
mod logs;

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::{Config, ConfigError};

/// Look into Karton and set it up
///
/// ```
/// use clap::Parser;
/// use karton_rs::cli::Cli;
///
/// assert!(Cli::try_parse_from(["karton", "list", "-o", "json"]).is_ok());
/// ```
#[derive(Debug, clap::Parser)]
#[command(name = "karton", version, arg_required_else_help = false)]
pub struct Cli {
    /// Configuration file, read after the standard ones
    #[arg(short = 'c', long, value_name = "FILE", global = true)]
    config_file: Option<PathBuf>,
    /// Log what the tool itself does
    #[arg(short, long, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the services that have declared what they want
    List(list::Args),
    /// Print the log records of all services
    Logs(logs::Args),
    /// Remove a service that is not running, with its queues
    Delete(delete::Args),
    /// Write a configuration file
    Configure(configure::Args),
}

impl Cli {
    /// Whether the tool logs in detail.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Runs the command.
    ///
    /// # Errors
    /// When the configuration cannot be used, a server does not answer, or the command cannot be done.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let config_file = self.config_file;
        let config = || -> Result<Config, ConfigError> { Config::load(config_file.as_deref()) };
        match self.command {
            None => {
                <Self as clap::CommandFactory>::command().print_help()?;
                Ok(())
            }
            Some(Command::List(args)) => list::run(&config()?, args).await,
            Some(Command::Logs(args)) => logs::run(&config()?, args, shutdown).await,
            Some(Command::Delete(args)) => delete::run(&config()?, args).await,
            Some(Command::Configure(args)) => configure::run(config_file, args).await,
        }
    }
}

/// Identity of the tool's own connections.
const IDENTITY: &str = "karton.cli";
