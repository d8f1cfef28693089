//! Analyses against karton-core's newest tree, on a real redis-server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use redis::AsyncCommands as _;

use super::Inspect;
use crate::{Config, Task, TaskState, backend::keys, json::Value, testing::RedisServer, vectors::cases};

/// All of this module, for the count of what was compared.
pub(crate) fn compare_all() {
    an_analysis_is_what_the_newest_reference_makes_of_it();
}

fn uids(value: &Value, name: &str) -> BTreeSet<String> {
    value.get(name).unwrap().as_array().unwrap().iter().map(|uid| uid.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_analysis_is_what_the_newest_reference_makes_of_it() {
    for case in cases("state", 1) {
        let server = RedisServer::start().await;
        let mut redis = server.connection().await;
        let list = |name: &str| case.input.get(name).unwrap().as_array().unwrap().to_vec();
        let mut tasks = Vec::new();
        for record in list("tasks") {
            let task = Task::from_json(record.as_str().unwrap()).unwrap();
            let () = redis.set(keys::task(task.uid()), record.as_str().unwrap()).await.unwrap();
            if task.status() == TaskState::Declared {
                let () = redis.rpush(keys::TASKS, task.uid()).await.unwrap();
            }
            tasks.push(task);
        }
        for bind in list("binds") {
            let bind = bind.as_array().unwrap();
            let () = redis.hset(keys::BINDS, bind[0].as_str().unwrap(), bind[1].as_str().unwrap()).await.unwrap();
        }
        let mut named = Vec::new();
        for name in list("client_names") {
            let mut connection = server.connection().await;
            let () = redis::cmd("CLIENT").arg("SETNAME").arg(name.as_str().unwrap()).query_async(&mut connection).await.unwrap();
            named.push(connection);
        }
        let file =
            format!("[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = http://s\naccess_key = a\nsecret_key = s\n", server.port());
        let inspect = Inspect::new(&Config::from_parts(&[("k", &file)], []).unwrap(), "karton.viewer", None).unwrap();
        let expected = case.output.get("master_328").unwrap();
        for root in list("roots") {
            let root = root.as_str().unwrap();
            let expected = expected.get("get_analysis").unwrap().get(root).unwrap();
            let analysis = inspect.analysis(root).await.unwrap();
            // An unrouted child has a uid of its own, by which the reference does not find it.
            let mut all = uids(expected, "tasks");
            let unrouted: Vec<&Task> = tasks.iter().filter(|task| task.root_uid() == root && !all.contains(task.uid())).collect();
            let done = expected.get("is_done").unwrap().as_bool().unwrap() && unrouted.is_empty();
            all.extend(unrouted.iter().map(|task| task.uid().to_owned()));
            assert_eq!(analysis.tasks().iter().map(|task| task.uid().to_owned()).collect::<BTreeSet<_>>(), all, "{root}");
            assert_eq!(analysis.is_done(), done, "{root}");
            let crashed = analysis.tasks().iter().filter(|task| task.status() == TaskState::Crashed);
            assert_eq!(crashed.map(|task| task.uid().to_owned()).collect::<BTreeSet<_>>(), uids(expected, "crashed"), "{root}");
            // Of the reference's grouping of all tasks, the queues in which something is pending.
            let pending = uids(expected, "pending");
            let groups = expected.get("pending_queues").unwrap().as_object().unwrap().keys().map(ToString::to_string);
            let busy = groups.filter(|queue| !uids(expected.get("pending_queues").unwrap(), queue).is_disjoint(&pending));
            assert_eq!(analysis.processing_in().into_keys().collect::<BTreeSet<_>>(), busy.collect(), "{root}");
        }
        // The lists of a whole state are made by consoles; who is online is read here.
        let online = inspect.online_consumers().await.unwrap();
        for (identity, queue) in expected.get("queues").unwrap().as_object().unwrap() {
            let count = queue.get("online").unwrap().as_number().unwrap().as_u64().unwrap();
            assert_eq!(online.get(identity.spelled()).copied().unwrap_or(0) as u64, count, "{identity}");
        }
    }
}
