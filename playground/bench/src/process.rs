//! A process that is measured, and what it has used so far.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::bed::Bed;

/// The kernel counts CPU time in hundredths of a second, everywhere.
const TICKS: f64 = 100.0;

/// Where the programs are that are measured, when not beside this one.
static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();

/// From now on programs are taken from `folder`. For the start: the first who calls decides.
pub(crate) fn use_programs_of(folder: PathBuf) {
    PROGRAMS.get_or_init(|| folder);
}

/// A process of ours or of the reference; it ends with this value.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts this program in another role.
    pub(crate) fn ours(arguments: &[&str], folder: &Path) -> anyhow::Result<Self> {
        Self::start(Self::itself(arguments)?, folder)
    }

    /// The same for a server, which has as many threads as there are processors, as those that are no services have.
    pub(crate) fn server(arguments: &[&str], folder: &Path) -> anyhow::Result<Self> {
        let mut command = Self::itself(arguments)?;
        command.env("TOKIO_WORKER_THREADS", std::thread::available_parallelism()?.to_string());
        Self::start(command, folder)
    }

    fn itself(arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(arguments);
        Ok(command)
    }

    /// Starts the Python side of the same role.
    pub(crate) fn reference(python: &Path, arguments: &[&str], folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(python);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference.py")).args(arguments);
        Self::start(command, folder)
    }

    /// Starts a program that was installed beside the interpreter.
    pub(crate) fn installed(python: &Path, name: &str, arguments: &[&str], folder: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(python.with_file_name(name));
        command.args(arguments);
        Self::start(command, folder)
    }

    /// Starts a program that is measured.
    pub(crate) fn program(name: &str, arguments: &[&str], folder: &Path) -> anyhow::Result<Self> {
        let program = match PROGRAMS.get() {
            Some(programs) => programs.join(name),
            None => std::env::current_exe().context("cannot find this program")?.with_file_name(name),
        };
        anyhow::ensure!(program.is_file(), "there is no `{}`: `make bench` builds it", program.display());
        let mut command = Command::new(&program);
        command.args(arguments);
        Self::start(command, folder)
    }

    /// Starts a service that is measured, with so many tasks in hand at once.
    pub(crate) fn service(name: &str, bed: &Bed, concurrency: usize) -> anyhow::Result<Self> {
        Self::program(name, &["--config-file", &bed.ini(), "--concurrency-limit", &concurrency.to_string()], bed.folder())
    }

    /// Starts a command in a folder, where its errors are written to `stderr`.
    pub(crate) fn start(command: Command, folder: &Path) -> anyhow::Result<Self> {
        Self::start_in(command, folder, folder)
    }

    /// Like [`Self::start`], with the file of errors in another folder.
    pub(crate) fn start_in(mut command: Command, folder: &Path, logs: &Path) -> anyhow::Result<Self> {
        command.env("HOME", folder).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
        let log = std::fs::OpenOptions::new().append(true).create(true).open(logs.join("stderr")).context("cannot open the log")?;
        let child = command.stderr(log).spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    /// The first line that it prints.
    pub(crate) async fn line(&mut self) -> anyhow::Result<String> {
        let stdout = self.child.stdout.take().context("a line was read before")?;
        let read = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).map(|_| line)
        });
        let line = tokio::time::timeout(Duration::from_mins(10), read).await.context("a process printed nothing in ten minutes")???;
        anyhow::ensure!(!line.is_empty(), "a process ended before it had printed its figures");
        Ok(line)
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(&PathBuf::from(format!("/proc/{}", self.child.id())))
    }

    /// What it and all that it has started have used: each process with its own peak.
    pub(crate) fn usage_of_all(&self) -> anyhow::Result<Usage> {
        let mut total = self.usage()?;
        let mut parents = vec![self.child.id().to_string()];
        let mut others: Vec<(String, String)> = std::fs::read_dir("/proc")?
            .flatten()
            .filter_map(|entry| {
                let id = entry.file_name().into_string().ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))?;
                let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
                Some((id, stat.rsplit(')').next()?.split_whitespace().nth(1)?.to_owned()))
            })
            .collect();
        while let Some(parent) = parents.pop() {
            let (children, rest) = others.into_iter().partition(|(_, of)| *of == parent);
            others = rest;
            for (child, _) in children {
                // One that has just ended has nothing to add.
                if let Ok(usage) = Usage::of(&Path::new("/proc").join(&child)) {
                    total.cpu += usage.cpu;
                    total.peak += usage.peak;
                }
                parents.push(child);
            }
        }
        Ok(total)
    }

    /// Asks it to end, and waits for that: what it has started ends with it.
    pub(crate) fn terminate(mut self) {
        if let Some(process) = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap_or_default()) {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.is_running() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and system.
    pub(crate) cpu: f64,
    /// The most memory that was ever resident, in MiB.
    pub(crate) peak: f64,
}

impl Usage {
    /// Reads `/proc/PID` or `/proc/self`.
    pub(crate) fn of(folder: &Path) -> anyhow::Result<Self> {
        let read =
            |name: &str| std::fs::read_to_string(folder.join(name)).with_context(|| format!("cannot read {}/{name}", folder.display()));
        let stat = read("stat")?;
        // The name of the program, in parentheses, may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        let status = read("status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        Ok(Self { cpu: (ticks(11) + ticks(12)) / TICKS, peak: peak.unwrap_or(0.0) / 1024.0 })
    }
}
