//! Sends files into the pipeline, as raw samples.
//!
//! `cargo run -p examples --bin producer -- --config-file playground-data/karton.ini FILE...`

use std::path::PathBuf;

use clap::Parser;
use karton_rs::{Karton, LocalResource, ServiceArgs, Task, service::run_main};
use serde_json::json;

#[derive(Parser)]
#[command(version, about = "Sends files into the pipeline, as raw samples")]
struct Args {
    #[command(flatten)]
    service: ServiceArgs,
    /// What to send
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    run_main(args.service.config(), |config, shutdown| async move {
        let karton = Karton::connect(&config, "karton.example-producer", None).await?;
        for path in args.files {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut task = Task::new(json!({"type": "sample", "kind": "raw"}));
            task.attach("sample", LocalResource::from_path(&name, &path).await?);
            let sent = tokio::select! {
                sent = karton.send_task(task) => sent?,
                // Of what was not sent to its end nothing is routed.
                () = shutdown.cancelled() => anyhow::bail!("stopped: {} was not sent", path.display()),
            };
            tracing::info!("{}: analysis {}", path.display(), sent.root_uid());
        }
        Ok(())
    })
}
