//! Tasks as text that reads well in a message about a difference.
//!
//! The one rule: what is decided by chance (uids, times) is left out; files are shown by their content.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use similar::{ChangeTag, TextDiff};

use super::Kit;
use crate::{
    hex,
    json::{Map, Value, write_key},
    resource::Resource,
    task::Task,
};

/// Content up to this size is shown when it is text.
const SHOWN_BYTES: usize = 2048;

/// Everything of a task that a service decides.
pub(super) fn task(task: &Task, kit: &Kit) -> String {
    let mut headers = task.headers().clone();
    headers.shift_remove("origin");
    let mut persistent = task.payloads_persistent().clone();
    persistent.shift_remove("__headers_persistent");
    let mut parts = Map::new();
    parts.insert("headers".to_owned(), Value::Object(headers));
    let optional = [("headers_persistent", task.headers_persistent()), ("payload_persistent", persistent)];
    parts.insert("payload".to_owned(), Value::Object(task.payloads().clone()));
    for (name, part) in optional {
        if !part.is_empty() {
            parts.insert(name.to_owned(), Value::Object(part));
        }
    }
    parts.insert("priority".to_owned(), task.priority().as_str().into());
    let mut out = String::new();
    write(&mut out, &Value::Object(parts), 0, kit);
    out
}

/// Lines that are missing and lines that are too many, among those that are right.
pub(super) fn difference(expected: &[String], sent: &[String]) -> String {
    let (expected, sent) = (expected.join("\n") + "\n", sent.join("\n") + "\n");
    let mut out = String::from("  - expected\n  + sent\n");
    for change in TextDiff::from_lines(&expected, &sent).iter_all_changes() {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "  {sign}{change}");
    }
    out
}

fn write(out: &mut String, value: &Value, depth: usize, kit: &Kit) {
    let indent = "  ".repeat(depth + 1);
    match value {
        Value::Object(_) if Resource::from_value(value).is_some() => {
            if let Some(resource) = Resource::from_value(value) {
                file(out, &resource, kit);
            }
        }
        Value::Object(map) if !map.is_empty() => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push_str("{\n");
            for (name, value) in members {
                out.push_str(&indent);
                write_key(out, name);
                out.push_str(": ");
                write(out, value, depth + 1, kit);
                out.push_str(",\n");
            }
            out.push_str(&indent[2..]);
            out.push('}');
        }
        Value::Array(items) if !items.is_empty() => {
            out.push_str("[\n");
            for item in items {
                out.push_str(&indent);
                write(out, item, depth + 1, kit);
                out.push_str(",\n");
            }
            out.push_str(&indent[2..]);
            out.push(']');
        }
        other => out.push_str(&other.to_json()),
    }
}

fn file(out: &mut String, resource: &Resource, kit: &Kit) {
    let _ = write!(out, "file {:?}", resource.name);
    if !resource.flags.is_empty() {
        let _ = write!(out, " {:?}", resource.flags);
    }
    match kit.read(resource, u64::MAX) {
        Ok(content) => match std::str::from_utf8(&content) {
            Ok(text) if text.len() <= SHOWN_BYTES => {
                let _ = write!(out, " {text:?}");
            }
            _ => {
                let _ = write!(out, " of {} bytes, SHA-256 {}", content.len(), hex(&Sha256::digest(&content)));
            }
        },
        // Passed on from elsewhere: it is what its uid says.
        Err(_) => {
            let _ = write!(out, " {}", resource.uid);
        }
    }
}
