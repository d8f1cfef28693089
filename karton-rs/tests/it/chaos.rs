//! Services that are killed, stopped and cut off, again and again: nothing acknowledged may be lost.
//!
//! Short forms run with the other tests; `make chaos` runs the long ones and prints what they counted
//! (`CHAOS_ROUNDS`, `CHAOS_SECONDS`, `CHAOS_SEED`). The one rule: what was sent and what was done is
//! written down outside of Redis, in files of the test.

mod consumers;
mod fleet;
mod peer;
mod routers;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::bed::Bed;

/// A number of the environment, or what suits a short run.
fn setting(name: &str, short: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

/// Chooses moments and victims; the same ones for the same `CHAOS_SEED`, as far as machines allow.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = setting("CHAOS_SEED", u64::from(clock.subsec_nanos()));
        eprintln!("CHAOS_SEED={seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    async fn pause(&mut self, limit: std::time::Duration) {
        let microseconds = self.below(usize::try_from(limit.as_micros()).unwrap().max(1));
        tokio::time::sleep(std::time::Duration::from_micros(microseconds.try_into().unwrap())).await;
    }
}

/// What the processes of a test have sent and done: one line for each, in files that only grow.
#[derive(Clone)]
struct Ledger {
    folder: PathBuf,
}

impl Ledger {
    fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// A line is one write, so a process that is killed leaves no half of one.
    fn note(&self, book: &str, line: &str) {
        let path = self.folder.join(book);
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Each line and how often it is there.
    fn lines(&self, book: &str) -> BTreeMap<String, usize> {
        let text = std::fs::read_to_string(self.folder.join(book)).unwrap_or_default();
        text.lines().fold(BTreeMap::new(), |mut lines, line| {
            *lines.entry(line.to_owned()).or_default() += 1;
            lines
        })
    }

    fn length(&self, book: &str) -> u64 {
        std::fs::read(self.folder.join(book)).map_or(0, |text| text.iter().map(|byte| u64::from(*byte == b'\n')).sum())
    }

    /// While it holds, producers send nothing: what was sent must be done in time.
    fn hold(&self, held: bool) {
        let path = self.folder.join("hold");
        if held {
            std::fs::write(path, "").unwrap();
        } else {
            let _ = std::fs::remove_file(path);
        }
    }

    fn is_held(&self) -> bool {
        self.folder.join("hold").exists()
    }
}

/// A process of the test; it dies with this value.
struct Process(Child);

impl Process {
    fn start(mut command: Command, folder: &Path) -> Self {
        command.env("HOME", folder).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        // Killed brokers leave their complaints here for whoever looks into a failure.
        let log = std::fs::OpenOptions::new().append(true).create(true).open(folder.join("stderr")).unwrap();
        Self(command.stderr(log).spawn().unwrap())
    }

    fn broker(ini: &Path, folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karton-system"));
        command.arg("--config-file").arg(ini).arg("--log-level").arg("WARNING");
        Self::start(command, folder)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Kills it, also when it is stopped.
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// As when the signs of life of the routers have run out; one that lives gives the next at once.
async fn expire_routers(bed: &Bed) {
    for sign in bed.command::<Vec<String>>(&["KEYS", "karton.rs.router:*"]).await {
        let _: () = bed.command(&["DEL", &sign]).await;
    }
}

/// What no router, queue or consumer may leave behind.
async fn leftovers(bed: &Bed) -> Vec<String> {
    // In one step: a batch may be on its way from one to the other.
    let mut pipeline = redis::pipe();
    pipeline.atomic().keys("karton.rs.inflight:*").exists("karton.tasks").exists("karton.rs.leases").exists("karton.rs.deliveries");
    let (mut left, tasks, leases, deliveries): (Vec<String>, bool, bool, bool) =
        pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
    let there = [(tasks, "karton.tasks"), (leases, "karton.rs.leases"), (deliveries, "karton.rs.deliveries")];
    left.extend(there.iter().filter(|(there, _)| *there).map(|(_, key)| (*key).to_owned()));
    left
}

/// uid and status of every record.
async fn statuses(bed: &Bed) -> BTreeMap<String, String> {
    let keys: Vec<String> = bed.command(&["KEYS", "karton.task:*"]).await;
    let mut pipeline = redis::pipe();
    // An empty pipeline is an error.
    pipeline.ping().ignore();
    keys.iter().for_each(|key| {
        pipeline.get(key);
    });
    let records: Vec<Option<String>> = pipeline.query_async(&mut bed.redis.connection().await).await.unwrap();
    let statuses = keys.iter().zip(records).filter_map(|(key, record)| {
        let task = karton_rs::Task::from_json(&record?).unwrap();
        Some((key.trim_start_matches("karton.task:").to_owned(), task.status().to_string()))
    });
    statuses.collect()
}

/// Everything in the queues of an identity.
async fn queue(bed: &Bed, identity: &str) -> BTreeSet<String> {
    bed.command::<Vec<String>>(&["LRANGE", &format!("karton.queue.normal:{identity}"), "0", "-1"]).await.into_iter().collect()
}
