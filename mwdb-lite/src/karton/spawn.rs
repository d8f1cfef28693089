//! The task that announces an object: headers, payload, priority. See MWDB API §K3.

use karton_rs::{
    LocalResource, Task, TaskPriority,
    json::{Map, Value},
};
use rusqlite::Connection;
use serde_json::json;

use crate::{
    content::{Lent, Store},
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

/// The task of one announcement, and the sample that goes with it.
pub(super) struct Announcement {
    pub(super) task: Task,
    sample: Option<Sample>,
}

struct Sample {
    name: String,
    size: u64,
    sha256: String,
    uid: String,
}

impl Announcement {
    /// Attaches the sample. What is given back must live until the task is sent.
    pub(super) async fn attach(&mut self, store: &Store) -> ApiResult<Option<Lent>> {
        let Some(sample) = &self.sample else { return Ok(None) };
        let lent = store.lend(&sample.sha256).await?;
        let resource = LocalResource::from_known_path(&sample.name, &lent.path, sample.size, &sample.sha256);
        self.task.attach("sample", resource.with_uid(&sample.uid));
        Ok(Some(lent))
    }
}

/// Builds the task of one announcement. It has the same uids on every attempt.
pub(super) fn announcement(c: &Connection, row: &OutboxRow) -> ApiResult<Announcement> {
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
    let mut sample = None;
    let mut task = match object.kind {
        Kind::File => {
            let (task, attached) = file(c, row, &object)?;
            sample = Some(attached);
            task
        }
        Kind::Config => config(c, row, &object)?,
        Kind::Blob => blob(c, row, &object)?,
    };
    task.set_persistent_header("share_3rd_party", object.share_3rd_party);
    if let Some(execute) = execute {
        task.set_persistent_header(EXECUTE, execute);
    }
    task.set_payload("attributes", attributes);
    Ok(Announcement { task, sample })
}

fn file(c: &Connection, row: &OutboxRow, object: &ObjectRow) -> ApiResult<(Task, Sample)> {
    let file = db::file(c, object.id)?;
    let mut task = Task::with_root_uid(json!({"type": "sample", "kind": "raw"}), &row.analysis_id);
    task.set_persistent_header("quality", row.quality.as_str());
    task.set_priority(if row.quality == HIGH { TaskPriority::Normal } else { TaskPriority::Low });
    task.set_payload("tags", metadata::tags(c, object.id)?);
    let sample = Sample { name: file.file_name, size: file.file_size, sha256: object.dhash.clone(), uid: row.resource_uid.clone() };
    Ok((task, sample))
}

fn config(c: &Connection, row: &OutboxRow, object: &ObjectRow) -> ApiResult<Task> {
    let config = db::config(c, object.id)?;
    let headers = json!({"type": "config", "kind": config.config_type, "family": config.family});
    let mut task = Task::with_root_uid(headers, &row.analysis_id);
    task.set_payload("config", Value::parse(&db::config_cfg(c, object.id)?).map_err(anyhow::Error::from)?);
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
