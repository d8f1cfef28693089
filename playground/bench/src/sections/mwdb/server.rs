//! A server that is measured: ours or the reference, started, stopped and started again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{
    client::{self, Client},
    reference::Reference,
};
use crate::{Plan, bed::Bed, process::Process, report::Who};

/// A port that was free a moment ago.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

pub(super) struct Server {
    pub(super) url: String,
    port: u16,
    running: Option<Process>,
    kind: Kind,
}

enum Kind {
    Ours { folder: PathBuf, config: PathBuf },
    Reference(Reference),
}

impl Server {
    /// On an empty database; `karton` announces uploads to the Redis and S3 of the bed.
    pub(super) async fn prepare(plan: &Plan, bed: &Bed, who: Who, karton: bool) -> anyhow::Result<Self> {
        let port = free_port()?;
        let kind = if who == Who::Reference {
            Kind::Reference(Reference::prepare(plan, bed, port, karton).await?)
        } else {
            let config = bed.folder().join("bench-mwdb.ini");
            let text = format!(
                "[mwdb]\nadmin_password = {}\nsecret_key = bench\nenable_karton = {}\n[karton]\nconfig_path = {}\n",
                client::PASSWORD,
                u8::from(karton),
                bed.ini()
            );
            std::fs::write(&config, text)?;
            Kind::Ours { folder: bed.folder().to_owned(), config }
        };
        Ok(Self { url: format!("http://127.0.0.1:{port}"), port, running: None, kind })
    }

    /// What mwdb-lite reads: for who writes into its database.
    pub(super) fn settings(&self) -> anyhow::Result<mwdb_lite::Config> {
        let Kind::Ours { folder, config } = &self.kind else { anyhow::bail!("the reference has other settings") };
        let mut settings = mwdb_lite::Config::from_parts(&[("bench", &std::fs::read_to_string(config)?)], [])?;
        settings.enable_karton = false;
        settings.sqlite_path = folder.join(&settings.sqlite_path);
        settings.uploads_folder = folder.join(&settings.uploads_folder);
        Ok(settings)
    }

    /// Starts it; gives the time until the first answer.
    pub(super) async fn start(&mut self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let mut process = match &self.kind {
            Kind::Ours { folder, config } => {
                let (port, config) = (self.port.to_string(), config.to_string_lossy());
                Process::program("mwdb-lite", &["run", "--config", &config, "--port", &port], folder)?
            }
            Kind::Reference(reference) => reference.start(self.port)?,
        };
        let client = Client::new(&self.url)?;
        while !client.answers().await {
            anyhow::ensure!(process.is_running(), "the server ended before it had answered");
            anyhow::ensure!(started.elapsed() < Duration::from_mins(2), "the server did not answer in two minutes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let elapsed = started.elapsed();
        self.running = Some(process);
        Ok(elapsed)
    }

    pub(super) fn stop(&mut self) {
        if let (Some(process), Kind::Reference(_)) = (self.running.take(), &self.kind) {
            // Its workers would not notice for minutes.
            process.terminate();
        }
    }

    /// Seconds of CPU, those of `PostgreSQL` included.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        let own = self.running.as_ref().map(Process::usage_of_all).transpose()?.map_or(0.0, |usage| usage.cpu);
        let database = if let Kind::Reference(reference) = &self.kind { reference.postgres.cpu()? } else { 0.0 };
        Ok(own + database)
    }

    /// The most memory that it ever had, in MiB; without `PostgreSQL`, whose processes share much of theirs.
    pub(super) fn memory(&self) -> anyhow::Result<f64> {
        Ok(self.running.as_ref().map(Process::usage_of_all).transpose()?.map_or(0.0, |usage| usage.peak))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
