//! An operator's swap: of broker, classifier and reporter some are Python's and the others ours, in
//! every mixture, and a sample that goes in comes out with its tag and a finished analysis.

use std::path::{Path, PathBuf};
use std::time::Duration;

use karton_rs::testing::within;

use crate::{
    pipeline::redis_connection,
    playground::{Playground, tags},
    python, samples,
};

const SERVICES: [&str; 3] = ["karton-system", "karton-classifier", "karton-mwdb-reporter"];

/// Starts each service as a program of its own: those of `pythons` from the Python environment.
fn start(interpreter: &Path, pythons: &[&str], playground: &Playground, home: &Path) -> Vec<python::Service> {
    let ours = Path::new(env!("CARGO_BIN_EXE_playground"));
    let program = |service: &str| -> PathBuf {
        let path = if pythons.contains(&service) { interpreter } else { ours }.with_file_name(service);
        assert!(path.is_file(), "{} is not there: run the tests of the whole workspace by `make test`", path.display());
        path
    };
    let arguments = ["--config-file".as_ref(), playground.karton_ini.as_os_str()];
    SERVICES.iter().map(|service| python::Service::start(&program(service), &arguments, home)).collect()
}

async fn a_sample_passes(interpreter: &Path, pythons: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground::start_with(folder.path(), &["--without", &SERVICES.join(",")]).await;
    let services = start(interpreter, pythons, &playground, folder.path());
    let redis = redis_connection(&playground.redis).await;
    let log = || std::fs::read_to_string(folder.path().join("service.log")).unwrap_or_default();
    within(Duration::from_mins(1), &format!("the binds with {pythons:?}"), || {
        let mut redis = redis.clone();
        async move {
            // A task that nobody has asked for yet would be dropped.
            let binds: Vec<String> = redis::cmd("HKEYS").arg("karton.binds").query_async(&mut redis).await.unwrap();
            ["karton.classifier", "karton.mwdb-reporter"].iter().all(|identity| binds.iter().any(|bind| bind == identity)).then_some(())
        }
    })
    .await;
    let sample = playground.upload("hello.elf", samples::elf()).await;
    let id = sample["id"].as_str().unwrap();
    let object = playground.finished(id).await;
    assert_eq!(tags(&object), ["runnable:linux:elf"], "Python's: {pythons:?}; their log and ours:\n{}", log());
    let analyses = playground.get(&format!("file/{id}/karton")).await;
    assert_eq!(analyses["analyses"].as_array().unwrap().len(), 1, "Python's: {pythons:?}");
    drop(services);
}

#[test]
fn every_mixture_of_python_services_and_ours_tags_a_sample_and_finishes_its_analysis() {
    let Some(interpreter) = python::interpreter() else { return };
    let [system, classifier, reporter] = SERVICES;
    let mixtures: [&[&str]; 6] =
        [&[system, reporter], &[system, classifier], &[classifier, reporter], &[system], &[classifier], &[reporter]];
    // All at once: each mostly waits for a Python interpreter to start.
    std::thread::scope(|scope| {
        for pythons in mixtures {
            let interpreter = &interpreter;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(a_sample_passes(interpreter, pythons));
            });
        }
    });
}
