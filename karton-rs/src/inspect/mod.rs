//! A read-only view of Karton: binds, who is online, queues, analyses.
//!
//! The one rule: reading changes nothing, and one bad record hides no other. See Karton protocol §14.

#[cfg(test)]
pub(crate) mod vectors;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::{
    backend::{Backend, Bind, ServiceInfo, read_task},
    config::{Config, ServiceSettings},
    error::Error,
    task::{Task, TaskState},
};

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
    /// # Errors
    /// When Redis does not answer.
    pub async fn analysis(&self, root_uid: &str) -> Result<Analysis, Error> {
        let mut tasks = BTreeMap::new();
        // A task in the hands of the broker is seen in a queue before, or by its forks after. Looking
        // at both in turn, until a round finds nothing pending twice, leaves no gap to fall through.
        for _ in 0..2 {
            self.add_unrouted(root_uid, &mut tasks).await?;
            self.add_routed(root_uid, &mut tasks).await?;
            if tasks.values().any(|task: &Task| task.status().is_pending()) {
                break;
            }
        }
        let bound: HashSet<String> = self.backend.binds_raw().await?.into_keys().collect();
        Ok(Analysis { tasks: tasks.into_values().collect(), bound })
    }

    /// Children have the uid of their own until they are routed; they are found in the broker's queues.
    async fn add_unrouted(&self, root_uid: &str, tasks: &mut BTreeMap<String, Task>) -> Result<(), Error> {
        let mut uids = self.backend.unrouted_uids().await?;
        let prefix = format!("{{{root_uid}}}:");
        uids.retain(|uid| !uid.starts_with(&prefix));
        let records = self.backend.records(&uids).await?;
        let found = uids.iter().zip(&records).filter_map(|(uid, record)| read_task(uid, record.as_ref()?).ok());
        tasks.extend(found.filter(|task| task.root_uid() == root_uid).map(|task| (task.uid().to_owned(), task)));
        Ok(())
    }

    async fn add_routed(&self, root_uid: &str, tasks: &mut BTreeMap<String, Task>) -> Result<(), Error> {
        for (pattern, any_root) in [(format!("karton.task:{{{}}}:*", escape_glob(root_uid)), true), ("karton.task:[^{]*".to_owned(), false)]
        {
            let mut cursor = 0;
            loop {
                let (next, records) = self.backend.scan_records(cursor, &pattern).await?;
                let found = records.iter().filter_map(|(uid, record)| read_task(uid, record).ok());
                tasks.extend(found.filter(|task| any_root || task.root_uid() == root_uid).map(|task| (task.uid().to_owned(), task)));
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Redis' glob characters in a root uid that somebody typed.
fn escape_glob(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, character| {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            out.push('\\');
        }
        out.push(character);
        out
    })
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
