//! The processes that get killed: this test binary itself in another role, and karton-core's services.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use karton_rs::{Config, Consumer, Karton, LocalResource, Task};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Ledger, Process};

/// Every so many tasks, one carries a file.
const WITH_FILE: u64 = 8;

/// What a process is to do.
#[derive(Clone, Copy)]
pub(super) enum Role<'a> {
    /// Processes the tasks of an identity, each in up to so many milliseconds.
    Consume { identity: &'a str, milliseconds: u64 },
    /// Sends numbered tasks, one every so many milliseconds.
    Produce { from: u64, milliseconds: u64 },
}

impl Role<'_> {
    fn words(self) -> [String; 3] {
        match self {
            Self::Consume { identity, milliseconds } => ["consume".to_owned(), identity.to_owned(), milliseconds.to_string()],
            Self::Produce { from, milliseconds } => ["produce".to_owned(), from.to_string(), milliseconds.to_string()],
        }
    }

    /// One of ours.
    pub(super) fn rust(self, ini: &Path, folder: &Path) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["chaos::peer::another_process", "--exact", "--ignored", "--nocapture"]);
        command.env("CHAOS_PEER", self.words().join(" ")).env("CHAOS_INI", ini).env("RUST_LOG", "warn");
        Process::start(command, folder)
    }

    /// One of karton-core's.
    pub(super) fn python(self, python: &Path, ini: &Path, folder: &Path) -> Process {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/chaos.py");
        let mut command = Command::new(python);
        command.arg(script).arg(ini).args(self.words());
        Process::start(command, folder)
    }
}

#[tokio::test]
#[ignore = "a process of the other tests"]
async fn another_process() {
    let Ok(role) = std::env::var("CHAOS_PEER") else { return };
    let words: Vec<&str> = role.split(' ').collect();
    let config = Config::load(Some(Path::new(&std::env::var("CHAOS_INI").unwrap()))).unwrap();
    let ledger = Ledger::new(Path::new("."));
    karton_rs::service::install_crypto();
    karton_rs::service::start_logging(None);
    let number = |index: usize| words[index].parse::<u64>().unwrap();
    match words[0] {
        "consume" => consume(&config, ledger, words[1], number(2)).await,
        "produce" => produce(&config, &ledger, number(1), number(2)).await,
        other => panic!("{other}"),
    }
}

async fn consume(config: &Config, ledger: Ledger, identity: &str, milliseconds: u64) {
    let name = identity.to_owned();
    // The bind is that of the Python consumers: they may be replicas of each other.
    let consumer = Consumer::new(identity).version("1.0.0").filters(json!([{"type": "chaos"}])).concurrency(2);
    let consumer = consumer.process(move |karton: Karton, task: Task| {
        let (ledger, name) = (ledger.clone(), name.clone());
        async move {
            let number = task.payload_as::<u64>("number")?.unwrap_or_default();
            if task.has_payload("file") {
                let content = karton.read(&task.resource("file")?, 1000).await?;
                ensure!(content == format!("content {number}"), "wrong content");
            }
            tokio::time::sleep(Duration::from_millis(number * 7 % (milliseconds + 1))).await;
            ledger.note("processed", &format!("{name} {number}"));
            Ok(())
        }
    });
    consumer.run(config, CancellationToken::new()).await.unwrap();
}

async fn produce(config: &Config, ledger: &Ledger, from: u64, milliseconds: u64) {
    let karton = Karton::prepare(config, "karton.chaos-producer", None).unwrap();
    for number in from.. {
        while ledger.is_held() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut task = Task::new(json!({"type": "chaos"}));
        task.set_payload("number", number);
        if number % WITH_FILE == 0 {
            task.attach("file", LocalResource::from_bytes("file.txt", format!("content {number}")).unwrap());
        }
        // What fails was not acknowledged, whether or not it is processed.
        if karton.send_task(task).await.is_ok() {
            ledger.note("acknowledged", &number.to_string());
        }
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
}
