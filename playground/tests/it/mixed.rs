//! Rust and Python parts swapped while the pipeline runs.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use karton_rs::testing::within;

use crate::{
    pipeline::redis_connection,
    playground::{Playground, tags},
    python, samples,
};

/// Another program of this workspace, built beside the playground.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_playground")).with_file_name(name);
    assert!(path.is_file(), "{} is not built: run the tests of the whole workspace", path.display());
    path
}

struct Broker(Child);

impl Broker {
    fn ours(playground: &Playground, home: &Path) -> Self {
        Self::start(&program("karton-system"), playground, home)
    }

    fn pythons(interpreter: &Path, playground: &Playground, home: &Path) -> Self {
        Self::start(&interpreter.with_file_name("karton-system"), playground, home)
    }

    fn start(program: &Path, playground: &Playground, home: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(home.join("broker.log")).unwrap();
        let mut command = Command::new(program);
        command.arg("--config-file").arg(&playground.karton_ini).env("HOME", home).current_dir(home);
        Self(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    fn stop(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn upload_some(playground: &Playground, round: &str, ids: &mut Vec<String>) {
    for number in 0..8 {
        // The first bytes decide what it is, the last ones make it another file.
        let content = [samples::elf(), format!("{round}{number}").into_bytes()].concat();
        let sample = playground.upload("hello.elf", content).await;
        ids.push(sample["id"].as_str().unwrap().to_owned());
    }
}

#[tokio::test]
async fn the_python_broker_replaces_ours_while_the_pipeline_runs_and_back_without_a_lost_task() {
    let Some(interpreter) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground::start_with(folder.path(), &["--without", "karton-system"]).await;
    let mut ids = Vec::new();
    let ours = Broker::ours(&playground, folder.path());
    upload_some(&playground, "ours", &mut ids).await;
    let pythons = Broker::pythons(&interpreter, &playground, folder.path());
    ours.stop();
    upload_some(&playground, "python", &mut ids).await;
    let mut redis = redis_connection(&playground.redis).await;
    within(Duration::from_secs(30), "the Python broker to route everything", || {
        let mut redis = redis.clone();
        async move {
            let waiting: u64 = redis::cmd("LLEN").arg("karton.tasks").query_async(&mut redis).await.unwrap();
            (waiting == 0).then_some(())
        }
    })
    .await;
    let ours = Broker::ours(&playground, folder.path());
    pythons.stop();
    upload_some(&playground, "ours again", &mut ids).await;
    for id in &ids {
        let object = playground.finished(id).await;
        assert_eq!(tags(&object), ["runnable:linux:elf"], "{id}");
    }
    let _: () = redis::cmd("PING").query_async(&mut redis).await.unwrap();
    ours.stop();
}

#[tokio::test]
async fn karton_list_and_the_dashboard_show_our_services_online_with_versions() {
    let Some(interpreter) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground::start(folder.path()).await;
    let karton = interpreter.with_file_name("karton");
    let listed = Command::new(karton).args(["-c"]).arg(&playground.karton_ini).arg("list").env("HOME", folder.path()).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for (identity, version) in [("karton.classifier", "2.2.0"), ("karton.mwdb-reporter", "1.3.0")] {
        let line = listed.lines().find(|line| line.starts_with(identity)).unwrap_or_else(|| panic!("no {identity} in\n{listed}"));
        assert!(line.contains(version), "{line}");
    }
    let script = python::script("dashboard_state.py");
    let dashboard = std::env::var_os("KARTON_DASHBOARD_PYTHON").map(PathBuf::from);
    let Some(dashboard) = dashboard else {
        assert!(std::env::var("CI").is_err(), "KARTON_DASHBOARD_PYTHON is not set: run the tests by `make test`");
        return;
    };
    let state = python::run(&dashboard, folder.path(), &[script.as_os_str(), playground.karton_ini.as_os_str()]);
    for identity in ["karton.classifier", "karton.mwdb-reporter"] {
        assert_eq!(state["queues"][identity]["replicas"], 1, "{state}");
    }
    let services = state["services"].as_str().unwrap();
    for identity in ["karton.system", "karton.mwdb"] {
        assert!(services.contains(identity), "{identity} is not among the services:\n{services}");
    }
}
