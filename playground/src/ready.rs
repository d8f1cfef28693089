//! Waiting until everything answers, and telling so.
//!
//! The rule: nothing is told that was not seen to be true.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use karton_rs::Inspect;
use serde_json::json;

use crate::connections::Connections;
use crate::folder::State;
use crate::mwdb::Mwdb;
use crate::settings::{ACCOUNT, KARTON_BUCKET, MWDB_BUCKET, S3_KEYS, ServiceName};
use crate::table::columns;

/// How long a start may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Under what name we look at Karton; it has no version, so it is no service.
const IDENTITY: &str = "karton.playground";

/// A playground in which everything answers.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) state: State,
    data: PathBuf,
    own_s3: bool,
    own_redis: bool,
    mwdb: Seen,
    left_out: Vec<&'static str>,
}

/// What was seen of MWDB.
#[derive(Debug, Default)]
struct Seen {
    /// It has pages to look at.
    pages: bool,
    /// The account is as we know it; people may change the password.
    account: bool,
}

/// Waits until all parts answer.
pub(crate) async fn wait(state: State, services: &[ServiceName], connections: &Connections, data: &Path) -> anyhow::Result<Ready> {
    let mut parts = Parts {
        inspect: Inspect::new(&connections.karton_config()?, IDENTITY, None)?,
        s3: S3Probe::new(&state.s3)?,
        mwdb: state.mwdb.as_deref().map(Mwdb::new).transpose()?,
    };
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let missing = match parts.missing(services).await {
            Ok(missing) if missing.is_empty() => break,
            Ok(missing) => missing.join(", "),
            Err(error) => format!("{error:#}"),
        };
        if tokio::time::Instant::now() > deadline {
            bail!("not everything answers after {} seconds: {missing}", LIMIT.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut seen = Seen::default();
    if let Some(mwdb) = &mut parts.mwdb {
        seen.pages = mwdb.has_pages().await;
        seen.account = mwdb.login(ACCOUNT.0, ACCOUNT.1).await?;
        if !seen.account && services.contains(&ServiceName::KartonMwdbReporter) {
            tracing::warn!("MWDB does not accept the password of `{}` any more: the reporter cannot log in", ACCOUNT.0);
        }
    }
    let all: &[ServiceName] = clap::ValueEnum::value_variants();
    let left_out = all.iter().filter(|service| !services.contains(service)).map(|service| service.as_str()).collect();
    let (own_s3, own_redis) = (!connections.external_s3, !connections.external_redis);
    Ok(Ready { state, data: data.to_owned(), own_s3, own_redis, mwdb: seen, left_out })
}

/// Whom to ask.
struct Parts {
    inspect: Inspect,
    s3: S3Probe,
    mwdb: Option<Mwdb>,
}

impl Parts {
    /// What does not answer yet.
    async fn missing(&self, services: &[ServiceName]) -> anyhow::Result<Vec<&'static str>> {
        let online = self.inspect.online_consumers().await.context("Redis")?;
        let binds = self.inspect.binds().await.context("Redis")?;
        let is_there = |service: &ServiceName| match service {
            // It connects to Redis when there is something to announce.
            ServiceName::MwdbLite => true,
            service if service.is_consumer() => {
                online.contains_key(service.identity()) && binds.iter().any(|bind| bind.identity == service.identity())
            }
            service => online.contains_key(service.identity()),
        };
        let mut missing: Vec<_> = services.iter().filter(|service| !is_there(service)).map(|service| service.as_str()).collect();
        if let Some(mwdb) = &self.mwdb
            && mwdb.ping().await.is_err()
        {
            missing.push(ServiceName::MwdbLite.as_str());
        }
        if !self.s3.answers().await {
            missing.push("s3");
        }
        Ok(missing)
    }
}

/// Asks an S3 server whether it is there.
pub(crate) struct S3Probe {
    http: reqwest::Client,
    address: String,
}

impl S3Probe {
    pub(crate) fn new(endpoint: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build().context("cannot prepare HTTP")?;
        Ok(Self { http, address: format!("{endpoint}/.health") })
    }

    /// Ours says that it is well; another one refuses the request, which is an answer too.
    pub(crate) async fn answers(&self) -> bool {
        self.http.get(&self.address).send().await.is_ok()
    }
}

impl Ready {
    /// One line for scripts.
    pub(crate) fn json_line(&self) -> String {
        let State { pid, mwdb, s3, redis, karton_ini, .. } = &self.state;
        let mut line = json!({"mwdb": mwdb, "s3": s3, "redis": redis, "karton_ini": karton_ini, "pid": pid});
        if let (None, Some(line)) = (mwdb, line.as_object_mut()) {
            line.shift_remove("mwdb");
        }
        line.to_string()
    }

    /// A few lines for people.
    pub(crate) fn welcome(&self) -> String {
        let mut rows = Vec::new();
        let mut row = |what: &str, place: &str, note: String| rows.push(vec![format!("  {what}"), place.to_owned(), note]);
        if let Some(mwdb) = &self.state.mwdb {
            let account = if self.mwdb.account {
                format!("{} / {}", ACCOUNT.0, ACCOUNT.1)
            } else {
                format!("account {}, whose password was changed", ACCOUNT.0)
            };
            if self.mwdb.pages {
                row("MWDB", mwdb, account.clone());
            }
            row("MWDB API", &format!("{mwdb}/api/"), account);
        }
        if self.own_s3 {
            row("S3", &self.state.s3, format!("{} / {}, buckets {KARTON_BUCKET} and {MWDB_BUCKET}", S3_KEYS.0, S3_KEYS.1));
        } else {
            row("S3", &self.state.s3, "yours".to_owned());
        }
        row("Redis", &self.state.redis, if self.own_redis { String::new() } else { "yours".to_owned() });
        let mut lines = vec![String::new(), "Everything is up.".to_owned(), String::new(), columns(&rows), String::new()];
        if !self.state.services.is_empty() {
            lines.push(format!("  Running: {}", self.state.services.join(", ")));
        }
        if !self.left_out.is_empty() {
            lines.push(format!("  Left out: {}", self.left_out.join(", ")));
        }
        lines.push(format!("  Configuration for your own services: {}", self.state.karton_ini.display()));
        lines.push(String::new());
        lines.push(format!("Ctrl-C stops it; the data stays in {}.", self.data.display()));
        if self.state.mwdb.is_some() && self.mwdb.account && self.left_out.is_empty() {
            let flag =
                if self.data == Path::new(crate::settings::DATA) { String::new() } else { format!(" --data {}", self.data.display()) };
            // As it was called: the program need not be in the path.
            let program = std::env::args().next().unwrap_or_else(|| "playground".to_owned());
            lines.push(format!("In another terminal, `{program} demo{flag}` uploads a few harmless files."));
        }
        lines.join("\n")
    }
}
