//! The values of the fields of an analysis: how they are written and read.
//!
//! The one rule: the router writes one for each task it routes, so writing one copies texts that are
//! there and builds nothing.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{
    json::{Map, Value, write_string},
    task::{Task, TaskState},
};

/// Headers that take more than this are reduced to those that name the kind of task.
pub(super) const HEADERS_BYTES: usize = 600;
/// How much of an error is kept.
pub(super) const ERROR_BYTES: usize = 300;

/// The first line of the value of a task's field: how it came into being. The second one has its headers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Origin {
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub(super) orig_uid: Option<String>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub(super) parent_uid: Option<String>,
    #[serde(rename = "t")]
    pub(super) time: f64,
    /// When it was routed, which is its end.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub(super) routed: Option<f64>,
    /// The copies that it was routed as: uid and receiver of each.
    #[serde(rename = "f", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) forks: Vec<(String, String)>,
}

/// What is known of a task when it has been routed.
pub(crate) struct Routed<'a> {
    pub(crate) parent_uid: Option<Cow<'a, str>>,
    /// Unix time when it was sent.
    pub(crate) created: f64,
    /// Unix time when it was routed.
    pub(crate) routed: f64,
    /// uid and receiver of each copy.
    pub(crate) forks: Vec<(String, &'a str)>,
}

impl Origin {
    /// Reads the first line of a field, and gives the second one, which has the headers.
    pub(super) fn read(field: &str) -> Option<(Self, &str)> {
        let (origin, headers) = field.split_once('\n')?;
        Some((serde_json::from_str(origin).ok()?, headers))
    }
}

impl Routed<'_> {
    /// Appends the value of its field.
    pub(crate) fn write(&self, out: &mut String, headers_json: &str, headers: &Map) {
        out.push('{');
        if let Some(uid) = &self.parent_uid {
            out.push_str("\"p\":");
            write_string(out, uid);
            out.push(',');
        }
        let created = if self.created.is_finite() { self.created } else { self.routed };
        // Writing to a String cannot fail.
        let _ = write!(out, "\"t\":{created},\"e\":{},\"f\":[", self.routed);
        for (index, (uid, receiver)) in self.forks.iter().enumerate() {
            out.push_str(if index > 0 { ",[" } else { "[" });
            write_string(out, uid);
            out.push(',');
            write_string(out, receiver);
            out.push(']');
        }
        out.push_str("]}\n");
        out.push_str(&short_headers(headers_json, headers));
    }
}

/// How a task ended, as the value of its field.
pub(crate) fn ended(task: &Task) -> String {
    end(task.status(), task.last_update(), task.error().first().copied())
}

/// As [`ended`], of a task that is not at hand.
pub(crate) fn end(status: TaskState, time: f64, error: Option<&str>) -> String {
    let error = error.map(|error| error[..error.floor_char_boundary(ERROR_BYTES)].trim_end());
    serde_json::json!([status.as_str(), time, error]).to_string()
}

/// How a task ended, as it is read back: status, Unix time, the beginning of its error.
pub(super) fn read_end(value: &str) -> Option<(TaskState, f64, Option<String>)> {
    let (status, time, error): (String, f64, Option<String>) = serde_json::from_str(value).ok()?;
    Some((status.parse().unwrap_or(TaskState::Finished), time, error))
}

/// Headers as they are kept: of very long ones only those that name the kind of task.
fn short_headers<'a>(json: &'a str, headers: &Map) -> Cow<'a, str> {
    if json.len() <= HEADERS_BYTES {
        return Cow::Borrowed(json);
    }
    let short = |value: &Value| value.to_json().len() <= HEADERS_BYTES / 8;
    let kept = ["type", "kind", "stage", "platform", "origin", "receiver"];
    let kept = kept.iter().filter_map(|name| Some((*name, headers.get(*name)?))).filter(|(_, value)| short(value));
    let kept: Map = kept.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    Cow::Owned(Value::Object(kept).to_json())
}

/// The value of the field of a task that was found later, routed by somebody else.
pub(crate) fn found_entry(task: &Task) -> String {
    let (orig_uid, parent_uid) = (task.orig_uid().map(str::to_owned), task.parent_uid().map(str::to_owned));
    let origin = Origin { orig_uid, parent_uid, time: task.last_update(), routed: None, forks: Vec::new() };
    let headers = Value::Object(task.headers().clone()).to_json();
    format!("{}\n{}", serde_json::to_string(&origin).unwrap_or_default(), short_headers(&headers, task.headers()))
}

/// Whether the field of a routed task names this copy.
pub(super) fn names(field: &[u8], copy: &str) -> bool {
    let origin = std::str::from_utf8(field).ok().and_then(|field| field.split_once('\n'));
    origin.is_some_and(|(origin, _)| origin.contains(copy))
}
