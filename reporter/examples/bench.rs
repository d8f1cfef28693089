//! Reports the same samples with this reporter and, when `KARTON_PEERS_PYTHON` names an interpreter
//! that has it, with the Python one; prints tasks a second, the CPU time of a task, and the ratio.
//!
//! `cargo run --release -p reporter --example bench [TASKS]` (500). Redis, S3 and MWDB are started here,
//! new for each run; runs alternate. Tasks are samples of 10 KiB with a parent, a tag and a comment.
#![allow(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use karton_rs::{Config, Karton, LocalResource, Task, testing::RedisServer};
use playground_s3::Server;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const QUEUE: &str = "karton.queue.normal:karton.mwdb-reporter";
const RUNS: usize = 3;

/// How long a run may take.
const LIMIT: Duration = Duration::from_mins(10);

/// Runs our reporter with the configuration file that follows.
const SERVE: &str = "--serve";

/// A reporter as a program.
#[derive(Clone)]
struct Program {
    path: PathBuf,
    flag: &'static str,
    concurrency: usize,
}

struct Measured {
    per_second: f64,
    cpu_ms: f64,
}

/// What one run needs.
struct World {
    redis: RedisServer,
    _s3: Server,
    mwdb: CancellationToken,
    folder: tempfile::TempDir,
    ini: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        self.mwdb.cancel();
    }
}

impl World {
    async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let redis = RedisServer::start().await;
        let s3 = Server::start(&folder.path().join("s3"), "127.0.0.1:0".parse()?, "key", "secret").await?;
        s3.ensure_bucket("karton").await?;
        let config = mwdb_lite::Config {
            port: 0,
            sqlite_path: folder.path().join("mwdb.sqlite"),
            uploads_folder: folder.path().join("uploads"),
            admin_password: Some("admin".to_owned()),
            ..mwdb_lite::Config::default()
        };
        let mwdb = CancellationToken::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        tokio::spawn(mwdb_lite::serve(config, mwdb.clone(), move |address| {
            // Nobody waits any more when the start was given up.
            let _ = tell.send(address);
        }));
        let api = format!("http://{}/api/", told.await.context("mwdb-lite does not start")?);
        let ini = folder.path().join("karton.ini");
        let text = format!(
            "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = {}\naccess_key = key\nsecret_key = secret\nbucket = karton\n[mwdb]\napi_url = {api}\nusername = admin\npassword = admin\n",
            redis.port(),
            s3.url()
        );
        std::fs::write(&ini, text)?;
        Ok(Self { redis, _s3: s3, mwdb, folder, ini })
    }

    /// Routed tasks, not queued yet.
    async fn prepare(&self, tasks: usize) -> anyhow::Result<Vec<String>> {
        let config = Config::load_from(&[], std::slice::from_ref(&self.ini), [])?;
        let karton = Karton::connect(&config, "karton.bench", None).await?;
        let mut connection = self.redis.connection().await;
        let mut uids = Vec::new();
        for number in 0..tasks {
            let mut task = Task::new(json!({"type": "sample", "stage": "recognized", "receiver": "karton.mwdb-reporter"}));
            let content = |word: &str| format!("{word} {number} {}", "x".repeat(10 * 1024));
            task.attach("sample", LocalResource::from_bytes("sample.bin", content("sample"))?);
            task.attach("parent", LocalResource::from_bytes("parent.bin", content("parent"))?);
            task.set_payload("tags", vec!["runnable:win32:exe"]);
            task.set_payload("comments", vec!["benchmark"]);
            let sent = karton.send_task(task).await?;
            let key = format!("karton.task:{}", sent.uid());
            let record: String = redis::cmd("GET").arg(&key).query_async(&mut connection).await?;
            let () = redis::cmd("SET").arg(&key).arg(record.replace("\"Declared\"", "\"Spawned\"")).query_async(&mut connection).await?;
            uids.push(sent.uid().to_owned());
        }
        Ok(uids)
    }

    /// Queues the tasks for a program that is up, and waits until the last one is Finished.
    async fn measure(&self, program: &mut Child, uids: &[String]) -> anyhow::Result<Measured> {
        let mut connection = self.redis.connection().await;
        let deadline = Instant::now() + LIMIT;
        loop {
            let known: bool = redis::cmd("HEXISTS").arg("karton.binds").arg("karton.mwdb-reporter").query_async(&mut connection).await?;
            if known {
                break;
            }
            anyhow::ensure!(program.try_wait()?.is_none() && Instant::now() < deadline, "the reporter does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (before, start) = (cpu_ms(program.id())?, Instant::now());
        let () = redis::cmd("RPUSH").arg(QUEUE).arg(uids).query_async(&mut connection).await?;
        loop {
            let done: Option<usize> =
                redis::cmd("HGET").arg("karton.metrics.consumed").arg("karton.mwdb-reporter").query_async(&mut connection).await?;
            if done == Some(uids.len()) {
                break;
            }
            anyhow::ensure!(Instant::now() < deadline, "{done:?} of {} tasks within {LIMIT:?}", uids.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (elapsed, used) = (start.elapsed(), cpu_ms(program.id())? - before);
        let crashed: Option<usize> =
            redis::cmd("HGET").arg("karton.metrics.crashed").arg("karton.mwdb-reporter").query_async(&mut connection).await?;
        anyhow::ensure!(crashed.is_none(), "{crashed:?} tasks crashed");
        let count = f64::from(u32::try_from(uids.len())?);
        Ok(Measured { per_second: count / elapsed.as_secs_f64(), cpu_ms: used / count })
    }
}

/// CPU time that a process has used.
fn cpu_ms(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; what is counted comes after it, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    Ok((ticks(11) + ticks(12)) * 10.0)
}

async fn run(program: &Program, tasks: usize) -> anyhow::Result<Measured> {
    let world = World::start().await?;
    let uids = world.prepare(tasks).await?;
    let log = std::fs::File::create(world.folder.path().join("reporter.log"))?;
    let mut command = Command::new(&program.path);
    command.arg(program.flag).arg(&world.ini).env("HOME", world.folder.path()).current_dir(world.folder.path());
    if program.concurrency > 1 {
        command.env("KARTON_KARTON_CONCURRENCY_LIMIT", program.concurrency.to_string());
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut child = command.spawn().with_context(|| program.path.display().to_string())?;
    let measured = world.measure(&mut child, &uids).await;
    child.kill()?;
    child.wait()?;
    measured
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> anyhow::Result<()> {
    karton_rs::service::install_crypto();
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    // Our reporter is this very program in a process of its own, so that its CPU time can be told.
    if first.as_deref() == Some(SERVE) {
        let file = arguments.next().map(PathBuf::from);
        return tokio::runtime::Runtime::new()?.block_on(reporter::run(Config::load(file.as_deref())?, CancellationToken::new()));
    }
    let tasks = first.map_or(Ok(500), |text| text.parse()).context("TASKS must be a number")?;
    let ours = Program { path: std::env::current_exe()?, flag: SERVE, concurrency: 1 };
    let mut variants = vec![("ours", ours.clone()), ("ours, 8 at once", Program { concurrency: 8, ..ours })];
    if let Some(python) = std::env::var_os("KARTON_PEERS_PYTHON") {
        let path = PathBuf::from(python).with_file_name("karton-mwdb-reporter");
        variants.push(("Python", Program { path, flag: "--config-file", concurrency: 1 }));
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let mut results: Vec<Vec<Measured>> = variants.iter().map(|_| Vec::new()).collect();
    for _ in 0..RUNS {
        for ((_, program), results) in variants.iter().zip(&mut results) {
            results.push(runtime.block_on(run(program, tasks))?);
        }
    }
    println!("{tasks} tasks of two files each, medians of {RUNS} runs");
    let median_of = |runs: &[Measured], pick: fn(&Measured) -> f64| median(runs.iter().map(pick).collect());
    let medians: Vec<(f64, f64)> =
        results.iter().map(|runs| (median_of(runs, |run| run.per_second), median_of(runs, |run| run.cpu_ms))).collect();
    for ((name, _), (per_second, cpu_ms)) in variants.iter().zip(&medians) {
        println!("{name:<16} {per_second:>8.1} tasks/s {cpu_ms:>8.2} ms CPU a task");
    }
    if let [one, many, python] = medians[..] {
        println!("ratio to Python: {:.1}, 8 at once {:.1}", one.0 / python.0, many.0 / python.0);
    } else {
        println!("KARTON_PEERS_PYTHON names no interpreter: nothing to compare with");
    }
    Ok(())
}
