//! A consumer whose handler does nothing: what remains is the library's own cost.

use std::time::Instant;

use super::{service::Service, short};
use crate::{
    Plan,
    bed::Bed,
    process::Process,
    report::{Better, Figure, Report, Who},
    tasks,
};

pub(crate) const NAME: &str = "consumer";
const IDENTITY: &str = "karton.bench0";
const SERVICE: Service = Service { section: NAME, identity: IDENTITY, units: ("tasks/s", "us/task") };
const QUEUE: &str = "karton.queue.normal:karton.bench0";
/// What a client that works in batches has in one round trip.
const FLOOR_BATCH: usize = 100;

pub(super) async fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for stored in &plan.stored {
        let mut bed = Bed::start(*stored, "").await?;
        for _ in 0..plan.runs {
            for concurrency in [1_usize, 16] {
                let what = format!("{concurrency} at once, {} stored", short(*stored));
                // The reference has one at a time: it is the same figure.
                if let Some(python) = &plan.python {
                    let start = |bed: &Bed| Process::reference(python, &["consume", &bed.ini()], bed.folder());
                    measure(report, &mut bed, (Who::Reference, &what), 2_000, start).await?;
                }
                let start = |bed: &Bed| Process::service("playground-bench-consumer", bed, concurrency);
                measure(report, &mut bed, (Who::Ours, &what), 20_000, start).await?;
                let speed = floor(&mut bed, 20_000, if concurrency == 1 { 1 } else { FLOOR_BATCH }).await?;
                report.add(Figure::new(NAME, &what, "tasks/s", Better::Higher), Who::Floor, speed);
            }
        }
    }
    Ok(())
}

async fn measure(
    report: &mut Report,
    bed: &mut Bed,
    who: (Who, &str),
    count: usize,
    start: impl FnOnce(&Bed) -> anyhow::Result<Process>,
) -> anyhow::Result<()> {
    let records: Vec<_> = (0..count).map(|_| tasks::in_state("Spawned", Some(IDENTITY))).collect();
    SERVICE.measure(bed, report, who, &records, start).await?;
    bed.clear(&[], &records).await
}

/// The commands of consuming, by a client that knows beforehand what it will get.
async fn floor(bed: &mut Bed, count: usize, batch: usize) -> anyhow::Result<f64> {
    let records: Vec<_> = (0..count).map(|_| tasks::in_state("Spawned", Some(IDENTITY))).collect();
    bed.write(&records).await?;
    bed.push(QUEUE, &records).await?;
    let started = Instant::now();
    for batch in records.chunks(batch) {
        let mut pipeline = redis::pipe();
        for (uid, _) in batch {
            pipeline.lpop(QUEUE, None).ignore().get(format!("karton.task:{uid}")).ignore();
        }
        bed.run::<()>(&pipeline).await?;
        let mut pipeline = redis::pipe();
        for (uid, record) in batch {
            pipeline.set(format!("karton.task:{uid}"), record).ignore();
        }
        bed.run::<()>(&pipeline).await?;
        let mut pipeline = redis::pipe();
        for (uid, record) in batch {
            pipeline.hincr("karton.metrics.consumed", IDENTITY, 1).ignore().set(format!("karton.task:{uid}"), record).ignore();
        }
        bed.run::<()>(&pipeline).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let speed = count as f64 / started.elapsed().as_secs_f64();
    bed.clear(&[], &records).await?;
    Ok(speed)
}
