//! The `mwdb-lite` command: flags, and which function of the library they mean.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mwdb_lite::{Config, ConfigError, config::LogConfig};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// MWDB in one binary: malware repository with the API of MWDB Core.
#[derive(Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API and the web interface
    Run {
        #[command(flatten)]
        source: Source,
        /// Address to listen on
        #[arg(long)]
        host: Option<IpAddr>,
        /// Port to listen on, 0 for a free one
        #[arg(long)]
        port: Option<u16>,
    },
    /// Make the database, the folders and the first account
    Configure {
        #[command(flatten)]
        source: Source,
        /// Accepted for scripts written for MWDB Core: there is nothing to ask
        #[arg(short, long)]
        quiet: bool,
        #[arg(hide = true)]
        _kind: Option<String>,
    },
    /// Give the administrator a new password
    SetAdminPassword {
        #[command(flatten)]
        source: Source,
        password: String,
    },
    /// Print the version
    Version,
}

#[derive(clap::Args)]
struct Source {
    /// Configuration file, read after the standard ones
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Command::Version = args.command {
        #[expect(clippy::print_stdout, reason = "the answer of the command")]
        {
            println!("mwdb-lite {}", env!("CARGO_PKG_VERSION"));
        }
        return ExitCode::SUCCESS;
    }
    karton_rs::service::install_crypto();
    match start(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Settings that cannot be read do not say how to log either.
            start_logging(&LogConfig::default());
            tracing::error!("{error:#}");
            exit_code(&error)
        }
    }
}

fn start(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Run { source, host, port } => {
                let mut config = load(&source)?;
                config.host = host.unwrap_or(config.host);
                config.port = port.unwrap_or(config.port);
                let shutdown = CancellationToken::new();
                karton_rs::service::cancel_on_signal(shutdown.clone());
                mwdb_lite::run(config, shutdown).await
            }
            Command::Configure { source, quiet: _, _kind: _ } => mwdb_lite::setup(load(&source)?).await,
            Command::SetAdminPassword { source, password } => mwdb_lite::set_admin_password(load(&source)?, password).await,
            Command::Version => Ok(()),
        }
    })
}

/// The settings; from here on the log is written as they say.
fn load(source: &Source) -> anyhow::Result<Config> {
    let config = Config::load(source.config.as_deref())?;
    start_logging(&config.log);
    Ok(config)
}

/// Logs to stderr. The first call counts.
fn start_logging(log: &LogConfig) {
    use std::io::IsTerminal;
    let level = &log.level;
    // What libraries tell in detail is for who names them in `RUST_LOG`.
    let levels = match level.as_str() {
        "debug" | "trace" => format!("info,mwdb_lite={level},karton_rs={level}"),
        level => level.to_owned(),
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| format!("{levels},{}", mwdb_lite::QUIET).into());
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = if log.json {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
}

/// 2 for a configuration that cannot be used, ours or Karton's.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(<dyn std::error::Error>::is::<ConfigError>) { ExitCode::from(2) } else { karton_rs::service::exit_code(error) }
}
