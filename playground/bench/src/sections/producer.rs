//! Producers: tasks sent one by one, many at once, with and without a file.

use std::time::Instant;

use anyhow::Context as _;
use serde::Deserialize;

use crate::{
    Plan,
    bed::Bed,
    process::Process,
    report::{Better, Figure, Report, Who},
    tasks,
};

pub(crate) const NAME: &str = "producer";
/// What a client that sends batches has in one round trip.
const FLOOR_BATCH: usize = 100;

/// What a producer has measured itself.
#[derive(Deserialize)]
struct Measured {
    seconds: f64,
    cpu: f64,
    peak: f64,
}

pub(super) async fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut bed = Bed::start(0, "").await?;
    for _ in 0..plan.runs {
        for (what, at_once, resource, count, reference_count) in [
            ("one by one", 1_usize, false, 10_000_usize, 5_000_usize),
            ("64 at once", 64, false, 50_000, 5_000),
            ("10 KiB resource, one by one", 1, true, 1_000, 300),
            ("10 KiB resource, 16 at once", 16, true, 2_000, 300),
        ] {
            // The reference has no way to send several at once: it is the same figure.
            if let Some(python) = &plan.python {
                let arguments = ["produce", &bed.ini(), &reference_count.to_string(), &resource.to_string()];
                let process = Process::reference(python, &arguments, bed.folder())?;
                add(report, Who::Reference, what, reference_count, process).await?;
            }
            let arguments = ["peer-produce", &bed.ini(), &count.to_string(), &at_once.to_string()];
            let mut arguments = arguments.to_vec();
            let resource_text = resource.to_string();
            arguments.push(&resource_text);
            add(report, Who::Ours, what, count, Process::ours(&arguments, bed.folder())?).await?;
            if resource {
                let arguments = ["peer-put", &bed.s3_url, &count.to_string(), &at_once.to_string()];
                let mut process = Process::ours(&arguments, bed.folder())?;
                let measured = parse(&process.line().await?)?;
                report.add(Figure::new(NAME, what, "tasks/s", Better::Higher), Who::Floor, rate(count, measured.seconds));
            } else {
                let speed = floor(&mut bed, count, if at_once == 1 { 1 } else { FLOOR_BATCH }).await?;
                report.add(Figure::new(NAME, what, "tasks/s", Better::Higher), Who::Floor, speed);
            }
            let () = bed.command(&["FLUSHALL"]).await?;
        }
    }
    Ok(())
}

async fn add(report: &mut Report, who: Who, what: &str, count: usize, mut process: Process) -> anyhow::Result<()> {
    let Measured { seconds, cpu, peak } = parse(&process.line().await?)?;
    report.add(Figure::new(NAME, what, "tasks/s", Better::Higher), who, rate(count, seconds));
    report.add(Figure::new(NAME, format!("{what}: CPU"), "us/task", Better::Lower), who, 1e6 / rate(count, cpu));
    report.add(Figure::new(NAME, format!("{what}: memory"), "MiB", Better::Lower), who, peak);
    Ok(())
}

fn parse(line: &str) -> anyhow::Result<Measured> {
    serde_json::from_str(line).with_context(|| format!("a producer printed `{}`", line.trim()))
}

#[expect(clippy::cast_precision_loss, reason = "thousands")]
fn rate(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

async fn floor(bed: &mut Bed, count: usize, batch: usize) -> anyhow::Result<f64> {
    let records: Vec<_> = (0..count).map(|_| tasks::unrouted()).collect();
    let started = Instant::now();
    for batch in records.chunks(batch) {
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for (uid, record) in batch {
            pipeline.set(format!("karton.task:{uid}"), record).ignore().rpush("karton.tasks", uid).ignore();
            pipeline.hincr("karton.metrics.produced", "karton.bench-producer", 1).ignore();
        }
        bed.run::<()>(&pipeline).await?;
    }
    Ok(rate(count, started.elapsed().as_secs_f64()))
}
