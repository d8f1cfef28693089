//! From one unrouted record to the records of its receivers, as text.
//!
//! The one rule: payloads are copied as they stand, never built. Records in an older form take the
//! slow way through [`Task`], which brings them into today's. See Karton protocol §4.5.

use crate::{
    backend::keys,
    json::{Map, RawObject, Value, write_sorted, write_string},
    task::{Task, TaskError, TaskPriority, TaskState, new_uid, now},
};

const RECEIVER: &str = "receiver";

/// An unrouted task, ready to be forked.
pub(super) struct Unrouted<'a> {
    pub(super) headers: Map,
    pub(super) status: TaskState,
    /// The headers as JSON text.
    pub(super) headers_json: String,
    /// The same, cut where a receiver belongs.
    around_receiver: [String; 2],
    parts: Parts<'a>,
}

enum Parts<'a> {
    Raw(Raw<'a>),
    Parsed(Box<Task>),
}

/// The fields of a record in today's form, as JSON text.
struct Raw<'a> {
    error: &'a str,
    headers_persistent: &'a str,
    orig_uid: &'a str,
    last_update: f64,
    parent_uid: &'a str,
    payload: &'a str,
    payload_persistent: &'a str,
    priority: TaskPriority,
    root_uid: String,
    uid: String,
}

/// A record to write, and the queue that gets its uid.
pub(super) struct Fork {
    pub(super) key: String,
    pub(super) record: String,
    pub(super) uid: String,
    pub(super) queue: String,
}

impl<'a> Unrouted<'a> {
    /// Reads the record that stands under the key of `uid`.
    pub(super) fn read(uid: &str, record: &'a str) -> Result<Self, TaskError> {
        let fields = RawObject::parse(record)?;
        if let Some((raw, headers, status)) = Raw::read(&fields).filter(|(raw, _, _)| raw.uid == uid) {
            return Ok(Self::new(headers, status, Parts::Raw(raw)));
        }
        let task = Task::from_json(record)?.with_uid(uid);
        Ok(Self::new(task.headers().clone(), task.status(), Parts::Parsed(Box::new(task))))
    }

    fn new(headers: Map, status: TaskState, parts: Parts<'a>) -> Self {
        Self { headers_json: headers_json(&headers), around_receiver: around_receiver(&headers), headers, status, parts }
    }

    pub(super) fn root_uid(&self) -> &str {
        match &self.parts {
            Parts::Raw(raw) => &raw.root_uid,
            Parts::Parsed(task) => task.root_uid(),
        }
    }

    /// The task during which it was sent.
    pub(super) fn parent_uid(&self) -> Option<String> {
        match &self.parts {
            Parts::Raw(raw) => Value::parse(raw.parent_uid).ok().and_then(|uid| uid.as_str().map(str::to_owned)),
            Parts::Parsed(task) => task.parent_uid().map(str::to_owned),
        }
    }

    /// When it was sent.
    pub(super) fn last_update(&self) -> f64 {
        match &self.parts {
            Parts::Raw(raw) => raw.last_update,
            Parts::Parsed(task) => task.last_update(),
        }
    }

    /// The copy for one receiver.
    pub(super) fn fork(&self, receiver: &str) -> Fork {
        let (uid, priority, record) = match &self.parts {
            Parts::Parsed(task) => {
                let fork = task.fork_for(receiver);
                (fork.uid().to_owned(), fork.priority(), fork.to_json())
            }
            Parts::Raw(raw) => {
                let uid = format!("{{{}}}:{}", raw.root_uid, new_uid());
                let [before, after] = &self.around_receiver;
                let headers = [before, &json_text(receiver), after.as_str()].concat();
                let record = raw.record("null", &headers, &json_text(&raw.uid), TaskState::Spawned, &uid);
                (uid, raw.priority, record)
            }
        };
        Fork { key: keys::task(&uid), record, uid, queue: keys::queue(priority, receiver) }
    }

    /// The unrouted record itself, as it stays behind.
    pub(super) fn finished(&self) -> String {
        match &self.parts {
            Parts::Parsed(task) => {
                let mut task = Task::clone(task);
                task.set_status(TaskState::Finished);
                task.to_json()
            }
            Parts::Raw(raw) => raw.record(raw.error, &self.headers_json, raw.orig_uid, TaskState::Finished, &raw.uid),
        }
    }
}

impl<'a> Raw<'a> {
    /// None for a record in an older form, or with copies of persistent headers that do not agree.
    fn read(fields: &RawObject<'a>) -> Option<(Self, Map, TaskState)> {
        let text = |name: &str| match Value::parse(fields.get(name)?).ok()? {
            Value::String(text) => Some(text),
            _ => None,
        };
        let object = |name: &str| fields.get(name).filter(|json| json.starts_with('{'));
        let text_or_null = |name: &str| fields.get(name).filter(|json| json.starts_with('"') || *json == "null");
        let Value::Object(headers) = Value::parse(object("headers")?).ok()? else { return None };
        let Value::Object(persistent) = Value::parse(object("headers_persistent")?).ok()? else { return None };
        let payload_persistent = object("payload_persistent")?;
        let hidden = Value::parse(RawObject::parse(payload_persistent).ok()?.get("__headers_persistent")?).ok()?;
        let agree = persistent.iter().all(|(name, value)| headers.get(name).is_some_and(|own| own.to_json() == value.to_json()));
        if !agree || hidden.to_json() != Value::from(persistent).to_json() {
            return None;
        }
        let last_update = fields.get("last_update")?.parse().ok().filter(|time| *time != 0.0)?;
        let raw = Self {
            error: fields.get("error").filter(|json| json.starts_with('[') || *json == "null")?,
            headers_persistent: fields.get("headers_persistent")?,
            last_update,
            orig_uid: text_or_null("orig_uid")?,
            parent_uid: text_or_null("parent_uid")?,
            payload: object("payload")?,
            payload_persistent,
            priority: text("priority")?.parse().ok()?,
            root_uid: text("root_uid")?,
            uid: text("uid")?,
        };
        Some((raw, headers, text("status")?.parse().ok()?))
    }

    /// A record with sorted keys, as the reference writes it.
    fn record(&self, error: &str, headers: &str, orig_uid: &str, status: TaskState, uid: &str) -> String {
        let mut out = String::with_capacity(self.payload.len() + self.payload_persistent.len() + 768);
        let mut put = |label: &str, json: &str| {
            out.push_str(label);
            out.push_str(json);
        };
        put("{\"error\": ", error);
        put(", \"headers\": ", headers);
        put(", \"headers_persistent\": ", self.headers_persistent);
        put(", \"last_update\": ", &Value::from(now()).to_json());
        put(", \"orig_uid\": ", orig_uid);
        put(", \"parent_uid\": ", self.parent_uid);
        put(", \"payload\": ", self.payload);
        put(", \"payload_persistent\": ", self.payload_persistent);
        put(", \"priority\": ", &json_text(self.priority.as_str()));
        put(", \"root_uid\": ", &json_text(&self.root_uid));
        put(", \"status\": ", &json_text(status.as_str()));
        put(", \"uid\": ", &json_text(uid));
        out.push('}');
        out
    }
}

/// Headers as a JSON object with sorted keys, cut where the value of the receiver stands.
fn around_receiver(headers: &Map) -> [String; 2] {
    let mut members: Vec<_> = headers.iter().filter(|(name, _)| *name != RECEIVER).collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    let at = members.partition_point(|(name, _)| name.as_str() < RECEIVER);
    let (mut before, mut after) = ("{".to_owned(), String::new());
    for (name, value) in &members[..at] {
        write_string(&mut before, name);
        before.push_str(": ");
        write_sorted(&mut before, value);
        before.push_str(", ");
    }
    write_string(&mut before, RECEIVER);
    before.push_str(": ");
    for (name, value) in &members[at..] {
        after.push_str(", ");
        write_string(&mut after, name);
        after.push_str(": ");
        write_sorted(&mut after, value);
    }
    after.push('}');
    [before, after]
}

/// Headers as a JSON object with sorted keys.
fn headers_json(headers: &Map) -> String {
    let mut members: Vec<_> = headers.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    let mut out = String::from("{");
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write_string(&mut out, name);
        out.push_str(": ");
        write_sorted(&mut out, value);
    }
    out.push('}');
    out
}

fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}
