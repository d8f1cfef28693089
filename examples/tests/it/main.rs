//! The examples as programs, in a pipeline of their own.
#![allow(clippy::unwrap_used)]

mod documented;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use karton_rs::testing::{RedisServer, eventually, within};
use karton_rs::{Config, Consumer, Inspect, Karton, LocalResource, Task, system};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Redis, S3 and the broker.
struct Pipeline {
    config: Config,
    karton_ini: PathBuf,
    folder: tempfile::TempDir,
    _broker: AbortOnDropHandle<()>,
    _s3: playground_s3::Server,
    _redis: RedisServer,
}

impl Pipeline {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = RedisServer::start().await;
        let s3 = playground_s3::Server::start(&folder.path().join("s3"), "127.0.0.1:0".parse().unwrap(), "key", "secret").await.unwrap();
        let redis_section = format!("[redis]\nhost = 127.0.0.1\nport = {}\n", redis.port());
        let s3_section = format!("[s3]\naddress = {}\naccess_key = key\nsecret_key = secret\nbucket = karton\n", s3.url());
        let text = redis_section + &s3_section;
        let karton_ini = folder.path().join("karton.ini");
        std::fs::write(&karton_ini, &text).unwrap();
        let config = Config::from_parts(&[("karton.ini", &text)], []).unwrap();
        let broker = config.clone();
        let broker = tokio::spawn(async move { Box::pin(system::run(broker, true, CancellationToken::new())).await.unwrap() });
        Self { config, karton_ini, folder, _broker: AbortOnDropHandle::new(broker), _s3: s3, _redis: redis }
    }

    fn run(&self, program: &str) -> Program {
        let log = std::fs::File::create(self.folder.path().join("log.txt")).unwrap();
        let mut command = Command::new(program);
        command.arg("--config-file").arg(&self.karton_ini).current_dir(self.folder.path());
        Program(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log.txt")).unwrap()
    }

    async fn bound(&self, identity: &str) {
        let inspect = Inspect::new(&self.config, "karton.test", None).unwrap();
        eventually(identity, || async { inspect.binds().await.ok()?.iter().any(|bind| bind.identity == identity).then_some(()) }).await;
    }

    /// A consumer whose tasks come out of the channel, with the content of their samples.
    async fn collect(&self, filters: serde_json::Value) -> mpsc::UnboundedReceiver<(Task, Vec<u8>)> {
        let (tell, told) = mpsc::unbounded_channel();
        let collector = Consumer::new("karton.collector").filters(filters).process(move |karton, task| {
            let tell = tell.clone();
            async move {
                let content = karton.read(&task.resource("sample")?, 1 << 20).await?;
                tell.send((task, content.to_vec()))?;
                Ok(())
            }
        });
        let config = self.config.clone();
        tokio::spawn(async move { collector.run(&config, CancellationToken::new()).await });
        self.bound("karton.collector").await;
        told
    }

    async fn send(&self, headers: serde_json::Value, content: &[u8]) {
        let karton = Karton::connect(&self.config, "karton.test", None).await.unwrap();
        let mut task = Task::new(headers);
        task.attach("sample", LocalResource::from_bytes("sample.bin", content.to_vec()).unwrap());
        karton.send_task(task).await.unwrap();
    }
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn strings_become_a_resource_whose_parent_is_the_sample() {
    let pipeline = Pipeline::start().await;
    let _service = pipeline.run(env!("CARGO_BIN_EXE_strings"));
    let mut collected = pipeline.collect(json!([{"stage": "analyzed"}])).await;
    pipeline.bound("karton.strings").await;
    // The second run lies across the edge of a chunk, the third is cut because it is too long, the last has no end.
    let content = [b"abc\0first\x01".to_vec(), vec![0; 65525], b"second\xff".to_vec(), vec![b'x'; 4100], b"\nlast".to_vec()].concat();
    pipeline.send(json!({"type": "sample", "stage": "recognized"}), &content).await;
    let (task, found) = tokio::time::timeout(Duration::from_secs(20), collected.recv()).await.unwrap().unwrap();
    assert_eq!(task.resource("parent").unwrap().name, "sample.bin");
    let lines: Vec<_> = found.split(|&byte| byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    assert_eq!(lines, ["first", "second", &"x".repeat(4096), "xxxx", "last", ""]);
}

#[tokio::test]
async fn the_producer_sends_files_as_raw_samples() {
    let pipeline = Pipeline::start().await;
    let mut collected = pipeline.collect(json!([{"type": "sample", "kind": "raw"}])).await;
    let file = pipeline.folder.path().join("some file.bin");
    std::fs::write(&file, b"content").unwrap();
    let produce = async |path: &Path| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_producer"));
        command.arg("--config-file").arg(&pipeline.karton_ini).arg(path).current_dir(pipeline.folder.path()).output().await.unwrap()
    };
    let sent = produce(&file).await;
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let (task, content) = tokio::time::timeout(Duration::from_secs(20), collected.recv()).await.unwrap().unwrap();
    assert_eq!((task.resource("sample").unwrap().name.as_str(), content.as_slice()), ("some file.bin", b"content".as_slice()));
    assert!(String::from_utf8_lossy(&sent.stderr).contains(&format!("analysis {}", task.root_uid())));
    assert_eq!(produce(Path::new("missing")).await.status.code(), Some(1));
}

#[tokio::test]
async fn the_consumer_logs_what_was_recognized() {
    let pipeline = Pipeline::start().await;
    let _service = pipeline.run(env!("CARGO_BIN_EXE_consumer"));
    pipeline.bound("karton.example-consumer").await;
    pipeline.send(json!({"type": "sample", "stage": "recognized", "kind": "runnable", "platform": "linux"}), b"x").await;
    let line = "sample.bin: kind runnable, platform linux, extension -";
    within(Duration::from_secs(20), line, || async { pipeline.log().contains(line).then_some(()) }).await;
}

#[tokio::test]
async fn the_log_consumer_prints_records_of_services() {
    let pipeline = Pipeline::start().await;
    let _logs = pipeline.run(env!("CARGO_BIN_EXE_log_consumer"));
    let others = pipeline.folder.path().join("others");
    std::fs::create_dir(&others).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_consumer"));
    command.arg("--config-file").arg(&pipeline.karton_ini).current_dir(others).stdin(Stdio::null()).stdout(Stdio::null());
    let _service = Program(command.stderr(Stdio::null()).spawn().unwrap());
    pipeline.bound("karton.example-consumer").await;
    within(Duration::from_secs(20), "a record of the service", || async {
        pipeline.send(json!({"type": "sample", "stage": "recognized"}), b"x").await;
        pipeline.log().lines().any(|line| line.starts_with('{') && line.contains("sample.bin: kind -")).then_some(())
    })
    .await;
}

#[test]
fn the_service_of_the_readme_is_the_one_that_is_built() {
    let readme = include_str!("../../../README.md");
    let source = include_str!("../../src/bin/sizes.rs");
    let (_, source) = source.split_once("\n\n").unwrap();
    assert!(readme.contains(&format!("```rust\n{source}```")), "README.md and examples/src/bin/sizes.rs differ");
}
