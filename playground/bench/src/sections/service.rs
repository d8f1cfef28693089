//! A consumer in a process of its own, with tasks in its queue: what is measured of all of them.

use std::time::{Duration, Instant};

use crate::{
    bed::Bed,
    process::Process,
    report::{Better, Figure, Report, Who},
};

/// What is measured of whom.
pub(super) struct Service {
    pub(super) section: &'static str,
    pub(super) identity: &'static str,
    /// Units of speed and of CPU time.
    pub(super) units: (&'static str, &'static str),
}

impl Service {
    /// Starts a process, gives it tasks once it waits for some, and sees them processed.
    pub(super) async fn measure(
        &self,
        bed: &mut Bed,
        report: &mut Report,
        (who, what): (Who, &str),
        records: &[(String, String)],
        start: impl FnOnce(&Bed) -> anyhow::Result<Process>,
    ) -> anyhow::Result<()> {
        let Self { section, identity, units } = *self;
        let () = bed.command(&["DEL", "karton.binds", "karton.metrics.consumed", "karton.metrics.crashed"]).await?;
        let started = Instant::now();
        let process = start(bed)?;
        bed.reached(&["HEXISTS", "karton.binds", identity], 1).await?;
        let ready = started.elapsed();
        // It has looked into its queue, and waits.
        tokio::time::sleep(Duration::from_millis(300)).await;
        bed.write(records).await?;
        let (before, redis_before, started) = (process.usage()?, bed.redis_cpu().await?, Instant::now());
        bed.push(&format!("karton.queue.normal:{identity}"), records).await?;
        bed.reached(&["HGET", "karton.metrics.consumed", identity], records.len()).await?;
        let (seconds, after) = (started.elapsed().as_secs_f64(), process.usage()?);
        let redis = bed.redis_cpu().await? - redis_before;
        let crashed: Option<usize> = bed.command(&["HGET", "karton.metrics.crashed", identity]).await?;
        anyhow::ensure!(crashed.is_none(), "{crashed:?} of {} tasks of {identity} crashed", records.len());
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let tasks = records.len() as f64;
        let mut add = |more: &str, unit, better, value| {
            report.add(Figure::new(section, format!("{what}{more}"), unit, better), who, value);
        };
        add(": start to ready", "ms", Better::Lower, ready.as_secs_f64() * 1e3);
        add("", units.0, Better::Higher, tasks / seconds);
        add(": CPU", units.1, Better::Lower, (after.cpu - before.cpu) / tasks * 1e6);
        add(": CPU of Redis", units.1, Better::Lower, redis / tasks * 1e6);
        add(": memory", "MiB", Better::Lower, after.peak);
        Ok(())
    }
}
