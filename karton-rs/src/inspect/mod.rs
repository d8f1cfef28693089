//! A read-only view of Karton: binds, who is online, queues, analyses.
//!
//! The one rule: reading changes nothing, and one bad record hides no other. See Karton protocol §14.

mod overview;
#[cfg(test)]
pub(crate) mod vectors;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::time::Instant;

use crate::{
    backend::{AnalysisEnded, Backend, Bind, Glimpse, Index, ServiceInfo, TaskHistory, keys, read_task},
    config::{Config, ServiceSettings},
    error::Error,
    task::{Task, TaskState},
};

pub(crate) use overview::QueueOverview;

/// How often a waiter looks whom nobody tells.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Reads the state of a Karton.
///
/// ```no_run
/// use karton_rs::{Config, Inspect};
///
/// # async fn example() -> Result<(), karton_rs::Error> {
/// let inspect = Inspect::new(&Config::load(None)?, "karton.viewer", None)?;
/// let analysis = inspect.analysis("91a521d0-4696-4df1-9188-c07c525a0808").await?;
/// println!("{}", if analysis.is_done() { "finished" } else { "running" });
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Inspect {
    backend: Backend,
}

impl Inspect {
    /// Prepares access under `identity`; nothing is contacted yet.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn new(config: &Config, identity: &str, version: Option<&str>) -> Result<Self, Error> {
        let identity = ServiceSettings::from_config(config, identity)?.identity;
        let name = version.map_or_else(|| identity.clone(), |version| ServiceInfo::new(&identity, Some(version)).to_name());
        Ok(Self { backend: Backend::new(config, &identity, &name)? })
    }

    /// The view over the connection of a producer.
    pub fn of(karton: &crate::Karton) -> Self {
        Self { backend: karton.backend().clone() }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// All binds that can be read, in the order of the hash.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn binds(&self) -> Result<Vec<Bind>, Error> {
        self.backend.binds().await
    }

    /// How many connections carry each identity.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn online_consumers(&self) -> Result<HashMap<String, usize>, Error> {
        self.backend.online_consumers().await
    }

    /// Services that are online with their versions, and how many connections each has.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn online_services(&self) -> Result<HashMap<ServiceInfo, usize>, Error> {
        let mut online = HashMap::new();
        for info in self.backend.connection_names().await?.iter().filter_map(|name| ServiceInfo::parse(name)) {
            *online.entry(info).or_insert(0) += 1;
        }
        Ok(online)
    }

    /// The tasks of an analysis, unrouted ones included, and what they mean.
    ///
    /// Costs what the analysis holds while all brokers are of this library, and a look at all tasks of
    /// Redis otherwise.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn analysis(&self, root_uid: &str) -> Result<Analysis, Error> {
        let mut tasks = BTreeMap::new();
        let mut index = self.backend.analysis_index(root_uid).await?;
        if index.tasks.is_empty() || index.partial || !self.backend.index_is_complete().await? {
            self.look_at_all(root_uid, &mut tasks).await?;
        } else {
            // A child is in the queue of the broker before its parent ends, and in the index when it
            // leaves it: between two looks at the index nothing falls through.
            self.add_indexed(&index, &mut tasks).await?;
            if !tasks.values().any(|task| task.status().is_pending()) {
                self.add_unrouted(root_uid, &mut tasks).await?;
                index = self.backend.analysis_index(root_uid).await?;
                self.add_indexed(&index, &mut tasks).await?;
            }
        }
        let bound: HashSet<String> = self.backend.binds_raw().await?.into_keys().collect();
        let mut history = index.tasks;
        for task in tasks.values() {
            let seen = TaskHistory::of(task);
            match history.get_mut(task.uid()) {
                Some(known) => (known.status, known.error) = (seen.status, seen.error.or(known.error.take())),
                None => {
                    history.insert(seen.uid.clone(), seen);
                }
            }
        }
        let mut history: Vec<TaskHistory> = history.into_values().collect();
        history.sort_by(|one, other| one.created.total_cmp(&other.created));
        Ok(Analysis { tasks: tasks.into_values().collect(), history, bound })
    }

    /// Waits for the end of an analysis, for at most `limit`; gives it as it stands then.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn wait(&self, root_uid: &str, limit: Duration) -> Result<Analysis, Error> {
        let deadline = Instant::now() + limit;
        let mut events = self.backend.redis().subscribe(keys::ANALYSIS_CHANNEL).await?;
        let mut events = events.on_message();
        loop {
            let analysis = self.analysis(root_uid).await?;
            if analysis.is_done() || Instant::now() >= deadline {
                return Ok(analysis);
            }
            // Brokers that are not ours tell nothing: look again now and then.
            let until = deadline.min(Instant::now() + LOOK_AGAIN);
            let told = async {
                while let Some(event) = events.next().await {
                    let event = event.get_payload::<String>().ok().and_then(|text| AnalysisEnded::from_json(&text));
                    if event.is_some_and(|event| event.root_uid == root_uid) {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            // Either way the next look decides.
            let _ = tokio::time::timeout_at(until, told).await;
        }
    }

    /// Tells of each analysis that ends from now on, while a broker of this library runs.
    ///
    /// # Errors
    /// When Redis does not answer. The stream ends when the connection does.
    pub async fn ended_analyses(&self) -> Result<impl Stream<Item = AnalysisEnded> + Send + use<>, Error> {
        let events = self.backend.redis().subscribe(keys::ANALYSIS_CHANNEL).await?.into_on_message();
        Ok(events.filter_map(|event| async move { AnalysisEnded::from_json(&event.get_payload::<String>().ok()?) }))
    }

    async fn add_indexed(&self, index: &Index, tasks: &mut BTreeMap<String, Task>) -> Result<(), Error> {
        let uids: Vec<String> = index.tasks.keys().cloned().collect();
        let found = uids.iter().zip(self.backend.records(&uids).await?);
        let found = found.filter_map(|(uid, record)| read_task(uid, &record?).ok());
        tasks.extend(found.map(|task| (task.uid().to_owned(), task)));
        Ok(())
    }

    async fn look_at_all(&self, root_uid: &str, tasks: &mut BTreeMap<String, Task>) -> Result<(), Error> {
        // A task in the hands of the broker is seen in a queue before, or by its forks after. Looking
        // at both in turn, until a round finds nothing pending twice, leaves no gap to fall through.
        for _ in 0..2 {
            self.add_unrouted(root_uid, tasks).await?;
            self.add_routed(root_uid, tasks).await?;
            if tasks.values().any(|task: &Task| task.status().is_pending()) {
                break;
            }
        }
        Ok(())
    }

    /// Children have the uid of their own until they are routed; they are found in the broker's queues.
    async fn add_unrouted(&self, root_uid: &str, tasks: &mut BTreeMap<String, Task>) -> Result<(), Error> {
        let prefix = format!("{{{root_uid}}}:");
        let mut lists = self.backend.unrouted();
        while let Some(found) = lists.next().await? {
            let uids = found.iter().map(|uid| String::from_utf8_lossy(uid).into_owned());
            let uids: Vec<String> = uids.filter(|uid| !uid.starts_with(&prefix)).collect();
            self.backend.each_record(&uids, |uid, record| tasks.extend(task_of(root_uid, uid, record))).await?;
        }
        Ok(())
    }

    async fn add_routed(&self, root_uid: &str, tasks: &mut BTreeMap<String, Task>) -> Result<(), Error> {
        let mut scan = self.backend.scan(&keys::tasks_of(root_uid));
        while let Some(records) = scan.next().await? {
            let found = records.iter().filter_map(|(uid, record)| read_task(uid, record).ok());
            tasks.extend(found.map(|task| (task.uid().to_owned(), task)));
        }
        let mut scan = self.backend.scan("karton.task:[^{]*");
        while let Some(records) = scan.next().await? {
            tasks.extend(records.iter().filter_map(|(uid, record)| task_of(root_uid, uid, record)));
        }
        Ok(())
    }
}

/// A record as a task, if it is one of the analysis.
fn task_of(root_uid: &str, uid: &str, record: &[u8]) -> Option<(String, Task)> {
    // Most are not, which a glimpse tells.
    if Glimpse::read(record).and_then(|glimpse| glimpse.root_uid()).is_some_and(|root| root != root_uid) {
        return None;
    }
    let task = read_task(uid, record).ok().filter(|task| task.root_uid() == root_uid)?;
    Some((task.uid().to_owned(), task))
}

/// The tasks of one analysis.
///
/// An analysis is done when none of its tasks is pending: Finished and Crashed ones are not, whether
/// or not they have been collected.
///
/// ```no_run
/// # async fn example(inspect: karton_rs::Inspect) -> Result<(), karton_rs::Error> {
/// let analysis = inspect.analysis("91a521d0-4696-4df1-9188-c07c525a0808").await?;
/// for (identity, queue) in analysis.processing_in() {
///     println!("{identity}: {:?}", queue.status);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Analysis {
    tasks: Vec<Task>,
    history: Vec<TaskHistory>,
    bound: HashSet<String>,
}

/// What is going on in one service for an analysis.
///
/// ```
/// # let queue = karton_rs::QueueStatus::default();
/// assert!(queue.received_from.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatus {
    /// Who sent the tasks.
    pub received_from: BTreeSet<String>,
    /// The distinct statuses of the tasks.
    pub status: BTreeSet<TaskState>,
}

impl Analysis {
    /// All tasks found, in the order of their uids.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// All tasks that are known of, those whose records are gone included, the oldest first. What is
    /// gone is known when a broker of this library has routed it, for `[system] history_ttl` (a week).
    pub fn history(&self) -> &[TaskHistory] {
        &self.history
    }

    /// True when nothing is still to happen. An analysis that Redis does not know is done.
    pub fn is_done(&self) -> bool {
        !self.tasks.iter().any(|task| task.status().is_pending())
    }

    /// Unix time of the newest change of any task.
    pub fn last_update(&self) -> Option<f64> {
        self.tasks.iter().map(Task::last_update).reduce(f64::max)
    }

    /// The services with pending tasks; only those that have a bind.
    pub fn processing_in(&self) -> BTreeMap<String, QueueStatus> {
        let mut queues: BTreeMap<String, QueueStatus> = BTreeMap::new();
        for task in self.tasks.iter().filter(|task| task.status().is_pending()) {
            let Some(receiver) = task.header_str("receiver").filter(|receiver| self.bound.contains(*receiver)) else { continue };
            let queue = queues.entry(receiver.to_owned()).or_default();
            queue.status.insert(task.status());
            if let Some(origin) = task.header_str("origin") {
                queue.received_from.insert(origin.to_owned());
            }
        }
        queues
    }
}
