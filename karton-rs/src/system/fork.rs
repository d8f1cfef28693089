//! From one unrouted record to the records of its receivers, as text.
//!
//! The one rule: payloads are copied as they stand, never built, and everything is written straight
//! into the buffer that goes to Redis. Records in an older form take the slow way through [`Task`],
//! which brings them into today's. See Karton protocol §4.5.

use std::borrow::Cow;

use crate::{
    json::{Key, Map, RawObject, Value, string_text, write_key, write_sorted, write_string},
    task::{Task, TaskError, TaskPriority, TaskState},
};

const RECEIVER: &str = "receiver";
/// The persistent payload of a task without anything persistent.
const NOTHING_PERSISTENT: &str = r#"{"__headers_persistent": {}}"#;

/// An unrouted task, ready to be forked.
pub(super) struct Unrouted<'a> {
    pub(super) headers: Map,
    pub(super) status: TaskState,
    /// The headers as JSON text.
    pub(super) headers_json: String,
    around_receiver: AroundReceiver,
    parts: Parts<'a>,
}

/// Where the receiver belongs among sorted headers.
struct AroundReceiver {
    /// The headers as JSON text, when they differ from those of the task: it had a receiver.
    json: Option<String>,
    /// Where in it the first member begins that comes after the receiver, or its closing brace.
    at: usize,
    /// Members stand before, and none after.
    last: bool,
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
    /// The same as it stands in the record.
    last_update_json: &'a str,
    parent_uid: &'a str,
    payload: &'a str,
    payload_persistent: &'a str,
    priority: TaskPriority,
    root_uid: Cow<'a, str>,
    uid: Cow<'a, str>,
    /// The same as it stands in the record.
    uid_json: &'a str,
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
        let (headers_json, at, last) = sorted(headers.iter());
        let around_receiver = if headers.contains_key(RECEIVER) {
            let (json, at, last) = sorted(headers.iter().filter(|(name, _)| *name != RECEIVER));
            AroundReceiver { json: Some(json), at, last }
        } else {
            AroundReceiver { json: None, at, last }
        };
        Self { headers, status, headers_json, around_receiver, parts }
    }

    pub(super) fn root_uid(&self) -> &str {
        match &self.parts {
            Parts::Raw(raw) => &raw.root_uid,
            Parts::Parsed(task) => task.root_uid(),
        }
    }

    pub(super) fn priority(&self) -> TaskPriority {
        match &self.parts {
            Parts::Raw(raw) => raw.priority,
            Parts::Parsed(task) => task.priority(),
        }
    }

    /// The task during which it was sent.
    pub(super) fn parent_uid(&self) -> Option<Cow<'_, str>> {
        match &self.parts {
            Parts::Raw(raw) => string_text(raw.parent_uid),
            Parts::Parsed(task) => task.parent_uid().map(Cow::Borrowed),
        }
    }

    /// When it was sent.
    pub(super) fn last_update(&self) -> f64 {
        match &self.parts {
            Parts::Raw(raw) => raw.last_update,
            Parts::Parsed(task) => task.last_update(),
        }
    }

    /// Appends the record of the copy for one receiver. `time` is JSON text.
    pub(super) fn write_fork(&self, out: &mut String, receiver: &str, uid: &str, time: &str) {
        match &self.parts {
            Parts::Parsed(task) => out.push_str(&task.fork_for(receiver).with_uid(uid).to_json()),
            Parts::Raw(raw) => {
                raw.write(out, ["null", raw.uid_json, time], |out| self.write_headers(out, receiver), TaskState::Spawned, uid);
            }
        }
    }

    /// Appends the unrouted record itself, as it stays behind. Its time never goes back, whoever's clock is ahead: by that
    /// a producer whose reply was lost knows that it was sent.
    pub(super) fn write_finished(&self, out: &mut String, (time, time_json): (f64, &str)) {
        match &self.parts {
            Parts::Parsed(task) => {
                let mut task = Task::clone(task);
                task.set_status(TaskState::Finished);
                out.push_str(&task.to_json());
            }
            Parts::Raw(raw) => {
                let headers = |out: &mut String| out.push_str(&self.headers_json);
                let time = if raw.last_update > time { raw.last_update_json } else { time_json };
                raw.write(out, [raw.error, raw.orig_uid, time], headers, TaskState::Finished, &raw.uid);
            }
        }
    }

    fn write_headers(&self, out: &mut String, receiver: &str) {
        let AroundReceiver { json, at, last } = &self.around_receiver;
        let (before, after) = json.as_ref().unwrap_or(&self.headers_json).split_at(*at);
        out.push_str(before);
        if *last {
            out.push_str(", ");
        }
        write_string(out, RECEIVER);
        out.push_str(": ");
        write_string(out, receiver);
        if after != "}" {
            out.push_str(", ");
        }
        out.push_str(after);
    }
}

impl<'a> Raw<'a> {
    /// None for a record in an older form, or with copies of persistent headers that do not agree.
    fn read(fields: &RawObject<'a>) -> Option<(Self, Map, TaskState)> {
        let object = |name: &str| fields.get(name).filter(|json| json.starts_with('{'));
        let text_or_null = |name: &str| fields.get(name).filter(|json| json.starts_with('"') || *json == "null");
        let Value::Object(headers) = Value::parse(object("headers")?).ok()? else { return None };
        let (headers_persistent, payload_persistent) = (object("headers_persistent")?, object("payload_persistent")?);
        if headers_persistent != "{}" || payload_persistent != NOTHING_PERSISTENT {
            let Value::Object(persistent) = Value::parse(headers_persistent).ok()? else { return None };
            let hidden = Value::parse(RawObject::parse(payload_persistent).ok()?.get("__headers_persistent")?).ok()?;
            let agree = persistent.iter().all(|(name, value)| headers.get(name).is_some_and(|own| own.to_json() == value.to_json()));
            // Each copy has its own receiver, also where it is persistent.
            if !agree || persistent.contains_key(RECEIVER) || hidden.to_json() != Value::from(persistent).to_json() {
                return None;
            }
        }
        let last_update_json = fields.get("last_update")?;
        let last_update = last_update_json.parse().ok().filter(|time: &f64| time.is_finite() && *time != 0.0)?;
        let uid_json = fields.get("uid")?;
        let raw = Self {
            error: fields.get("error").filter(|json| json.starts_with('[') || *json == "null")?,
            headers_persistent,
            last_update,
            last_update_json,
            orig_uid: text_or_null("orig_uid")?,
            parent_uid: text_or_null("parent_uid")?,
            payload: object("payload")?,
            payload_persistent,
            priority: string_text(fields.get("priority")?)?.parse().ok()?,
            root_uid: string_text(fields.get("root_uid")?)?,
            uid: string_text(uid_json)?,
            uid_json,
        };
        Some((raw, headers, string_text(fields.get("status")?)?.parse().ok()?))
    }

    /// Appends a record with sorted keys, as the reference writes it.
    fn write(&self, out: &mut String, [error, orig_uid, time]: [&str; 3], headers: impl FnOnce(&mut String), status: TaskState, uid: &str) {
        out.reserve(self.payload.len() + self.payload_persistent.len() + 768);
        put(out, "{\"error\": ", error);
        out.push_str(", \"headers\": ");
        headers(out);
        put(out, ", \"headers_persistent\": ", self.headers_persistent);
        put(out, ", \"last_update\": ", time);
        put(out, ", \"orig_uid\": ", orig_uid);
        put(out, ", \"parent_uid\": ", self.parent_uid);
        put(out, ", \"payload\": ", self.payload);
        put(out, ", \"payload_persistent\": ", self.payload_persistent);
        put_text(out, ", \"priority\": ", self.priority.as_str());
        put_text(out, ", \"root_uid\": ", &self.root_uid);
        put_text(out, ", \"status\": ", status.as_str());
        put_text(out, ", \"uid\": ", uid);
        out.push('}');
    }
}

fn put(out: &mut String, label: &str, json: &str) {
    out.push_str(label);
    out.push_str(json);
}

fn put_text(out: &mut String, label: &str, text: &str) {
    out.push_str(label);
    write_string(out, text);
}

/// Headers as a JSON object with sorted keys, and where in it a receiver belongs: see [`AroundReceiver`].
fn sorted<'h>(headers: impl Iterator<Item = (&'h Key, &'h Value)>) -> (String, usize, bool) {
    let receiver = Key::from(RECEIVER);
    let mut members: Vec<_> = headers.collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    let before = members.partition_point(|(name, _)| **name < receiver);
    let last = before > 0 && before == members.len();
    let mut out = String::with_capacity(members.len() * 32 + 2);
    out.push('{');
    let mut at = 1;
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        if index == before {
            at = out.len();
        }
        write_key(&mut out, name);
        out.push_str(": ");
        write_sorted(&mut out, value);
    }
    if last {
        at = out.len();
    }
    out.push('}');
    (out, at, last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_has_its_own_receiver_also_where_that_is_persistent() {
        let mut task = Task::new(json!({"type": "sample"}));
        task.set_persistent_header("receiver", "karton.before");
        let record = task.to_json();
        let mut out = String::new();
        Unrouted::read(task.uid(), &record).expect("a task").write_fork(&mut out, "karton.x", "u", "1.5");
        let copy = Value::parse(&out).expect("JSON");
        for headers in ["headers", "headers_persistent"] {
            assert_eq!(
                copy.get(headers).and_then(|headers| headers.get("receiver")).and_then(Value::as_str),
                Some("karton.x"),
                "{headers}"
            );
        }
        assert_eq!(Task::from_json(&out).expect("a task").header_str("receiver"), Some("karton.x"));
    }

    #[test]
    fn the_time_of_a_routed_task_does_not_go_back_where_clocks_differ() {
        let task = Task::new(json!({"type": "sample"}));
        let (record, sent) = (task.to_json(), task.last_update());
        let finished = |time: f64| {
            let mut out = String::new();
            let unrouted = Unrouted::read(task.uid(), &record).expect("a task");
            unrouted.write_finished(&mut out, (time, &crate::json::float_text(time)));
            Task::from_json(&out).expect("a task").last_update()
        };
        assert_eq!((finished(sent - 5.0), finished(sent + 5.0)), (sent, sent + 5.0));
    }
}
