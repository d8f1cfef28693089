//! How analyses are doing, asked of Redis at each request. See MWDB API §K5.
//!
//! An analysis whose announcement is pending is running. One that was announced is running while any
//! task of its tree is neither finished nor crashed. When Redis does not answer, the last answer of
//! this process stands in; an analysis it never answered for makes the reply a 503, because neither
//! "running" nor "finished" would be known to be true.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Connected, Link, crashes::Crashes};
use crate::{
    db::analyses::AnalysisRow,
    error::{ApiError, ApiResult},
    objects::views::json_text,
    timestamp::Timestamp,
};

/// How long an answer is good: a page with many open views asks Redis once.
const FRESH: Duration = Duration::from_millis(500);
/// How long Redis may take to say that it is there.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// How long a look may take: where the broker is not ours, Redis has to name all tasks.
const LONGEST_LOOK: Duration = Duration::from_secs(20);
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
    /// For pages; the reply of the API does not have it.
    #[serde(skip)]
    pub(crate) crashes: Crashes,
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
    crashes: Crashes,
}

const FINISHED: State = State { status: Status::Finished, last_update: None, processing_in: BTreeMap::new(), crashes: Crashes::NONE };

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

    pub(super) fn forget(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Link {
    /// The state of analyses, in their order. Karton is asked once for all of them.
    pub(crate) async fn describe(&self, rows: Vec<AnalysisRow>) -> ApiResult<Vec<AnalysisItem>> {
        let mut states = match &self.0 {
            None => HashMap::new(),
            Some(connected) => connected.states(rows.iter().filter(|row| row.announced).map(|row| row.id.clone()).collect()).await?,
        };
        let items = rows.into_iter().map(|row| {
            let state = match &self.0 {
                None => FINISHED,
                Some(_) if !row.announced => State { status: Status::Running, last_update: Some(row.creation_time), ..FINISHED },
                Some(_) => states.remove(&row.id).ok_or_else(unknown)?,
            };
            Ok(AnalysisItem {
                id: row.id,
                status: state.status,
                arguments: json_text(row.arguments)?,
                last_update: state.last_update,
                processing_in: state.processing_in,
                crashes: state.crashes,
            })
        });
        items.collect()
    }

    /// The state of one analysis.
    pub(crate) async fn describe_one(&self, row: AnalysisRow) -> ApiResult<AnalysisItem> {
        self.describe(vec![row]).await?.pop().ok_or_else(unknown)
    }

    /// Fails when [`Self::describe_one`] would: asked before something is written that is answered with a state.
    pub(crate) async fn ask(&self, id: &str) -> ApiResult<()> {
        match &self.0 {
            None => Ok(()),
            Some(connected) => connected.states(vec![id.to_owned()]).await.map(drop),
        }
    }
}

fn unknown() -> ApiError {
    ApiError::Unavailable("Karton does not answer, the state of the analysis is unknown".to_owned())
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
    async fn states(&self, mut ids: Vec<String>) -> ApiResult<HashMap<String, State>> {
        let mut states = HashMap::new();
        ids.retain(|id| {
            let fresh = self.states.get(id, Some(FRESH));
            let asks = fresh.is_none();
            states.extend(fresh.map(|state| (id.clone(), state)));
            asks
        });
        if ids.is_empty() {
            return Ok(states);
        }
        let problem = match self.look(&ids).await {
            Ok(analyses) => {
                for (id, analysis) in ids.into_iter().zip(&analyses) {
                    let state = State::of(analysis);
                    self.states.put(&id, &state);
                    states.insert(id, state);
                }
                return Ok(states);
            }
            Err(problem) => problem,
        };
        tracing::debug!("the state of {ids:?} cannot be read: {problem}");
        for id in ids {
            let state = self.states.get(&id, None).ok_or_else(unknown)?;
            states.insert(id, state);
        }
        Ok(states)
    }

    pub(super) async fn look(&self, ids: &[String]) -> Result<Vec<karton_rs::Analysis>, String> {
        within(PATIENCE, self.karton.ping()).await?;
        within(LONGEST_LOOK, self.inspect.analyses(ids)).await
    }
}

/// An answer of Redis, or why there is none.
pub(super) async fn within<T>(limit: Duration, answer: impl Future<Output = Result<T, karton_rs::Error>>) -> Result<T, String> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer in {limit:?}")),
    }
}

impl State {
    fn of(analysis: &karton_rs::Analysis) -> Self {
        let crashes = Crashes::of(analysis);
        if analysis.is_done() {
            return Self { crashes, ..FINISHED };
        }
        let queues = analysis.processing_in().into_iter().map(|(identity, queue)| {
            let status = queue.status.into_iter().map(karton_rs::TaskState::as_str).collect();
            (identity, Queue { received_from: queue.received_from.into_iter().collect(), status })
        });
        Self {
            status: Status::Running,
            last_update: analysis.last_update().map(Timestamp::from_seconds),
            processing_in: queues.collect(),
            crashes,
        }
    }
}
