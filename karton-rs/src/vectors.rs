//! The truth table `tests/vectors/tasks.jsonl`, for the unit tests that compare with it byte for byte.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::json::Value;

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
    found
}

/// A member that must be text.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

/// Every kind of the table is covered by a test: `consume` and `state` on a real Redis in `tests/it`, the others here.
#[test]
fn every_line_of_the_table_belongs_to_a_tested_kind() {
    let tested = [
        ("task", 14),
        ("send", 8),
        ("fork", 1),
        ("derive", 1),
        ("restart", 3),
        ("route", 5),
        ("status", 3),
        ("consume", 4),
        ("reparse", 23),
        ("operation", 3),
        ("bind", 5),
        ("bind-parse", 5),
        ("bind-equal", 3),
        ("client-name", 4),
        ("client-name-parse", 5),
        ("online", 1),
        ("queues", 1),
        ("log-channel", 4),
        ("resource", 6),
        ("resource-parse", 6),
        ("gc-tasks", 5),
        ("gc-resources", 4),
        ("state", 1),
    ];
    let lines = include_str!("../tests/vectors/tasks.jsonl").lines().count();
    assert_eq!(tested.iter().map(|(kind, count)| cases(kind, *count).len()).sum::<usize>(), lines);
}
