//! The tool itself, and the commands that watch and set up.

use karton_rs::{TaskState, testing::eventually};
use serde_json::json;

use super::{Cli, number, objects, text};
use crate::bed::Bed;

#[tokio::test]
async fn logs_show_records_of_services_without_their_escapes() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let mut child = cli.command(&["logs", "--filter", "karton.*"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let record = json!({"type": "log", "name": "karton.x", "levelname": "ERROR", "message": "a \u{1b}[2J\nb"}).to_string();
    eventually("a listener", || async {
        let listeners: u64 = bed.command(&["PUBLISH", "karton.log.error.karton.x", &record]).await;
        (listeners > 0).then_some(())
    })
    .await;
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "[ERROR] karton.x: a \\x1b[2J");
    assert_eq!(lines.next_line().await.unwrap().unwrap(), "b");
    assert!(std::process::Command::new("kill").args(["-TERM", &child.id().unwrap().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn list_and_delete_do_what_the_reference_does() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.gone", &json!([{"type": "x"}])).await;
    let table = cli.out(&["list"]).await;
    let row = format!("{:<50} {:<10} 5.9.1", "karton.gone", "1.2.3");
    assert_eq!(table.lines().nth(2), Some(row.as_str()));
    assert!(cli.out(&["list", "-o", "json"]).await.starts_with(r#"{"filters": [{"type": "x"}]"#));
    assert_eq!(cli.answered(&["delete", "karton.gone"], "karton.other\n").await.0, 1);
    let (code, _, err) = cli.answered(&["delete", "karton.gone"], "karton.gone\n").await;
    assert_eq!(code, 0, "{err}");
    let bind: String = bed.command(&["HGET", "karton.binds", "karton.gone"]).await;
    assert!(bind.contains("\"filters\": []") && bind.contains("\"persistent\": false"), "{bind}");
    assert_eq!(cli.run(&["delete", "karton.unknown"]).await.0, 1);
    assert_eq!(text(&cli.json(&["delete", "--yes", "karton.gone"]).await[0], "identity"), "karton.gone");
}

#[tokio::test]
async fn top_prints_one_snapshot_into_a_pipe() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.a", &json!([])).await;
    bed.put("karton.a", TaskState::Spawned, &json!({})).await;
    let () = bed.command(&["HSET", "karton.metrics.consumed", "karton.a", "41"]).await;
    let rows = cli.json(&["top", "--interval", "0.1s"]).await;
    assert_eq!((rows.len(), number(&rows[0], &["pending"]), number(&rows[0], &["consumed"])), (1, 1, 41));
    let table = cli.out(&["top", "--interval", "0.1s"]).await;
    assert!(table.starts_with("0 for the broker, 1 in queues") && !table.contains('\x1b'), "{table}");
}

#[tokio::test]
async fn top_draws_on_a_terminal_as_often_as_asked_and_ends_well() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    bed.bind("karton.a", &json!([])).await;
    let drawn = |shown: &str| shown.matches("0 for the broker").count();
    let (code, shown) = cli.on_terminal(80, &["top", "--count", "1", "--interval", "0.1s"], "").await;
    assert!(code == 0 && drawn(&shown) == 1 && !shown.contains('\x1b'), "{code} {shown}");
    let (code, shown) = cli.on_terminal(80, &["top", "--count", "3", "--interval", "0.1s"], "").await;
    assert_eq!((code, drawn(&shown)), (0, 3), "{shown}");
    // Seen enough, once it has drawn.
    let looks = "while ! redis-cli -p PORT CLIENT LIST | grep -q name=karton.cli; do :; done; kill -INT $!;";
    let looks = looks.replace("PORT", &bed.redis.port().to_string());
    let (code, shown) = cli.on_terminal(80, &["top"], &looks).await;
    assert!(code == 0 && !shown.contains("error"), "{code} {shown}");
}

#[tokio::test]
async fn completions_and_manual_pages_name_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let karton = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_karton")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let pages = folder.path().join("man");
    karton(&["man", pages.to_str().unwrap()]);
    for shell in ["bash", "zsh", "fish"] {
        let script = karton(&["completions", shell]);
        for command in ["queues", "tasks", "explain", "replay", "doctor"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let page = std::fs::read_to_string(pages.join("karton-restart.1")).unwrap();
    assert!(page.contains(".TH karton-restart 1") && page.contains("dry\\-run"), "{page}");
    assert!(pages.join("karton-quarantine-list.1").is_file());
    let (help, page) = (karton(&["--help"]), std::fs::read_to_string(pages.join("karton.1")).unwrap());
    assert!(help.contains("Exit codes") && help.starts_with("Look into Karton") && page.contains("Look into Karton"), "{help}{page}");
    assert!(!help.contains("```") && !page.contains("assert"), "{help}{page}");
    assert!(karton(&["configure", "--help"]).contains("the one that `-c` names"));
    // What a command does beyond its first line is told as well.
    for (command, told) in
        [("restart", "take Crashed tasks alone"), ("cancel", "is cancelled with"), ("wait", "Exit codes"), ("replay", "of its own")]
    {
        assert!(karton(&[command, "--help"]).contains(told), "{command}");
    }
    // Every command says how it is used.
    for command in [
        "list",
        "queues",
        "tasks",
        "task",
        "analysis",
        "wait",
        "send",
        "restart",
        "cancel",
        "quarantine",
        "explain",
        "replay",
        "doctor",
        "top",
        "logs",
        "delete",
        "configure",
        "new",
    ] {
        assert!(karton(&[command, "--help"]).contains("Usage: karton"), "{command}");
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_be_used_is_wrong_usage() {
    let bed = Bed::start().await;
    let mut cli = Cli::on(&bed);
    std::fs::write(&cli.ini, "[redis]\nhost = 127.0.0.1\n").unwrap();
    let (code, out, err) = cli.run(&["queues"]).await;
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    let files = format!("missing section `[s3]` in `karton.ini` and `{}`", cli.ini.display());
    assert!(err.contains(&files), "{err}");
    cli.ini = cli.folder.path().join("missing.ini");
    let (code, _, err) = cli.run(&["tasks"]).await;
    assert_eq!((code, err.contains("missing.ini")), (2, true), "{err}");
    // A folder does exist.
    cli.ini = cli.folder.path().to_owned();
    for command in [&["tasks"][..], &["doctor"], &["configure", "--force"]] {
        let (code, out, err) = cli.run(command).await;
        let told = format!("{out}{err}");
        assert!(code != 0 && told.contains("is a folder: name the file") && !told.contains("not exist"), "{command:?}: {told}");
    }
}

#[tokio::test]
async fn a_standard_file_that_this_user_may_not_read_is_left_out_with_a_warning() {
    let bed = Bed::start().await;
    let cli = Cli::on(&bed);
    let folder = cli.folder.path().join(".config/karton");
    std::fs::create_dir_all(&folder).unwrap();
    // A file that even root cannot read.
    std::os::unix::fs::symlink("/proc/self/mem", folder.join("karton.ini")).unwrap();
    let (code, _, err) = cli.run(&["list"]).await;
    assert!(code == 0 && err.contains("cannot read") && err.contains("left out"), "{code} {err}");
    let findings = objects(&cli.run(&["doctor", "--json"]).await.1);
    assert!(findings.iter().any(|finding| text(finding, "level") == "warning" && text(finding, "message").contains("left out")));
}

#[tokio::test]
async fn configure_asks_again_for_what_is_wrong_and_writes_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let bed = Bed::start().await;
    let mut cli = Cli::on(&bed);
    let (address, port) = (bed.config.get("s3", "address").unwrap(), bed.redis.port());
    cli.ini = cli.folder.path().join("new.ini");
    // It was for everybody.
    std::fs::write(&cli.ini, "").unwrap();
    std::fs::set_permissions(&cli.ini, std::fs::Permissions::from_mode(0o644)).unwrap();
    let s3 = format!("access\nsecret-key\n{address}\nkarton\n");
    let redis = |port: &str| format!("127.0.0.1\n{port}\n\n");
    let answers = [s3, redis("63x79"), "yes\n".to_owned(), redis("66000"), "yes\n".to_owned(), redis(&port.to_string())].concat();
    let (code, out, err) = cli.answered(&["configure", "--force"], &answers).await;
    assert!(code == 0 && out.contains("`63x79` is not a whole number") && out.contains("66000 is not a port"), "{out}{err}");
    assert_eq!(std::fs::metadata(&cli.ini).unwrap().permissions().mode() & 0o777, 0o600);
    cli.out(&["queues"]).await;
    std::fs::remove_file(&cli.ini).unwrap();
    let (code, out, err) = cli.answered(&["configure"], &answers).await;
    assert_eq!((code, std::fs::metadata(&cli.ini).unwrap().permissions().mode() & 0o777), (0, 0o600), "{out}{err}");
    // Whoever has had enough is told what is wrong.
    let wrong = [&answers[..answers.find("yes").unwrap()], "no\n"].concat();
    let (code, _, err) = cli.answered(&["configure", "--force"], &wrong).await;
    assert_eq!((code, err.contains("63x79")), (2, true), "{err}");
}

#[tokio::test]
async fn configure_asks_nothing_when_the_answers_cannot_be_written() {
    let bed = Bed::start().await;
    let mut cli = Cli::on(&bed);
    let (address, port) = (bed.config.get("s3", "address").unwrap(), bed.redis.port());
    let answers = format!("access\nsecret-key\n{address}\nkarton\n127.0.0.1\n{port}\n\n");
    // The folder is made.
    let folder = cli.folder.path().join("new/folder");
    cli.ini = folder.join("karton.ini");
    let (code, out, err) = cli.answered(&["configure"], &answers).await;
    assert!(code == 0 && cli.ini.is_file(), "{out}{err}");
    // Who leaves gets no file, and keeps the one that was there.
    let written = std::fs::read(&cli.ini).unwrap();
    for (name, args) in [("other.ini", &["configure"][..]), ("karton.ini", &["configure", "--force"])] {
        cli.ini = folder.join(name);
        let (code, out, err) = cli.answered(args, "access\n").await;
        assert!(code == 1 && err.contains("no answer"), "{out}{err}");
    }
    assert!(!folder.join("other.ini").exists() && std::fs::read(folder.join("karton.ini")).unwrap() == written);
    // A file stands where a folder would have to.
    cli.ini = folder.join("karton.ini/karton.ini");
    let (code, out, err) = cli.run(&["configure"]).await;
    assert!(code == 1 && err.contains("cannot write") && err.contains("-c FILE") && !err.contains("access key"), "{out}{err}");
}
