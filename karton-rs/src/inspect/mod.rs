//! A read-only view of Karton: binds, who is online, queues, analyses.
//!
//! The one rule: reading changes nothing, and one bad record hides no other. See Karton protocol §14.

mod overview;
mod roots;
#[cfg(test)]
pub(crate) mod vectors;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use roots::Roots;

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
    roots: Arc<Mutex<Roots>>,
}

/// Tasks of one analysis, by uid.
type Tasks = BTreeMap<String, Task>;

impl Inspect {
    /// Prepares access under `identity`; nothing is contacted yet.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn new(config: &Config, identity: &str, version: Option<&str>) -> Result<Self, Error> {
        let identity = ServiceSettings::from_config(config, identity)?.identity;
        let name = version.map_or_else(|| identity.clone(), |version| ServiceInfo::new(&identity, Some(version)).to_name());
        Ok(Self::over(Backend::new(config, &identity, &name)?))
    }

    /// The view over the connection of a producer.
    pub fn of(karton: &crate::Karton) -> Self {
        Self::over(karton.backend().clone())
    }

    fn over(backend: Backend) -> Self {
        Self { backend, roots: Arc::default() }
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
    /// Costs what the analysis holds while all brokers are of this library, and otherwise a look at the names of
    /// all tasks and at each unrouted one that this value has not met before.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn analysis(&self, root_uid: &str) -> Result<Analysis, Error> {
        let mut analyses = self.analyses(&[root_uid.to_owned()]).await?;
        Ok(analyses.pop().expect("as many as were asked for"))
    }

    /// Several analyses in their order; where all tasks are looked at, that is done once for all of them.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn analyses(&self, root_uids: &[String]) -> Result<Vec<Analysis>, Error> {
        let mut indexes = Vec::with_capacity(root_uids.len());
        for root_uid in root_uids {
            indexes.push(self.backend.analysis_index(root_uid).await?);
        }
        // Asked behind them: then they were complete as well.
        let complete = self.backend.index_is_complete().await?;
        let mut all: Vec<(Index, Tasks)> = Vec::with_capacity(root_uids.len());
        let mut unindexed = HashMap::new();
        for (root_uid, mut index) in root_uids.iter().zip(indexes) {
            let mut tasks = Tasks::new();
            if !complete || index.tasks.is_empty() || index.partial {
                unindexed.insert(root_uid.clone(), Tasks::new());
            } else {
                // A child is in the queue of the broker before its parent ends, and in the index when it
                // leaves it: between two looks at the index nothing falls through.
                self.add_indexed(&index, &mut tasks).await?;
                if !tasks.values().any(|task| task.status().is_pending()) {
                    let mut unrouted = HashMap::from([(root_uid.clone(), tasks)]);
                    self.add_unrouted(&mut unrouted).await?;
                    tasks = unrouted.remove(root_uid).unwrap_or_default();
                    index = self.backend.analysis_index(root_uid).await?;
                    self.add_indexed(&index, &mut tasks).await?;
                }
            }
            all.push((index, tasks));
        }
        let unindexed = if unindexed.is_empty() { unindexed } else { self.look_at_all(unindexed).await? };
        let bound: HashSet<String> = self.backend.binds_raw().await?.into_keys().collect();
        let analyses = root_uids.iter().zip(all).map(|(root_uid, (index, tasks))| {
            let tasks = unindexed.get(root_uid).cloned().unwrap_or(tasks);
            Analysis::new(index, tasks, bound.clone())
        });
        Ok(analyses.collect())
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

    async fn add_indexed(&self, index: &Index, tasks: &mut Tasks) -> Result<(), Error> {
        let uids: Vec<String> = index.tasks.keys().cloned().collect();
        let found = uids.iter().zip(self.backend.records(&uids).await?);
        let found = found.filter_map(|(uid, record)| read_task(uid, &record?).ok());
        tasks.extend(found.map(|task| (task.uid().to_owned(), task)));
        Ok(())
    }

    /// Adds the tasks of these analyses.
    async fn look_at_all(&self, mut wanted: HashMap<String, Tasks>) -> Result<HashMap<String, Tasks>, Error> {
        // A task in the hands of the broker is seen in a queue before, or by its forks after. Looking
        // at both in turn, until a round finds nothing pending twice, leaves no gap to fall through.
        let mut seen = HashMap::new();
        for _ in 0..2 {
            self.add_unrouted(&mut wanted).await?;
            self.add_routed(&mut wanted).await?;
            seen.extend(wanted.extract_if(|_, tasks| tasks.values().any(|task| task.status().is_pending())));
            if wanted.is_empty() {
                break;
            }
        }
        seen.extend(wanted);
        Ok(seen)
    }

    /// Children have the uid of their own until they are routed; they are found in the broker's queues.
    async fn add_unrouted(&self, wanted: &mut HashMap<String, Tasks>) -> Result<(), Error> {
        let mut lists = self.backend.unrouted();
        while let Some(found) = lists.next().await? {
            let uids = found.iter().map(|uid| String::from_utf8_lossy(uid).into_owned());
            let uids: Vec<String> = uids.filter(|uid| self.may_be_of(uid, wanted)).collect();
            self.backend.each_record(&uids, |uid, record| self.add(uid, record, wanted)).await?;
        }
        Ok(())
    }

    async fn add_routed(&self, wanted: &mut HashMap<String, Tasks>) -> Result<(), Error> {
        let roots: Vec<String> = wanted.keys().cloned().collect();
        for root_uid in &roots {
            let mut scan = self.backend.scan(&keys::tasks_of(root_uid));
            let tasks = wanted.entry(root_uid.clone()).or_default();
            while let Some(records) = scan.next().await? {
                for task in records.iter().filter_map(|(uid, record)| read_task(uid, record).ok()) {
                    self.roots().remember(task.uid(), root_uid);
                    tasks.insert(task.uid().to_owned(), task);
                }
            }
        }
        let mut scan = self.backend.scan("karton.task:[^{]*");
        while let Some(records) = scan.next_of(|uid| self.may_be_of(uid, wanted)).await? {
            records.iter().for_each(|(uid, record)| self.add(uid, record, wanted));
        }
        Ok(())
    }

    /// False for a task that is found by its uid, and one that is known to be of another analysis.
    fn may_be_of(&self, uid: &str, wanted: &HashMap<String, Tasks>) -> bool {
        !keys::root_in(uid).is_some_and(|root_uid| wanted.contains_key(root_uid)) && self.roots().may_be_of(uid, wanted.keys())
    }

    /// Adds a record to its analysis, if that is wanted.
    fn add(&self, uid: &str, record: &[u8], wanted: &mut HashMap<String, Tasks>) {
        // Most are of none, which a glimpse tells.
        if let Some(root_uid) = Glimpse::read(record).and_then(|glimpse| glimpse.root_uid()) {
            self.roots().remember(uid, &root_uid);
            if !wanted.contains_key(&root_uid) {
                return;
            }
        }
        let Ok(task) = read_task(uid, record) else { return };
        self.roots().remember(uid, task.root_uid());
        if let Some(tasks) = wanted.get_mut(task.root_uid()) {
            tasks.insert(task.uid().to_owned(), task);
        }
    }

    fn roots(&self) -> MutexGuard<'_, Roots> {
        // Whatever stands there is true.
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    fn new(index: Index, tasks: Tasks, bound: HashSet<String>) -> Self {
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
        Self { tasks: tasks.into_values().collect(), history, bound }
    }

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
