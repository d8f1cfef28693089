//! The real program, killed in the middle of its work again and again: what it has acknowledged is there,
//! was announced to Karton exactly once, and nothing else is left behind. `CHAOS_ROUNDS` chooses how often.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use karton_rs::testing::within;
use mwdb_lite::config::Storage;
use redis::AsyncCommands;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::harness::{Api, PASSWORD, id};
use crate::karton::Bed;
use crate::storage::Bucket;

const CLIENTS: usize = 6;

/// What a client knows of a file.
#[derive(Debug, Clone, PartialEq)]
enum Fate {
    Acknowledged(Vec<u8>),
    Deleted,
    /// A deletion was sent and not answered.
    Unknown,
}

type Files = Arc<Mutex<HashMap<String, Fate>>>;

/// The program on a folder that outlives it.
struct Program {
    folder: tempfile::TempDir,
    karton_ini: PathBuf,
    environment: Vec<(String, String)>,
}

impl Program {
    fn new(bed: &Bed, storage: &Storage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let karton_ini = folder.path().join("karton.ini");
        std::fs::write(&karton_ini, bed.ini()).unwrap();
        let mut environment = vec![
            ("MWDB_ADMIN_PASSWORD", PASSWORD.to_owned()),
            ("MWDB_ENABLE_KARTON", "1".to_owned()),
            ("MWDB_SECRET_KEY", "chaos".to_owned()),
            ("MWDB_SHUTDOWN_GRACE", "1".to_owned()),
        ];
        if let Storage::S3(s3) = storage {
            let (access, secret) = s3.keys.clone().unwrap();
            environment.extend([
                ("MWDB_STORAGE_PROVIDER", "s3".to_owned()),
                ("MWDB_S3_STORAGE_ENDPOINT", s3.endpoint.clone()),
                ("MWDB_S3_STORAGE_BUCKET_NAME", s3.bucket.clone()),
                ("MWDB_S3_STORAGE_ACCESS_KEY", access),
                ("MWDB_S3_STORAGE_SECRET_KEY", secret),
            ]);
        }
        Self { folder, karton_ini, environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mwdb-lite"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("KARTON_CONFIG_PATH", &self.karton_ini).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn start(&self) -> (Child, Api) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = self.command(&["run", "--port", &port.to_string()]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        let api = Api { url: format!("http://127.0.0.1:{port}"), http, token: None, login: "admin".to_owned() };
        within(Duration::from_secs(20), "the program to answer", || async {
            api.request(reqwest::Method::GET, "ping").send().await.ok().filter(|answer| answer.status().is_success())
        })
        .await;
        assert!(child.try_wait().unwrap().is_none(), "another program answers");
        let login = api.post("auth/login", json!({"login": "admin", "password": PASSWORD})).await.ok();
        (child, Api { token: login["token"].as_str().map(str::to_owned), ..api })
    }

    /// Stops it as an operator does.
    async fn stop(&self, child: &mut Child) {
        let pid = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        tokio::time::timeout(Duration::from_secs(10), child.wait()).await.expect("it stops").unwrap();
    }

    /// Exit code and report of `mwdb-lite check`.
    async fn check(&self, flags: &[&str]) -> (Option<i32>, Value) {
        let checked = self.command(&[&["check", "--json"], flags].concat()).output().await.unwrap();
        let report = serde_json::from_slice(&checked.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&checked.stderr)));
        (checked.status.code(), report)
    }

    /// The hashes whose bytes the database keeps until the disk has them in their place.
    fn fresh(&self) -> Vec<String> {
        let database = rusqlite::Connection::open(self.folder.path().join("mwdb.sqlite")).unwrap();
        let mut rows = database.prepare("SELECT sha256 FROM fresh_content").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn content(&self, sha256: &str) -> PathBuf {
        let spread = format!("{}/{}/{}/{}/{sha256}", &sha256[..1], &sha256[1..2], &sha256[2..3], &sha256[3..4]);
        self.folder.path().join("uploads").join(spread)
    }
}

/// Uploads and now and then deletes until the program is gone.
async fn work(api: Api, client: usize, round: usize, files: Files) {
    for n in 0_usize.. {
        // Some small, some large enough to be in the middle when it comes; some that others upload too.
        let name = if n % 4 == 3 { format!("round {round} shared {n}") } else { format!("round {round} client {client} {n}") };
        let size = [20, 5_000, 400_000][(n + client) % 3];
        let content = name.bytes().cycle().take(size.max(name.len())).collect::<Vec<u8>>();
        let part = reqwest::multipart::Part::bytes(content.clone()).file_name("sample");
        let form = reqwest::multipart::Form::new().part("file", part);
        let Ok(answer) = api.request(reqwest::Method::POST, "file").multipart(form).send().await else { return };
        let status = answer.status();
        let Ok(body) = answer.bytes().await else { return };
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        let Ok(view) = serde_json::from_slice::<Value>(&body) else { return };
        let hash = id(&view);
        files.lock().unwrap().insert(hash.clone(), Fate::Acknowledged(content));
        if n % 9 == 4 && n % 4 != 3 {
            files.lock().unwrap().insert(hash.clone(), Fate::Unknown);
            let Ok(answer) = api.request(reqwest::Method::DELETE, &format!("file/{hash}")).send().await else { return };
            if answer.status().is_success() {
                files.lock().unwrap().insert(hash, Fate::Deleted);
            }
        }
    }
}

/// How often each sample reached the consumer.
async fn received(bed: &Bed) -> BTreeMap<String, usize> {
    let mut redis = bed.redis.connection().await;
    let mut received = BTreeMap::new();
    for priority in ["high", "normal", "low"] {
        let uids: Vec<String> = redis.lrange(format!("karton.queue.{priority}:test.sink"), 0, -1).await.unwrap();
        for chunk in uids.chunks(500) {
            let keys: Vec<String> = chunk.iter().map(|uid| format!("karton.task:{uid}")).collect();
            let records: Vec<String> = redis.mget(keys).await.unwrap();
            for record in records {
                let task: Value = serde_json::from_str(&record).unwrap();
                let sha256 = task["payload"]["sample"]["__karton_resource__"]["sha256"].as_str().unwrap().to_owned();
                *received.entry(sha256).or_insert(0) += 1;
            }
        }
    }
    received
}

async fn chaos(storage: Storage, rounds: usize) {
    let bed = Bed::start().await;
    let bind = json!({"info": null, "version": "5.9.1", "filters": [{"type": "sample", "kind": "raw"}], "persistent": true,
        "service_version": null, "is_async": false});
    let _: () = bed.redis.connection().await.hset("karton.binds", "test.sink", bind.to_string()).await.unwrap();
    let broker_stop = CancellationToken::new();
    let broker = tokio::spawn(karton_rs::system::run(bed.karton_config(), false, broker_stop.clone()));
    let program = Program::new(&bed, &storage);
    let files = Files::default();
    for round in 0..rounds {
        let (mut child, api) = program.start().await;
        let before = files.lock().unwrap().len();
        let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(work(api.clone(), client, round, Arc::clone(&files)))).collect();
        within(Duration::from_secs(20), "uploads", || async { (files.lock().unwrap().len() > before + 3).then_some(()) }).await;
        // At another moment each time.
        let wait = u64::from(uuid::Uuid::new_v4().as_bytes()[0]);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        // SIGKILL
        child.kill().await.unwrap();
        for client in clients {
            client.await.expect("every answer was a success");
        }
    }

    let (mut child, api) = program.start().await;
    let files = files.lock().unwrap().clone();
    for (hash, fate) in &files {
        let download = api.get(&format!("file/{hash}/download")).await;
        match fate {
            Fate::Acknowledged(content) => assert!(download.status == 200 && download.bytes == *content, "{hash}: {}", download.status),
            Fate::Deleted => download.missing(),
            Fate::Unknown => assert!(matches!(download.status.as_u16(), 200 | 404), "{hash}: {}", download.status),
        }
    }
    let wanted: Vec<&String> = files.iter().filter(|(_, fate)| matches!(fate, Fate::Acknowledged(_))).map(|(hash, _)| hash).collect();
    let received = within(Duration::from_mins(1), "all announcements", || async {
        let received = received(&bed).await;
        wanted.iter().all(|hash| received.contains_key(*hash)).then_some(received)
    })
    .await;
    let twice: Vec<_> = received.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "announced more than once: {twice:?}");

    program.stop(&mut child).await;
    let (code, report) = program.check(&[]).await;
    assert_eq!((code, &report["problems"]), (Some(0), &json!([])));
    assert!(report["files"].as_u64().unwrap() >= wanted.len() as u64);
    broker_stop.cancel();
    broker.await.unwrap().unwrap();
}

fn rounds(short: usize) -> usize {
    std::env::var("CHAOS_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_program_killed_again_and_again_keeps_its_word() {
    chaos(Storage::Disk, rounds(4)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_program_killed_again_and_again_keeps_its_word_with_content_in_a_bucket() {
    let bucket = Bucket::start().await;
    chaos(bucket.storage(), rounds(3)).await;
}

/// Uploads five files, deletes the last one, and is killed before the disk was asked for them; gives their hashes.
async fn upload_and_kill(program: &Program) -> [String; 5] {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
    loop {
        let (mut child, api) = program.start().await;
        let mut hashes = Vec::new();
        for _ in 0..5 {
            hashes.push(id(&api.file(&uuid::Uuid::new_v4().to_string()).await));
        }
        api.delete(&format!("file/{}", hashes[4])).await.null();
        child.kill().await.unwrap();
        if program.fresh() == hashes {
            return hashes.try_into().unwrap();
        }
        // On a busy machine a second goes by: once more.
        assert!(tokio::time::Instant::now() < deadline, "the disk is always faster");
    }
}

async fn power_cut(repair: bool) {
    let bed = Bed::start().await;
    let program = Program::new(&bed, &Storage::Disk);
    let [empty, missing, damaged, whole, deleted] = &upload_and_kill(&program).await;
    let there = [empty, missing, damaged, whole];
    let contents = there.map(|sha256| std::fs::read(program.content(sha256)).unwrap());
    std::fs::write(program.content(empty), b"").unwrap();
    std::fs::remove_file(program.content(missing)).unwrap();
    std::fs::write(program.content(damaged), vec![0; contents[2].len()]).unwrap();

    let (code, report) = program.check(&[]).await;
    assert_eq!(code, Some(1));
    let of = |sha256: &str| report["problems"].as_array().unwrap().iter().find(|problem| problem["subject"] == sha256);
    for sha256 in [empty, missing, damaged] {
        let problem = of(sha256).unwrap_or_else(|| panic!("{report}"));
        assert!(problem["detail"].as_str().unwrap().ends_with("the database has it still: start mwdb-lite, or check with --repair"));
    }

    if repair {
        let (code, report) = program.check(&["--repair"]).await;
        assert_eq!((code, report["unrepaired"].as_u64()), (Some(0), Some(0)), "{report}");
        assert_eq!(program.check(&[]).await.0, Some(0));
    }
    let (mut child, api) = program.start().await;
    for (sha256, content) in there.into_iter().zip(&contents) {
        assert_eq!(&api.get(&format!("file/{sha256}/download")).await.bytes, content);
    }
    assert!(!program.content(deleted).exists(), "what was deleted stays so");
    program.stop(&mut child).await;
    assert_eq!(program.fresh(), Vec::<String>::new(), "the disk has it now");
    let (code, report) = program.check(&[]).await;
    assert_eq!((code, &report["problems"]), (Some(0), &json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_power_cut_takes_from_the_folder_is_back_at_the_next_start() {
    power_cut(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_power_cut_takes_from_the_folder_is_put_back_by_a_repair() {
    power_cut(true).await;
}
