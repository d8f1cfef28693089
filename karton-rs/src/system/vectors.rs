//! The broker's decisions against karton-core 5.9.1.
//!
//! Ours writes one transaction where the reference writes command after command, so what is compared
//! is what is written, not in how many steps.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{SystemSettings, collector, matcher::Matcher, plan::Plan, router::operation};
use crate::{
    Config,
    backend::{Bind, Places, keys},
    json::Value,
    task::Task,
    vectors::{Case, at, cases, commands, text},
};

fn settings(case: &Case) -> SystemSettings {
    let mut config = Config::from_parts(&[("k", "[redis]\nhost = h\n[s3]\naddress = http://s\n")], []).unwrap();
    for (option, value) in case.input.get("config").and_then(Value::as_object).into_iter().flatten() {
        let value = value.get("system").unwrap_or(value);
        match value.as_object() {
            Some(options) => options.iter().for_each(|(option, value)| config.set("system", option.spelled(), value.as_str().unwrap())),
            None => config.set("system", option.spelled(), value.as_str().unwrap()),
        }
    }
    SystemSettings::from_config(&config).unwrap()
}

fn list<'a>(case: &'a Case, name: &str) -> Vec<&'a Value> {
    case.input.get(name).and_then(Value::as_array).unwrap_or_default().iter().collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// All of this module, for the count of what was compared.
pub(crate) fn compare_all() {
    routing_writes_what_the_reference_writes();
    operations_of_old_consumers_become_status_writes();
    tasks_are_collected_by_the_rules_of_the_reference();
    objects_that_no_record_refers_to_are_collected();
}

#[test]
fn routing_writes_what_the_reference_writes() {
    for case in cases("route", 5) {
        let binds = list(&case, "binds")
            .into_iter()
            .map(|bind| bind.as_array().unwrap())
            .map(|bind| (string(&bind[0]), string(&bind[1]).into_bytes()));
        let mut matcher = Matcher::default();
        assert_eq!(matcher.update(&binds.collect()), []);
        let mut plan = Plan::new(0);
        let mut unusable = Vec::new();
        for record in list(&case, "unrouted") {
            let record = record.as_str().unwrap();
            let uid = Task::from_json(record).unwrap().uid().to_owned();
            plan.add(&mut matcher, &uid, record.as_bytes(), &mut unusable);
        }
        let texts: Vec<&str> = plan.records.iter().collect();
        let mut records: Vec<(String, String)> = texts.chunks(2).map(|pair| (pair[0].to_owned(), at(pair[1], case.now()))).collect();
        let mut pushes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (receiver, pushed) in &plan.receivers {
            for (priority, uids) in &pushed.queues {
                pushes.entry(keys::queue(*priority, receiver)).or_default().extend(uids.iter().map(str::to_owned));
            }
        }
        // Our new uids, in order, stand for those of the case.
        let pushed: HashSet<String> = pushes.values().flatten().map(|uid| keys::task(uid)).collect();
        let new: Vec<String> = records.iter().map(|(key, _)| key.clone()).filter(|key| pushed.contains(key)).collect();
        for (index, key) in new.iter().enumerate() {
            let own = key.rsplit(':').next().unwrap();
            let given = case.uuid(index);
            records.iter_mut().for_each(|(key, record)| {
                *key = key.replace(own, &given);
                *record = record.replace(own, &given);
            });
            pushes.values_mut().flatten().for_each(|uid| *uid = uid.replace(own, &given));
        }
        let mut expected: BTreeSet<(String, String)> =
            commands(&case, "SET").iter().map(|args| (string(&args[0]), at(args[1].as_str().unwrap(), case.now()))).collect();
        for args in commands(&case, "MSET") {
            expected.extend(args.chunks(2).map(|pair| (string(&pair[0]), at(pair[1].as_str().unwrap(), case.now()))));
        }
        assert_eq!(records.into_iter().collect::<BTreeSet<_>>(), expected, "{}", case.id);
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        commands(&case, "RPUSH").iter().for_each(|args| expected.entry(string(&args[0])).or_default().push(string(&args[1])));
        assert_eq!(pushes, expected, "{}", case.id);
        let mut assigned: BTreeMap<String, usize> = BTreeMap::new();
        commands(&case, "HINCRBY").iter().for_each(|args| *assigned.entry(string(&args[1])).or_default() += 1);
        let planned: BTreeMap<String, usize> = plan.receivers.iter().map(|(receiver, pushed)| (receiver.clone(), pushed.count)).collect();
        assert_eq!(planned, assigned, "{}", case.id);
        let expected: BTreeSet<(String, String)> =
            commands(&case, "SADD").iter().map(|args| (string(&args[0]), string(&args[1]))).collect();
        if settings(&case).enable_task_tracking {
            let outputs = plan.outputs.iter().flat_map(|(origin, all)| all.iter().map(|headers| (keys::outputs(origin), headers.clone())));
            assert_eq!(outputs.collect::<BTreeSet<_>>(), expected, "{}", case.id);
        } else {
            assert!(expected.is_empty(), "{}", case.id);
        }
    }
}

#[test]
fn operations_of_old_consumers_become_status_writes() {
    for case in cases("operation", 3) {
        // A later entry for the same task wins.
        let mut written = BTreeMap::new();
        for body in list(&case, "bodies") {
            if let Some((key, record)) = operation(body.as_str().unwrap().as_bytes()).unwrap() {
                written.insert(key, at(&record, case.now()));
            }
        }
        let mut expected = BTreeMap::new();
        for args in commands(&case, "MSET") {
            expected.extend(args.chunks(2).map(|pair| (string(&pair[0]), string(&pair[1]))));
        }
        assert_eq!(written, expected, "{}", case.id);
    }
}

#[test]
fn tasks_are_collected_by_the_rules_of_the_reference() {
    for case in cases("gc-tasks", 5) {
        let settings = settings(&case);
        let online: HashSet<String> =
            list(&case, "client_names").iter().map(|name| name.as_str().unwrap().split('?').next().unwrap().to_owned()).collect();
        let binds = list(&case, "binds").into_iter().map(|bind| bind.as_array().unwrap());
        let gone: HashSet<String> = binds
            .map(|bind| Bind::from_json(bind[0].as_str().unwrap(), bind[1].as_str().unwrap()).unwrap())
            .filter(|bind| !bind.persistent && !online.contains(&bind.identity))
            .map(|bind| bind.identity)
            .collect();
        assert_eq!(gone, commands(&case, "HDEL").iter().map(|args| string(&args[1])).collect(), "{}", case.id);
        let mut queued = Places::default();
        list(&case, "unrouted_uids").into_iter().for_each(|uid| queued.insert(string(uid).as_bytes()));
        let (mut deletions, mut crashes, mut receivers) = (HashSet::new(), HashSet::new(), BTreeMap::<String, u64>::new());
        let mut unreadable = 0;
        for record in list(&case, "tasks") {
            match Task::from_json(record.as_str().unwrap()) {
                Ok(task) => {
                    // A record without a time counts as changed when it is read.
                    let timeless = record.as_str().unwrap().contains("\"last_update\": null");
                    let now = if timeless { task.last_update() } else { case.now() };
                    match collector::decide(&settings, task, &queued, &gone, now) {
                        collector::Verdict::Stays => {}
                        collector::Verdict::Crashed(task) => drop(crashes.insert(keys::task(task.uid()))),
                        collector::Verdict::Deleted(task) => {
                            deletions.insert(keys::task(task.uid()));
                            *receivers.entry(task.header_str("receiver").unwrap_or("unknown").to_owned()).or_default() += 1;
                        }
                    }
                }
                Err(_) => unreadable += 1,
            }
        }
        // Where one unreadable record stops the reference, ours keeps that record and judges the others.
        assert_eq!(unreadable, usize::from(case.output.get("error").is_some()), "{}", case.id);
        let deleted: HashSet<String> =
            commands(&case, "DEL").iter().flatten().map(string).filter(|key| key.starts_with(keys::TASK_PREFIX)).collect();
        assert_eq!(deletions, deleted, "{}", case.id);
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        for args in commands(&case, "HINCRBY").iter().filter(|args| args[0] == Value::from("karton.metrics.garbage-collected")) {
            *counted.entry(string(&args[1])).or_default() += 1;
        }
        assert_eq!(receivers, counted, "{}", case.id);
        let crashed: HashSet<String> = commands(&case, "SET").iter().map(|args| string(&args[0])).collect();
        assert_eq!(crashes, crashed, "{}", case.id);
    }
}

#[test]
fn objects_that_no_record_refers_to_are_collected() {
    for case in cases("gc-resources", 4) {
        let mut unused: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        for object in list(&case, "object_versions").into_iter().map(|object| object.as_array().unwrap()) {
            let version = object[1].as_str().filter(|version| *version != "null").map(str::to_owned);
            unused.entry(string(&object[0])).or_default().push(version);
        }
        for record in list(&case, "tasks") {
            for uid in collector::referred(record.as_str().unwrap().as_bytes(), "karton") {
                unused.remove(&uid);
            }
        }
        let name_null = settings(&case).enable_null_version_deletion;
        let ours: BTreeSet<(String, Option<String>)> = unused
            .into_iter()
            .flat_map(|(key, versions)| {
                versions.into_iter().map(move |version| (key.clone(), version.or(name_null.then(|| "null".to_owned()))))
            })
            .collect();
        let expected: BTreeSet<(String, Option<String>)> = commands(&case, "S3.DELETE_OBJECTS")
            .iter()
            .flat_map(|args| args[1].as_array().unwrap().to_vec())
            .map(|object| (text(&object, "Key").to_owned(), object.get("VersionId").and_then(Value::as_str).map(str::to_owned)))
            .collect();
        assert_eq!(ours, expected, "{}", case.id);
    }
}
