//! Real Python peers, from the environment that `make test` prepares.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// An interpreter with karton-core, karton-classifier, karton-mwdb-reporter and mwdblib; None: left out, outside CI only.
pub fn interpreter() -> Option<PathBuf> {
    let path = std::env::var_os("KARTON_PEERS_PYTHON");
    if path.is_none() {
        assert!(std::env::var("CI").is_err(), "KARTON_PEERS_PYTHON is not set: run the tests by `make test`");
        eprintln!("left out: KARTON_PEERS_PYTHON names no interpreter with karton-core (`make test` prepares one)");
    }
    path.map(PathBuf::from)
}

pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// Runs a script to its end, with a home of its own, and gives its output as JSON.
pub fn run(python: &Path, home: &Path, arguments: &[&std::ffi::OsStr]) -> serde_json::Value {
    let Output { status, stdout, stderr } = Command::new(python).args(arguments).env("HOME", home).current_dir(home).output().unwrap();
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    serde_json::from_slice(&stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&stdout)))
}

/// A Python service that runs beside the test.
pub struct Service(Child);

impl Service {
    pub fn start(program: &Path, arguments: &[&std::ffi::OsStr], home: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(home.join("service.log")).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).env("HOME", home).current_dir(home).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }

    /// SIGTERM, then waits for the end.
    pub fn stop(mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
