//! This program in its other roles: the processes of ours that are measured.
//!
//! Each prints one line: what it has measured itself, as JSON, or where it listens.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use aws_sdk_s3::{
    config::{Credentials, SharedCredentialsProvider},
    primitives::ByteStream,
};
use clap::Subcommand;
use classifier::magic::{Detector as _, LibMagic};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use karton_rs::{Config, Karton, LocalResource, service::run_main};
use serde::Deserialize;
use serde_json::json;

use crate::{process::Usage, samples, tasks};

/// Bytes of a resource that is sent.
pub(crate) const RESOURCE: usize = 10 << 10;

/// How the keys of objects begin that no task refers to.
pub(crate) const OBJECT: &str = "floor-";

#[derive(Subcommand)]
#[command(hide = true)]
pub(crate) enum Role {
    /// Looks at the samples with libmagic, so many times, and does nothing else
    PeerDetect { count: usize },
    /// An MWDB in this folder, for reporters
    PeerRepository { folder: PathBuf },
    /// A producer: so many tasks, so many at once, with a resource or without
    PeerProduce {
        ini: PathBuf,
        count: usize,
        at_once: usize,
        #[arg(action = clap::ArgAction::Set)]
        resource: bool,
    },
    /// Puts objects into S3 and does nothing else
    PeerPut { url: String, count: usize, at_once: usize },
    /// The S3 server
    PeerS3 { folder: PathBuf },
}

impl Role {
    pub(crate) fn run(self) -> ExitCode {
        match self {
            Self::PeerDetect { count } => run_main(Config::from_parts(&[("-", MINIMAL)], []), move |_, _| async move {
                measured(|| std::future::ready(detect(count))).await
            }),
            Self::PeerRepository { folder } => run_main(Config::from_parts(&[("-", MINIMAL)], []), move |_, shutdown| async move {
                let config = mwdb_lite::Config {
                    port: 0,
                    sqlite_path: folder.join("mwdb.sqlite"),
                    uploads_folder: folder.join("uploads"),
                    admin_password: Some("admin".to_owned()),
                    ..mwdb_lite::Config::default()
                };
                mwdb_lite::serve(config, shutdown, |address| print(&format!("http://{address}/api/"))).await
            }),
            Self::PeerProduce { ini, count, at_once, resource } => run_main(Config::load(Some(&ini)), move |config, _| async move {
                let karton = Karton::connect(&config, "karton.bench-producer", None).await?;
                measured(|| produce(&karton, count, at_once, resource)).await
            }),
            // It has no karton.ini; anything that is one will do.
            Self::PeerPut { url, count, at_once } => {
                run_main(Config::from_parts(&[("-", MINIMAL)], []), move |_, _| async move { measured(|| put(&url, count, at_once)).await })
            }
            Self::PeerS3 { folder } => run_main(Config::from_parts(&[("-", MINIMAL)], []), move |_, shutdown| async move {
                let address = "127.0.0.1:0".parse().context("an address")?;
                let server = playground_s3::Server::start(&folder, address, "access", "secret-key").await?;
                server.ensure_bucket("karton").await?;
                print(&server.url());
                shutdown.cancelled().await;
                Ok(())
            }),
        }
    }
}

const MINIMAL: &str = "[redis]\nhost = 127.0.0.1\n[s3]\naddress = http://127.0.0.1\n";

/// What a process has measured itself.
#[derive(Deserialize)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    pub(crate) peak: f64,
}

impl Measured {
    pub(crate) fn parse(line: &str) -> anyhow::Result<Self> {
        serde_json::from_str(line).with_context(|| format!("a process printed `{}`", line.trim()))
    }

    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    pub(crate) fn rate(&self, count: usize) -> f64 {
        count as f64 / self.seconds
    }
}

#[expect(clippy::print_stdout, reason = "how the parent gets to know it")]
fn print(line: &str) {
    println!("{line}");
}

async fn measured<F: Future<Output = anyhow::Result<()>>>(work: impl FnOnce() -> F) -> anyhow::Result<()> {
    let this = Path::new("/proc/self");
    let (before, started) = (Usage::of(this)?, Instant::now());
    work().await?;
    let (seconds, after) = (started.elapsed(), Usage::of(this)?);
    print(&json!({"seconds": seconds.as_secs_f64(), "cpu": after.cpu - before.cpu, "peak": after.peak}).to_string());
    // Until the parent has read it.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

async fn produce(karton: &Karton, count: usize, at_once: usize, resource: bool) -> anyhow::Result<()> {
    let content = bytes_of(RESOURCE);
    let sends = stream::iter(0..count).map(|_| {
        let content = content.clone();
        async move {
            let mut task = tasks::sample();
            if resource {
                task.remove_payload("sample");
                task.attach("sample", LocalResource::from_bytes("sample.exe", content)?);
            }
            karton.send_task(task).await?;
            anyhow::Ok(())
        }
    });
    sends.buffer_unordered(at_once).try_collect().await
}

fn detect(count: usize) -> anyhow::Result<()> {
    let samples = samples::kinds()?;
    let libmagic = LibMagic::open()?;
    for (_, content) in samples.iter().cycle().take(count) {
        // What is said about them is compared elsewhere.
        let _ = (libmagic.description(content)?, libmagic.mime(content)?);
    }
    Ok(())
}

async fn put(url: &str, count: usize, at_once: usize) -> anyhow::Result<()> {
    let keys = SharedCredentialsProvider::new(Credentials::new("access", "secret-key", None, None, "bench"));
    let (client, content) = (karton_rs::s3::client(url, "us-east-1", keys), bytes_of(RESOURCE));
    let puts = stream::iter(0..count).map(|number| {
        let request = client.put_object().bucket("karton").key(format!("{OBJECT}{number}")).body(ByteStream::from(content.clone()));
        async move {
            request.send().await?;
            anyhow::Ok(())
        }
    });
    puts.buffer_unordered(at_once).try_collect().await
}

fn bytes_of(size: usize) -> Vec<u8> {
    (0..size).map(|index| u8::try_from(index * 7 % 251).unwrap_or_default()).collect()
}
