//! The library that analysts and services use, as it is published.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::harness::{ADMIN, PASSWORD};
use crate::karton::Bed;

/// An interpreter with mwdblib. None: left out, outside CI only.
fn interpreter() -> Option<PathBuf> {
    let path = std::env::var_os("KARTON_PEERS_PYTHON");
    if path.is_none() {
        assert!(std::env::var_os("CI").is_none(), "KARTON_PEERS_PYTHON is not set: run the tests by `make test`");
        eprintln!("left out: KARTON_PEERS_PYTHON names no interpreter with mwdblib (`make test` prepares one)");
    }
    path.map(PathBuf::from)
}

#[tokio::test]
async fn mwdblib_works_unchanged() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    let server = bed.server().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/mwdblib_surface.py");
    let home = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(python);
    command.arg(script).args([&format!("{}/api/", server.url()), ADMIN, PASSWORD]);
    command.env("HOME", home.path()).current_dir(home.path()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(1), command.output()).await.expect("the script ends").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
