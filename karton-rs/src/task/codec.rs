//! The record of a task: reading every form that Karton has written since 2.x, writing today's.
//!
//! See Karton protocol §4.3 and §4.4.

use std::sync::Arc;

use indexmap::IndexSet;

use super::{HIDDEN_PERSISTENT_HEADERS, Task, TaskPriority, new_uid, now};
use crate::{
    json::{Key, Map, ParseError, Value, write_members, write_sorted, write_string},
    resource::{self, ResourceError},
};

/// Why a record is no task, or a task has not what is asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The record is not JSON.
    #[error("task record is not JSON: {0}")]
    NotJson(#[from] ParseError),
    /// The record is JSON, but no object.
    #[error("task record is not an object")]
    NotAnObject,
    /// A field that every record has is missing.
    #[error("task record has no `{0}`")]
    Missing(&'static str),
    /// A field has the wrong type or an unknown value.
    #[error("task record: `{field}` {problem}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Something in the record claims to be a resource and is none.
    #[error("task record: {0}")]
    Resource(#[from] ResourceError),
    /// The payload has no such entry.
    #[error("task has no payload `{0}`")]
    NoPayload(String),
    /// The payload entry is something else.
    #[error("payload `{0}` is not a resource")]
    NotAResource(String),
    /// The payload entry does not have the expected shape.
    #[error("payload `{name}`: {source}")]
    Payload {
        /// Name of the entry.
        name: String,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The task has no `receiver` header, so it cannot be restarted.
    #[error("task has no `receiver` header: it was never routed")]
    NotRouted,
}

impl Task {
    /// Reads a record in any form since Karton 2.x.
    ///
    /// # Errors
    /// When the record is not JSON, lacks a required field or has an unknown status or priority.
    pub fn from_json(text: &str) -> Result<Self, TaskError> {
        let Value::Object(mut record) = Value::parse(text)? else { return Err(TaskError::NotAnObject) };
        for value in record.values_mut() {
            resource::normalise(value)?;
        }
        for field in ["uid", "root_uid", "parent_uid", "status", "headers", "payload", "payload_persistent"] {
            if !record.contains_key(field) {
                return Err(TaskError::Missing(field));
            }
        }
        let (uid, root_uid) = identifiers(optional_text(&mut record, "uid")?, optional_text(&mut record, "root_uid")?)?;
        let headers =
            object(&mut record, "headers")?.ok_or_else(|| TaskError::Invalid { field: "headers", problem: "is null".to_owned() })?;
        let payload = object(&mut record, "payload")?.unwrap_or_default();
        let payload_persistent = object(&mut record, "payload_persistent")?
            .ok_or_else(|| TaskError::Invalid { field: "payload_persistent", problem: "is null".to_owned() })?;
        let persistent = if record.contains_key("headers_persistent") {
            object(&mut record, "headers_persistent")?.unwrap_or_default()
        } else {
            payload_persistent.get(HIDDEN_PERSISTENT_HEADERS).and_then(Value::as_object).cloned().unwrap_or_default()
        };
        let mut task = Self {
            uid,
            root_uid,
            parent_uid: optional_text(&mut record, "parent_uid")?,
            orig_uid: optional_text(&mut record, "orig_uid")?,
            status: word(&record, "status")?.ok_or(TaskError::Missing("status"))?,
            priority: word(&record, "priority")?.unwrap_or(TaskPriority::Normal),
            last_update: last_update(&record)?,
            headers: Arc::new(headers),
            persistent_headers: IndexSet::new(),
            payload: Arc::new(payload),
            payload_persistent: Arc::new(payload_persistent),
            error: record.swap_remove("error").unwrap_or_default(),
            attached: Vec::new(),
        };
        for (name, value) in persistent {
            task.set_persistent_header(name, value);
        }
        Ok(task)
    }

    /// The record as the reference writes it, byte for byte.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(512);
        self.write_json(&mut out);
        out
    }

    /// Appends the record.
    pub(crate) fn write_json(&self, out: &mut String) {
        let persistent = Value::Object(self.headers_persistent());
        let hidden = Key::from(HIDDEN_PERSISTENT_HEADERS);
        out.push_str("{\"error\": ");
        write_sorted(out, &self.error);
        out.push_str(", \"headers\": ");
        write_object(out, &self.headers, None);
        out.push_str(", \"headers_persistent\": ");
        write_sorted(out, &persistent);
        out.push_str(", \"last_update\": ");
        write_sorted(out, &Value::from(self.last_update));
        write_optional(out, "orig_uid", self.orig_uid.as_deref());
        write_optional(out, "parent_uid", self.parent_uid.as_deref());
        out.push_str(", \"payload\": ");
        write_object(out, &self.payload, None);
        out.push_str(", \"payload_persistent\": ");
        write_object(out, &self.payload_persistent, Some((&hidden, &persistent)));
        write_optional(out, "priority", Some(self.priority.as_str()));
        write_optional(out, "root_uid", Some(&self.root_uid));
        write_optional(out, "status", Some(self.status.as_str()));
        write_optional(out, "uid", Some(&self.uid));
        out.push('}');
    }
}

fn write_optional(out: &mut String, field: &str, text: Option<&str>) {
    out.push_str(", ");
    write_string(out, field);
    out.push_str(": ");
    match text {
        Some(text) => write_string(out, text),
        None => out.push_str("null"),
    }
}

/// Writes an object with sorted keys, one entry replaced.
fn write_object(out: &mut String, map: &Map, replaced: Option<(&Key, &Value)>) {
    let members = map.iter().filter(|(key, _)| replaced.is_none_or(|(name, _)| name != *key)).chain(replaced);
    write_members(out, members.collect());
}

/// A record may lack its own uid, never its root's, except when it lacks both.
fn identifiers(uid: Option<String>, root_uid: Option<String>) -> Result<(String, String), TaskError> {
    match (uid, root_uid) {
        (Some(uid), Some(root_uid)) => Ok((uid, root_uid)),
        (Some(_), None) => Err(TaskError::Invalid { field: "root_uid", problem: "is null while `uid` is not".to_owned() }),
        (None, root_uid) => {
            let own = new_uid();
            let root_uid = root_uid.unwrap_or_else(|| own.clone());
            Ok((format!("{{{root_uid}}}:{own}"), root_uid))
        }
    }
}

fn optional_text(record: &mut Map, field: &'static str) -> Result<Option<String>, TaskError> {
    match record.swap_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(TaskError::Invalid { field, problem: format!("is {other}, not text") }),
    }
}

fn object(record: &mut Map, field: &'static str) -> Result<Option<Map>, TaskError> {
    match record.swap_remove(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(TaskError::Invalid { field, problem: "is not an object".to_owned() }),
    }
}

/// An enumeration: absent is nothing, everything else must be a known word.
fn word<T: std::str::FromStr<Err = String>>(record: &Map, field: &'static str) -> Result<Option<T>, TaskError> {
    match record.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => text.parse().map(Some).map_err(|problem| TaskError::Invalid { field, problem }),
        Some(other) => Err(TaskError::Invalid { field, problem: format!("is {other}, not text") }),
    }
}

fn last_update(record: &Map) -> Result<f64, TaskError> {
    let seconds = match record.get("last_update") {
        None | Some(Value::Null) => 0.0,
        Some(Value::Bool(flag)) => f64::from(u8::from(*flag)),
        Some(Value::Number(number)) => number.as_f64(),
        Some(other) => return Err(TaskError::Invalid { field: "last_update", problem: format!("is {other}, not a number") }),
    };
    Ok(if seconds == 0.0 { now() } else { seconds })
}
