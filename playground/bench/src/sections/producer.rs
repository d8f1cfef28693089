//! Producers: tasks sent one by one, many at once, with and without a file.

use std::time::Instant;

use crate::{
    Plan,
    bed::Bed,
    peer::Measured,
    process::Process,
    report::{Better, Figure, Report, Who},
    tasks,
};

pub(crate) const NAME: &str = "producer";
/// What a client that sends batches has in one round trip.
const FLOOR_BATCH: usize = 100;

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
                let speed = Measured::parse(&process.line().await?)?.rate(count);
                report.add(Figure::new(NAME, what, "tasks/s", Better::Higher), Who::Floor, speed);
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
    let measured = Measured::parse(&process.line().await?)?;
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let cpu = measured.cpu / count as f64 * 1e6;
    report.add(Figure::new(NAME, what, "tasks/s", Better::Higher), who, measured.rate(count));
    report.add(Figure::new(NAME, format!("{what}: CPU"), "us/task", Better::Lower), who, cpu);
    report.add(Figure::new(NAME, format!("{what}: memory"), "MiB", Better::Lower), who, measured.peak);
    Ok(())
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
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let speed = count as f64 / started.elapsed().as_secs_f64();
    Ok(speed)
}
