//! The program itself: flags, exit codes, signals, and `classify`.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use karton_rs::{json::Value, testing::within};

use crate::{bed::Bed, vectors::path};

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_karton-classifier"));
    // No settings of the machine.
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

const INI: &str =
    "[redis]\nhost = 127.0.0.1\nport = 1\n[s3]\naddress = http://127.0.0.1:1\naccess_key = a\nsecret_key = s\nbucket = karton\n";

#[test]
fn yara_rules_are_refused_by_flag_file_and_environment() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("karton.ini"), INI).unwrap();
    let expected = "[classifier] yara_rules is `rules`, but this build has no YARA support";
    let by_flag = output(program(folder.path()).args(["--yara-rules", "rules"]));
    let by_environment = output(program(folder.path()).env("KARTON_CLASSIFIER_YARA_RULES", "rules"));
    std::fs::write(folder.path().join("karton.ini"), format!("{INI}[classifier]\nyara_rules = rules\n")).unwrap();
    let by_file = output(&mut program(folder.path()));
    for (code, _, stderr) in [by_flag, by_environment, by_file] {
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn a_missing_configuration_is_code_two() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = output(&mut program(folder.path()));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("[s3]"), "{stderr}");
}

#[test]
fn classify_prints_a_line_for_each_file_and_fails_for_those_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(path("files/pe-gui32.bin"), folder.path().join("a.bin")).unwrap();
    std::fs::copy(path("files/noise-a.bin"), folder.path().join("b")).unwrap();
    std::fs::write(folder.path().join("tab\there.js"), "").unwrap();

    let (code, stdout, stderr) = output(program(folder.path()).args(["classify", "a.bin", "missing", "b", ".", "tab\there.js"]));
    assert_eq!(code, Some(1));
    let lines: Vec<Vec<&str>> =
        stdout.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect()).collect();
    assert_eq!(lines[0][..3], ["a.bin", "runnable:win32:exe", "pe"]);
    assert!(lines[0][3].starts_with("PE32 executable"), "{stdout}");
    assert_eq!(lines[1], ["b", "-", "none", "data"]);
    assert_eq!(lines[2], ["tab\\there.js", "script:win32:js", "winscript-ext-js", "empty"]);
    assert_eq!(lines.len(), 3);
    assert!(stderr.contains("cannot read `missing`") && stderr.contains("`.` is not a file"), "{stderr}");

    let (code, stdout, _) = output(program(folder.path()).args(["classify", "--json", "b", "a.bin"]));
    assert_eq!(code, Some(0));
    let lines: Vec<Value> = stdout.lines().map(|line| Value::parse(line).unwrap()).collect();
    assert_eq!(lines[0].get("tag"), Some(&Value::Null));
    assert_eq!(lines[0].get("magic"), Some(&Value::from("data")));
    assert_eq!(lines[1].get("tag"), Some(&Value::from("runnable:win32:exe")));
    assert_eq!(lines[1].get("platform"), Some(&Value::from("win32")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_until_it_is_told_to_stop() {
    let mut bed = Bed::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut child = program(folder.path())
        .env("KARTON_REDIS_URL", bed.redis.url())
        .env("KARTON_S3_ADDRESS", bed.s3.url())
        .env("KARTON_S3_ACCESS_KEY", "mwdb")
        .env("KARTON_S3_SECRET_KEY", "mwdbmwdb")
        .env("KARTON_S3_BUCKET", "karton")
        .args(["--identity", "test.classifier", "--yara-rules", ""])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    bed.bind("test.classifier").await;
    bed.send("a.js", b"1;".to_vec(), |_| {}).await;
    let answer = bed.answer().await;
    assert_eq!(answer.header_str("origin"), Some("test.classifier"));

    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = within(Duration::from_secs(20), "the end of the program", || {
        let status = child.try_wait().unwrap();
        async move { status }
    })
    .await;
    assert_eq!(status.code(), Some(0));
}
