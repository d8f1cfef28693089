//! From the incoming task and the class of its sample to the outgoing task.
//!
//! Pure. The one rule: the outgoing task has **only the headers named here**, and the payload of the incoming one
//! with its tags extended. What is in the persistent payload belongs to the whole analysis and stays as it is.

use karton_rs::{
    Resource, Task,
    json::{Map, Value},
};

use crate::{classify::Classification, magic::Fallback};

/// Name of the payload entry with the sample.
pub const SAMPLE: &str = "sample";

/// The task to send, and what an operator may want to know about it.
pub struct Answer {
    /// To be sent.
    pub task: Task,
    /// Entries of the incoming task that could not be used as they are.
    pub warnings: Vec<String>,
}

/// The texts that the sender knew.
pub fn fallback(task: &Task) -> Fallback<'_> {
    let text = |name| task.payload(name).and_then(Value::as_str).unwrap_or_default();
    Fallback { magic: text("magic"), mime: text("mime") }
}

/// Whether the digest of the sample must be worked out for [`recognized`].
pub fn lacks_sha256(sample: &Resource) -> bool {
    sample.metadata.get("sha256").is_none_or(Value::is_null)
}

/// What was found out about a sample because its task does not say.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Bytes.
    pub size: Option<u64>,
    /// Digest of the content, in lower-case hex.
    pub sha256: Option<String>,
}

/// The headers of the task for a sample of this class, or of none. `origin` is added when it is sent.
pub fn headers(task: &Task, class: Option<&Classification>) -> Map {
    let Some(class) = class else { return common_headers(task, "unrecognized", "unknown") };
    let mut headers = common_headers(task, "recognized", &class.kind);
    let optional = [("platform", &class.platform), ("extension", &class.extension), ("mime", &class.mime), ("rule-name", &class.yara_rule)];
    for (name, value) in optional {
        if let Some(value) = value {
            headers.insert(name.to_owned(), value.as_str().into());
        }
    }
    headers
}

/// The task for a sample that no rule knows.
pub fn unrecognized(task: &Task, sample: &Resource, found: &Found) -> Answer {
    let mut answer = Answer { task: task.derive(headers(task, None)), warnings: Vec::new() };
    // The digest is for those who know what to do with the sample.
    answer.complete(sample, &Found { sha256: None, ..found.clone() });
    answer
}

/// The task for a sample of a known class.
pub fn recognized(task: &Task, sample: &Resource, class: &Classification, found: &Found) -> Answer {
    let mut answer = Answer { task: task.derive(headers(task, Some(class))), warnings: Vec::new() };
    answer.set_unless_persistent("tags", |old, warnings| tags(&class.tag(), old, warnings));
    if class.yara_rule.is_none() {
        answer.set_unless_persistent("magic", |_, _| class.magic.clone().into());
    }
    answer.complete(sample, found);
    if answer.task.header_str("type") == Some("sample") && answer.task.header_str("kind") == Some("raw") {
        answer
            .warnings
            .push("the classified sample still has the kind `raw`, which sends it back to classifiers, again and again".to_owned());
    }
    answer
}

fn common_headers(task: &Task, stage: &str, kind: &str) -> Map {
    let quality = task.header("quality").cloned().unwrap_or_else(|| "high".into());
    Map::from_iter([
        ("type".to_owned(), "sample".into()),
        ("stage".to_owned(), stage.into()),
        ("kind".to_owned(), kind.into()),
        ("quality".to_owned(), quality),
    ])
}

/// The new tag first, then the old ones in their order.
fn tags(tag: &str, old: Option<&Value>, warnings: &mut Vec<String>) -> Value {
    let mut tags = vec![Value::from(tag)];
    match old {
        None | Some(Value::Null) => {}
        Some(Value::Array(old)) => tags.extend_from_slice(old),
        Some(old @ (Value::String(_) | Value::Unpaired(_))) => tags.push(old.clone()),
        Some(_) => warnings.push("payload `tags` is neither a list nor a text and was left out".to_owned()),
    }
    tags.into()
}

impl Answer {
    /// Adds to the sample what was found out about it.
    fn complete(&mut self, sample: &Resource, found: &Found) {
        if found.size.is_none() && found.sha256.is_none() {
            return;
        }
        let mut sample = sample.clone();
        sample.size = found.size.or(sample.size);
        if let Some(sha256) = &found.sha256 {
            sample.set_sha256(sha256);
        }
        self.task.set_payload(SAMPLE, sample.to_value());
    }

    fn set_unless_persistent(&mut self, name: &str, value: impl FnOnce(Option<&Value>, &mut Vec<String>) -> Value) {
        if self.task.payloads_persistent().contains_key(name) {
            self.warnings.push(format!("payload `{name}` is persistent and was not changed"));
        } else {
            let value = value(self.task.payloads().get(name), &mut self.warnings);
            self.task.set_payload(name, value);
        }
    }
}
