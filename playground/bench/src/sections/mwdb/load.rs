//! Uploads, downloads of what is large, and how analyses are doing.

use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    NAME,
    client::{Client, Effort, Times, Upload},
    higher, lower,
    server::Server,
};
use crate::{
    Plan,
    bed::Bed,
    peer::RESOURCE,
    report::{Better, Figure, Report, Who},
    sections::short,
};

/// Bytes of the large file, and in how many pieces of which size.
const LARGE: u64 = 256 << 20;
const PIECE: usize = 1 << 20;
const DOWNLOADS: u32 = 4;

/// Wants the tasks of uploads, and never comes for them.
const SERVICE: &str = "karton.classifier";
const SERVICE_BIND: &str = r#"{"info": null, "version": "5.9.1", "filters": [{"type": "sample", "kind": "raw"}], "persistent": true, "service_version": null, "is_async": false}"#;

/// Bytes of a small file, which no other has.
pub(super) fn content(number: usize) -> Bytes {
    let mut state = number as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let random = (0..RESOURCE / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    random.collect::<Vec<u8>>().into()
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
pub(super) async fn uploads(plan: &Plan, report: &mut Report, who: Who, karton: bool) -> anyhow::Result<()> {
    let mut bed = Bed::start(0, "").await?;
    let mut server = Server::prepare(plan, &bed, who, karton).await?;
    server.start().await?;
    let client = Client::login(&server.url).await?;
    let effort = Effort { requests: 3_000, time: Duration::from_secs(10) };
    let next = AtomicUsize::new(0);
    let upload = || async {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let bytes = content(number);
        let started = Instant::now();
        client.upload(Upload { name: format!("sample_{number}.exe"), options: None }, bytes).await?;
        anyhow::Ok(started.elapsed())
    };
    for _ in 0..5 {
        upload().await?;
    }
    for clients in [1_usize, 8] {
        let what = name(karton, clients);
        announced(&mut bed, karton, next.load(Ordering::Relaxed)).await?;
        let (cpu, started) = (server.cpu()?, Instant::now());
        let one = |_| async {
            let mut times = Vec::new();
            while times.len() < effort.requests / clients && started.elapsed() < effort.time {
                times.push(upload().await?);
            }
            anyhow::Ok(times)
        };
        let times: Vec<Vec<Duration>> = stream::iter(0..clients).map(one).buffer_unordered(clients).try_collect().await?;
        let answered = started.elapsed().as_secs_f64();
        announced(&mut bed, karton, next.load(Ordering::Relaxed)).await?;
        let all = started.elapsed().as_secs_f64();
        let times = Times::sorted(times.concat());
        let count = times.len() as f64;
        higher(report, who, &what, "files/s", count / answered);
        if karton {
            higher(report, who, format!("{what}: with Karton told"), "files/s", count / all);
        }
        for part in [50, 99] {
            lower(report, who, format!("{what}: p{part}"), "ms", times.percentile(part));
        }
        lower(report, who, format!("{what}: CPU"), "ms/file", (server.cpu()? - cpu) / count * 1e3);
    }
    if who == Who::Ours {
        let folder = bed.folder().to_owned();
        let rate = tokio::task::spawn_blocking(move || synced_writes(&folder)).await??;
        report.add(Figure::new(NAME, name(karton, 1), "files/s", Better::Higher), Who::Floor, rate);
    }
    lower(report, who, format!("uploads, Karton {}: memory", if karton { "on" } else { "off" }), "MiB", server.memory()?);
    server.stop();
    Ok(())
}

fn name(karton: bool, clients: usize) -> String {
    format!("upload 10 KiB, Karton {}, {clients} at once", if karton { "on" } else { "off" })
}

/// How many times a second the disk of this folder takes what a commit writes, waited for each time.
fn synced_writes(folder: &Path) -> anyhow::Result<f64> {
    const WRITES: u32 = 300;
    let mut file = std::fs::File::create(folder.join("synced-writes"))?;
    let written = vec![1; 4 * RESOURCE];
    let started = Instant::now();
    for number in 0..WRITES {
        // As a write-ahead log: over what is there, most of the time.
        if number % 50 == 0 {
            file.rewind()?;
        }
        file.write_all(&written)?;
        file.sync_data()?;
    }
    Ok(f64::from(WRITES) / started.elapsed().as_secs_f64())
}

/// Waits until Karton has a task for each upload.
async fn announced(bed: &mut Bed, karton: bool, uploads: usize) -> anyhow::Result<()> {
    if karton { bed.filled(&["karton.tasks".to_owned()], uploads).await } else { Ok(()) }
}

#[expect(clippy::cast_precision_loss, reason = "megabytes")]
pub(super) async fn downloads(plan: &Plan, report: &mut Report, who: Who) -> anyhow::Result<()> {
    let bed = Bed::start(0, "").await?;
    let mut server = Server::prepare(plan, &bed, who, false).await?;
    server.start().await?;
    let client = Client::login(&server.url).await?;
    let piece = Bytes::from((0..PIECE).map(|index| u8::try_from(index * 7 % 251).unwrap_or_default()).collect::<Vec<u8>>());
    let pieces = stream::repeat(piece).take(usize::try_from(LARGE)? / PIECE).map(Ok::<_, std::io::Error>);
    let started = Instant::now();
    let hash =
        client.upload_stream(Upload { name: "large.bin".to_owned(), options: None }, reqwest::Body::wrap_stream(pieces), LARGE).await;
    let hash = hash.context("upload a large file")?;
    higher(report, who, "upload 256 MiB", "MB/s", LARGE as f64 / 1e6 / started.elapsed().as_secs_f64());
    let (started, cpu) = (Instant::now(), server.cpu()?);
    for _ in 0..DOWNLOADS {
        let length = client.download(&hash).await?;
        anyhow::ensure!(length == LARGE, "a download of {LARGE} bytes gave {length}");
    }
    let megabytes = f64::from(DOWNLOADS) * LARGE as f64 / 1e6;
    higher(report, who, "download 256 MiB", "MB/s", megabytes / started.elapsed().as_secs_f64());
    lower(report, who, "download 256 MiB: CPU", "ms/MB", (server.cpu()? - cpu) * 1e3 / megabytes);
    lower(report, who, "upload and download 256 MiB: memory", "MiB", server.memory()?);
    server.stop();
    Ok(())
}

/// Each file is asked about once: answers may be remembered for a moment. A broker has routed their tasks to a
/// service that is away.
pub(super) async fn analyses(plan: &Plan, report: &mut Report, who: Who, stored: u64) -> anyhow::Result<()> {
    let mut bed = Bed::start(stored, "").await?;
    let () = bed.command(&["HSET", "karton.binds", SERVICE, SERVICE_BIND]).await?;
    let Some(_broker) = bed.broker(plan, who)? else { return Ok(()) };
    let mut server = Server::prepare(plan, &bed, who, true).await?;
    server.start().await?;
    let client = Client::login(&server.url).await?;
    let count = if who == Who::Ours { 300 } else { 20 };
    let mut hashes = Vec::new();
    for number in 0..count {
        hashes.push(client.upload(Upload { name: format!("sample_{number}.exe"), options: None }, content(number)).await?);
    }
    let queues = ["high", "normal", "low"].map(|priority| format!("karton.queue.{priority}:{SERVICE}"));
    bed.filled(&queues, count).await?;
    let effort = Effort { requests: count, time: Duration::from_secs(20) };
    let times = Times::of(effort, |number| {
        let path = format!("/file/{}/karton", hashes[number]);
        let client = client.clone();
        async move { client.get(&path).await.map(drop) }
    });
    let times = times.await?;
    for part in [50, 99] {
        lower(report, who, format!("analysis status, {} tasks stored: p{part}", short(stored)), "ms", times.percentile(part));
    }
    server.stop();
    Ok(())
}
