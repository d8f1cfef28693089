//! Broker, binds and queues: does everything have somebody who takes care of it?

use std::collections::BTreeMap;

use super::Report;
use crate::{Error, Filters, Inspect, inspect::QueueOverview, json::Value, system::IDENTITY as BROKER};

pub(super) async fn check(inspect: &Inspect, report: &mut Report) -> anyhow::Result<()> {
    broker(inspect, report).await?;
    let overview = inspect.overview_of_queues().await?;
    let mut versions: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut fine = 0;
    for queue in &overview.queues {
        match &queue.bind {
            Some(bind) => {
                let version = bind.version.as_str().unwrap_or("unknown").to_owned();
                versions.entry(version).or_default().push(&queue.identity);
                fine += u64::from(of_bind(queue, bind, report)?);
            }
            None => without_bind(queue, report)?,
        }
    }
    if fine > 0 {
        report.fine("services", format!("{fine} of {} have consumers online", overview.queues.len()))?;
    } else if overview.queues.is_empty() {
        let classifier = report.commands.service("karton-classifier", &[]);
        report.warning(
            "services",
            "no service has declared a bind: tasks go nowhere",
            format!("start a service, `{classifier}` for one"),
        )?;
    }
    versions_in_use(&versions, report)?;
    Ok(())
}

async fn broker(inspect: &Inspect, report: &mut Report) -> anyhow::Result<()> {
    let routers = inspect.backend().routers().await?;
    let online = inspect.online_services().await?;
    let brokers: Vec<String> = online
        .iter()
        .filter(|(info, _)| info.identity == BROKER)
        .map(|(info, _)| info.service_version.as_deref().unwrap_or(&info.karton_version).to_owned())
        .collect();
    let system = report.commands.system(&[]);
    let ours = routers.iter().filter(|(_, alive, _)| *alive).count();
    if brokers.is_empty() && ours == 0 {
        report.wrong("broker", format!("no `{BROKER}` is online: nothing is routed or collected"), format!("start `{system}`"))?;
    } else if ours == 0 && is_full(inspect).await? {
        report.warning(
            "broker",
            format!("`{BROKER}` {} is online; which one it is cannot be told while Redis is full", brokers.join(", ")),
            "raise maxmemory, or cancel tasks that nobody needs",
        )?;
    } else if ours == 0 {
        report.warning(
            "broker",
            format!("`{BROKER}` {} is online, which loses tasks when it ends unexpectedly", brokers.join(", ")),
            format!("run this project's `{system}` beside it or in its place"),
        )?;
    } else {
        report.fine("broker", format!("{ours} routing"))?;
    }
    let left: u64 = routers.iter().filter(|(_, alive, _)| !alive).map(|(_, _, count)| count).sum();
    if left > 0 {
        let fix = if ours > 0 {
            "nothing: the running broker takes them over within a minute".to_owned()
        } else {
            format!("start `{system}`: it takes them over")
        };
        report.warning("broker", format!("{left} tasks are in the hands of brokers that are gone"), fix)?;
    }
    let operations = inspect.backend().lengths(&[crate::backend::keys::OPERATIONS.to_owned()]).await?;
    if operations.iter().sum::<u64>() > 1_000 {
        report.warning(
            "broker",
            "changes of status by consumers older than 4.4 pile up in karton.operations",
            format!("start `{system}`, or another one"),
        )?;
    }
    let quarantined = inspect.backend().quarantine_size().await?;
    if quarantined > 0 {
        report.warning("quarantine", format!("{quarantined} things could not be read"), report.commands.karton("quarantine list", &[]))?;
    }
    Ok(())
}

/// Whether Redis takes nothing new: no broker can show then that it lives.
async fn is_full(inspect: &Inspect) -> Result<bool, Error> {
    let memory = inspect.backend().info("memory").await?;
    let number = |field: &str| memory.get(field).and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0);
    let limit = number("maxmemory");
    Ok(limit > 0 && number("used_memory") >= limit)
}

/// True when all is well.
fn of_bind(queue: &QueueOverview, bind: &crate::Bind, report: &mut Report) -> std::io::Result<bool> {
    let identity = &queue.identity;
    if let Err(error) = Filters::compile(&bind.filters) {
        report.wrong(
            "services",
            format!("the filters of `{identity}` cannot be used: {error}"),
            "correct the filters of the service, and start it again",
        )?;
        return Ok(false);
    }
    let delete = report.commands.karton("delete", &[identity]);
    let removed = bind.filters.as_array().is_some_and(<[Value]>::is_empty) && !bind.persistent && queue.online == 0;
    match (queue.online, queue.pending.total()) {
        (0, _) if removed => report.fine("services", format!("`{identity}` is deleted, and goes at the next collection"))?,
        (0, 0) => {
            report.warning("services", format!("`{identity}` has no consumers"), format!("start it, or `{delete}`"))?;
        }
        (0, waiting) => {
            let cancel = report.commands.karton("cancel", &["--identity", identity]);
            report.wrong(
                "services",
                format!("`{identity}` has no consumers, and {waiting} tasks wait for it"),
                format!("start it, or `{cancel}` and `{delete}`"),
            )?;
        }
        _ => return Ok(true),
    }
    Ok(false)
}

fn without_bind(queue: &QueueOverview, report: &mut Report) -> std::io::Result<()> {
    let identity = &queue.identity;
    if queue.bind_unreadable {
        let delete = report.commands.karton("delete", &[identity]);
        return report.wrong(
            "services",
            format!("the bind of `{identity}` cannot be read: it gets no tasks"),
            format!("start the service again, or remove it: `{delete}`"),
        );
    }
    let cancel = report.commands.karton("cancel", &["--identity", identity]);
    report.wrong(
        "services",
        format!("{} tasks wait for `{identity}`, which has no bind", queue.pending.total()),
        format!("start it, or `{cancel}`"),
    )
}

/// Replicas of one identity with different libraries retire each other; very old ones speak differently.
fn versions_in_use(versions: &BTreeMap<String, Vec<&str>>, report: &mut Report) -> std::io::Result<()> {
    if versions.is_empty() {
        return Ok(());
    }
    let used: Vec<String> = versions.iter().map(|(version, identities)| format!("{version} ({})", identities.len())).collect();
    let old = |version: &str| {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < (4, 4)
    };
    let outdated: Vec<&str> =
        versions.iter().filter(|(version, _)| old(version)).flat_map(|(_, identities)| identities.iter().copied()).collect();
    if outdated.is_empty() {
        return report.fine("versions", format!("Karton library {}", used.join(", ")));
    }
    report.warning(
        "versions",
        format!("Karton library {}; older than 4.4: {}", used.join(", "), outdated.join(", ")),
        "update karton-core in these services: their changes of status take a detour through the broker",
    )
}
