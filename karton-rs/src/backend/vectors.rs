//! Binds, names and keys against karton-core 5.9.1.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use base64::Engine as _;
use redis::AsyncCommands as _;

use super::{Backend, Bind, ServiceInfo, keys};
use crate::{
    Config,
    json::Value,
    task::{Task, TaskPriority, vectors::build},
    testing::RedisServer,
    vectors::{at, cases, commands, text},
};

/// All of this module, for the count of what was compared.
pub(crate) fn compare_all() {
    binds_are_written_read_and_compared_as_the_reference_does();
    connection_names_carry_the_service_information();
    queues_and_channels_have_the_names_of_the_reference();
    sending_leaves_what_the_reference_leaves();
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
            expected.iter().map(|(k, v)| (k.to_string(), usize::try_from(v.as_number().unwrap().as_u64().unwrap()).unwrap())).collect();
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

#[tokio::test]
async fn sending_leaves_what_the_reference_leaves() {
    crate::service::install_crypto();
    let server = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let s3 = playground_s3::Server::start(folder.path(), "127.0.0.1:0".parse().unwrap(), "access", "secret-key").await.unwrap();
    let file = format!(
        "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = {}\naccess_key = access\nsecret_key = secret-key\nbucket = karton\n",
        server.port(),
        s3.url()
    );
    let config = Config::from_parts(&[("k", &file)], []).unwrap();
    let mut redis = server.connection().await;
    for case in cases("send", 8) {
        let () = redis::cmd("FLUSHALL").query_async(&mut redis).await.unwrap();
        for put in commands(&case, "S3.PUT") {
            s3.ensure_bucket(put[0].as_str().unwrap()).await.unwrap();
        }
        let backend = Backend::new(&config, text(&case.input, "identity"), "").unwrap();
        let current = case.input.get("current_task").and_then(Value::as_str).map(|record| Task::from_json(record).unwrap());
        let sent = backend
            .send_task(build(&case, case.input.get("task").unwrap()), current.as_ref(), &mut crate::backend::Patience::new(None))
            .await
            .unwrap();

        let string = |value: &Value| value.as_str().unwrap().to_owned();
        for set in commands(&case, "SET") {
            let record: String = redis.get(string(&set[0])).await.unwrap();
            assert_eq!(at(&record, case.now()), at(set[1].as_str().unwrap(), case.now()), "{}", case.id);
        }
        for put in commands(&case, "S3.PUT") {
            let resources = sent.resources();
            let resource = resources.iter().find(|resource| resource.uid == put[1].as_str().unwrap()).unwrap();
            assert_eq!(resource.bucket.as_deref(), put[0].as_str(), "{}", case.id);
            let content = backend.storage().read(resource, 1 << 20).await.unwrap();
            let expected = base64::engine::general_purpose::STANDARD.decode(put[2].as_str().unwrap()).unwrap();
            assert_eq!(content, expected, "{}", case.id);
        }
        let pushed: Vec<String> = redis.lrange(keys::TASKS, 0, -1).await.unwrap();
        assert_eq!(pushed, commands(&case, "RPUSH").iter().map(|push| string(&push[1])).collect::<Vec<_>>(), "{}", case.id);
        for count in commands(&case, "HINCRBY") {
            let produced: u64 = redis.hget(string(&count[0]), string(&count[1])).await.unwrap();
            assert_eq!(produced, 1, "{}", case.id);
        }
        // The record, the queue and the counter, and nothing else.
        let all: Vec<String> = redis.keys("*").await.unwrap();
        assert_eq!(all.len(), 3, "{}: {all:?}", case.id);
    }
}
