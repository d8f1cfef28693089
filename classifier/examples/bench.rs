//! Classifies small files end to end, with our service and with the Python one under the same conditions.
//!
//! `cargo build --release -p classifier && cargo run --release -p classifier --example bench`. The Python service is
//! that of the environment which `KARTON_PEERS_PYTHON` names; without it only ours is measured. All tasks wait in
//! the queue before the service starts; counted is from its first answer to its last.
#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a program for developers, which may end with a panic")]

#[path = "../tests/it/bed.rs"]
#[allow(dead_code, unreachable_pub)]
mod bed;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bed::Bed;
use clap::Parser;
use classifier::IDENTITY;
use karton_rs::testing::within;

/// Files per second of the classifiers, end to end
#[derive(Parser)]
struct Arguments {
    /// Samples in a run
    #[arg(long, default_value_t = 1000)]
    samples: usize,
    /// Runs of each service, taking turns
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How many tasks ours has in hand at once
    #[arg(long, default_value_t = 1)]
    concurrency: u32,
    /// Our program
    #[arg(long, value_name = "FILE")]
    ours: Option<PathBuf>,
    /// Folder with YARA rules for both
    #[arg(long, value_name = "DIR")]
    yara_rules: Option<PathBuf>,
}

/// What a run gave.
#[derive(Clone, Copy)]
struct Figures {
    /// From the start of the process to its bind.
    ready: Duration,
    files_per_second: f64,
    cpu_per_file: Duration,
    peak_mib: f64,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    // This program lies in `examples` beside the program to measure.
    let beside = || std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().join("karton-classifier");
    let program = arguments.ours.as_ref().map_or_else(beside, |ours| std::path::absolute(ours).unwrap());
    let mut ours = vec![program.into_os_string()];
    ours.extend(["--concurrency-limit".into(), arguments.concurrency.to_string().into()]);
    let python =
        std::env::var_os("KARTON_PEERS_PYTHON").map(|python| vec![Path::new(&python).with_file_name("karton-classifier").into_os_string()]);
    let services: Vec<(&str, Vec<_>)> = python.map(|python| ("python", python)).into_iter().chain([("ours", ours)]).collect();

    println!("{:8} {:>10} {:>12} {:>14} {:>10}", "service", "ready ms", "files/s", "CPU us a file", "peak MiB");
    let mut all: Vec<Vec<Figures>> = vec![Vec::new(); services.len()];
    for _ in 0..arguments.runs {
        for ((name, command), figures) in services.iter().zip(&mut all) {
            let run = measure(command, &arguments).await;
            print(name, run);
            figures.push(run);
        }
    }
    for ((name, _), figures) in services.iter().zip(&mut all) {
        figures.sort_by(|a, b| a.files_per_second.total_cmp(&b.files_per_second));
        print(&format!("{name}*"), figures[figures.len() / 2]);
    }
    if let [python, ours] = &all[..] {
        let rate = |figures: &[Figures]| figures[figures.len() / 2].files_per_second;
        println!("ours is {:.1} times the reference (* = the run in the middle)", rate(ours) / rate(python));
    }
}

fn print(name: &str, figures: Figures) {
    let Figures { ready, files_per_second, cpu_per_file, peak_mib } = figures;
    println!("{name:8} {:>10} {files_per_second:>12.0} {:>14} {peak_mib:>10.1}", ready.as_millis(), cpu_per_file.as_micros());
}

async fn measure(command: &[std::ffi::OsString], arguments: &Arguments) -> Figures {
    let mut bed = Bed::start().await;
    let folder = tempfile::tempdir().unwrap();
    let rules = arguments.yara_rules.as_ref().map_or_else(String::new, |rules| format!("[classifier]\nyara_rules = {}\n", rules.display()));
    let ini = format!(
        "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = {}\naccess_key = mwdb\nsecret_key = mwdbmwdb\nbucket = karton\n[logging]\nlevel = WARNING\n{rules}",
        bed.redis.port(),
        bed.s3.url(),
    );
    fs::write(folder.path().join("karton.ini"), ini).unwrap();
    let start = || Service::start(command, folder.path());

    // The first start registers the bind, so that the tasks wait for the second.
    let started = Instant::now();
    let first = start();
    bed.bind(IDENTITY).await;
    let ready = started.elapsed();
    first.stop().await;
    for content in samples().iter().cycle().take(arguments.samples) {
        bed.send("sample", content.clone(), |_| {}).await;
    }
    let redis = bed.redis.connection().await;
    within(Duration::from_mins(2), "the tasks in the queue", || {
        let mut redis = redis.clone();
        async move {
            let waiting: usize = redis::cmd("LLEN").arg(format!("karton.queue.normal:{IDENTITY}")).query_async(&mut redis).await.unwrap();
            (waiting >= arguments.samples).then_some(())
        }
    })
    .await;

    let service = start();
    bed.answer().await;
    let (began, cpu) = (Instant::now(), service.cpu());
    for _ in 1..arguments.samples {
        bed.answer().await;
    }
    let (took, cpu) = (began.elapsed(), service.cpu().saturating_sub(cpu));
    let counted = u32::try_from(arguments.samples - 1).unwrap();
    let peak_mib = service.peak_mib();
    service.stop().await;
    Figures { ready, files_per_second: f64::from(counted) / took.as_secs_f64(), cpu_per_file: cpu / counted, peak_mib }
}

/// The labelled files of the tests.
fn samples() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/files");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).filter(|content| !content.is_empty()).collect()
}

/// A service in a process of its own.
struct Service(Child);

impl Service {
    fn start(command: &[std::ffi::OsString], folder: &Path) -> Self {
        let (program, flags) = command.split_first().unwrap();
        let child =
            Command::new(program).args(flags).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", program.display())))
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).expect("the service runs")
    }

    /// Used so far, in user and kernel.
    fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // The name, in parentheses, may hold blanks.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    fn peak_mib(&self) -> f64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    async fn stop(mut self) {
        let told = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(told.success());
        tokio::task::spawn_blocking(move || self.0.wait()).await.unwrap().unwrap();
    }
}
