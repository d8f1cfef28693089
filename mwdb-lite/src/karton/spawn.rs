//! The task that announces an object: headers, payload, priority. See MWDB API §K3.

use karton_rs::{
    LocalResource, Task, TaskPriority,
    json::{Map, Value},
};
use rusqlite::Connection;
use serde_json::json;

use crate::{
    content::Store,
    db::{
        analyses::OutboxRow,
        attributes, metadata,
        objects::{self as db, ObjectRow},
    },
    error::{ApiError, ApiResult},
    objects::Kind,
};

/// The quality that is worth a place in the normal queue.
const HIGH: &str = "high";
const EXECUTE: &str = "execute";

/// Builds the task of one announcement. It has the same uids on every attempt.
pub(super) fn task(c: &Connection, store: &Store, row: &OutboxRow) -> ApiResult<Task> {
    let object = db::by_id(c, row.object_id)?.ok_or_else(ApiError::no_object)?;
    let values = attributes::open_values(c, object.id)?;
    let mut attributes: Map = Map::new();
    let mut execute = None;
    for value in &values {
        let parsed = Value::parse(&value.value).map_err(anyhow::Error::from)?;
        if value.key == EXECUTE {
            execute = Some(parsed.clone());
        }
        match attributes.entry(value.key.clone()).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(list) => list.push(parsed),
            other => *other = parsed,
        }
    }
    let arguments = Value::parse(&row.arguments).map_err(anyhow::Error::from)?;
    if let Some(argument) = arguments.get(EXECUTE) {
        execute = Some(argument.clone());
    }
    let mut task = match object.kind {
        Kind::File => file(c, store, row, &object)?,
        Kind::Config => config(c, row, &object)?,
        Kind::Blob => blob(c, row, &object)?,
    };
    task.set_persistent_header("share_3rd_party", object.share_3rd_party);
    if let Some(execute) = execute {
        task.set_persistent_header(EXECUTE, execute);
    }
    task.set_payload("attributes", attributes);
    Ok(task)
}

fn file(c: &Connection, store: &Store, row: &OutboxRow, object: &ObjectRow) -> ApiResult<Task> {
    let file = db::file(c, object.id)?;
    let path = store.path(&object.dhash);
    let mut task = Task::with_root_uid(json!({"type": "sample", "kind": "raw"}), &row.analysis_id);
    task.set_persistent_header("quality", row.quality.as_str());
    task.set_priority(if row.quality == HIGH { TaskPriority::Normal } else { TaskPriority::Low });
    task.set_payload("tags", metadata::tags(c, object.id)?);
    task.attach("sample", LocalResource::from_known_path(&file.file_name, path, file.file_size, &object.dhash).with_uid(&row.resource_uid));
    Ok(task)
}

fn config(c: &Connection, row: &OutboxRow, object: &ObjectRow) -> ApiResult<Task> {
    let config = db::config(c, object.id)?;
    let headers = json!({"type": "config", "kind": config.config_type, "family": config.family});
    let mut task = Task::with_root_uid(headers, &row.analysis_id);
    task.set_payload("config", Value::parse(&config.cfg).map_err(anyhow::Error::from)?);
    task.set_payload("dhash", object.dhash.as_str());
    Ok(task)
}

fn blob(c: &Connection, row: &OutboxRow, object: &ObjectRow) -> ApiResult<Task> {
    let blob = db::blob(c, object.id)?;
    let mut task = Task::with_root_uid(json!({"type": "blob", "kind": blob.blob_type}), &row.analysis_id);
    task.set_payload("content", db::blob_content(c, object.id)?);
    task.set_payload("dhash", object.dhash.as_str());
    Ok(task)
}
