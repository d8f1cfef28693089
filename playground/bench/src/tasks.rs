//! The tasks that are sent, routed and processed: of the size that real ones have.

use karton_rs::{Task, json::Value};
use serde_json::json;

/// A task as a producer sends it: eight headers, a remote resource, some payload.
pub(crate) fn sample() -> Task {
    let mut task = Task::new(json!({
        "type": "sample", "stage": "recognized", "kind": "runnable", "platform": "win32", "extension": "exe",
        "mime": "application/x-dosexec", "quality": "high", "origin": "karton.classifier",
    }));
    task.set_payload(
        "sample",
        Value::from(json!({"__karton_resource__": {
            "uid": "1f2e3d4c-5b6a-4788-99aa-bbccddeeff00", "name": "sample.exe", "bucket": "karton", "size": 10240, "flags": [],
            "metadata": {"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        }})),
    );
    task.set_payload("tags", Value::from(json!(["runnable:win32:exe", "feed:example"])));
    task
}

/// uid and record of a sample.
pub(crate) fn unrouted() -> (String, String) {
    let task = sample();
    (task.uid().to_owned(), task.to_json())
}

/// uid and record of a sample in another state; with a receiver as the router leaves it.
pub(crate) fn in_state(status: &str, receiver: Option<&str>) -> (String, String) {
    record(&sample(), status, receiver)
}

/// uid and record of any task in another state.
pub(crate) fn record(task: &Task, status: &str, receiver: Option<&str>) -> (String, String) {
    let mut record = Value::parse(&task.to_json()).unwrap_or_default();
    if let Some(fields) = record.as_object_mut() {
        fields.insert("status".to_owned(), status.into());
        if let (Some(receiver), Some(Value::Object(headers))) = (receiver, fields.get_mut("headers")) {
            headers.insert("receiver".to_owned(), receiver.into());
        }
    }
    (task.uid().to_owned(), record.to_json())
}

/// A bind that wants samples, or one of many that do not.
pub(crate) fn bind(matching: bool, number: usize) -> String {
    let filters = match (matching, number % 3) {
        (true, 0) => json!([{"type": "sample", "stage": "recognized"}]),
        (true, 1) => json!([{"type": "sample", "kind": "runnable", "platform": "win*"}, {"type": "config"}]),
        (true, _) => json!([{"type": "sample", "stage": "recognized", "quality": "!low"}]),
        (false, 0) => json!([{"type": "sample", "kind": "document"}, {"type": "sample", "kind": "archive"}]),
        (false, 1) => json!([{"type": "sample", "stage": "recognized", "platform": "linux*"}]),
        (false, _) => json!([{"type": "config", "family": format!("family{number}")}]),
    };
    json!({"filters": filters, "info": null, "is_async": false, "persistent": true, "service_version": null, "version": "5.9.1"})
        .to_string()
}
