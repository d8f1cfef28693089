//! What routing one batch writes.
//!
//! The one rule: planning touches nothing, and everything planned is one transaction. What it writes is
//! laid out as arguments of its commands from the start: see [`Args`].

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use redis::Pipeline;

use super::{
    SystemSettings,
    fork::Unrouted,
    matcher::{Matcher, Unusable},
};
use crate::{
    backend::{Args, analysis, keys, keys::Metric},
    json::{Value, float_text},
    logs,
    task::{TaskPriority, TaskState, new_uid, now},
};

/// How many waiting replicas of a consumer are woken at once.
const WAKE_TOKENS: usize = 16;
const LAST_WAKE_TOKEN: isize = 15;

/// Header sets kept for each origin; with more, something in them is different in each task.
const MOST_OUTPUTS: usize = 10_000;
const ADD_OUTPUTS: &str = r"
local count = redis.pcall('SCARD', KEYS[1])
if type(count) ~= 'number' then return end
local room = tonumber(ARGV[2]) - count
for i = 3, math.min(#ARGV, 2 + room) do redis.call('SADD', KEYS[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
";

/// Fields that are kept about one analysis; a routed task has one, and two more for each receiver.
const MOST_FIELDS: usize = 60_000;
/// Seconds after which an analysis is looked at for the first time, unless a task of it ends before.
const FIRST_LOOK: f64 = 1.0;

/// Everything that routing one batch writes.
pub(super) struct Plan {
    time: f64,
    /// The same as JSON text.
    time_json: String,
    /// Keys and records in turn.
    pub(super) records: Args,
    pub(super) receivers: IndexMap<String, Pushed>,
    pub(super) outputs: BTreeMap<String, HashSet<String>>,
    tracked: Tracked,
    quarantined: BTreeMap<String, String>,
    /// uids with the receivers they have gone to, by their place in `receivers`.
    routed: Vec<(String, Vec<usize>)>,
}

/// What one receiver gets: the uids for each of its queues.
#[derive(Default)]
pub(super) struct Pushed {
    pub(super) queues: HashMap<TaskPriority, Args>,
    pub(super) count: usize,
}

/// What is written about analyses, task by task.
#[derive(Default)]
struct Tracked {
    keys: Args,
    /// Root uid, field and value in turn.
    entries: Args,
}

impl Plan {
    pub(super) fn new() -> Self {
        let time = now();
        Self {
            time,
            time_json: float_text(time),
            records: Args::default(),
            receivers: IndexMap::new(),
            outputs: BTreeMap::new(),
            tracked: Tracked::default(),
            quarantined: BTreeMap::new(),
            routed: Vec::new(),
        }
    }

    /// Plans the routing of one task.
    pub(super) fn add(&mut self, matcher: &mut Matcher, uid: &str, record: &[u8], unusable: &mut Vec<Unusable>) {
        let text = std::str::from_utf8(record).map_err(|_| "record is not UTF-8 text".to_owned());
        let task = match text.and_then(|text| Unrouted::read(uid, text).map_err(|error| error.to_string())) {
            Ok(task) => task,
            Err(reason) => {
                tracing::error!(task = uid, "task cannot be read, put into quarantine: {reason}");
                self.quarantine(uid.to_owned(), reason);
                return;
            }
        };
        // A broker writes that when it has routed a task: the same uid was pushed again. Any other status is that
        // of a task that a service sends on as it came.
        if task.status == TaskState::Finished {
            tracing::info!(task = uid, "was routed before");
            return;
        }
        let root_uid = task.root_uid();
        let mut forks = Vec::new();
        let mut routed = Vec::new();
        for receiver in matcher.receivers(&task.headers, unusable) {
            let fork = format!("{{{root_uid}}}:{}", new_uid());
            self.records.write(|out| keys::write_task(out, &fork));
            self.records.write(|out| task.write_fork(out, receiver, &fork, &self.time_json));
            routed.push(self.push(receiver, task.priority(), &fork));
            forks.push((fork, receiver));
        }
        self.records.write(|out| keys::write_task(out, uid));
        self.records.write(|out| task.write_finished(out, (self.time, &self.time_json)));
        let created = task.last_update();
        let about = analysis::Routed { parent_uid: task.parent_uid(), created, routed: self.time, forks };
        self.tracked.keys.write(|out| keys::write_analysis(out, root_uid));
        self.tracked.entries.push(root_uid);
        self.tracked.entries.push(uid);
        self.tracked.entries.write(|out| about.write(out, &task.headers_json, &task.headers));
        let origin = task.headers.get("origin").and_then(Value::as_str).unwrap_or("unknown");
        if let Some(outputs) = self.outputs.get_mut(origin) {
            outputs.insert(task.headers_json);
        } else {
            self.outputs.insert(origin.to_owned(), HashSet::from([task.headers_json]));
        }
        self.routed.push((uid.to_owned(), routed));
    }

    /// Puts a uid into the queue of a receiver; gives the place of that in `receivers`.
    fn push(&mut self, receiver: &str, priority: TaskPriority, uid: &str) -> usize {
        let place = self.receivers.get_index_of(receiver);
        let place = place.unwrap_or_else(|| self.receivers.insert_full(receiver.to_owned(), Pushed::default()).0);
        let pushed = &mut self.receivers[place];
        pushed.queues.entry(priority).or_default().push(uid);
        pushed.count += 1;
        place
    }

    pub(super) fn quarantine(&mut self, what: String, reason: String) {
        self.quarantined.insert(what, reason);
    }

    pub(super) fn transaction(&self, settings: &SystemSettings, in_flight: &str) -> Pipeline {
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        if !self.records.is_empty() {
            pipeline.cmd("MSET").arg(&self.records).ignore();
        }
        for (receiver, Pushed { queues, count }) in &self.receivers {
            for (priority, uids) in queues {
                pipeline.cmd("RPUSH").arg(keys::queue(*priority, receiver)).arg(uids).ignore();
            }
            pipeline.hincr(Metric::Assigned.key(), receiver, *count).ignore();
            let wake = keys::wake(receiver);
            pipeline.lpush(&wake, vec!["1"; WAKE_TOKENS.min(*count)]).ignore().ltrim(&wake, 0, LAST_WAKE_TOKEN).ignore();
            // Nobody may take them: consumers that are not ours do not know them.
            pipeline.expire(&wake, 10).ignore();
        }
        if settings.enable_task_tracking {
            for (origin, headers) in &self.outputs {
                pipeline.cmd("EVAL").arg(ADD_OUTPUTS).arg(1).arg(keys::outputs(origin)).arg(settings.task_tracking_ttl.as_secs());
                pipeline.arg(MOST_OUTPUTS).arg(headers.iter().collect::<Vec<_>>()).ignore();
            }
        }
        if !self.tracked.keys.is_empty() && settings.keeps_history() {
            let Tracked { keys, entries } = &self.tracked;
            pipeline.cmd("EVAL").arg(analysis::TRACK).arg(2 + keys.len()).arg(keys::ANALYSES).arg(keys::OPEN_ANALYSES).arg(keys);
            pipeline.arg(settings.history_ttl.as_secs()).arg(MOST_FIELDS).arg(self.time).arg(self.time + FIRST_LOOK).arg(entries);
            pipeline.ignore();
        }
        for (what, reason) in &self.quarantined {
            super::router::add_to_quarantine(&mut pipeline, what, reason);
        }
        pipeline.del(in_flight);
        pipeline
    }

    /// After the transaction: tells where each task has gone.
    pub(super) fn log(&self) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        logs::together(|| {
            for (uid, receivers) in &self.routed {
                let receivers: Vec<&str> =
                    receivers.iter().filter_map(|place| Some(self.receivers.get_index(*place)?.0.as_str())).collect();
                tracing::info!(task = uid, "routed to {receivers:?}");
            }
        });
    }
}
