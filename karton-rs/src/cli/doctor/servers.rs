//! Redis and S3: are they there, and are they set up so that Karton can rely on them?

use std::collections::BTreeMap;

use super::{Report, values};
use crate::backend::Backend;

/// Whether Redis answers, so that there is more to look at. `cli` is `redis-cli` for it.
pub(super) async fn redis(backend: &Backend, cli: &str, report: &mut Report) -> std::io::Result<bool> {
    if let Err(error) = backend.ping().await {
        report.wrong("redis", error.to_string(), "start Redis, or correct [redis] host, port, password in the configuration")?;
        return Ok(false);
    }
    let mut info = BTreeMap::new();
    for section in ["server", "memory", "persistence", "replication"] {
        match backend.info(section).await {
            Ok(fields) => info.extend(fields),
            Err(error) => {
                report.warning("redis", format!("does not tell of itself: {error}"), "allow INFO to the user in [redis] username")?;
            }
        }
    }
    version(&info, report)?;
    persistence(&info, cli, report)?;
    memory(&info, cli, report)?;
    if info.get("role").is_some_and(|role| role != "master") {
        report.wrong("redis", "this is a replica: nothing can be written to it", "set [redis] host to the master")?;
    }
    let timeout = backend.setting("timeout").await.ok().flatten().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    if (1..=30).contains(&timeout) {
        report.warning(
            "redis",
            format!("it closes connections that are idle for {timeout} s: services seem offline then, and binds that are not persistent are removed"),
            format!("`{cli} CONFIG SET timeout 0`, and the same in redis.conf"),
        )?;
    }
    Ok(true)
}

fn version(info: &BTreeMap<String, String>, report: &mut Report) -> std::io::Result<()> {
    let Some(version) = info.get("redis_version") else { return Ok(()) };
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    if numbers.as_slice() < &[6, 2][..] {
        return report.wrong("redis", format!("version {version} is too old"), "update Redis to 6.2 or newer");
    }
    let up = number(info, "uptime_in_seconds").map_or_else(String::new, |seconds| format!(", up for {}", values::age(seconds)));
    report.fine("redis", format!("version {version}{up}"))
}

fn persistence(info: &BTreeMap<String, String>, cli: &str, report: &mut Report) -> std::io::Result<()> {
    let is = |field: &str, value: &str| info.get(field).is_some_and(|found| found == value);
    if is("loading", "1") {
        return report.wrong("redis", "it is still loading its data", format!("wait until it has; `{cli} INFO persistence` tells"));
    }
    let failed =
        ["aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"].into_iter().find(|field| is(field, "err"));
    if let Some(field) = failed {
        return report.wrong(
            "redis",
            format!("it cannot write to its disk ({field})"),
            "make room on the disk of Redis, and look into its log",
        );
    }
    if is("aof_enabled", "1") {
        return report.fine("redis", "tasks survive its end (append-only file)");
    }
    let append_only = format!("`{cli} CONFIG SET appendonly yes`, and the same in redis.conf");
    match number(info, "rdb_last_save_time").zip(number(info, "rdb_changes_since_last_save")) {
        Some(_) if number(info, "rdb_saves").is_none_or(|saves| saves > 0.0) && saves_by_itself(info) => report.warning(
            "redis",
            "it keeps snapshots only: the tasks of the last minutes are lost when it ends unexpectedly",
            append_only,
        ),
        _ => report.warning("redis", "it keeps nothing on disk: all tasks are lost when it ends", append_only),
    }
}

/// Whether a snapshot was ever made: a server without save points makes none.
fn saves_by_itself(info: &BTreeMap<String, String>) -> bool {
    number(info, "rdb_last_bgsave_time_sec").is_some_and(|seconds| seconds >= 0.0)
}

fn memory(info: &BTreeMap<String, String>, cli: &str, report: &mut Report) -> std::io::Result<()> {
    let policy = info.get("maxmemory_policy").map_or("noeviction", String::as_str);
    let (used, limit) = (number(info, "used_memory").unwrap_or(0.0), number(info, "maxmemory").unwrap_or(0.0));
    let share = if limit > 0.0 { used / limit } else { 0.0 };
    let mib = |bytes: f64| format!("{:.0} MiB", bytes / f64::from(1 << 20));
    let fix = format!("`{cli} CONFIG SET maxmemory-policy noeviction`, and the same in redis.conf");
    if policy != "noeviction" && limit > 0.0 {
        return report.wrong("redis", format!("under pressure it drops keys ({policy}), which are tasks, binds and queues"), fix);
    }
    if policy != "noeviction" {
        report.warning("redis", format!("with a memory limit it would drop keys ({policy}), which are tasks, binds and queues"), fix)?;
    }
    let told = format!("{} of memory used{}", mib(used), if limit > 0.0 { format!(" of {}", mib(limit)) } else { String::new() });
    let queues = report.commands.karton("queues", &[]);
    let fix = format!("raise maxmemory, or cancel tasks that nobody needs: `{queues}` shows where they are");
    match share {
        share if share > 0.95 => report.wrong("redis", told, fix),
        share if share > 0.8 => report.warning("redis", told, fix),
        _ => report.fine("redis", told),
    }
}

fn number(info: &BTreeMap<String, String>, field: &str) -> Option<f64> {
    info.get(field)?.parse().ok()
}

pub(super) async fn storage(backend: &Backend, read_only: bool, report: &mut Report) -> std::io::Result<()> {
    let storage = backend.storage();
    let bucket = match storage.bucket() {
        Ok(bucket) => bucket.to_owned(),
        Err(error) => return report.wrong("s3", error.to_string(), "set [s3] bucket in the configuration"),
    };
    match storage.check_bucket(false).await {
        Ok(true) => {}
        Ok(false) => {
            let setup = report.commands.system(&["--setup-bucket"]);
            return report.wrong("s3", format!("bucket `{bucket}` does not exist"), format!("{setup} creates it"));
        }
        Err(error) if error.is_temporary() => {
            return report.wrong("s3", error.to_string(), "start the S3 server, or correct [s3] address in the configuration");
        }
        Err(error) => {
            return report.wrong("s3", error.to_string(), "correct [s3] access_key, secret_key and bucket, or the rights of that user");
        }
    }
    if read_only {
        return report.fine("s3", format!("bucket `{bucket}` is there"));
    }
    match storage.try_write().await {
        Ok(()) => report.fine("s3", format!("bucket `{bucket}` is there, and can be written")),
        Err(error) => report.wrong("s3", error.to_string(), format!("let the user of [s3] access_key write to and delete from `{bucket}`")),
    }
}
