//! The program itself: flags, exit codes, signals, and `classify`.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use karton_rs::testing::within;

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

/// By flag, environment and file, in this order.
fn started_with_rules(rules: &str) -> [(Option<i32>, String, String); 3] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("karton.ini"), INI).unwrap();
    let by_flag = output(program(folder.path()).args(["--yara-rules", rules]));
    let by_environment = output(program(folder.path()).env("KARTON_CLASSIFIER_YARA_RULES", rules));
    std::fs::write(folder.path().join("karton.ini"), format!("{INI}[classifier]\nyara_rules = {rules}\n")).unwrap();
    let by_file = output(&mut program(folder.path()));
    [by_flag, by_environment, by_file]
}

#[test]
#[cfg(not(feature = "yara"))]
fn yara_rules_are_refused_in_a_build_without_them() {
    for (code, _, stderr) in started_with_rules("rules") {
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("(`rules`), but this build has no YARA support"), "{stderr}");
    }
}

#[test]
#[cfg(feature = "yara")]
fn yara_rules_that_cannot_be_used_are_code_two_with_file_and_line() {
    for (code, _, stderr) in started_with_rules("no-such-folder") {
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("[classifier] yara_rules (") && stderr.contains("`no-such-folder` is not a folder"), "{stderr}");
    }
    let rules = path("yara/syntax-error");
    let file = rules.join("r.yar");
    for (code, _, stderr) in started_with_rules(rules.to_str().unwrap()) {
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(&format!("{}:1: unknown identifier `not_a_thing`", file.display())), "{stderr}");
    }
}

#[test]
fn flags_may_be_shortened_as_in_python() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("other.ini"), INI).unwrap();
    let (code, _, stderr) = output(program(folder.path()).args(["--config", "other.ini", "--log", "INFO", "--yara", "no-such-folder"]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("[classifier] yara_rules (set by --yara-rules)"), "{stderr}");
}

#[test]
fn version_and_first_line_of_help_are_those_of_the_python_program() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, _) = output(program(folder.path()).arg("--version"));
    assert_eq!((code, stdout.as_str()), (Some(0), "2.2.0\n"));
    let (code, stdout, _) = output(program(folder.path()).arg("--help"));
    assert_eq!((code, stdout.lines().next()), (Some(0), Some("File type classifier for the Karton framework.")));
    let (code, ..) = output(program(folder.path()).arg("--nonsense"));
    assert_eq!(code, Some(2));
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
    let lines: Vec<Vec<&str>> = stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0][..2], ["a.bin", "runnable:win32:exe"]);
    assert_eq!(lines[0][3..5], ["pe", "the description starts with `PE32`"]);
    assert!(lines[0][5].starts_with("PE32 executable"), "{stdout}");
    assert_eq!(lines[1], ["b", "-", "application/octet-stream", "none", "no rule holds", "data"]);
    assert_eq!(
        lines[2],
        ["tab\\there.js", "script:win32:js", "application/x-empty", "winscript-ext-js", "the name ends in `.js`", "empty"]
    );
    assert_eq!(lines.len(), 3);
    assert!(stderr.contains("cannot read `missing`") && stderr.contains("`.` is not a file"), "{stderr}");

    let (code, stdout, _) = output(program(folder.path()).args(["classify", "--json", "b", "a.bin"]));
    assert_eq!(code, Some(0));
    let lines: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["magic"], "data");
    assert_eq!(lines[0]["tasks"][0]["headers"]["stage"], "unrecognized");
    assert_eq!(lines[0]["tasks"][0]["tags"], serde_json::json!([]));
    let expected = serde_json::json!({
        "type": "sample", "stage": "recognized", "kind": "runnable", "quality": "high", "platform": "win32", "extension": "exe",
        "mime": "application/vnd.microsoft.portable-executable",
    });
    assert_eq!(lines[1]["tasks"][0]["headers"], expected);
    assert_eq!(lines[1]["tasks"][0]["tags"], serde_json::json!(["runnable:win32:exe"]));
}

#[tokio::test]
async fn classify_opens_nothing_but_files() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    std::os::unix::fs::symlink("pipe", folder.path().join("link")).unwrap();
    std::fs::write(folder.path().join("a.js"), "1;").unwrap();
    let odd = ["pipe", "socket", "link", "/dev/zero", "."];
    let mut command = program(folder.path());
    command.arg("classify").args(odd).arg("a.js").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let ended = within(Duration::from_secs(20), "the end of the program", || {
        let status = child.try_wait().unwrap();
        async move { status }
    })
    .await;
    let Output { stdout, stderr, .. } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(ended.code(), Some(1), "{stderr}");
    assert_eq!(stderr.lines().collect::<Vec<_>>(), odd.map(|name| format!("`{name}` is not a file")));
    assert!(stdout.starts_with("a.js\tscript:win32:js\t") && stdout.lines().count() == 1, "{stdout}");
}

#[test]
fn classify_reads_standard_input_under_a_given_name() {
    let folder = tempfile::tempdir().unwrap();
    let noise = || std::fs::File::open(path("files/noise-a.bin")).unwrap();
    let (code, stdout, _) = output(program(folder.path()).args(["classify", "-"]).stdin(noise()));
    assert_eq!((code, stdout.split('\t').nth(1)), (Some(0), Some("-")), "{stdout}");
    let (code, stdout, _) = output(program(folder.path()).args(["classify", "--name", "a.js", "-"]).stdin(noise()));
    assert_eq!((code, stdout.split('\t').nth(1)), (Some(0), Some("script:win32:js")), "{stdout}");

    let (code, _, stderr) = output(program(folder.path()).args(["classify", "--name", "a.js", "a", "b"]));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("`--name` is the name of one sample"), "{stderr}");
    let (code, ..) = output(program(folder.path()).args(["classify"]));
    assert_eq!(code, Some(2));
}

#[test]
fn classify_explains_which_rules_were_tried() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(path("files/zip-android.bin"), folder.path().join("a")).unwrap();
    let (code, stdout, _) = output(program(folder.path()).args(["classify", "--explain", "a"]));
    assert_eq!(code, Some(0));
    let squeezed = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "rule pe no the description does not start with `PE32+`",
        "rule apk-ext no the extension of the name is not `apk`",
        "rule apk-zip yes the description starts with `Android package (APK)`; the zip archive has an entry `AndroidManifest.xml`",
        "tag runnable:android:apk",
        "platform=android extension=apk mime=",
    ] {
        assert!(squeezed.contains(expected), "{expected}\n{stdout}");
    }
    assert!(!stdout.contains("rule jar"), "nothing is tried behind the rule that decides: {stdout}");

    let (_, stdout, _) = output(program(folder.path()).args(["classify", "--explain", "--json", "a"]));
    let object: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(object["tried"].as_array().unwrap().last().unwrap()["rule"], "apk-zip");
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
