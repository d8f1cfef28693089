//! A read-only view of Karton: binds, who is online, queues, analyses.
//!
//! The one rule: reading changes nothing, and one bad record hides no other. See Karton protocol §14.

mod find;
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
    backend::{AnalysisEnded, Backend, Bind, Glimpse, Index, RecordScan, ServiceInfo, TaskHistory, keys, read_task},
    config::{Config, ServiceSettings},
    error::Error,
    task::{Task, TaskState},
};

pub(crate) use find::{end_of, find_tasks};
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

    /// Several analyses in their order, asked of Redis together.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn analyses(&self, root_uids: &[String]) -> Result<Vec<Analysis>, Error> {
        let mut known: HashMap<String, (Index, Tasks)> = HashMap::new();
        let indexes = self.backend.analysis_indexes(root_uids).await?;
        // Asked behind them: then they were complete as well.
        let mut unindexed = self.unindexed(root_uids, &indexes).await?;
        let mut indexed: Vec<(String, Index)> = root_uids.iter().cloned().zip(indexes).collect();
        for (root_uid, index) in indexed.extract_if(.., |(root_uid, _)| unindexed.contains_key(root_uid)) {
            known.insert(root_uid, (index, Tasks::new()));
        }
        known.extend(self.indexed(indexed).await?);
        if !unindexed.is_empty() {
            unindexed = self.look_at_all(unindexed).await?;
        }
        for (root_uid, tasks) in unindexed {
            known.entry(root_uid).or_default().1 = tasks;
        }
        let bound: HashSet<String> = self.backend.binds_raw().await?.into_keys().collect();
        let analyses = root_uids.iter().map(|root_uid| {
            // One may be asked for twice.
            let (index, tasks) = known.get(root_uid).cloned().unwrap_or_default();
            Analysis::new(index, tasks, bound.clone())
        });
        Ok(analyses.collect())
    }

    /// The analyses of which the index may not name all tasks.
    async fn unindexed(&self, root_uids: &[String], indexes: &[Index]) -> Result<HashMap<String, Tasks>, Error> {
        let of = |root_uid: &String| (root_uid.clone(), Tasks::new());
        let each = || root_uids.iter().zip(indexes);
        // Long open, and forgotten by the index meanwhile: services may be away for longer than it remembers.
        let empty: Vec<String> = each().filter(|(_, index)| index.tasks.is_empty()).map(|(root_uid, _)| root_uid.clone()).collect();
        let open = self.backend.are_open(&empty).await?;
        // Asked behind that: one that ceases to be open without an end leaves a doubt first.
        if !self.backend.index_is_complete().await? {
            return Ok(root_uids.iter().map(of).collect());
        }
        let partial = each().filter(|(_, index)| index.partial).map(|(root_uid, _)| of(root_uid));
        let forgotten = empty.iter().zip(open).filter(|(_, open)| *open).map(|(root_uid, _)| of(root_uid));
        Ok(partial.chain(forgotten).collect())
    }

    /// Analyses with the tasks that their index names.
    async fn indexed(&self, analyses: Vec<(String, Index)>) -> Result<HashMap<String, (Index, Tasks)>, Error> {
        let mut quiet = self.with_records(analyses).await?;
        let mut found = HashMap::new();
        let mut known = HashMap::new();
        loop {
            found
                .extend(quiet.extract_if(|root_uid, known_now| any_pending(&known_now.1) || known.get(root_uid) == Some(&size(known_now))));
            if quiet.is_empty() {
                return Ok(found);
            }
            // A child is in the queue of the broker before its parent ends, and in the index when it leaves it. What was
            // pending after the last look at the index is therefore found now, in the one or the other; when that is
            // nothing new, nothing was.
            known = quiet.iter().map(|(root_uid, known_now)| (root_uid.clone(), size(known_now))).collect();
            let mut tasks: HashMap<String, Tasks> = quiet.drain().map(|(root_uid, (_, tasks))| (root_uid, tasks)).collect();
            self.add_unrouted(&mut tasks).await?;
            let roots: Vec<String> = tasks.keys().cloned().collect();
            let indexes = self.backend.analysis_indexes(&roots).await?;
            for (root_uid, (index, newer)) in self.with_records(roots.into_iter().zip(indexes).collect()).await? {
                let mut all = tasks.remove(&root_uid).unwrap_or_default();
                all.extend(newer);
                quiet.insert(root_uid, (index, all));
            }
        }
    }

    async fn with_records(&self, analyses: Vec<(String, Index)>) -> Result<HashMap<String, (Index, Tasks)>, Error> {
        let uids: Vec<String> = analyses.iter().flat_map(|(_, index)| index.tasks.keys().cloned()).collect();
        let records = self.backend.records(&uids).await?;
        let mut records = uids.iter().zip(records);
        let mut found = HashMap::new();
        for (root_uid, index) in analyses {
            let own = records.by_ref().take(index.tasks.len());
            let tasks = own.filter_map(|(uid, record)| read_task(uid, &record?).ok()).map(|task| (task.uid().to_owned(), task)).collect();
            found.insert(root_uid, (index, tasks));
        }
        Ok(found)
    }

    /// Waits for the end of an analysis, for at most `limit`; gives it as it stands then.
    ///
    /// # Errors
    /// When Redis does not answer.
    pub async fn wait(&self, root_uid: &str, limit: Duration) -> Result<Analysis, Error> {
        // None: for ever, as far as a clock can tell.
        let deadline = Instant::now().checked_add(limit);
        let over = |time| deadline.is_some_and(|deadline| time >= deadline);
        let mut events = self.backend.redis().subscribe(keys::ANALYSIS_CHANNEL).await?;
        let mut events = events.on_message();
        loop {
            let analysis = self.analysis(root_uid).await?;
            if analysis.is_done() || over(Instant::now()) {
                return Ok(analysis);
            }
            // Brokers that are not ours tell nothing: look again now and then.
            let next = Instant::now() + LOOK_AGAIN;
            let until = deadline.map_or(next, |deadline| deadline.min(next));
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

    /// Adds the tasks of these analyses.
    async fn look_at_all(&self, mut wanted: HashMap<String, Tasks>) -> Result<HashMap<String, Tasks>, Error> {
        // A task has a record before the one ends that it comes from. What was pending between two looks is therefore
        // found by the second one; when that finds nothing new and nothing pending, nothing was.
        let mut seen = HashMap::new();
        let mut known = HashMap::new();
        while !wanted.is_empty() {
            self.add_all(&mut wanted).await?;
            seen.extend(wanted.extract_if(|root_uid, tasks| any_pending(tasks) || known.get(root_uid) == Some(&tasks.len())));
            known = wanted.iter().map(|(root_uid, tasks)| (root_uid.clone(), tasks.len())).collect();
        }
        Ok(seen)
    }

    /// Children have the uid of their own until they are routed; they are found in the broker's queues.
    async fn add_unrouted(&self, wanted: &mut HashMap<String, Tasks>) -> Result<(), Error> {
        let mut lists = self.backend.unrouted();
        while let Some(found) = lists.next().await? {
            let uids = found.iter().map(|uid| String::from_utf8_lossy(uid).into_owned());
            let uids: Vec<String> = uids.filter(|uid| is_of(uid, wanted) || self.may_be_of(uid, wanted)).collect();
            self.backend.each_record(&uids, |uid, record| self.add(uid, record, wanted)).await?;
        }
        Ok(())
    }

    async fn add_all(&self, wanted: &mut HashMap<String, Tasks>) -> Result<(), Error> {
        let of_one = |wanted: &HashMap<String, Tasks>| Some(keys::tasks_of(wanted.keys().next().filter(|_| wanted.len() == 1)?));
        let Some(pattern) = of_one(wanted) else {
            let is_wanted = |uid: &str, wanted: &_| is_of(uid, wanted) || (keys::may_be_unrouted(uid) && self.may_be_of(uid, wanted));
            return self.add_records(self.backend.scan(keys::EVERY_TASK), is_wanted, wanted).await;
        };
        // Redis picks the names of one: then the others need not travel.
        self.add_records(self.backend.scan(&pattern), is_of, wanted).await?;
        self.add_records(self.backend.scan_unrouted(), |uid, wanted| self.may_be_of(uid, wanted), wanted).await
    }

    async fn add_records(
        &self,
        mut scan: RecordScan<'_>,
        is_wanted: impl Fn(&str, &HashMap<String, Tasks>) -> bool,
        wanted: &mut HashMap<String, Tasks>,
    ) -> Result<(), Error> {
        while let Some(records) = scan.next_of(|uid| is_wanted(uid, wanted)).await? {
            records.iter().for_each(|(uid, record)| self.add(uid, record, wanted));
        }
        Ok(())
    }

    /// False for a task that is found by its uid, and one that is known to be of another analysis.
    fn may_be_of(&self, uid: &str, wanted: &HashMap<String, Tasks>) -> bool {
        !is_of(uid, wanted) && self.roots().may_be_of(uid, wanted.keys())
    }

    /// Adds a record to its analysis, if that is wanted.
    fn add(&self, uid: &str, record: &[u8], wanted: &mut HashMap<String, Tasks>) {
        // Most are of none, which a glimpse tells.
        let named = keys::root_in(uid).filter(|root_uid| wanted.contains_key(*root_uid)).map(str::to_owned);
        let root_uid = named.or_else(|| Glimpse::read(record)?.root_uid());
        if let Some(root_uid) = &root_uid {
            self.roots().remember(uid, root_uid);
            if !wanted.contains_key(root_uid) {
                return;
            }
        }
        let Ok(task) = read_task(uid, record) else { return };
        let root_uid = root_uid.unwrap_or_else(|| task.root_uid().to_owned());
        self.roots().remember(uid, &root_uid);
        if let Some(tasks) = wanted.get_mut(&root_uid) {
            tasks.insert(task.uid().to_owned(), task);
        }
    }

    fn roots(&self) -> MutexGuard<'_, Roots> {
        // Whatever stands there is true.
        self.roots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn any_pending(tasks: &Tasks) -> bool {
    tasks.values().any(|task| task.status().is_pending())
}

/// How many tasks are known of an analysis, by its index or their records.
fn size((index, tasks): &(Index, Tasks)) -> usize {
    index.tasks.len() + tasks.keys().filter(|uid| !index.tasks.contains_key(*uid)).count()
}

/// Whether a uid names one of these analyses, as those of routed tasks do.
fn is_of(uid: &str, wanted: &HashMap<String, Tasks>) -> bool {
    keys::root_in(uid).is_some_and(|root_uid| wanted.contains_key(root_uid))
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
                Some(known) if !known.headers.is_empty() => {
                    (known.status, known.error) = (seen.status, seen.error.or(known.error.take()));
                }
                _ => {
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
