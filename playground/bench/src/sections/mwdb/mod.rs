//! MWDB: uploads, searches, downloads, the start; ours is `mwdb-lite` as a process, the reference is
//! MWDB Core with `PostgreSQL` and two workers.
//!
//! Both keep content on the same disk and ask it for the same durability. The one rule: both are asked
//! through HTTP by the same client, for the same things.

mod client;
mod load;
mod queries;
mod reference;
mod server;

use crate::{
    Plan,
    report::{Better, Figure, Report, Who},
};

pub(crate) const NAME: &str = "mwdb";

/// Objects of the reference: as many uploads through its API.
const REFERENCE_OBJECTS: u32 = 1_000;

pub(super) async fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let peers = [Who::Reference, Who::Ours].into_iter().filter(|who| *who == Who::Ours || reference::is_there(plan));
    let peers: Vec<Who> = peers.collect();
    for _ in 0..plan.runs {
        for who in &peers {
            for karton in [true, false] {
                load::uploads(plan, report, *who, karton).await?;
            }
            load::downloads(plan, report, *who).await?;
            for stored in &plan.stored {
                load::analyses(plan, report, *who, *stored).await?;
            }
        }
        for objects in &plan.objects {
            for who in &peers {
                if *who == Who::Ours || *objects == REFERENCE_OBJECTS {
                    queries::run(plan, report, *who, *objects).await?;
                }
            }
        }
    }
    Ok(())
}

fn lower(report: &mut Report, who: Who, what: impl Into<String>, unit: &'static str, value: f64) {
    report.add(Figure::new(NAME, what, unit, Better::Lower), who, value);
}

fn higher(report: &mut Report, who: Who, what: impl Into<String>, unit: &'static str, value: f64) {
    report.add(Figure::new(NAME, what, unit, Better::Higher), who, value);
}
