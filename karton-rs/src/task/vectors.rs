//! Tasks and resources against what karton-core 5.9.1 wrote, byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use base64::Engine as _;

use super::{Task, TaskError};
use crate::{
    json::{Map, Value},
    resource::{LocalResource, Resource},
    vectors::{Case, cases, text},
};

/// All of this module, for the count of what was compared.
pub(crate) fn compare_all() {
    new_tasks_have_the_record_of_the_reference();
    sent_tasks_take_their_place_in_the_analysis();
    forks_derived_tasks_and_restarts_keep_what_the_reference_keeps();
    a_status_is_written_with_the_whole_record();
    every_form_of_a_record_is_read_and_written_in_todays();
    resources_are_written_and_read_as_the_reference_does();
}

/// A payload value with its `$local` and `$remote` stand-ins replaced.
fn payload(task: &mut Task, value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(|item| payload(task, item)).collect()),
        Value::Object(map) => match (map.get("$local"), map.get("$remote")) {
            (Some(spec), _) => {
                let resource = local(spec).expect("content");
                task.attach_value(resource)
            }
            (_, Some(spec)) => Resource::from_fields(spec.as_object().unwrap()).unwrap().to_value(),
            _ => Value::Object(map.iter().map(|(key, item)| (key.clone(), payload(task, item))).collect()),
        },
        scalar => scalar.clone(),
    }
}

fn local(spec: &Value) -> Result<LocalResource, crate::ResourceError> {
    let content = base64::engine::general_purpose::STANDARD.decode(text(spec, "content_b64")).unwrap();
    let mut resource = LocalResource::from_bytes(text(spec, "name"), content)?.with_uid(text(spec, "uid"));
    if let Some(bucket) = spec.get("bucket").and_then(Value::as_str) {
        resource = resource.with_bucket(bucket);
    }
    for (key, value) in spec.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        resource = resource.with_metadata(key.spelled(), value.clone());
    }
    if let Some(sha256) = spec.get("sha256").and_then(Value::as_str) {
        resource = resource.with_metadata("sha256", sha256);
    }
    for flag in spec.get("flags").and_then(Value::as_array).unwrap_or_default() {
        resource = resource.with_flag(flag.as_str().unwrap());
    }
    Ok(resource)
}

/// The task that the constructor arguments of a case describe, with the uids and the clock of the case.
pub(crate) fn build(case: &Case, spec: &Value) -> Task {
    let empty = Map::new();
    let object = |name: &str| spec.get(name).and_then(Value::as_object).unwrap_or(&empty);
    let mut task = Task::new(Value::Object(object("headers").clone()));
    let optional = |name: &str| spec.get(name).and_then(Value::as_str).map(str::to_owned);
    match (optional("uid"), optional("root_uid")) {
        (Some(uid), Some(root)) => (task.uid, task.root_uid) = (uid, root),
        (_, root) => {
            let own = case.uuid(0);
            task.root_uid = root.unwrap_or_else(|| own.clone());
            task.uid = format!("{{{}}}:{own}", task.root_uid);
        }
    }
    for (name, value) in object("headers_persistent") {
        task.set_persistent_header(name, value.clone());
    }
    for (name, value) in object("payload") {
        let value = payload(&mut task, value);
        Arc::make_mut(&mut task.payload).insert(name.clone(), value);
    }
    for (name, value) in object("payload_persistent") {
        let value = payload(&mut task, value);
        Arc::make_mut(&mut task.payload_persistent).insert(name.clone(), value);
    }
    task.parent_uid = optional("parent_uid");
    task.orig_uid = optional("orig_uid");
    task.error = spec.get("error").cloned().unwrap_or_default();
    if let Some(priority) = optional("priority") {
        task.priority = priority.parse().unwrap();
    }
    if let Some(status) = optional("status") {
        task.status = status.parse().unwrap();
    }
    let given = spec.get("last_update").and_then(Value::as_number).map_or(0.0, crate::json::Number::as_f64);
    task.last_update = if given == 0.0 { case.now() } else { given };
    task
}

#[test]
fn new_tasks_have_the_record_of_the_reference() {
    for case in cases("task", 14) {
        let spec = case.input.get("task").unwrap();
        let task = build(&case, spec);
        // A time that is a whole number is an integer there and a float here.
        let now = task.last_update;
        let expected = text(&case.output, "json").replace(&format!("\"last_update\": {now},"), &format!("\"last_update\": {now:?},"));
        assert_eq!(task.to_json(), expected, "{}", case.id);
        assert_eq!(task.task_uid(), text(&case.output, "task_uid"), "{}", case.id);
        assert_eq!(crate::backend::keys::task(task.uid()), text(&case.output, "key"), "{}", case.id);
    }
}

#[test]
fn sent_tasks_take_their_place_in_the_analysis() {
    for case in cases("send", 8) {
        let current = case.input.get("current_task").and_then(Value::as_str).map(|record| Task::from_json(record).unwrap());
        let mut task = build(&case, case.input.get("task").unwrap());
        if let Some(current) = &current {
            task.inherit(current);
        }
        task.set_header("origin", text(&case.input, "identity"));
        let uploads = task.prepare_uploads("karton");
        task.last_update = case.now();
        assert_eq!(task.to_json(), text(&case.output, "json"), "{}", case.id);
        let commands = case.output.get("commands").unwrap().as_array().unwrap();
        let puts: Vec<(&str, &str)> = commands
            .iter()
            .map(|command| command.as_array().unwrap())
            .filter(|command| command[0] == Value::from("S3.PUT"))
            .map(|command| (command[1].as_str().unwrap(), command[2].as_str().unwrap()))
            .collect();
        // Where the reference uploads a resource again for each place it stands in, once is enough.
        let mut expected: Vec<(&str, &str)> = Vec::new();
        puts.into_iter().for_each(|put| {
            if !expected.contains(&put) {
                expected.push(put);
            }
        });
        let done: Vec<(&str, &str)> = uploads.iter().map(|(r, _)| (r.bucket.as_deref().unwrap(), r.uid.as_str())).collect();
        assert_eq!(done, expected, "{}", case.id);
    }
}

#[test]
fn forks_derived_tasks_and_restarts_keep_what_the_reference_keeps() {
    for case in cases("fork", 1) {
        let source = Task::from_json(text(&case.input, "json")).unwrap();
        let mut fork = source.fork_for("karton.b");
        // The router's own step from Declared to Spawned is part of ours.
        fork.status = super::TaskState::Declared;
        fork.last_update = case.now();
        let own = case.uuid(0);
        fork.uid = format!("{{{}}}:{own}", fork.root_uid);
        assert_eq!(fork.to_json(), text(&case.output, "json"), "{}", case.id);
    }
    for case in cases("derive", 1) {
        let source = Task::from_json(text(&case.input, "json")).unwrap();
        let mut derived = source.derive(case.input.get("headers").unwrap().clone());
        derived.root_uid = case.uuid(0);
        derived.uid = format!("{{{0}}}:{0}", derived.root_uid);
        derived.last_update = case.now();
        assert_eq!(derived.to_json(), text(&case.output, "json"), "{}", case.id);
    }
    for case in cases("restart", 3) {
        let source = Task::from_json(text(&case.input, "json")).unwrap();
        let restarted = source.restart();
        if case.output.get("error").is_some() {
            assert!(matches!(restarted, Err(TaskError::NotRouted)), "{}", case.id);
            continue;
        }
        let mut restarted = restarted.unwrap();
        restarted.uid = format!("{{{}}}:{}", restarted.root_uid, case.uuid(0));
        restarted.last_update = case.now();
        assert_eq!(restarted.to_json(), text(&case.output, "new_json"), "{}", case.id);
    }
}

#[test]
fn a_status_is_written_with_the_whole_record() {
    for case in cases("status", 3) {
        let mut task = Task::from_json(text(&case.input, "json")).unwrap();
        let status = text(&case.input, "status").parse().unwrap();
        let commands = case.output.get("commands").unwrap().as_array().unwrap();
        if task.status == status {
            assert!(commands.is_empty(), "{}", case.id);
            continue;
        }
        match case.input.get("error").and_then(Value::as_array) {
            Some(lines) => task.crash(lines.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            None => task.set_status(status),
        }
        task.last_update = case.now();
        assert_eq!(Some(task.to_json().as_str()), commands[0].as_array().unwrap()[2].as_str(), "{}", case.id);
    }
}

#[test]
fn every_form_of_a_record_is_read_and_written_in_todays() {
    for case in cases("reparse", 23) {
        let read = Task::from_json(text(&case.input, "json"));
        if case.output.get("error").is_some() {
            assert!(read.is_err(), "{}", case.id);
            continue;
        }
        let mut task = read.unwrap_or_else(|error| panic!("{}: {error}", case.id));
        let expected = text(&case.output, "json");
        let expected_update = Value::parse(expected).unwrap().get("last_update").unwrap().as_number().unwrap().as_f64();
        if expected_update.to_bits() == case.now().to_bits() {
            task.last_update = case.now();
        }
        if !case.uuids().is_empty() {
            task.uid = format!("{{{}}}:{}", task.root_uid, case.uuid(0));
        }
        assert_eq!(task.to_json(), expected, "{}", case.id);
    }
}

#[test]
fn resources_are_written_and_read_as_the_reference_does() {
    for case in cases("resource", 6) {
        let made = local(case.input.get("resource").unwrap().get("$local").unwrap());
        match case.output.get("json").and_then(Value::as_str) {
            Some(json) => {
                let value = made.unwrap().resource().to_value();
                assert_eq!(value.get(crate::resource::MARK).unwrap().to_json(), json, "{}", case.id);
            }
            None => assert!(made.is_err(), "{}", case.id),
        }
    }
    for case in cases("resource-parse", 6) {
        let fields = Value::parse(text(&case.input, "json")).unwrap();
        let read = Resource::from_fields(fields.as_object().unwrap());
        match case.output.get("json").and_then(Value::as_str) {
            Some(json) => assert_eq!(read.unwrap().to_value().get(crate::resource::MARK).unwrap().to_json(), json, "{}", case.id),
            None => assert!(read.is_err(), "{}", case.id),
        }
    }
}
