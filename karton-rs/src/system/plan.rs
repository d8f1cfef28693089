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

/// Fields that are kept about one analysis, about; a routed task has one, and two more for each receiver.
const MOST_FIELDS: u64 = 60_000;
/// Full analyses that are remembered.
const MOST_FULL: usize = 1_000;
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
    /// What is added to the history of each analysis, by root uid: fields and values in turn.
    histories: IndexMap<String, Args>,
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

/// Analyses whose history is full. To ask for the length of each at every batch would cost more than to write it, so each
/// batch asks for that of one: whoever adds to many batches is soon asked for.
#[derive(Default)]
pub(super) struct Full {
    root_uids: HashSet<String>,
    turn: usize,
}

impl Full {
    /// How many fields the history of an analysis has.
    pub(super) fn note(&mut self, root_uid: &str, fields: u64) {
        self.turn = self.turn.wrapping_add(1);
        if fields < MOST_FIELDS {
            self.root_uids.remove(root_uid);
        } else {
            if self.root_uids.len() >= MOST_FULL {
                self.root_uids.clear();
            }
            self.root_uids.insert(root_uid.to_owned());
        }
    }
}

impl Plan {
    /// Nothing yet, with room for records of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let time = now();
        Self {
            time,
            time_json: float_text(time),
            records: Args::with_capacity(bytes),
            receivers: IndexMap::new(),
            outputs: BTreeMap::new(),
            histories: IndexMap::new(),
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
        if !self.histories.contains_key(root_uid) {
            self.histories.insert(root_uid.to_owned(), Args::default());
        }
        let history = &mut self.histories[root_uid];
        history.push(uid);
        history.write(|out| about.write(out, &task.headers_json, &task.headers));
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

    /// Everything in one transaction, whose answers [`Plan::note`] reads. What somebody has put in the place of a
    /// statistic or a history keeps no task from being routed: that it cannot be written there is no error.
    pub(super) fn transaction(&self, settings: &SystemSettings, in_flight: &str, full: &Full) -> Pipeline {
        let mut pipeline = redis::pipe();
        pipeline.atomic().ignore_errors();
        if !self.records.is_empty() {
            let mut write = redis::Cmd::with_capacity(self.records.len() + 1, self.records.bytes() + 4);
            write.arg("MSET").arg(&self.records);
            pipeline.add_command(write);
        }
        for (receiver, Pushed { queues, count }) in &self.receivers {
            for (priority, uids) in queues {
                pipeline.cmd("RPUSH").arg(keys::queue(*priority, receiver)).arg(uids);
            }
            pipeline.hincr(Metric::Assigned.key(), receiver, *count).ignore();
            let wake = keys::wake(receiver);
            pipeline.lpush(&wake, vec!["1"; WAKE_TOKENS.min(*count)]).ltrim(&wake, 0, LAST_WAKE_TOKEN);
            // Nobody may take them: consumers that are not ours do not know them.
            pipeline.expire(&wake, 10);
        }
        if settings.enable_task_tracking {
            for (origin, headers) in &self.outputs {
                pipeline.cmd("EVAL").arg(ADD_OUTPUTS).arg(1).arg(keys::outputs(origin)).arg(settings.task_tracking_ttl.as_secs());
                pipeline.arg(MOST_OUTPUTS).arg(headers.iter().collect::<Vec<_>>());
            }
        }
        for (what, reason) in &self.quarantined {
            super::router::add_to_quarantine(&mut pipeline, what, reason);
        }
        if settings.keeps_history() && !self.histories.is_empty() {
            self.add_histories(&mut pipeline, settings, full);
        }
        pipeline.del(in_flight);
        if let Some(root_uid) = self.asked(settings, full) {
            pipeline.hlen(keys::analysis(root_uid));
        }
        pipeline
    }

    fn add_histories(&self, pipeline: &mut Pipeline, settings: &SystemSettings, full: &Full) {
        let (mut first, mut open) = (Args::default(), Args::default());
        let (now, look) = (self.time.to_string(), (self.time + FIRST_LOOK).to_string());
        let ttl = settings.history_ttl.as_secs();
        for (root_uid, history) in &self.histories {
            let key = keys::analysis(root_uid);
            let mut write = redis::Cmd::with_capacity(history.len() + 2, history.bytes() + key.len() + 4);
            write.arg("HSET").arg(&key);
            if full.root_uids.contains(root_uid) {
                write.arg(analysis::FULL).arg(1);
            } else {
                write.arg(history);
            }
            let mut expire = redis::Cmd::with_capacity(3, key.len() + 26);
            expire.arg("EXPIRE").arg(&key).arg(ttl);
            pipeline.add_command(write).ignore().add_command(expire).ignore();
            for (scores, time) in [(&mut first, &now), (&mut open, &look)] {
                scores.push(time);
                scores.push(root_uid);
            }
        }
        pipeline.cmd("ZADD").arg(keys::ANALYSES).arg("NX").arg(&first);
        pipeline.cmd("ZADD").arg(keys::OPEN_ANALYSES).arg(&open);
    }

    /// The analysis of which this batch asks how long its history is.
    fn asked(&self, settings: &SystemSettings, full: &Full) -> Option<&str> {
        let place = full.turn.checked_rem(self.histories.len()).filter(|_| settings.keeps_history());
        place.and_then(|place| self.histories.get_index(place)).map(|(root_uid, _)| root_uid.as_str())
    }

    /// Takes out of the answers to the transaction what it has asked for; the others only say whether all was done.
    pub(super) fn note(&self, answers: &mut Vec<redis::Value>, settings: &SystemSettings, full: &mut Full) {
        if let Some(root_uid) = self.asked(settings, full).map(str::to_owned) {
            let fields = answers.pop().and_then(|fields| redis::from_redis_value(fields).ok());
            full.note(&root_uid, fields.unwrap_or(0));
        }
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
