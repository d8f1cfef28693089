//! Redis without persistence, S3 on a folder, and what stands in them before a figure is taken.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use karton_rs::testing::RedisServer;
use redis::aio::MultiplexedConnection;

use crate::{Plan, folder, process::Process, report::Who, tasks};

/// Who has most of what is stored in its queue.
const STORED_FOR: &str = "karton.stored";
/// Commands in one round trip of the preparations.
const CHUNK: u64 = 1_000;

pub(crate) struct Bed {
    redis: RedisServer,
    pub(crate) connection: MultiplexedConnection,
    pub(crate) ini: PathBuf,
    pub(crate) s3_url: String,
    folder: PathBuf,
    _s3: Process,
}

impl Bed {
    /// `system`: further lines of the section `[system]`.
    pub(crate) async fn start(stored: u64, system: &str) -> anyhow::Result<Self> {
        let redis = RedisServer::start().await;
        let folder = folder::empty()?;
        let objects = folder.join("objects");
        std::fs::create_dir(&objects)?;
        let mut s3 = Process::server(&["peer-s3", &objects.to_string_lossy()], &folder)?;
        let s3_url = s3.line().await?.trim().to_owned();
        let ini = folder.join("karton.ini");
        let text = format!(
            "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = {s3_url}\naccess_key = access\nsecret_key = secret-key\nbucket = karton\n[system]\n{system}",
            redis.port()
        );
        std::fs::write(&ini, text)?;
        let mut bed = Self { connection: redis.connection().await, redis, ini, s3_url, folder, _s3: s3 };
        bed.store(stored).await?;
        Ok(bed)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.join("objects").join("karton")
    }

    pub(crate) fn redis_port(&self) -> u16 {
        self.redis.port()
    }

    pub(crate) fn ini(&self) -> String {
        self.ini.to_string_lossy().into_owned()
    }

    /// Half of them wait in the queue of a service that is away, half have crashed.
    async fn store(&mut self, count: u64) -> anyhow::Result<()> {
        let queue = format!("karton.queue.normal:{STORED_FOR}");
        for from in (0..count).step_by(1_000) {
            let mut pipeline = redis::pipe();
            for number in from..count.min(from + CHUNK) {
                let waits = number % 2 == 0;
                let (uid, record) = tasks::in_state(if waits { "Spawned" } else { "Crashed" }, Some(STORED_FOR));
                pipeline.set(format!("karton.task:{uid}"), record).ignore();
                if waits {
                    pipeline.rpush(&queue, uid).ignore();
                }
            }
            self.run::<()>(&pipeline).await?;
        }
        Ok(())
    }

    pub(crate) async fn run<T: redis::FromRedisValue>(&mut self, pipeline: &redis::Pipeline) -> anyhow::Result<T> {
        pipeline.query_async(&mut self.connection).await.context("our own Redis refused a command")
    }

    pub(crate) async fn command<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> anyhow::Result<T> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.connection).await.with_context(|| words[0].to_owned())
    }

    /// Seconds of CPU that Redis has used for commands.
    pub(crate) async fn redis_cpu(&mut self) -> anyhow::Result<f64> {
        let told: String = self.command(&["INFO", "cpu"]).await?;
        let used = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
        let both = used("used_cpu_user_main_thread:").zip(used("used_cpu_sys_main_thread:"));
        both.map(|(user, system)| user + system).context("Redis does not tell what CPU it has used")
    }

    /// Registers binds, of which some want samples; gives the queues of those.
    pub(crate) async fn bind(&mut self, binds: usize, matching: usize) -> anyhow::Result<Vec<String>> {
        let mut pipeline = redis::pipe();
        pipeline.del("karton.binds").ignore();
        for number in 0..binds {
            pipeline.hset("karton.binds", format!("karton.bench{number}"), tasks::bind(number < matching, number)).ignore();
        }
        self.run::<()>(&pipeline).await?;
        Ok((0..matching).map(|number| format!("karton.queue.normal:karton.bench{number}")).collect())
    }

    /// Writes records that nobody looks at yet.
    pub(crate) async fn write(&mut self, records: &[(String, String)]) -> anyhow::Result<()> {
        for chunk in records.chunks(1_000) {
            let mut pipeline = redis::pipe();
            for (uid, record) in chunk {
                pipeline.set(format!("karton.task:{uid}"), record).ignore();
            }
            self.run::<()>(&pipeline).await?;
        }
        Ok(())
    }

    /// Puts all uids into a list at once.
    pub(crate) async fn push(&mut self, list: &str, records: &[(String, String)]) -> anyhow::Result<()> {
        let uids: Vec<&String> = records.iter().map(|(uid, _)| uid).collect();
        self.run(redis::pipe().rpush(list, uids).ignore()).await
    }

    /// Removes lists and the records that are named in them.
    pub(crate) async fn clear(&mut self, lists: &[String], records: &[(String, String)]) -> anyhow::Result<()> {
        let mut uids: Vec<String> = records.iter().map(|(uid, _)| uid.clone()).collect();
        for list in lists {
            uids.extend(self.command::<Vec<String>>(&["LRANGE", list, "0", "-1"]).await?);
            let () = self.command(&["UNLINK", list]).await?;
        }
        for chunk in uids.chunks(1_000) {
            let mut pipeline = redis::pipe();
            pipeline.cmd("UNLINK").arg(chunk.iter().map(|uid| format!("karton.task:{uid}")).collect::<Vec<_>>()).ignore();
            self.run::<()>(&pipeline).await?;
        }
        Ok(())
    }

    /// Waits until lists have so many entries in all.
    pub(crate) async fn filled(&mut self, lists: &[String], count: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_mins(5);
        loop {
            let mut pipeline = redis::pipe();
            lists.iter().for_each(|list| {
                pipeline.llen(list);
            });
            let lengths: Vec<usize> = self.run(&pipeline).await?;
            if lengths.iter().sum::<usize>() >= count {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{} of {count} tasks arrived in five minutes", lengths.iter().sum::<usize>());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until a command answers with so much.
    pub(crate) async fn reached(&mut self, command: &[&str], value: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_mins(5);
        while self.command::<Option<usize>>(command).await?.unwrap_or(0) < value {
            anyhow::ensure!(Instant::now() < deadline, "waited five minutes for {command:?} to be {value}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// The broker of ours or of the reference.
    pub(crate) fn broker(&self, plan: &Plan, who: Who) -> anyhow::Result<Option<Process>> {
        let ini = self.ini();
        match (who, &plan.python) {
            (Who::Ours, _) => Process::program("karton-system", &["--setup-bucket", "--config-file", &ini], self.folder()).map(Some),
            (Who::Reference, Some(python)) => {
                Process::installed(python, "karton-system", &["--config-file", &ini], self.folder()).map(Some)
            }
            _ => Ok(None),
        }
    }
}
