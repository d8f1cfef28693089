//! What is known of each analysis: an index of its tasks, and their history when the records are gone.
//!
//! A hash for each root uid. The router adds each task when it routes it (`<uid>`: who, from whom, when);
//! consumers of this library add when they start (`<uid>:s`), and whoever sees the end of a task adds
//! that (`<uid>:f`). The one rule: the hash says what has happened, the record says what is; who wants
//! to know whether something is still to happen looks at the records of all tasks without an end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Backend, keys};
use crate::{
    error::Error,
    json::{Map, Value},
    task::{Task, TaskState},
};

/// Field that says that tasks were left out because there are too many.
const FULL: &str = "full";
/// Headers that take more than this are reduced to those that name the kind of task.
const HEADERS_BYTES: usize = 600;
/// How much of an error is kept.
const ERROR_BYTES: usize = 300;

/// Adds fields to the hashes of several analyses: for each one, its root uid, the count of what
/// follows, and fields and values in turn.
pub(crate) const TRACK: &str = r"
local at = 5
for i = 3, #KEYS do
    local root, count = ARGV[at], tonumber(ARGV[at + 1])
    local length = redis.pcall('HLEN', KEYS[i])
    if type(length) == 'number' then
        if length + count <= tonumber(ARGV[2]) then
            -- So many values that the stack of the script holds them.
            for j = at + 2, at + 1 + count, 1000 do redis.call('HSET', KEYS[i], unpack(ARGV, j, math.min(j + 999, at + 1 + count))) end
        else
            redis.call('HSET', KEYS[i], 'full', '1')
        end
        redis.call('EXPIRE', KEYS[i], ARGV[1])
        if length == 0 then redis.call('ZADD', KEYS[1], ARGV[3], root) end
        redis.call('ZADD', KEYS[2], ARGV[4], root)
    end
    at = at + 2 + count
end
";

/// How a task came into being.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Origin<'a> {
    #[serde(rename = "o", skip_serializing_if = "Option::is_none")]
    orig_uid: Option<&'a str>,
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    parent_uid: Option<&'a str>,
    #[serde(rename = "t")]
    time: f64,
}

impl Origin<'_> {
    fn entry(&self, headers: &str) -> String {
        format!("{}\n{headers}", serde_json::to_string(self).unwrap_or_default())
    }
}

/// How a task ended, as the value of its field.
pub(crate) fn ended(task: &Task) -> String {
    end(task.status(), task.last_update(), task.error().first().copied())
}

pub(crate) fn end(status: TaskState, time: f64, error: Option<&str>) -> String {
    let error = error.map(|error| error[..error.floor_char_boundary(ERROR_BYTES)].trim_end());
    serde_json::json!([status.as_str(), time, error]).to_string()
}

/// One task of an analysis, as far as it is known; its record may be gone.
///
/// ```
/// # fn show(task: &karton_rs::TaskHistory) {
/// if let (Some(started), Some(ended)) = (task.started, task.ended) {
///     println!("{} took {:.1} s", task.receiver().unwrap_or("routing"), ended - started);
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TaskHistory {
    /// Full uid.
    pub uid: String,
    /// For a routed task: the unrouted one it was made from.
    pub orig_uid: Option<String>,
    /// The routed task during which it was sent.
    pub parent_uid: Option<String>,
    /// Its headers; of very long ones only those that name its kind.
    pub headers: Map,
    /// Unix time of its creation: sent or, for a routed task, queued.
    pub created: f64,
    /// Unix time when its consumer began, when that is known.
    pub started: Option<f64>,
    /// Unix time of its end.
    pub ended: Option<f64>,
    /// What it ended as; while it goes on, what was last seen.
    pub status: TaskState,
    /// The beginning of the error of a crashed task.
    pub error: Option<String>,
}

impl TaskHistory {
    /// Who the task was routed to.
    pub fn receiver(&self) -> Option<&str> {
        self.headers.get("receiver").and_then(Value::as_str)
    }

    /// The state of a task that has a record.
    pub(crate) fn of(task: &Task) -> Self {
        let done = !task.status().is_pending();
        Self {
            uid: task.uid().to_owned(),
            orig_uid: task.orig_uid().map(str::to_owned),
            parent_uid: task.parent_uid().map(str::to_owned),
            headers: task.headers().clone(),
            created: task.last_update(),
            started: (task.status() == TaskState::Started).then(|| task.last_update()),
            ended: done.then(|| task.last_update()),
            status: task.status(),
            error: task.error().first().map(|line| (*line).trim_end().to_owned()),
        }
    }
}

/// The value of the field of an unrouted task.
pub(crate) fn unrouted_entry(parent_uid: Option<&str>, created: f64, headers_json: &str, headers: &Map) -> String {
    let origin = Origin { orig_uid: None, parent_uid, time: created };
    if headers_json.len() <= HEADERS_BYTES {
        return origin.entry(headers_json);
    }
    let short = |value: &Value| value.to_json().len() <= HEADERS_BYTES / 8;
    let kept = ["type", "kind", "stage", "platform", "origin", "receiver"];
    let kept = kept.iter().filter_map(|name| Some((*name, headers.get(*name)?))).filter(|(_, value)| short(value));
    let kept: Map = kept.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    origin.entry(&Value::Object(kept).to_json())
}

/// The value of the field of a copy for one receiver; the rest is that of the unrouted task.
pub(crate) fn routed_entry(orig_uid: &str, created: f64, receiver: &str) -> String {
    let origin = Origin { orig_uid: Some(orig_uid), parent_uid: None, time: created };
    origin.entry(&serde_json::json!({ "receiver": receiver }).to_string())
}

/// The value of the field of a task that was found later, routed by somebody else.
pub(crate) fn found_entry(task: &Task) -> String {
    let headers = Value::Object(task.headers().clone()).to_json();
    let origin = Origin { orig_uid: task.orig_uid(), parent_uid: task.parent_uid(), time: task.last_update() };
    let own = unrouted_entry(task.parent_uid(), task.last_update(), &headers, task.headers());
    origin.entry(own.split_once('\n').map_or("{}", |(_, headers)| headers))
}

/// The index of one analysis.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) tasks: BTreeMap<String, TaskHistory>,
    /// Some tasks may be missing in it.
    pub(crate) partial: bool,
}

impl Index {
    fn read(fields: Vec<(String, Vec<u8>)>) -> Self {
        let mut index = Self::default();
        let mut later = Vec::new();
        for (field, value) in fields {
            let Ok(value) = String::from_utf8(value) else { continue };
            if field == FULL {
                index.partial = true;
            } else if field.ends_with(":s") || field.ends_with(":f") {
                later.push((field, value));
            } else if let Some(task) = read_entry(&field, &value) {
                index.tasks.insert(field, task);
            }
        }
        for (field, value) in later {
            let (uid, kind) = field.split_at(field.len() - 2);
            let Some(task) = index.tasks.get_mut(uid) else { continue };
            if kind == ":s" {
                task.started = value.parse().ok();
                if task.ended.is_none() {
                    task.status = TaskState::Started;
                }
            } else if let Ok((status, time, error)) = serde_json::from_str::<(String, f64, Option<String>)>(&value) {
                task.status = status.parse().unwrap_or(TaskState::Finished);
                (task.ended, task.error) = (Some(time), error);
            }
        }
        index.inherit();
        index
    }

    /// Copies for a receiver have the headers and the parent of the task they were made from.
    fn inherit(&mut self) {
        let routed: Vec<String> = self.tasks.iter().filter(|(_, task)| task.orig_uid.is_some()).map(|(uid, _)| uid.clone()).collect();
        for uid in routed {
            let orig = self.tasks.get(&uid).and_then(|task| task.orig_uid.as_ref()).and_then(|orig| self.tasks.get(orig)).cloned();
            if let (Some(orig), Some(task)) = (orig, self.tasks.get_mut(&uid)) {
                orig.headers.into_iter().for_each(|(name, value)| {
                    task.headers.entry(name).or_insert(value);
                });
                task.parent_uid = task.parent_uid.take().or(orig.parent_uid);
            }
        }
    }
}

fn read_entry(uid: &str, value: &str) -> Option<TaskHistory> {
    let (origin, headers) = value.split_once('\n')?;
    let origin: Origin<'_> = serde_json::from_str(origin).ok()?;
    let Ok(Value::Object(headers)) = Value::parse(headers) else { return None };
    let status = if headers.contains_key("receiver") { TaskState::Spawned } else { TaskState::Declared };
    Some(TaskHistory {
        uid: uid.to_owned(),
        orig_uid: origin.orig_uid.map(str::to_owned),
        parent_uid: origin.parent_uid.map(str::to_owned),
        headers,
        created: origin.time,
        started: None,
        ended: None,
        status,
        error: None,
    })
}

/// An analysis has ended: what the broker publishes then on the channel `karton.rs.analysis`, as JSON.
///
/// ```
/// let event = karton_rs::AnalysisEnded::from_json(
///     r#"{"root_uid": "r", "status": "crashed", "tasks": 3, "crashed": 1, "started": 10.0, "ended": 12.5}"#,
/// ).expect("an event");
/// assert_eq!((event.crashed, event.ended - event.started), (1, 2.5));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AnalysisEnded {
    /// Which one.
    pub root_uid: String,
    /// `finished`, or `crashed` when a task of it has crashed.
    pub status: String,
    /// How many tasks were routed to consumers.
    pub tasks: usize,
    /// How many of them have crashed.
    pub crashed: usize,
    /// Unix time of its first task.
    pub started: f64,
    /// Unix time of its last change.
    pub ended: f64,
}

impl AnalysisEnded {
    pub(crate) fn of(root_uid: &str, index: &Index, crashed: usize, now: f64) -> Self {
        let tasks = index.tasks.values();
        Self {
            root_uid: root_uid.to_owned(),
            status: if crashed > 0 { "crashed" } else { "finished" }.to_owned(),
            tasks: tasks.clone().filter(|task| task.receiver().is_some()).count(),
            crashed,
            started: tasks.clone().map(|task| task.created).reduce(f64::min).unwrap_or(now),
            ended: tasks.filter_map(|task| task.ended).reduce(f64::max).unwrap_or(now),
        }
    }

    /// Reads an event; nothing when it is something else.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The event as it is published.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Adds what became of tasks that leave no record behind, where nobody has told.
const ENDS: &str = r"
for i = 1, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 1 then redis.pcall('HSETNX', KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]) end
end
";
/// Adds tasks that somebody else has routed.
const FOUND: &str = r"
local added = redis.pcall('HSETNX', KEYS[1], ARGV[1], ARGV[2])
if added == 1 then
    redis.call('EXPIRE', KEYS[1], ARGV[3])
    redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
    redis.call('ZADD', KEYS[3], ARGV[4], ARGV[5])
end
";

impl Backend {
    /// What is known of an analysis; empty when nothing is.
    pub(crate) async fn analysis_index(&self, root_uid: &str) -> Result<Index, Error> {
        Ok(self.analysis_indexes(std::slice::from_ref(&root_uid.to_owned())).await?.pop().unwrap_or_default())
    }

    /// What is known of several analyses, in their order.
    pub(crate) async fn analysis_indexes(&self, root_uids: &[String]) -> Result<Vec<Index>, Error> {
        let mut pipeline = redis::pipe();
        for root_uid in root_uids {
            pipeline.hgetall(keys::analysis(root_uid));
        }
        let hashes: Vec<Vec<(Vec<u8>, Vec<u8>)>> = self.redis.run(&pipeline).await?;
        let text = |(field, value)| Some((String::from_utf8(field).ok()?, value));
        Ok(hashes.into_iter().map(|fields| Index::read(fields.into_iter().filter_map(text).collect())).collect())
    }

    /// Whether every task that was routed is in the index: only our brokers were at work.
    pub(crate) async fn index_is_complete(&self) -> Result<bool, Error> {
        Ok(!self.index_may_be_partial().await? && self.brokers_are_ours().await?)
    }

    /// Whether tasks may have been routed that the index does not know of.
    pub(crate) async fn index_may_be_partial(&self) -> Result<bool, Error> {
        let (unindexed,): (bool,) = self.redis.run(redis::pipe().cmd("EXISTS").arg(keys::UNINDEXED)).await?;
        Ok(unindexed)
    }

    /// Whether all brokers that are online are of this library, and there is one.
    pub(crate) async fn brokers_are_ours(&self) -> Result<bool, Error> {
        let mut pipeline = redis::pipe();
        pipeline.smembers(keys::ROUTERS).cmd("CLIENT").arg("LIST");
        let (routers, clients): (Vec<String>, String) = self.redis.run(&pipeline).await?;
        if routers.is_empty() {
            return Ok(false);
        }
        let named = clients.lines().map(|line| super::client_field(line, "name"));
        let brokers = named.filter(|name| name.split('?').next() == Some(crate::system::IDENTITY)).count();
        let signs: Vec<String> = routers.iter().map(|id| keys::router(id)).collect();
        let (ours,): (usize,) = self.redis.run(redis::pipe().cmd("EXISTS").arg(signs)).await?;
        Ok(ours > 0 && brokers <= ours)
    }

    /// From now on tasks may be routed, or were, that the index does not know of.
    pub(crate) async fn index_may_lack_tasks(&self) -> Result<(), Error> {
        self.redis.run(redis::pipe().set(keys::UNINDEXED, 1).ignore()).await
    }

    /// Before all tasks are looked at: whether the index will lack none afterwards.
    pub(crate) async fn can_complete_index(&self) -> Result<bool, Error> {
        let ours = self.brokers_are_ours().await?;
        if !ours {
            self.index_may_lack_tasks().await?;
        }
        Ok(ours)
    }

    /// After all tasks were looked at.
    pub(crate) async fn index_is_completed(&self) -> Result<(), Error> {
        self.redis.run(redis::pipe().del(keys::UNINDEXED).ignore()).await
    }

    /// Puts the ends of tasks that are collected into the index.
    pub(crate) async fn index_ends(&self, tasks: &[Task]) -> Result<(), Error> {
        if tasks.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        pipeline.cmd("EVAL").arg(ENDS).arg(tasks.len());
        pipeline.arg(tasks.iter().map(|task| keys::analysis(task.root_uid())).collect::<Vec<_>>());
        for task in tasks {
            pipeline.arg(format!("{}:f", task.uid())).arg(ended(task));
        }
        self.redis.run(pipeline.ignore()).await
    }

    /// Puts pending tasks into the index that others have routed.
    pub(crate) async fn index_found(&self, tasks: &[Task], ttl: std::time::Duration) -> Result<(), Error> {
        if tasks.is_empty() {
            return Ok(());
        }
        let now = self.server_time().await?;
        for tasks in tasks.chunks(1000) {
            let mut pipeline = redis::pipe();
            for task in tasks {
                pipeline.hexists(keys::analysis(task.root_uid()), task.uid());
            }
            // Something else may stand there: the script leaves it alone.
            let known: Vec<bool> = self.redis.run(&pipeline).await.unwrap_or_else(|_| vec![false; tasks.len()]);
            let mut pipeline = redis::pipe();
            pipeline.cmd("PING").ignore();
            for task in tasks.iter().zip(known).filter(|(_, known)| !known).map(|(task, _)| task) {
                let root = task.root_uid();
                pipeline.cmd("EVAL").arg(FOUND).arg(3).arg(keys::analysis(root)).arg(keys::ANALYSES).arg(keys::OPEN_ANALYSES);
                pipeline.arg(task.uid()).arg(found_entry(task)).arg(ttl.as_secs()).arg(now).arg(root).ignore();
            }
            self.redis.run::<()>(&pipeline).await?;
        }
        Ok(())
    }

    /// Forgets analyses beyond `limit`, the oldest first, and those whose time is over.
    pub(crate) async fn trim_analyses(&self, ttl: std::time::Duration, limit: u64) -> Result<(), Error> {
        let over = self.server_time().await? - ttl.as_secs_f64();
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZCOUNT").arg(keys::ANALYSES).arg("-inf").arg(over).zcard(keys::ANALYSES);
        let (expired, count): (u64, u64) = self.redis.run(&pipeline).await?;
        let mut surplus = count.saturating_sub(limit).max(expired);
        while surplus > 0 {
            let mut pipeline = redis::pipe();
            pipeline.cmd("ZPOPMIN").arg(keys::ANALYSES).arg(surplus.min(1000));
            let (oldest,): (Vec<(Vec<u8>, f64)>,) = self.redis.run(&pipeline).await?;
            if oldest.is_empty() {
                break;
            }
            let mut pipeline = redis::pipe();
            for (root, _) in &oldest {
                pipeline.del(keys::analysis(&String::from_utf8_lossy(root))).ignore();
                pipeline.cmd("ZREM").arg(keys::OPEN_ANALYSES).arg(root).ignore();
            }
            self.redis.run::<()>(&pipeline).await?;
            surplus -= oldest.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        list.iter().map(|(field, value)| ((*field).to_owned(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn what_is_written_about_a_task_is_read_again() {
        let mut task = Task::new(serde_json::json!({"type": "sample"}));
        let unrouted = unrouted_entry(Some("p"), 5.0, &Value::Object(task.headers().clone()).to_json(), task.headers());
        let routed = routed_entry("orig", 5.5, "karton.x");
        task.crash(vec![format!("{}\n", "ä".repeat(ERROR_BYTES))]);
        let index = Index::read(fields(&[("orig", &unrouted), ("u", &routed), ("u:s", "7.25"), ("u:f", &ended(&task))]));
        let read = &index.tasks["u"];
        assert_eq!((read.orig_uid.as_deref(), read.parent_uid.as_deref(), read.receiver()), (Some("orig"), Some("p"), Some("karton.x")));
        assert_eq!(read.headers.get("type").and_then(Value::as_str), Some("sample"));
        assert_eq!((read.created, read.started), (5.5, Some(7.25)));
        assert!(read.ended.is_some_and(|ended| (ended - task.last_update()).abs() < 0.001));
        assert_eq!((read.status, read.error.as_deref()), (TaskState::Crashed, Some("ä".repeat(ERROR_BYTES / 2).as_str())));
        assert!(!index.partial);
    }

    #[test]
    fn long_headers_are_reduced_to_those_that_name_the_kind() {
        let task = Task::new(serde_json::json!({"type": "sample", "kind": "x".repeat(100), "junk": "y".repeat(HEADERS_BYTES)}));
        let written = unrouted_entry(Some("p"), 1.0, &Value::Object(task.headers().clone()).to_json(), task.headers());
        let read = read_entry("u", &written).expect("an entry");
        assert_eq!(read.headers.keys().collect::<Vec<_>>(), ["type"]);
    }

    #[test]
    fn what_others_have_written_there_is_left_out() {
        let index = Index::read(fields(&[("u", "{"), ("v", "{}\n[]"), ("v:f", "?"), (FULL, "1"), ("x:s", "")]));
        assert!(index.tasks.is_empty() && index.partial);
    }
}
