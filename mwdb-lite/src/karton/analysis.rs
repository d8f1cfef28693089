//! How analyses are doing, asked of Redis at each request. See MWDB API §K5.
//!
//! An analysis whose announcement is pending is running. One that was announced is running while any
//! task of its tree is neither finished nor crashed. When Redis does not answer, the last answer of
//! this process stands in; an analysis it never answered for makes the reply a 503, because neither
//! "running" nor "finished" would be known to be true.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Connected, Link};
use crate::{
    db::analyses::AnalysisRow,
    error::{ApiError, ApiResult},
    objects::views::json_text,
    timestamp::Timestamp,
};

/// How long an answer is good: a page with many open views asks Redis once.
const FRESH: Duration = Duration::from_millis(500);
/// How long Redis may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many answers are remembered for when Redis is away.
const REMEMBERED: usize = 10_000;

/// An analysis as replies show it.
#[derive(Debug, Serialize)]
pub(crate) struct AnalysisItem {
    id: String,
    status: Status,
    arguments: Box<RawValue>,
    last_update: Option<Timestamp>,
    processing_in: BTreeMap<String, Queue>,
}

/// What a service does for an analysis.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Queue {
    received_from: Vec<String>,
    status: Vec<&'static str>,
}

/// The state of one analysis, or of an object by its newest ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    NotAnalyzed,
    Running,
    Finished,
}

#[derive(Debug, Clone)]
struct State {
    status: Status,
    last_update: Option<Timestamp>,
    processing_in: BTreeMap<String, Queue>,
}

const FINISHED: State = State { status: Status::Finished, last_update: None, processing_in: BTreeMap::new() };

/// The last answers of Redis.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<String, (Instant, State)>>);

impl Cache {
    fn get(&self, id: &str, at_most: Option<Duration>) -> Option<State> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (when, state) = known.get(id)?;
        at_most.is_none_or(|age| when.elapsed() <= age).then(|| state.clone())
    }

    fn put(&self, id: &str, state: &State) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(id.to_owned(), (Instant::now(), state.clone()));
    }
}

impl Link {
    /// The state of analyses, in their order.
    pub(crate) async fn describe(&self, rows: Vec<AnalysisRow>) -> ApiResult<Vec<AnalysisItem>> {
        try_join_all(rows.into_iter().map(|row| self.describe_one(row))).await
    }

    /// The state of one analysis.
    pub(crate) async fn describe_one(&self, row: AnalysisRow) -> ApiResult<AnalysisItem> {
        let state = match &self.0 {
            None => FINISHED,
            Some(_) if !row.announced => State { status: Status::Running, last_update: Some(row.creation_time), ..FINISHED },
            Some(connected) => connected.state(&row.id).await?,
        };
        Ok(AnalysisItem {
            id: row.id,
            status: state.status,
            arguments: json_text(row.arguments)?,
            last_update: state.last_update,
            processing_in: state.processing_in,
        })
    }
}

/// The state of an object, from its newest analyses.
pub(crate) fn overall(newest: &[AnalysisItem]) -> Status {
    if newest.is_empty() {
        Status::NotAnalyzed
    } else if newest.iter().any(|item| item.status == Status::Running) {
        Status::Running
    } else {
        Status::Finished
    }
}

impl Connected {
    async fn state(&self, id: &str) -> ApiResult<State> {
        if let Some(state) = self.states.get(id, Some(FRESH)) {
            return Ok(state);
        }
        let problem = match tokio::time::timeout(PATIENCE, self.inspect.analysis(id)).await {
            Ok(Ok(analysis)) => {
                let state = State::of(&analysis);
                self.states.put(id, &state);
                return Ok(state);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer in {PATIENCE:?}"),
        };
        tracing::debug!("the state of analysis {id} cannot be read: {problem}");
        let unknown = || ApiError::Unavailable("Karton does not answer, the state of the analysis is unknown".to_owned());
        self.states.get(id, None).ok_or_else(unknown)
    }
}

impl State {
    fn of(analysis: &karton_rs::Analysis) -> Self {
        if analysis.is_done() {
            return FINISHED;
        }
        let queues = analysis.processing_in().into_iter().map(|(identity, queue)| {
            let status = queue.status.into_iter().map(karton_rs::TaskState::as_str).collect();
            (identity, Queue { received_from: queue.received_from.into_iter().collect(), status })
        });
        Self { status: Status::Running, last_update: analysis.last_update().map(Timestamp::from_seconds), processing_in: queues.collect() }
    }
}
