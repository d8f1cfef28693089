//! The classifier: small files of many kinds, from its queue to what it sends about them.
//!
//! The floor is libmagic alone, on one core, with the files in memory.

use karton_rs::{Task, json::Value};
use serde_json::json;

use super::service::Service;
use crate::{
    Plan,
    bed::Bed,
    peer::Measured,
    process::Process,
    report::{Better, Figure, Report, Who},
    samples, tasks,
};

pub(crate) const NAME: &str = "classifier";
const SERVICE: Service = Service { section: NAME, identity: classifier::IDENTITY, units: ("files/s", "us/file") };
/// Fewer of the reference, as it takes longer.
const FILES: usize = 5_000;
const REFERENCE_FILES: usize = 1_000;

pub(super) async fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut bed = Bed::start(0, "").await?;
    let stored = samples::store(&bed, samples::kinds()?).await?;
    for _ in 0..plan.runs {
        for concurrency in [None, Some(8)] {
            let what = concurrency.map_or_else(|| "small files".to_owned(), |tasks| format!("small files, {tasks} at once"));
            // The reference has one at a time: it is the same figure.
            if let Some(python) = &plan.python {
                let start = |bed: &Bed| Process::installed(python, "karton-classifier", &["--config-file", &bed.ini()], bed.folder());
                let records = records(&stored, REFERENCE_FILES);
                SERVICE.measure(&mut bed, report, (Who::Reference, &what), &records, start).await?;
                answered(&mut bed, &records).await?;
            }
            let start = |bed: &Bed| match concurrency {
                Some(tasks) => Process::service("karton-classifier", bed, tasks),
                None => Process::program("karton-classifier", &["--config-file", &bed.ini()], bed.folder()),
            };
            let records = records(&stored, FILES);
            SERVICE.measure(&mut bed, report, (Who::Ours, &what), &records, start).await?;
            answered(&mut bed, &records).await?;
            if concurrency.is_none() {
                let mut libmagic = Process::ours(&["peer-detect", &FILES.to_string()], bed.folder())?;
                let speed = Measured::parse(&libmagic.line().await?)?.rate(FILES);
                report.add(Figure::new(NAME, what, "files/s", Better::Higher), Who::Floor, speed);
            }
        }
    }
    Ok(())
}

fn records(stored: &[Value], count: usize) -> Vec<(String, String)> {
    let tasks = stored.iter().cycle().take(count).map(|sample| {
        let mut task = Task::new(json!({"type": "sample", "kind": "raw", "quality": "high"}));
        task.set_payload("sample", sample.clone());
        task.set_payload("tags", Value::from(json!(["feed:example"])));
        tasks::record(&task, "Spawned", Some(classifier::IDENTITY))
    });
    tasks.collect()
}

/// Each file has its answer, which nobody routes.
async fn answered(bed: &mut Bed, records: &[(String, String)]) -> anyhow::Result<()> {
    let answers: usize = bed.command(&["LLEN", "karton.tasks"]).await?;
    anyhow::ensure!(answers == records.len(), "{answers} answers to {} files", records.len());
    bed.clear(&["karton.tasks".to_owned()], records).await
}
