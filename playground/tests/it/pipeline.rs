//! Upload → classify → report → analysis finished, seen by the real client.

use std::ffi::OsStr;
use std::time::Duration;

use karton_rs::testing::within;

use crate::{
    playground::{Playground, tags},
    python, samples,
};

#[tokio::test]
async fn the_real_client_sees_the_tags_of_the_real_classifier_within_five_seconds() {
    let Some(interpreter) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("samples");
    std::fs::create_dir(&files).unwrap();
    let names = samples::write(&files);
    let expected = python::run(&interpreter, folder.path(), &[python::script("expected_tags.py").as_os_str(), files.as_os_str()]);
    let playground = Playground::start(folder.path()).await;
    let api = format!("{}/", playground.api());
    let script = python::script("upload_and_wait.py");
    let paths: Vec<_> = names.iter().map(|name| files.join(name)).collect();
    let mut arguments: Vec<&OsStr> = vec![script.as_os_str(), api.as_ref(), "admin".as_ref(), "admin".as_ref(), "5".as_ref()];
    arguments.extend(paths.iter().map(|path| path.as_os_str()));
    let seen = python::run(&interpreter, folder.path(), &arguments);
    for name in &names {
        let object = &seen[name];
        assert_eq!(object["status"], "finished", "{name}: {object}\n{}", playground.log());
        assert_eq!(object["analyses"].as_array().unwrap().len(), 1, "{name}");
        let tags = expected[name].as_array().cloned().unwrap_or_default();
        assert_eq!(object["tags"].as_array(), Some(&tags), "{name}: {object}");
    }
    assert!(expected["noise.bin"].is_null() && !expected["setup.exe"].is_null(), "the samples must cover both ways: {expected}");
}

#[tokio::test]
async fn a_python_service_gets_recognized_samples_and_its_output_is_a_child_under_the_same_analysis() {
    let Some(interpreter) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground::start(folder.path()).await;
    let script = python::script("strings_service.py");
    let service = python::Service::start(
        &interpreter,
        &[script.as_os_str(), "--config-file".as_ref(), playground.karton_ini.as_os_str()],
        folder.path(),
    );
    let mut redis = redis_connection(&playground.redis).await;
    within(Duration::from_secs(20), "the bind of the Python service", || {
        let mut redis = redis.clone();
        async move {
            let known: bool = redis::cmd("HEXISTS").arg("karton.binds").arg("karton.py-strings").query_async(&mut redis).await.unwrap();
            known.then_some(())
        }
    })
    .await;
    let sample = playground.upload("hello.elf", samples::elf()).await;
    let id = sample["id"].as_str().unwrap();
    let object = within(Duration::from_secs(20), "the child", || async {
        let object = playground.get(&format!("file/{id}")).await;
        (!object["children"].as_array().unwrap().is_empty()).then_some(object)
    })
    .await;
    let child = object["children"][0]["id"].as_str().unwrap();
    let child = playground.get(&format!("file/{child}")).await;
    assert_eq!(child["file_name"], "strings.txt");
    assert_eq!(tags(&child), ["py-strings"]);
    let analyses = |state: &serde_json::Value| state["analyses"].as_array().unwrap().iter().map(|a| a["id"].clone()).collect::<Vec<_>>();
    let of_parent = analyses(&playground.get(&format!("file/{id}/karton")).await);
    let of_child = analyses(&playground.get(&format!("file/{}/karton", child["id"].as_str().unwrap())).await);
    assert_eq!(of_parent, of_child);
    playground.finished(id).await;
    let _: () = redis::cmd("PING").query_async(&mut redis).await.unwrap();
    service.stop();
}

#[tokio::test]
async fn reanalyze_makes_a_second_analysis_that_finishes_too() {
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground::start(folder.path()).await;
    let sample = playground.upload("hello.elf", samples::elf()).await;
    let id = sample["id"].as_str().unwrap();
    let object = playground.finished(id).await;
    assert_eq!(tags(&object), ["runnable:linux:elf"]);
    let again = playground.request(reqwest::Method::POST, &format!("file/{id}/karton")).await.send().await.unwrap();
    assert_eq!(again.status(), 200);
    playground.finished(id).await;
    let state = playground.get(&format!("file/{id}/karton")).await;
    assert_eq!(state["analyses"].as_array().unwrap().len(), 2);
}

pub async fn redis_connection(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}
