//! What is measured. Each section is a file with `run`, and a line in [`SECTIONS`].

mod classifier;
mod collector;
mod consumer;
mod mwdb;
mod producer;
mod reporter;
mod router;
mod service;

use std::pin::Pin;

use crate::{Plan, report::Report};

type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;

pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a Plan, &'a mut Report) -> Running<'a>,
}

pub(crate) const SECTIONS: [Section; 7] = [
    Section { name: router::NAME, run: |plan, report| Box::pin(router::run(plan, report)) },
    Section { name: producer::NAME, run: |plan, report| Box::pin(producer::run(plan, report)) },
    Section { name: consumer::NAME, run: |plan, report| Box::pin(consumer::run(plan, report)) },
    Section { name: collector::NAME, run: |plan, report| Box::pin(collector::run(plan, report)) },
    Section { name: classifier::NAME, run: |plan, report| Box::pin(classifier::run(plan, report)) },
    Section { name: reporter::NAME, run: |plan, report| Box::pin(reporter::run(plan, report)) },
    Section { name: mwdb::NAME, run: |plan, report| Box::pin(mwdb::run(plan, report)) },
];

/// 1,000 as `1k`, as headings show it.
fn short(count: u64) -> String {
    match count {
        0 => "nothing".to_owned(),
        count if count.is_multiple_of(1_000_000) => format!("{}M", count / 1_000_000),
        count if count.is_multiple_of(1_000) => format!("{}k", count / 1_000),
        count => count.to_string(),
    }
}
