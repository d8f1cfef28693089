//! Binds, names and keys against karton-core 5.9.1.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use super::{Bind, ServiceInfo, keys};
use crate::{
    json::Value,
    task::TaskPriority,
    vectors::{cases, text},
};

/// All of this module, for the count of what was compared.
pub(crate) fn compare_all() {
    binds_are_written_read_and_compared_as_the_reference_does();
    connection_names_carry_the_service_information();
    queues_and_channels_have_the_names_of_the_reference();
}

fn bind_of(fields: &Value) -> Bind {
    let member = |name: &str| fields.get(name).unwrap().clone();
    let mut bind = Bind::new(text(fields, "identity"), member("filters"));
    bind.info = member("info");
    bind.version = member("version");
    bind.service_version = member("service_version");
    bind.persistent = member("persistent").as_bool().unwrap();
    bind.is_async = member("is_async").as_bool().unwrap();
    bind
}

#[test]
fn binds_are_written_read_and_compared_as_the_reference_does() {
    for case in cases("bind", 5) {
        assert_eq!(bind_of(&case.input).to_json(), text(&case.output, "json"), "{}", case.id);
    }
    for case in cases("bind-parse", 5) {
        let read = Bind::from_json(text(&case.input, "identity"), text(&case.input, "json"));
        if case.output.get("error").is_some() {
            assert!(read.is_err(), "{}", case.id);
            continue;
        }
        let bind = read.unwrap();
        assert_eq!(bind, bind_of(case.output.get("bind").unwrap()), "{}", case.id);
        assert_eq!(bind.to_json(), text(&case.output, "json"), "{}", case.id);
    }
    for case in cases("bind-equal", 3) {
        let read = |name: &str| Bind::from_json("karton.x", text(&case.input, name)).unwrap();
        assert_eq!(Some(read("a") == read("b")), case.output.get("equal").unwrap().as_bool(), "{}", case.id);
    }
}

#[test]
fn connection_names_carry_the_service_information() {
    for case in cases("client-name", 4) {
        let mut info = ServiceInfo::new(text(&case.input, "identity"), case.input.get("service_version").and_then(Value::as_str));
        text(&case.input, "karton_version").clone_into(&mut info.karton_version);
        assert_eq!(info.to_name(), text(&case.output, "name"), "{}", case.id);
    }
    for case in cases("client-name-parse", 5) {
        let info = ServiceInfo::parse(text(&case.input, "name"));
        assert_eq!(info.is_none(), case.output.get("error").is_some(), "{}", case.id);
        if let Some(info) = info {
            assert_eq!(info.identity, text(&case.output, "identity"), "{}", case.id);
            assert_eq!(info.karton_version, text(&case.output, "karton_version"), "{}", case.id);
            assert_eq!(info.service_version.as_deref(), case.output.get("service_version").and_then(Value::as_str), "{}", case.id);
        }
    }
    for case in cases("online", 1) {
        let names = case.input.get("client_names").unwrap().as_array().unwrap();
        let mut consumers = BTreeMap::new();
        super::count_consumers(names.iter().filter_map(Value::as_str)).into_iter().for_each(|(identity, count)| {
            consumers.insert(identity, count);
        });
        let expected = case.output.get("consumers").unwrap().as_object().unwrap();
        let expected: BTreeMap<String, usize> =
            expected.iter().map(|(k, v)| (k.clone(), usize::try_from(v.as_number().unwrap().as_u64().unwrap()).unwrap())).collect();
        assert_eq!(consumers, expected);
        let services: Vec<Value> = names
            .iter()
            .filter_map(|name| ServiceInfo::parse(name.as_str()?))
            .map(|info| Value::Array(vec![info.identity.into(), info.karton_version.into(), info.service_version.into()]))
            .collect();
        assert_eq!(&Value::Array(services), case.output.get("services").unwrap());
    }
}

#[test]
fn queues_and_channels_have_the_names_of_the_reference() {
    for case in cases("queues", 1) {
        let identity = text(&case.input, "identity");
        assert_eq!(&Value::from(keys::queues(identity).to_vec()), case.output.get("consume_order").unwrap());
        for priority in TaskPriority::ALL {
            let expected = case.output.get("by_priority").unwrap();
            assert_eq!(keys::queue(*priority, identity), text(expected, priority.as_str()));
        }
    }
    for case in cases("log-channel", 4) {
        let or_all = |name: &str| case.input.get(name).and_then(Value::as_str).unwrap_or("*").to_owned();
        assert_eq!(keys::log_channel(&or_all("level"), &or_all("logger_name")), text(&case.output, "channel"), "{}", case.id);
    }
}
