//! The collector: finished tasks and dead objects, and what routing suffers meanwhile.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{router, short};
use crate::{
    Plan,
    bed::Bed,
    peer,
    process::Process,
    report::{Better, Figure, Report, Who},
    tasks,
};

pub(crate) const NAME: &str = "collector";
const TASKS: usize = 20_000;
const OBJECTS: usize = 5_000;

pub(super) async fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for stored in &plan.stored {
        for _ in 0..plan.runs {
            for who in [Who::Reference, Who::Ours] {
                // Of its own each time: what was collected is gone.
                measure(plan, report, who, *stored).await?;
            }
        }
    }
    Ok(())
}

async fn measure(plan: &Plan, report: &mut Report, who: Who, stored: u64) -> anyhow::Result<()> {
    let mut bed = Bed::start(stored, "gc_interval = 5\n").await?;
    let queues = bed.bind(1, 1).await?;
    let finished: Vec<_> = (0..TASKS).map(|_| tasks::in_state("Finished", None)).collect();
    bed.write(&finished).await?;
    Process::ours(&["peer-put", &bed.s3_url, &OBJECTS.to_string(), "16"], bed.folder())?.line().await?;
    let Some(broker) = bed.broker(plan, who)? else { return Ok(()) };
    router::single(&mut bed, &queues[0]).await?;
    // Routing goes on meanwhile; the longest of these waits is the pause.
    let looks = signs(&mut bed, who).await?;
    let mut began: Option<Instant> = None;
    let (mut tasks_gone, mut pause) = (None, Duration::ZERO);
    let deadline = Instant::now() + Duration::from_mins(5);
    loop {
        let wait = router::single(&mut bed, &queues[0]).await?;
        if began.is_none() && signs(&mut bed, who).await? > looks {
            began = Some(Instant::now().checked_sub(wait).unwrap_or_else(Instant::now));
        }
        let Some(began) = began else { continue };
        pause = pause.max(wait);
        if tasks_gone.is_none() && collected(&mut bed).await? >= TASKS {
            tasks_gone = Some(began.elapsed());
        }
        if let (Some(tasks_gone), 0) = (tasks_gone, dead_objects(&bed.objects())) {
            let mut add = |what: &str, unit, value: f64| {
                report.add(Figure::new(NAME, format!("{what}, {} stored", short(stored)), unit, Better::Lower), who, value);
            };
            add("20,000 finished tasks gone", "s", tasks_gone.as_secs_f64());
            add("5,000 dead objects gone", "s", began.elapsed().as_secs_f64());
            add("longest wait of a task for routing", "ms", pause.as_secs_f64() * 1e3);
            add("memory", "MiB", broker.usage()?.peak);
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "nothing was collected in five minutes");
    }
}

/// Grows when a collection begins: ours then takes a lock, and the reference looks for records.
async fn signs(bed: &mut Bed, who: Who) -> anyhow::Result<u64> {
    if who == Who::Ours {
        return bed.command(&["EXISTS", "karton.rs.collector"]).await;
    }
    let stats: String = bed.command(&["INFO", "commandstats"]).await?;
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_scan:calls=")?.split(',').next()?.parse().ok());
    Ok(calls.unwrap_or(0))
}

/// How many tasks were collected that no service had; both brokers count them when they are gone.
async fn collected(bed: &mut Bed) -> anyhow::Result<usize> {
    let count: Option<usize> = bed.command(&["HGET", "karton.metrics.garbage-collected", "unknown"]).await?;
    Ok(count.unwrap_or(0))
}

fn dead_objects(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .map_or(0, |entries| entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(peer::OBJECT)).count())
}
