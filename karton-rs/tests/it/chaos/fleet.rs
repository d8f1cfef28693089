//! A mixed fleet under everything at once: deaths, stops, cut connections, restarts of Redis.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use karton_rs::testing::within;
use rustix::process::Signal;

use super::{Ledger, Process, Random, expire_routers, peer::Role, setting, statuses};
use crate::{bed::Bed, interop::interpreter};

/// Who consumes: each of these gets every task.
const IDENTITIES: [&str; 3] = ["karton.rust", "karton.python", "karton.mixed"];
/// Processings that are still to come; with more, producers are held.
const BACKLOG: usize = 300;

/// A place in the fleet.
#[derive(Clone, Copy, Debug)]
enum Post {
    RustBroker,
    PythonBroker,
    RustProducer,
    PythonProducer,
    RustConsumer(&'static str),
    PythonConsumer(&'static str),
}

const POSTS: [Post; 11] = [
    Post::RustBroker,
    Post::RustBroker,
    Post::PythonBroker,
    Post::RustProducer,
    Post::PythonProducer,
    Post::RustConsumer("karton.rust"),
    Post::RustConsumer("karton.rust"),
    Post::RustConsumer("karton.mixed"),
    Post::PythonConsumer("karton.python"),
    Post::PythonConsumer("karton.python"),
    Post::PythonConsumer("karton.mixed"),
];

struct Member {
    post: Post,
    process: Process,
    /// Stopped until then.
    stopped: Option<Instant>,
}

/// What was done to the fleet.
#[derive(Debug, Default)]
struct Faults {
    kills: u32,
    stops: u32,
    cut_connections: u32,
    redis_restarts: u32,
    replaced: u32,
}

struct Fleet {
    python: PathBuf,
    ini: PathBuf,
    folder: PathBuf,
    /// Each producer numbers its tasks from here on; none does so twice.
    next_number: u64,
    members: Vec<Member>,
}

impl Fleet {
    fn start(python: &Path, ini: &Path, folder: &Path) -> Self {
        let mut fleet =
            Self { python: python.to_owned(), ini: ini.to_owned(), folder: folder.to_owned(), next_number: 0, members: Vec::new() };
        for post in POSTS {
            let process = fleet.process(post);
            fleet.members.push(Member { post, process, stopped: None });
        }
        fleet
    }

    fn process(&mut self, post: Post) -> Process {
        let produce = Role::Produce { from: self.next_number, milliseconds: 20 };
        self.next_number += 1_000_000;
        let consume = |identity| Role::Consume { identity, milliseconds: 5 };
        let (python, ini, folder) = (&self.python, &self.ini, &self.folder);
        match post {
            Post::RustBroker => Process::broker(ini, folder),
            Post::PythonBroker => {
                let mut command = std::process::Command::new(python.with_file_name("karton-system"));
                // Two kinds of collectors at once may delete each other's objects (Karton protocol §15).
                command.arg("--config-file").arg(ini).arg("--disable-gc");
                Process::start(command, folder)
            }
            Post::RustProducer => produce.rust(ini, folder),
            Post::PythonProducer => produce.python(python, ini, folder),
            Post::RustConsumer(identity) => consume(identity).rust(ini, folder),
            Post::PythonConsumer(identity) => consume(identity).python(python, ini, folder),
        }
    }

    fn replace(&mut self, index: usize) {
        self.members[index].process.kill();
        let process = self.process(self.members[index].post);
        self.members[index].process = process;
        self.members[index].stopped = None;
    }

    /// What a supervisor does: who has ended is started again, who was stopped long enough goes on.
    fn look_after(&mut self, faults: &mut Faults) {
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            if member.stopped.is_some_and(|until| until < Instant::now()) {
                member.process.signal(Signal::CONT);
                member.stopped = None;
            }
            if member.stopped.is_none() && !member.process.is_running() {
                faults.replaced += 1;
                self.replace(index);
            }
        }
    }

    fn stop_for(&mut self, index: usize, time: Duration) {
        self.members[index].process.signal(Signal::STOP);
        self.members[index].stopped = Some(Instant::now() + time);
    }
}

async fn cut_a_connection(bed: &Bed, random: &mut Random) {
    let clients: String = bed.command(&["CLIENT", "LIST"]).await;
    let ids: Vec<&str> = clients.lines().filter_map(|line| line.strip_prefix("id=")?.split(' ').next()).collect();
    let victim = ids[random.below(ids.len())];
    // Our own one among them answers with an error, or not at all.
    let mut connection = bed.redis.connection().await;
    let _: redis::RedisResult<u64> = redis::cmd("CLIENT").arg(&["KILL", "ID", victim]).query_async(&mut connection).await;
}

/// What an acknowledged number still waits for.
fn missing(ledger: &Ledger) -> BTreeSet<String> {
    let processed = ledger.lines("processed");
    let acknowledged = ledger.lines("acknowledged").into_keys();
    let wanted = acknowledged.flat_map(|number| IDENTITIES.map(|identity| format!("{identity} {number}")));
    wanted.filter(|line| !processed.contains_key(line)).collect()
}

#[tokio::test]
async fn a_mixed_fleet_under_all_kinds_of_faults_processes_every_acknowledged_task() {
    let Some(python) = interpreter() else { return };
    let seconds = setting("CHAOS_SECONDS", 12);
    let mut bed = Bed::durable().await;
    bed.config = bed.with_options(&[
        ("karton", "lease_timeout", "2"),
        ("system", "orphan_grace", "1"),
        ("system", "gc_interval", "2"),
        ("system", "max_deliveries", "1000"),
        // In the reference a log record that cannot be published crashes the task (Karton protocol §15).
        ("logging", "enable_publish", "0"),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let (ini, ledger) = (bed.ini(folder.path()), Ledger::new(folder.path()));
    let mut random = Random::new();
    let mut faults = Faults::default();
    // Nothing is sent before everybody has a bind to get it by.
    ledger.hold(true);
    let mut fleet = Fleet::start(&python, &ini, folder.path());
    within(Duration::from_mins(1), "all binds", || async {
        (bed.command::<usize>(&["HLEN", "karton.binds"]).await == IDENTITIES.len()).then_some(())
    })
    .await;
    ledger.hold(false);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut told = Instant::now();
    while Instant::now() < end {
        random.pause(Duration::from_millis(600)).await;
        let victim = random.below(fleet.members.len());
        match random.below(20) {
            0..=7 => {
                faults.kills += 1;
                fleet.replace(victim);
            }
            8..=12 => {
                faults.stops += 1;
                let time = Duration::from_millis(random.below(3_000).try_into().unwrap());
                fleet.stop_for(victim, time);
            }
            13..=18 => {
                faults.cut_connections += 1;
                cut_a_connection(&bed, &mut random).await;
            }
            _ => {
                faults.redis_restarts += 1;
                bed.redis.kill();
                random.pause(Duration::from_secs(1)).await;
                bed.redis.restart().await;
            }
        }
        fleet.look_after(&mut faults);
        let waiting = missing(&ledger);
        ledger.hold(waiting.len() > BACKLOG);
        if told.elapsed() > Duration::from_mins(1) {
            told = Instant::now();
            let of = |identity: &str| waiting.iter().filter(|line| line.starts_with(identity)).count();
            let waiting = IDENTITIES.map(|identity| (identity, of(identity)));
            eprintln!("fleet: {} tasks acknowledged, {waiting:?} wait, {faults:?}", ledger.length("acknowledged"));
        }
    }
    // Peace: nothing more is sent, and everybody starts anew, so that nobody is thought to work on what the dead have left.
    ledger.hold(true);
    (0..fleet.members.len()).for_each(|index| fleet.replace(index));
    expire_routers(&bed).await;
    // What a Python consumer had when Redis was killed may long be its own: sixty times `orphan_grace`.
    let deadline = Instant::now() + Duration::from_mins(3);
    while !missing(&ledger).is_empty() && Instant::now() < deadline {
        fleet.look_after(&mut faults);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (acknowledged, processed, missing) = (ledger.length("acknowledged"), ledger.lines("processed"), missing(&ledger));
    let twice = processed.values().filter(|times| **times > 1).count();
    eprintln!(
        "fleet: {seconds} s, {faults:?}: {acknowledged} tasks acknowledged, {} processings, {} lost, {twice} done more than once",
        processed.len(),
        missing.len()
    );
    assert!(acknowledged > 0 && faults.kills > 0);
    if !missing.is_empty() {
        drop(fleet);
        let dump = folder.keep();
        let numbers: Vec<&str> = missing.iter().filter_map(|line| line.split(' ').next_back()).collect();
        for (uid, status) in statuses(&bed).await {
            let record: Option<String> = bed.command(&["GET", &format!("karton.task:{uid}")]).await;
            let record = record.unwrap_or_default();
            if status != "Finished" || numbers.iter().any(|number| record.contains(&format!("\"number\": {number}}}"))) {
                eprintln!("{status} {record}");
            }
        }
        for list in ["karton.tasks", "karton.queue.normal:karton.python", "karton.queue.normal:karton.rust"] {
            eprintln!("{list}: {:?}", bed.command::<Vec<String>>(&["LRANGE", list, "0", "-1"]).await);
        }
        for sorted in ["karton.rs.leases", "karton.rs.delayed"] {
            eprintln!("{sorted}: {:?}", bed.command::<Vec<String>>(&["ZRANGE", sorted, "0", "-1", "WITHSCORES"]).await);
        }
        panic!("lost: {:?}; see {}", missing.iter().take(20).collect::<Vec<_>>(), dump.display());
    }
}
