//! `status`, `demo`, and how the flags of `up` meet each other.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::playground::Playground;

fn playground(arguments: &[&str], data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
    for variable in ["REDIS_URL", "S3_ENDPOINT", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.args(arguments).arg("--data").arg(data).output().unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn status_asks_every_part_and_fails_when_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut running = Playground::start(folder.path()).await;
    let status = playground(&["status", "--json"], &data);
    let report = json(&status);
    assert!(status.status.success(), "{report}");
    let parts = report["parts"].as_array().unwrap();
    let names: Vec<_> = parts.iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["redis", "s3", "karton-system", "karton-classifier", "karton-mwdb-reporter", "mwdb-lite"]);
    assert!(parts.iter().all(|part| part["ok"] == true), "{report}");
    assert_eq!(report["pid"], running.pid());
    let table = playground(&["status"], &data);
    assert!(String::from_utf8_lossy(&table.stdout).contains(&running.mwdb));
    running.stop();
    let after = playground(&["status", "--json"], &data);
    assert_eq!(after.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&after.stderr).contains("no playground runs"));
}

#[tokio::test]
async fn the_demo_waits_for_its_files_and_shows_their_tags_each_time_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let _running = Playground::start(folder.path()).await;
    let data = folder.path().join("data");
    let mut ids = Vec::new();
    for _ in 0..2 {
        let demo = playground(&["demo", "--json"], &data);
        let report = json(&demo);
        assert!(demo.status.success(), "{report}");
        for file in report["files"].as_array().unwrap() {
            assert_eq!(file["finished"], true, "{file}");
            ids.push(file["id"].as_str().unwrap().to_owned());
        }
        let elf = report["files"].as_array().unwrap().iter().find(|file| file["name"] == "hello.elf").unwrap().clone();
        assert_eq!(elf["tags"], serde_json::json!(["runnable:linux:elf"]));
    }
    let n_ids = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), n_ids, "the second run made files of its own");
    let table = playground(&["demo"], &data);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("hello.elf") && table.contains("runnable:linux:elf"), "{table}");
}

#[tokio::test]
async fn a_folder_has_one_playground() {
    let folder = tempfile::tempdir().unwrap();
    let _running = Playground::start(folder.path()).await;
    let second = playground(&["up", "--json", "--port-base", "0"], &folder.path().join("data"));
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another playground uses"));
}

#[tokio::test]
async fn what_is_left_out_is_not_there_and_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let running = Playground::start_with(folder.path(), &["--without", "karton-classifier,karton-mwdb-reporter"]).await;
    let report = json(&playground(&["status", "--json"], &folder.path().join("data")));
    let names: Vec<_> = report["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["redis", "s3", "karton-system", "mwdb-lite"]);
    let mut redis = redis::Client::open(running.redis.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let n_binds: usize = redis::cmd("HLEN").arg("karton.binds").query_async(&mut redis).await.unwrap();
    assert_eq!(n_binds, 0);
}

#[test]
fn a_wrong_call_is_code_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        ["up", "--without", "nothing"],
        ["up", "--port-base", "65534"],
        ["up", "--s3-endpoint", "http://127.0.0.1:9"],
        ["demo", "--timeout", "soon"],
    ] {
        let output = playground(&arguments, &folder.path().join("data"));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
