//! The program: flags, environment and exit codes.

use std::path::Path;
use std::process::{Command, Output};

use karton_rs::testing::eventually;

const BASE: &str = "[redis]\nhost = 127.0.0.1\nport = 1\n[s3]\naddress = http://127.0.0.1:1\naccess_key = k\nsecret_key = s\nbucket = b\n";

/// The program with a configuration file and nothing else around it.
fn program(folder: &Path, mwdb: &str) -> Command {
    let file = folder.join("test.ini");
    std::fs::write(&file, format!("{BASE}{mwdb}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_karton-mwdb-reporter"));
    command.env_clear().env("HOME", folder).current_dir(folder).arg("--config-file").arg(file);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_configuration_that_cannot_be_used_is_exit_code_2_and_named() {
    let folder = tempfile::tempdir().unwrap();
    for (mwdb, expected) in [
        ("", "`[mwdb]`"),
        ("[mwdb]\napi_url = http://127.0.0.1:1/api/\n[karton]\ntask_timeout = soon\n", "[karton] task_timeout (in `"),
        ("[mwdb]\nverify_ssl = maybe\n", "[mwdb] verify_ssl"),
        ("[mwdb]\napi_key = nonsense\n", "[mwdb] api_key"),
        ("[mwdb]\n[mwdb-reporter]\nreport_unrecognized = perhaps\n", "[mwdb-reporter] report_unrecognized"),
    ] {
        let output = program(folder.path(), mwdb).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}

#[test]
fn environment_and_flags_win_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = "[mwdb]\n[mwdb-reporter]\nreport_unrecognized = perhaps\n";
    // The flag replaces the bad value, so that the bad variable is found next.
    let mut command = program(folder.path(), wrong);
    let output = command.arg("--report-unrecognized").env("KARTON_MWDB_VERIFY_SSL", "maybe").output().unwrap();
    assert!(stderr(&output).contains("[mwdb] verify_ssl (set by KARTON_MWDB_VERIFY_SSL)"), "{}", stderr(&output));
    let mut command = program(folder.path(), "[mwdb]\n");
    let output = command.env("KARTON_MWDB-REPORTER_REPORT_UNRECOGNIZED", "perhaps").output().unwrap();
    assert!(stderr(&output).contains("[mwdb-reporter] report_unrecognized"), "{}", stderr(&output));
}

#[test]
fn flags_may_be_shortened_as_in_python() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = "[mwdb]\nverify_ssl = maybe\n[mwdb-reporter]\nreport_unrecognized = perhaps\n";
    let output = program(folder.path(), wrong).args(["--report", "--non", "--log", "INFO"]).output().unwrap();
    assert!(stderr(&output).contains("[mwdb] verify_ssl"), "{}", stderr(&output));
}

#[test]
fn the_version_is_that_of_the_service() {
    let output = Command::new(env!("CARGO_BIN_EXE_karton-mwdb-reporter")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1.3.0\n");
}

#[test]
fn help_starts_with_what_the_bind_says() {
    let output = Command::new(env!("CARGO_BIN_EXE_karton-mwdb-reporter")).arg("--help").output().unwrap();
    assert!(output.stdout.starts_with(b"Uploads analysis artifacts to MWDB.\n"), "{output:?}");
}

#[test]
fn a_wrong_call_is_exit_code_2() {
    let output = Command::new(env!("CARGO_BIN_EXE_karton-mwdb-reporter")).arg("--nonsense").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

/// Bit 1 of the caught signals is SIGINT.
fn heeds_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
    u64::from_str_radix(&caught, 16).unwrap() & 0b10 != 0
}

#[tokio::test]
async fn a_dry_run_that_waits_for_a_task_to_be_typed_ends_at_the_first_interrupt() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path(), "[mwdb]\napi_url = http://127.0.0.1:1/api/\n");
    let mut child = command.arg("--dry-run").stdin(std::process::Stdio::piped()).spawn().unwrap();
    eventually("a handler of signals", || async { heeds_interrupts(child.id()).then_some(()) }).await;
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if std::time::Instant::now() > deadline => {
                child.kill().unwrap();
                panic!("it goes on");
            }
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!(status.code(), Some(130));
}
