//! The router: how many tasks it routes, how long one waits, what it uses.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::short;
use crate::{
    Plan,
    bed::Bed,
    report::{Better, Figure, Report, Who},
    tasks,
};

pub(crate) const NAME: &str = "router";
/// Binds, and how many of them want the task.
const SHAPES: [(usize, usize); 3] = [(1, 1), (10, 3), (30, 5)];
/// Nothing is collected meanwhile.
const SYSTEM: &str = "gc_interval = 86400\n";
/// What the floor sends in one round trip.
const FLOOR_BATCH: usize = 250;
/// How many single tasks are timed.
const SINGLE: usize = 300;

pub(super) async fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for stored in &plan.stored {
        let mut bed = Bed::start(*stored, SYSTEM).await?;
        for (binds, matching) in SHAPES {
            let shape = format!("{binds} binds, {matching} match, {} stored", short(*stored));
            all(plan, report, &mut bed, (binds, matching), &shape).await?;
        }
    }
    // Ours without the history of analyses, which the reference has none of.
    let mut bed = Bed::start(0, &format!("{SYSTEM}history_ttl = 0\n")).await?;
    for (binds, matching) in SHAPES {
        all(plan, report, &mut bed, (binds, matching), &format!("{binds} binds, {matching} match, no history")).await?;
    }
    Ok(())
}

/// Everybody in turn, as often as is asked for.
async fn all(plan: &Plan, report: &mut Report, bed: &mut Bed, (binds, matching): (usize, usize), shape: &str) -> anyhow::Result<()> {
    for _ in 0..plan.runs {
        for who in [Who::Reference, Who::Ours] {
            measure(plan, report, bed, who, (binds, matching), shape).await?;
        }
        let speed = floor(bed, binds, matching).await?;
        report.add(Figure::new(NAME, shape, "tasks/s", Better::Higher), Who::Floor, speed);
    }
    Ok(())
}

async fn measure(
    plan: &Plan,
    report: &mut Report,
    bed: &mut Bed,
    who: Who,
    (binds, matching): (usize, usize),
    shape: &str,
) -> anyhow::Result<()> {
    let queues = bed.bind(binds, matching).await?;
    let first = vec![tasks::unrouted()];
    bed.write(&first).await?;
    bed.push("karton.tasks", &first).await?;
    let started = Instant::now();
    let Some(broker) = bed.broker(plan, who)? else { return Ok(()) };
    bed.filled(&queues, matching).await?;
    report.add(Figure::new(NAME, format!("{shape}: start to first task"), "ms", Better::Lower), who, started.elapsed().as_secs_f64() * 1e3);
    bed.clear(&queues, &first).await?;

    let count = if who == Who::Ours { 20_000 } else { 2_000 };
    let records: Vec<_> = (0..count).map(|_| tasks::unrouted()).collect();
    bed.write(&records).await?;
    let (before, redis_before, started) = (broker.usage()?, bed.redis_cpu().await?, Instant::now());
    bed.push("karton.tasks", &records).await?;
    bed.filled(&queues, count * matching).await?;
    let seconds = started.elapsed().as_secs_f64();
    // The end of the last batch is not seen from outside.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (after, redis_after) = (broker.usage()?, bed.redis_cpu().await?);
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let tasks = count as f64;
    report.add(Figure::new(NAME, shape, "tasks/s", Better::Higher), who, tasks / seconds);
    report.add(Figure::new(NAME, format!("{shape}: CPU"), "us/task", Better::Lower), who, (after.cpu - before.cpu) / tasks * 1e6);
    let redis = Figure::new(NAME, format!("{shape}: CPU of Redis"), "us/task", Better::Lower);
    report.add(redis, who, (redis_after - redis_before) / tasks * 1e6);
    report.add(Figure::new(NAME, format!("{shape}: memory"), "MiB", Better::Lower), who, after.peak);
    bed.clear(&queues, &records).await?;

    let mut waits = Vec::with_capacity(SINGLE);
    for _ in 0..SINGLE {
        waits.push(single(bed, &queues[0]).await?);
    }
    waits.sort_unstable();
    for (name, index) in [("p50", SINGLE / 2), ("p99", SINGLE * 99 / 100)] {
        report.add(Figure::new(NAME, format!("{shape}: one task, {name}"), "ms", Better::Lower), who, waits[index].as_secs_f64() * 1e3);
    }
    bed.clear(&queues, &[]).await
}

/// From the push of one task to its arrival in a queue.
pub(super) async fn single(bed: &mut Bed, queue: &str) -> anyhow::Result<Duration> {
    let task = vec![tasks::unrouted()];
    bed.write(&task).await?;
    let started = Instant::now();
    bed.push("karton.tasks", &task).await?;
    let popped: Option<(String, String)> = bed.command(&["BLPOP", queue, "120"]).await?;
    let wait = started.elapsed();
    let (_, uid) = popped.context("a task was not routed in two minutes")?;
    // Neither of the two is looked at again.
    let () = bed.command(&["UNLINK", &format!("karton.task:{uid}"), &format!("karton.task:{}", task[0].0)]).await?;
    Ok(wait)
}

/// The commands of routing, from texts that are there, a batch at a time.
async fn floor(bed: &mut Bed, binds: usize, matching: usize) -> anyhow::Result<f64> {
    const COUNT: usize = 20_000;
    let queues = bed.bind(binds, matching).await?;
    let records: Vec<_> = (0..COUNT).map(|_| tasks::unrouted()).collect();
    let forks: Vec<Vec<_>> =
        (0..COUNT).map(|_| (0..matching).map(|_| tasks::in_state("Spawned", Some("karton.bench0"))).collect()).collect();
    bed.write(&records).await?;
    bed.push("karton.tasks", &records).await?;
    let started = Instant::now();
    for (batch, forks) in records.chunks(FLOOR_BATCH).zip(forks.chunks(FLOOR_BATCH)) {
        let size = FLOOR_BATCH.to_string();
        let mut read = redis::pipe();
        read.atomic().lrange("karton.tasks", 0, -1 + isize::try_from(FLOOR_BATCH)?).ltrim(
            "karton.tasks",
            isize::try_from(FLOOR_BATCH)?,
            -1,
        );
        bed.run::<redis::Value>(&read).await?;
        let mut read = redis::pipe();
        read.cmd("MGET").arg(batch.iter().map(|(uid, _)| format!("karton.task:{uid}")).collect::<Vec<_>>()).hgetall("karton.binds");
        bed.run::<redis::Value>(&read).await?;
        let mut write = redis::pipe();
        write.atomic();
        let all = forks.iter().flatten().chain(batch);
        write.mset(&all.map(|(uid, record)| (format!("karton.task:{uid}"), record)).collect::<Vec<_>>()).ignore();
        for (number, queue) in queues.iter().enumerate() {
            write.rpush(queue, forks.iter().map(|forks| &forks[number].0).collect::<Vec<_>>()).ignore();
            write.hincr("karton.metrics.assigned", format!("karton.bench{number}"), &size).ignore();
        }
        bed.run::<redis::Value>(&write).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let speed = COUNT as f64 / started.elapsed().as_secs_f64();
    bed.clear(&queues, &records).await?;
    Ok(speed)
}
