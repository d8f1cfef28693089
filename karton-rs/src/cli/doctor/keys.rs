//! Is every key what it must be? One that somebody has written by hand stops whoever needs it, with a message that
//! does not name it.

use super::Report;
use crate::{
    backend::{Backend, keys, keys::Metric},
    cli::commands::quoted,
};

/// What each key of a fixed name is.
const WANTED: [(&str, &str); 14] = [
    (keys::TASKS, "list"),
    (keys::OPERATIONS, "list"),
    (keys::BINDS, "hash"),
    (keys::QUARANTINE, "hash"),
    (keys::ROUTERS, "set"),
    (keys::LEASES, "zset"),
    (keys::DELIVERIES, "hash"),
    (keys::DELAYED, "zset"),
    (keys::ATTEMPTS, "hash"),
    (Metric::Produced.key(), "hash"),
    (Metric::Consumed.key(), "hash"),
    (Metric::Crashed.key(), "hash"),
    (Metric::Assigned.key(), "hash"),
    (Metric::GarbageCollected.key(), "hash"),
];

pub(super) async fn check(backend: &Backend, cli: &str, report: &mut Report) -> anyhow::Result<()> {
    let mut wanted: Vec<(String, &str)> = WANTED.iter().map(|(key, kind)| ((*key).to_owned(), *kind)).collect();
    tell(backend, &wanted, cli, report).await?;
    // Without binds there is nobody to have a queue; that they are no hash is said by now.
    let Ok(binds) = backend.binds_raw().await else { return Ok(()) };
    // The queue of old is named as its identity, and may be anything.
    wanted = binds.keys().flat_map(|identity| keys::queues(identity).into_iter().skip(1)).map(|key| (key, "list")).collect();
    tell(backend, &wanted, cli, report).await
}

async fn tell(backend: &Backend, wanted: &[(String, &str)], cli: &str, report: &mut Report) -> anyhow::Result<()> {
    let found = backend.types(wanted.iter().map(|(key, _)| key.as_str())).await?;
    for ((key, wanted), found) in wanted.iter().zip(found).filter(|((_, wanted), found)| found != "none" && found != wanted) {
        report.wrong(
            "redis",
            format!("key `{key}` is a {found}, and must be a {wanted}: what needs it fails"),
            format!("put it aside: `{cli} RENAME {} {}`", quoted(key), quoted(&format!("{key}.wrong"))),
        )?;
    }
    Ok(())
}
