//! The log of the command. See MWDB API §A3.2.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// A server whose log is read.
fn run(folder: &Path, settings: &[(&str, &str)]) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mwdb-lite"));
    command.args(["run", "--port", "0"]).current_dir(folder).env_clear().env("HOME", folder).kill_on_drop(true);
    command.envs([("MWDB_ADMIN_PASSWORD", "the password of the test"), ("MWDB_SHUTDOWN_GRACE", "1")]).envs(settings.iter().copied());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, lines)
}

async fn line_with(lines: &mut Lines<BufReader<ChildStderr>>, text: &str) -> String {
    let found = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(text) {
                return line;
            }
        }
        panic!("the log ends without `{text}`");
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap_or_else(|_| panic!("no `{text}` in the log"))
}

fn address(line: &str) -> String {
    let start = line.find("http://").unwrap_or_else(|| panic!("no address in {line}"));
    line[start..].trim_end_matches(|character: char| !character.is_ascii_digit()).split('"').next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_json_log_has_one_document_a_line_and_no_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let (_child, mut lines) = run(folder.path(), &[("MWDB_ENABLE_JSON_LOGGER", "1"), ("MWDB_ENABLE_DEBUG_LOG", "1")]);
    let start = line_with(&mut lines, "listens on").await;
    let parsed: Value = serde_json::from_str(&start).unwrap();
    assert_eq!(parsed["level"], "INFO");
    let url = address(parsed["message"].as_str().unwrap());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(format!("{url}/api/file/{}/download?token=secrettoken", "0".repeat(64))).send().await.unwrap();
    http.get(format!("{url}/api/download/secrettoken")).send().await.unwrap();
    let first: Value = serde_json::from_str(&line_with(&mut lines, "\"request\"").await).unwrap();
    assert_eq!((&first["method"], &first["status"]), (&Value::from("GET"), &Value::from(403)));
    assert!(!first.to_string().contains("secrettoken"), "{first}");
    let second = line_with(&mut lines, "\"request\"").await;
    assert!(second.contains("/api/download/...") && !second.contains("secrettoken"), "{second}");
}

#[tokio::test]
async fn the_level_of_the_log_is_a_setting() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, mut lines) = run(folder.path(), &[("MWDB_LOG_LEVEL", "ERROR"), ("MWDB_PORT", "0")]);
    // Nothing is said, and the stop is clean.
    karton_rs::testing::within(Duration::from_secs(20), "the database", || async {
        folder.path().join("mwdb.sqlite-wal").exists().then_some(())
    })
    .await;
    let pid = child.id().unwrap().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.unwrap();
    let mut said = Vec::new();
    while let Some(line) = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await.unwrap().unwrap() {
        said.push(line);
    }
    assert_eq!(said, Vec::<String>::new());
    tokio::time::timeout(Duration::from_secs(5), child.wait()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_karton_that_is_away_is_told_of_once_whatever_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ini = format!(
        "[redis]\nhost = 127.0.0.1\nport = {port}\n[s3]\naddress = http://127.0.0.1:{port}\naccess_key = a\nsecret_key = b\nbucket = karton\n"
    );
    std::fs::write(folder.path().join("karton.ini"), ini).unwrap();
    let (_child, mut lines) = run(folder.path(), &[("MWDB_ENABLE_KARTON", "1"), ("MWDB_ENABLE_DEBUG_LOG", "1")]);
    let url = address(&line_with(&mut lines, "listens on").await);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let login = serde_json::json!({"login": "admin", "password": "the password of the test"});
    let session: Value = http.post(format!("{url}/api/auth/login")).json(&login).send().await.unwrap().json().await.unwrap();
    for number in 0..3 {
        let blob = serde_json::json!({"blob_name": "n", "blob_type": "t", "content": number.to_string()});
        let upload = http.post(format!("{url}/api/blob")).bearer_auth(session["token"].as_str().unwrap()).json(&blob);
        assert_eq!(upload.send().await.unwrap().status(), 200);
    }
    let (mut warnings, mut tried) = (0, std::collections::BTreeSet::new());
    let all_tried = async {
        while tried.len() < 3 {
            let line = lines.next_line().await.unwrap().expect("the server runs");
            warnings += usize::from(line.contains("WARN") && line.contains("Karton cannot be told"));
            tried.extend(line.split_once("analysis=").map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default().to_owned()));
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all_tried).await.expect("all are tried");
    assert_eq!(warnings, 1);
}
