//! The `karton` command, as a program on real servers.

mod act;
mod analysis;
mod doctor;
mod explain;
mod look;
mod new;
mod replay;
mod send;
mod tool;

use std::path::PathBuf;
use std::process::{Output, Stdio};

use std::time::Duration;

use karton_rs::{LocalResource, Task, TaskState, json::Value, testing::eventually};
use serde_json::json;

use crate::bed::Bed;

/// The command with a configuration of its own, away from the files of this machine.
pub struct Cli {
    pub folder: tempfile::TempDir,
    pub ini: PathBuf,
}

impl Cli {
    pub fn on(bed: &Bed) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ini = bed.ini(folder.path());
        Self { folder, ini }
    }

    pub fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_karton"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KARTON_") {
                command.env_remove(name);
            }
        }
        command.arg("--config-file").arg(&self.ini).args(args).current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs it to its end: exit code, stdout, stderr.
    pub async fn run(&self, args: &[&str]) -> (i32, String, String) {
        ended(self.command(args).output().await.unwrap())
    }

    pub async fn answered(&self, args: &[&str], answer: &str) -> (i32, String, String) {
        use tokio::io::AsyncWriteExt;
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(answer.as_bytes()).await.unwrap();
        ended(child.wait_with_output().await.unwrap())
    }

    /// Runs it on a terminal of so many columns, until it ends or is told by the shell `end`, where `$!` is its process:
    /// exit code, and what the terminal has shown.
    pub async fn on_terminal(&self, columns: u16, args: &[&str], end: &str) -> (i32, String) {
        let words: Vec<String> = args.iter().map(|word| format!("'{word}'")).collect();
        let karton = format!("'{}' -c '{}' {}", env!("CARGO_BIN_EXE_karton"), self.ini.display(), words.join(" "));
        let line = format!("stty cols {columns} rows 24; {karton} & {end} wait $!; exit $?");
        let mut command = tokio::process::Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).current_dir(self.folder.path()).env("HOME", self.folder.path());
        let (code, out, err) = ended(command.env("NO_COLOR", "1").stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap());
        (code, out.replace('\r', "") + &err)
    }

    /// Interrupts a command once, as soon as it heeds that; gives how it has ended.
    pub async fn interrupted(&self, mut child: tokio::process::Child) -> (i32, String, String) {
        let pid = child.id().unwrap();
        // Bit 1 of the caught signals is SIGINT.
        let heeds = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
            u64::from_str_radix(&caught, 16).unwrap() & 0b10 != 0
        };
        eventually("a handler of signals", || async { heeds().then_some(()) }).await;
        // Kept open: it waits for what will be typed.
        let typing = child.stdin.take();
        assert!(std::process::Command::new("kill").args(["-INT", &pid.to_string()]).status().unwrap().success());
        let output = tokio::time::timeout(Duration::from_secs(10), child.wait_with_output()).await.expect("an end").unwrap();
        drop(typing);
        ended(output)
    }

    /// Runs it; it must succeed.
    pub async fn out(&self, args: &[&str]) -> String {
        let (code, out, err) = self.run(args).await;
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        out
    }

    /// Runs it with `--json`: the objects it prints.
    pub async fn json(&self, args: &[&str]) -> Vec<Value> {
        objects(&self.out(&[args, &["--json"]].concat()).await)
    }
}

pub fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| Value::parse(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

pub fn number(value: &Value, path: &[&str]) -> u64 {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found.and_then(Value::as_number).and_then(karton_rs::json::Number::as_u64).unwrap_or_else(|| panic!("no number {path:?} in {value}"))
}

/// A routed task as the router leaves it, without a router.
pub fn record(receiver: &str, status: TaskState, headers: &serde_json::Value) -> (String, String) {
    let mut task = Task::new(headers.clone());
    task.set_header("receiver", receiver);
    let uid = task.uid().to_owned();
    let record = task.to_json().replace("\"status\": \"Declared\"", &format!("\"status\": \"{status}\""));
    (uid, record.replace("\"orig_uid\": null", "\"orig_uid\": \"{r}:orig\""))
}

impl Bed {
    /// Puts a task of that status into Redis; a Spawned one into its queue as well.
    pub async fn put(&self, receiver: &str, status: TaskState, headers: &serde_json::Value) -> String {
        let (uid, record) = record(receiver, status, headers);
        let () = self.command(&["SET", &format!("karton.task:{uid}"), &record]).await;
        if status == TaskState::Spawned {
            let () = self.command(&["RPUSH", &format!("karton.queue.normal:{receiver}"), &uid]).await;
        }
        uid
    }

    pub async fn status(&self, uid: &str) -> Option<TaskState> {
        let record: Option<String> = self.command(&["GET", &format!("karton.task:{uid}")]).await;
        record.map(|record| Task::from_json(&record).unwrap().status())
    }

    pub async fn queued(&self, receiver: &str) -> Vec<String> {
        self.command(&["LRANGE", &format!("karton.queue.normal:{receiver}"), "0", "-1"]).await
    }

    pub async fn bind(&self, identity: &str, filters: &serde_json::Value) {
        let bind = json!({"info": null, "version": "5.9.1", "service_version": "1.2.3", "persistent": true, "filters": filters, "is_async": false});
        let () = self.command(&["HSET", "karton.binds", identity, &bind.to_string()]).await;
    }
}

/// A file for the commands that take one.
pub async fn sent_with_file(bed: &Bed, headers: serde_json::Value, content: &[u8]) -> Task {
    let mut task = Task::new(headers);
    task.attach("sample", LocalResource::from_bytes("a.bin", content.to_vec()).unwrap());
    bed.producer().await.send_task(task).await.unwrap()
}
