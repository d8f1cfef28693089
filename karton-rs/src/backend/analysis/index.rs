//! What is known of each task of an analysis.

use std::collections::BTreeMap;

use super::{
    FULL,
    entry::{Origin, read_end},
};
use crate::{
    json::{Map, Value},
    task::{Task, TaskState},
};

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

    /// A task that somebody else has routed, of which only its start was noted; its record tells the rest.
    fn of_unknown(uid: &str, started: f64) -> Self {
        Self {
            uid: uid.to_owned(),
            orig_uid: None,
            parent_uid: None,
            headers: Map::new(),
            created: started,
            started: Some(started),
            ended: None,
            status: TaskState::Started,
            error: None,
        }
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

/// The index of one analysis.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    pub(crate) tasks: BTreeMap<String, TaskHistory>,
    /// Some tasks may be missing in it.
    pub(crate) partial: bool,
}

impl Index {
    pub(super) fn read(fields: Vec<(String, Vec<u8>)>) -> Self {
        let mut index = Self::default();
        let mut later = Vec::new();
        for (field, value) in fields {
            let Ok(value) = String::from_utf8(value) else { continue };
            if field == FULL {
                index.partial = true;
            } else if field.ends_with(":s") || field.ends_with(":f") {
                later.push((field, value));
            } else {
                index.add(&field, &value);
            }
        }
        // Starts before ends.
        later.sort_unstable_by(|(one, _), (other, _)| other.cmp(one));
        for (field, value) in later {
            let (uid, kind) = field.split_at(field.len() - 2);
            if let (":s", false, Ok(started)) = (kind, index.tasks.contains_key(uid), value.parse()) {
                index.tasks.insert(uid.to_owned(), TaskHistory::of_unknown(uid, started));
            }
            let Some(task) = index.tasks.get_mut(uid) else { continue };
            if kind == ":s" {
                task.started = value.parse().ok();
                if task.ended.is_none() {
                    task.status = TaskState::Started;
                }
            } else if let Some((status, time, error)) = read_end(&value) {
                (task.status, task.ended, task.error) = (status, Some(time), error);
            }
        }
        index.inherit();
        index
    }

    /// Takes in the field of a task, with the copies that it was routed as. What cannot be read is left out.
    fn add(&mut self, uid: &str, value: &str) {
        let Some((origin, headers)) = Origin::read(value) else { return };
        let Ok(Value::Object(headers)) = Value::parse(headers) else { return };
        let pending = if headers.contains_key("receiver") { TaskState::Spawned } else { TaskState::Declared };
        let task = TaskHistory {
            uid: uid.to_owned(),
            orig_uid: origin.orig_uid,
            parent_uid: origin.parent_uid,
            headers,
            created: origin.time,
            started: None,
            ended: origin.routed,
            status: if origin.routed.is_some() { TaskState::Finished } else { pending },
            error: None,
        };
        for (fork, receiver) in origin.forks {
            let copy = TaskHistory {
                uid: fork.clone(),
                orig_uid: Some(uid.to_owned()),
                parent_uid: None,
                headers: Map::from_iter([("receiver".to_owned(), receiver.into())]),
                created: origin.routed.unwrap_or(origin.time),
                started: None,
                ended: None,
                status: TaskState::Spawned,
                error: None,
            };
            self.tasks.insert(fork, copy);
        }
        self.tasks.insert(uid.to_owned(), task);
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

#[cfg(test)]
mod tests {
    use super::super::entry::{ERROR_BYTES, HEADERS_BYTES, Routed, ended, found_entry, names};
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        list.iter().map(|(field, value)| ((*field).to_owned(), value.as_bytes().to_vec())).collect()
    }

    fn routed(created: f64, forks: Vec<(String, &str)>, headers: &Map) -> String {
        let mut out = String::new();
        Routed { parent_uid: Some("p\"".into()), created, routed: 5.5, forks }.write(
            &mut out,
            &Value::from(headers.clone()).to_json(),
            headers,
        );
        out
    }

    #[test]
    fn what_is_written_about_a_task_is_read_again() {
        let mut task = Task::new(serde_json::json!({"type": "sample"}));
        let entry = routed(5.0, vec![("u".to_owned(), "karton.x"), ("v".to_owned(), "karton.ä")], task.headers());
        task.crash(vec![format!("{}\n", "ä".repeat(ERROR_BYTES))]);
        let index = Index::read(fields(&[("orig", &entry), ("u:s", "7.25"), ("u:f", &ended(&task))]));
        let read = &index.tasks["u"];
        assert_eq!((read.orig_uid.as_deref(), read.parent_uid.as_deref(), read.receiver()), (Some("orig"), Some("p\""), Some("karton.x")));
        assert_eq!(read.headers.get("type").and_then(Value::as_str), Some("sample"));
        assert_eq!((read.created, read.started), (5.5, Some(7.25)));
        assert!(read.ended.is_some_and(|ended| (ended - task.last_update()).abs() < 0.001));
        assert_eq!((read.status, read.error.as_deref()), (TaskState::Crashed, Some("ä".repeat(ERROR_BYTES / 2).as_str())));
        assert_eq!((index.tasks["v"].status, index.tasks["v"].receiver()), (TaskState::Spawned, Some("karton.ä")));
        let orig = &index.tasks["orig"];
        assert_eq!((orig.created, orig.ended, orig.status), (5.0, Some(5.5), TaskState::Finished));
        assert!(!index.partial);
        assert!(names(entry.as_bytes(), "v") && !names(entry.as_bytes(), "w") && !names(b"{", "v"));
    }

    #[test]
    fn a_task_without_a_usable_time_counts_from_its_routing() {
        let index = Index::read(fields(&[("u", &routed(f64::INFINITY, Vec::new(), &Map::new()))]));
        assert!((index.tasks["u"].created - 5.5).abs() < 0.001);
    }

    #[test]
    fn a_task_that_was_found_later_is_read_again() {
        let task = Task::new(serde_json::json!({"type": "sample", "receiver": "karton.x"}));
        let index = Index::read(fields(&[("u", &found_entry(&task))]));
        let read = &index.tasks["u"];
        assert_eq!((read.status, read.receiver(), read.ended), (TaskState::Spawned, Some("karton.x"), None));
    }

    #[test]
    fn long_headers_are_reduced_to_those_that_name_the_kind() {
        let task = Task::new(serde_json::json!({"type": "sample", "kind": "x".repeat(100), "junk": "y".repeat(HEADERS_BYTES)}));
        let index = Index::read(fields(&[("u", &routed(1.0, Vec::new(), task.headers()))]));
        assert_eq!(index.tasks["u"].headers.keys().collect::<Vec<_>>(), ["type"]);
    }

    #[test]
    fn what_others_have_written_there_is_left_out() {
        let index = Index::read(fields(&[("u", "{"), ("v", "{}\n[]"), ("v:f", "?"), (FULL, "1"), ("x:s", "")]));
        assert!(index.tasks.is_empty() && index.partial);
    }
}
