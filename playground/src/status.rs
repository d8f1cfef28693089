//! `playground status`: asks each part of a running playground.
//!
//! The rule: what was written at the start only says where to ask.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use karton_rs::{Config, Inspect};
use serde_json::json;

use crate::folder::{self, State};
use crate::mwdb::Mwdb;
use crate::ready::S3Probe;
use crate::settings::ServiceName;
use crate::table::columns;

/// Redis that hangs must not make the question hang.
const LIMIT: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug)]
pub(crate) struct Report {
    state: State,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    place: String,
    problem: Option<String>,
}

/// The state of the playground in the folder, or an error that says that there is none.
pub(crate) fn find(data: &Path) -> anyhow::Result<State> {
    match folder::running(data)? {
        Some(state) => Ok(state),
        None => bail!("no playground runs in `{}`: start one with `playground up`, or name its folder with `--data`", data.display()),
    }
}

pub(crate) async fn ask(data: &Path) -> anyhow::Result<Report> {
    let state = find(data)?;
    let text = std::fs::read_to_string(&state.karton_ini).with_context(|| format!("cannot read `{}`", state.karton_ini.display()))?;
    let config = Config::from_parts(&[(&state.karton_ini.display().to_string(), &text)], [])?;
    let inspect = Inspect::new(&config, "karton.playground", None)?;
    let online = tokio::time::timeout(LIMIT, inspect.online_consumers()).await;
    let (online, redis_problem) = match online {
        Ok(Ok(online)) => (Some(online), None),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(_) => (None, Some(format!("no answer within {} seconds", LIMIT.as_secs()))),
    };
    let s3_problem = (!S3Probe::new(&state.s3)?.answers().await).then(|| "no answer".to_owned());
    let mut parts = vec![
        Part { name: "redis".to_owned(), place: state.redis.clone(), problem: redis_problem },
        Part { name: "s3".to_owned(), place: state.s3.clone(), problem: s3_problem },
    ];
    for name in &state.services {
        let service = ServiceName::from_str(name, false).ok();
        let problem = match (service, &state.mwdb) {
            (Some(ServiceName::MwdbLite), Some(address)) => Mwdb::new(address)?.ping().await.err().map(|error| format!("{error:#}")),
            (Some(service), _) => match &online {
                Some(online) if online.contains_key(service.identity()) => None,
                Some(_) => Some("not online".to_owned()),
                None => Some("unknown while Redis does not answer".to_owned()),
            },
            (None, _) => Some("not a service that this version knows".to_owned()),
        };
        let place = match service {
            Some(ServiceName::MwdbLite) => state.mwdb.clone().unwrap_or_default(),
            Some(service) => service.identity().to_owned(),
            None => String::new(),
        };
        parts.push(Part { name: name.clone(), place, problem });
    }
    Ok(Report { state, parts })
}

impl Report {
    pub(crate) fn is_well(&self) -> bool {
        self.parts.iter().all(|part| part.problem.is_none())
    }

    pub(crate) fn json_line(&self) -> String {
        let parts = self
            .parts
            .iter()
            .map(|part| json!({"name": part.name, "place": part.place, "ok": part.problem.is_none(), "problem": part.problem}));
        json!({"pid": self.state.pid, "karton_ini": self.state.karton_ini, "ok": self.is_well(), "parts": parts.collect::<Vec<_>>()})
            .to_string()
    }

    pub(crate) fn table(&self) -> String {
        let row = |part: &Part| vec![part.name.clone(), part.place.clone(), part.problem.clone().unwrap_or_else(|| "ok".to_owned())];
        let rows: Vec<_> = self.parts.iter().map(row).collect();
        format!("{}\n\nprocess {}, configuration {}", columns(&rows), self.state.pid, self.state.karton_ini.display())
    }
}
