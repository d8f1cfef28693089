//! The truth table `tests/vectors/tasks.jsonl`, for the unit tests that compare with it byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};

use crate::json::Value;

/// Ids of the cases that a test has asked for.
static ASKED: LazyLock<Mutex<BTreeSet<String>>> = LazyLock::new(Mutex::default);

/// One line of the table.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) input: Value,
    pub(crate) output: Value,
}

impl Case {
    /// The fixed clock.
    pub(crate) fn now(&self) -> f64 {
        self.input.get("now").unwrap().as_number().unwrap().as_f64()
    }

    /// What UUID4 calls returned, in order.
    pub(crate) fn uuids(&self) -> Vec<String> {
        let uuids = self.input.get("uuids").and_then(Value::as_array).unwrap_or_default();
        uuids.iter().map(|uuid| uuid.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn uuid(&self, index: usize) -> String {
        self.uuids()[index].clone()
    }
}

/// All cases of a kind; `count` is how many there must be, so that none is left out unseen.
pub(crate) fn cases(kind: &str, count: usize) -> Vec<Case> {
    let lines = include_str!("../tests/vectors/tasks.jsonl").lines();
    let all = lines.map(|line| Value::parse(line).unwrap()).filter(|case| text(case, "kind") == kind);
    let part = |case: &Value, name: &str| case.get(name).unwrap().clone();
    let found: Vec<Case> =
        all.map(|case| Case { id: text(&case, "id").to_owned(), input: part(&case, "input"), output: part(&case, "output") }).collect();
    assert_eq!(found.len(), count, "cases of kind {kind}");
    ASKED.lock().unwrap().extend(found.iter().map(|case| case.id.clone()));
    found
}

/// A member that must be text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

/// The arguments of all commands of a name.
pub(crate) fn commands(case: &Case, name: &str) -> Vec<Vec<Value>> {
    let all = case.output.get("commands").unwrap().as_array().unwrap().iter().map(|command| command.as_array().unwrap());
    all.filter(|command| command[0] == Value::from(name)).map(|command| command[1..].to_vec()).collect()
}

/// A record with the fixed clock instead of ours.
pub(crate) fn at(record: &str, now: f64) -> String {
    let mut value = Value::parse(record).unwrap();
    value.as_object_mut().unwrap().insert("last_update".to_owned(), now.into());
    value.to_json()
}

/// Runs every comparison, and finds no line that none of them asked for.
#[test]
fn every_line_of_the_table_is_compared() {
    crate::task::vectors::compare_all();
    crate::backend::vectors::compare_all();
    crate::system::vectors::compare_all();
    crate::consumer::vectors::compare_all();
    crate::inspect::vectors::compare_all();
    let lines = include_str!("../tests/vectors/tasks.jsonl").lines();
    let all: BTreeSet<String> = lines.map(|line| text(&Value::parse(line).unwrap(), "id").to_owned()).collect();
    assert_eq!(all.len(), 115);
    assert_eq!(*ASKED.lock().unwrap(), all);
}
