//! The library and the command that analysts and services use, as they are published.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::harness::{ADMIN, PASSWORD, Server};
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

/// Runs a script of `tests/interop` against a server, in a home of its own.
async fn run(python: &Path, script: &str, server: &Server, more: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script);
    let home = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new(python);
    command.arg(script).args([&format!("{}/api/", server.url()), ADMIN, PASSWORD]).args(more);
    command.env("HOME", home.path()).current_dir(home.path()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_mins(1), command.output()).await.expect("the script ends").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn mwdblib_works_unchanged() {
    let Some(python) = interpreter() else { return };
    let bed = Bed::start().await;
    run(&python, "mwdblib_surface.py", &bed.server().await, &[]).await;
}

#[tokio::test]
async fn mwdblib_knows_every_refusal_by_name() {
    let Some(python) = interpreter() else { return };
    let mut server = Server::with(|config| {
        config.enable_rate_limit = true;
        config.rate_limits.insert("fileresource_post".to_owned(), mwdb_lite::limits::parse("1/5second").unwrap());
        config.max_upload_size = Some(1 << 20);
        config.enable_registration = true;
    })
    .await;
    run(&python, "mwdblib_refusals.py", &server, &["limits"]).await;
    server.stop().await;
    server.start_again(|config| config.enable_maintenance = true).await;
    run(&python, "mwdblib_refusals.py", &server, &["maintenance"]).await;
}

#[tokio::test]
async fn the_command_mwdb_works_unchanged() {
    let Some(python) = interpreter() else { return };
    let with_command = tokio::process::Command::new(&python).args(["-c", "import click"]).output().await.unwrap();
    if !with_command.status.success() {
        assert!(std::env::var_os("CI").is_none(), "the environment lacks mwdblib[cli]: run the tests by `make test`");
        eprintln!("left out: the environment has no `mwdb` (`make test` prepares one)");
        return;
    }
    let server = Server::start().await;
    let definition = json!({"key": "interop", "label": "", "description": "", "hidden": false});
    server.admin().await.post("attribute", definition).await.ok();
    run(&python, "mwdb_cli.py", &server, &[]).await;
}
