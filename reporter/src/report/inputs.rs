//! Reads what tasks bring, in all shapes that producers are known to send.
//!
//! The one rule: null is the same as absent, and a single value where a list belongs is a list of one.

use karton_rs::{
    Resource, Task,
    json::{Map, Value},
};

use super::error::ReportError;

/// An object that a task refers to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reference {
    /// A file that the task brings along.
    File(Resource),
    /// Id or hash of an object in MWDB.
    Id(String),
    /// Nothing usable.
    None,
}

/// A payload entry as a reference.
pub(super) fn reference(task: &Task, name: &str) -> Reference {
    match task.payload(name) {
        None | Some(Value::Null) => Reference::None,
        Some(Value::String(id)) if id.is_empty() => Reference::None,
        Some(Value::String(id)) => Reference::Id(id.clone()),
        Some(value) => Resource::from_value(value).map_or_else(
            || {
                tracing::warn!("payload `{name}` is neither a resource nor the id of an object: ignored");
                Reference::None
            },
            Reference::File,
        ),
    }
}

/// Metadata that goes with an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata {
    pub(super) tags: Vec<String>,
    /// One pair a value.
    pub(super) attributes: Vec<(String, Value)>,
    pub(super) comments: Vec<String>,
}

impl Metadata {
    pub(super) fn of_task(task: &Task) -> Result<Self, ReportError> {
        // `additional_info` is what `comments` was called once.
        let mut comments = texts(task, "comments")?;
        if comments.is_empty() {
            comments = texts(task, "additional_info")?;
        }
        comments.retain(|comment| !comment.is_empty());
        Ok(Self { tags: texts(task, "tags")?, attributes: attributes(task)?, comments })
    }

    pub(super) fn with_tag(tag: &str) -> Self {
        Self { tags: vec![tag.to_owned()], ..Self::default() }
    }
}

fn texts(task: &Task, name: &str) -> Result<Vec<String>, ReportError> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(ReportError::payload(name, "must be a list of texts")),
    };
    match task.payload(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(text).collect(),
        Some(single) => Ok(vec![text(single)?]),
    }
}

fn attributes(task: &Task) -> Result<Vec<(String, Value)>, ReportError> {
    let map = match task.payload("attributes") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(ReportError::payload("attributes", "must map keys to lists of values")),
    };
    let mut pairs = Vec::new();
    // `karton` stands for the analysis, which MWDB keeps itself.
    for (key, value) in map.iter().filter(|(key, _)| *key != "karton") {
        let key = key.as_str().ok_or_else(|| ReportError::payload("attributes", "has a key that is not Unicode text"))?;
        match value {
            Value::Array(values) => pairs.extend(values.iter().map(|value| (key.to_owned(), value.clone()))),
            single => pairs.push((key.to_owned(), single.clone())),
        }
    }
    Ok(pairs)
}

/// A payload entry that must be an object.
pub(super) fn object<'a>(task: &'a Task, name: &str) -> Result<&'a Map, ReportError> {
    match task.payload(name) {
        Some(Value::Object(map)) => Ok(map),
        None | Some(Value::Null) => Err(ReportError::payload(name, "is missing")),
        Some(_) => Err(ReportError::payload(name, "must be an object")),
    }
}

/// A payload entry that must be text.
pub(super) fn text<'a>(task: &'a Task, name: &str) -> Result<&'a str, ReportError> {
    match task.payload(name) {
        Some(Value::String(text)) => Ok(text),
        None | Some(Value::Null) => Err(ReportError::payload(name, "is missing")),
        Some(Value::Unpaired(_)) => Err(ReportError::payload(name, "is not Unicode text")),
        Some(_) => Err(ReportError::payload(name, "must be text")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn task(payload: &serde_json::Value) -> Task {
        let mut task = Task::new(json!({"type": "sample"}));
        for (name, value) in payload.as_object().unwrap() {
            task.set_payload(name, value.clone());
        }
        task
    }

    #[test]
    fn null_and_absent_are_the_same() {
        for payload in [json!({}), json!({"tags": null, "attributes": null, "comments": null})] {
            let metadata = Metadata::of_task(&task(&payload)).unwrap();
            assert!(metadata.tags.is_empty() && metadata.attributes.is_empty() && metadata.comments.is_empty());
        }
    }

    #[test]
    fn single_values_are_lists_of_one() {
        let metadata =
            Metadata::of_task(&task(&json!({"tags": "a", "attributes": {"k": "text", "l": [1, [2]]}, "comments": "c"}))).unwrap();
        assert_eq!((metadata.tags, metadata.comments), (vec!["a".to_owned()], vec!["c".to_owned()]));
        let values: Vec<_> = metadata.attributes.iter().map(|(key, value)| (key.as_str(), value.to_json())).collect();
        assert_eq!(values, [("k", r#""text""#.to_owned()), ("l", "1".to_owned()), ("l", "[2]".to_owned())]);
    }

    #[test]
    fn the_old_name_of_comments_counts_only_without_the_new_one() {
        let comments = |payload| Metadata::of_task(&task(&payload)).unwrap().comments;
        assert_eq!(comments(json!({"comments": [], "additional_info": ["old"]})), ["old"]);
        assert_eq!(comments(json!({"comments": ["new"], "additional_info": ["old"]})), ["new"]);
    }

    #[test]
    fn what_cannot_be_reported_names_the_payload() {
        for (payload, name) in
            [(json!({"tags": [1]}), "tags"), (json!({"attributes": ["k"]}), "attributes"), (json!({"comments": {}}), "comments")]
        {
            let message = Metadata::of_task(&task(&payload)).unwrap_err().to_string();
            assert!(message.contains(&format!("`{name}`")), "{message}");
        }
    }

    #[test]
    fn references_that_are_none_are_ignored() {
        let odd = task(&json!({"a": "", "b": 5, "c": null, "d": {"x": 1}, "e": "ab"}));
        for name in ["a", "b", "c", "d", "absent"] {
            assert_eq!(reference(&odd, name), Reference::None, "{name}");
        }
        assert_eq!(reference(&odd, "e"), Reference::Id("ab".to_owned()));
    }
}
