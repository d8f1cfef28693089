//! Starting, stopping, starting again.

use std::process::Command;
use std::time::Duration;

use crate::{
    playground::{Playground, tags},
    samples,
};

#[tokio::test]
async fn a_second_start_keeps_everything_and_is_ready_within_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Playground::start(folder.path()).await;
    let sample = first.upload("hello.elf", samples::elf()).await;
    let id = sample["id"].as_str().unwrap().to_owned();
    first.finished(&id).await;
    let (status, took) = first.stop();
    assert!(status.success(), "{status}\n{}", first.log());
    assert!(took < Duration::from_secs(5), "stopping took {took:?}");
    let mut second = Playground::start(folder.path()).await;
    let mut ready_after = vec![second.ready_after];
    // Other tests use the same disk: a start that had to wait for it says nothing of ours.
    while ready_after.iter().all(|after| *after >= Duration::from_secs(2)) {
        assert!(ready_after.len() < 5, "ready after {ready_after:?}");
        assert!(second.stop().0.success(), "{}", second.log());
        second = Playground::start(folder.path()).await;
        ready_after.push(second.ready_after);
    }
    let object = second.get(&format!("file/{id}")).await;
    assert_eq!(tags(&object), ["runnable:linux:elf"]);
    assert_eq!(second.get(&format!("file/{id}/karton")).await["analyses"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_left_behind_after_a_stop_and_a_killed_one_can_be_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut playground = Playground::start(folder.path()).await;
    let data = folder.path().join("data").display().to_string();
    let (status, _) = playground.stop();
    assert!(status.success());
    assert_eq!(processes_that_name(&data), Vec::<String>::new());
    let mut killed = Playground::start(folder.path()).await;
    let sample = killed.upload("hello.elf", samples::elf()).await;
    let port = killed.redis.rsplit(':').next().unwrap().to_owned();
    killed.kill();
    // Its redis-server may still be there, on the very port.
    let again = Playground::start_with(folder.path(), &["--redis-port", &port]).await;
    let object = again.finished(sample["id"].as_str().unwrap()).await;
    assert_eq!(tags(&object), ["runnable:linux:elf"]);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_service_and_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, service) in [("--mwdb-port", "mwdb"), ("--s3-port", "s3"), ("--redis-port", "redis")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_playground"));
        command.args(["up", "--json", "--data"]).arg(folder.path().join(service));
        for other in ["--mwdb-port", "--s3-port", "--redis-port"] {
            command.args([other, if other == flag { &port } else { "0" }]);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert_eq!(output.status.code(), Some(2), "{flag}: {text}");
        assert!(text.contains(service) && text.contains(flag) && text.contains(&port), "{flag}: {text}");
    }
}

/// The command lines of all processes that hold a text.
fn processes_that_name(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(text)).collect()
}
