//! Announcements while something is away, dies or hangs: none is lost, and none is made twice. See MWDB API §K1 to §K3.

use std::process::Stdio;
use std::time::Duration;

use karton_rs::testing::{eventually, throughout, within};
use redis::AsyncCommands;
use serde_json::{Value, json};

use crate::harness::{Api, PASSWORD, Server, id};
use crate::karton::{Bed, analyses};

#[tokio::test]
async fn an_upload_while_redis_is_away_is_announced_once_when_it_is_back() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    admin.file("before").await;
    bed.tasks(1).await;
    bed.redis.kill();
    let started = std::time::Instant::now();
    let hash = id(&admin.file("content").await);
    assert!(started.elapsed() < Duration::from_secs(6), "an upload waits for nobody: {:?}", started.elapsed());
    assert_eq!(analyses(&admin, &hash).await["status"], "running");
    let again = admin.post_empty(&format!("file/{hash}/karton")).await.ok();
    assert_eq!(again["status"], "running");
    tokio::time::sleep(Duration::from_millis(700)).await;
    bed.redis.restart().await;
    let tasks = bed.tasks(3).await;
    assert_eq!(tasks.iter().filter(|task| task["payload"]["sample"]["__karton_resource__"]["sha256"] == json!(hash)).count(), 2);
}

#[tokio::test]
async fn an_upload_while_s3_is_away_is_announced_when_it_is_back() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let (address, folder) = (bed.s3.addr(), bed.folder.path().join("s3"));
    bed.s3.stop().await;
    let hash = id(&admin.file("content").await);
    assert_eq!(analyses(&admin, &hash).await["status"], "running");
    assert_eq!(bed.redis.connection().await.llen::<_, usize>("karton.tasks").await.unwrap(), 0);
    bed.s3 = eventually("the port", || async { playground_s3::Server::start(&folder, address, "mwdb", "mwdbmwdb").await.ok() }).await;
    let task = bed.tasks(1).await.remove(0);
    assert_eq!(task["payload"]["sample"]["__karton_resource__"]["sha256"], json!(hash));
}

/// The server as a process of its own, which can die.
struct Process(tokio::process::Child);

impl Process {
    async fn start(bed: &Bed, port: u16) -> Self {
        let ini = bed.folder.path().join("karton.ini");
        std::fs::write(&ini, bed.ini()).unwrap();
        let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_mwdb-lite"))
            .args(["run", "--port", &port.to_string()])
            .current_dir(bed.folder.path())
            .env("MWDB_ADMIN_PASSWORD", PASSWORD)
            .env("MWDB_ENABLE_KARTON", "1")
            .env("KARTON_CONFIG_FILE", &ini)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        within(Duration::from_secs(20), "an answer", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
        Self(child)
    }
}

#[tokio::test]
async fn what_a_killed_server_had_not_announced_is_announced_by_the_next() {
    let mut bed = Bed::start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let helper = Server::start().await;
    let api = Api { url: format!("http://127.0.0.1:{port}"), token: None, ..helper.anonymous() };
    let mut process = Process::start(&bed, port).await;
    let session = api.post("auth/login", json!({"login": "admin", "password": PASSWORD})).await.ok();
    let admin = Api { token: Some(session["token"].as_str().unwrap().to_owned()), ..api };
    bed.redis.kill();
    let hash = id(&admin.file("content").await);
    let root = analyses(&admin, &hash).await["analyses"][0]["id"].clone();
    process.0.kill().await.unwrap();
    bed.redis.restart().await;
    assert_eq!(bed.announced().await.len(), 0);
    let _second = Process::start(&bed, port).await;
    let task = bed.tasks(1).await.remove(0);
    assert_eq!(task["root_uid"], root);
    assert_eq!(analyses(&admin, &hash).await["status"], "running");
}

#[tokio::test]
async fn what_was_announced_and_collected_is_not_announced_again() {
    let bed = Bed::start().await;
    let config = bed.karton_config();
    let stop = tokio_util::sync::CancellationToken::new();
    let broker = tokio::spawn(karton_rs::system::run(config, false, stop.clone()));
    let mut server = bed.server().await;
    let admin = server.admin().await;
    let hash = id(&admin.file("content").await);
    let root = analyses(&admin, &hash).await["analyses"][0]["id"].as_str().unwrap().to_owned();
    eventually("the end of the analysis", || async { (analyses(&admin, &hash).await["status"] == "finished").then_some(()) }).await;
    let mut redis = bed.redis.connection().await;
    let routed = async || -> Option<u64> { bed.redis.connection().await.hget("karton.metrics.produced", "karton.mwdb").await.unwrap() };
    eventually("the end of the task", || async { (routed().await == Some(1)).then_some(()) }).await;
    server.stop().await;
    // The row comes back, as after a power cut, and the task was collected meanwhile.
    let records: Vec<String> = redis.keys("karton.task:*").await.unwrap();
    let _: () = redis.del(records).await.unwrap();
    let c = rusqlite::Connection::open(&server.config().sqlite_path).unwrap();
    let insert = "INSERT INTO karton_outbox (analysis_id, object_id, quality, resource_uid, created) SELECT ?, id, 'high', 'uid', 0 FROM object WHERE dhash = ?";
    assert_eq!(c.execute(insert, [&root, &hash]).unwrap(), 1);
    server.start_again(|_| ()).await;
    let left = || c.query_row("SELECT count(*) FROM karton_outbox", [], |row| row.get::<_, u64>(0)).unwrap();
    eventually("an empty outbox", || async { (left() == 0).then_some(()) }).await;
    assert_eq!(routed().await, Some(1));
    stop.cancel();
    broker.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_was_announced_and_could_not_be_noted_is_not_announced_again() {
    let bed = Bed::start().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let broker = tokio::spawn(karton_rs::system::run(bed.karton_config(), false, stop.clone()));
    let server = bed.server().await;
    let admin = server.admin().await;
    // As on a full disk: an upload may still fit, and then nothing does.
    let c = rusqlite::Connection::open(&server.config().sqlite_path).unwrap();
    c.busy_timeout(Duration::from_secs(10)).unwrap();
    let full =
        |change: &str| format!("CREATE TRIGGER no_{change} BEFORE {change} ON karton_outbox BEGIN SELECT RAISE(ABORT, 'full'); END;");
    c.execute_batch(&(full("DELETE") + &full("UPDATE"))).unwrap();
    admin.file("content").await;
    let routed = async || -> Option<u64> { bed.redis.connection().await.hget("karton.metrics.produced", "karton.mwdb").await.unwrap() };
    // The collector takes what has ended.
    let ended = async || {
        let mut redis = bed.redis.connection().await;
        let keys: Vec<String> = redis.keys("karton.task:*").await.unwrap();
        let record: Option<String> = redis.get(keys.first()?).await.unwrap();
        record.is_some_and(|record| record.contains("\"status\": \"Finished\"")).then_some(keys)
    };
    let records = eventually("the end of the task", ended).await;
    let _: () = bed.redis.connection().await.del(records).await.unwrap();
    throughout(Duration::from_secs(2), "no second announcement", || async { routed().await == Some(1) }).await;
    c.execute_batch("DROP TRIGGER no_DELETE; DROP TRIGGER no_UPDATE").unwrap();
    let left = || c.query_row("SELECT count(*) FROM karton_outbox", [], |row| row.get::<_, u64>(0)).unwrap();
    eventually("an empty outbox", || async { (left() == 0).then_some(()) }).await;
    assert_eq!(routed().await, Some(1));
    stop.cancel();
    broker.await.unwrap().unwrap();
}

#[tokio::test]
async fn announcements_that_cannot_succeed_keep_nobody_waiting() {
    let mut bed = Bed::start().await;
    let mut server = bed.server().await;
    let admin = server.admin().await;
    bed.redis.kill();
    // More than are looked at together.
    for n in 0..70 {
        admin.file(&format!("lost {n}")).await;
    }
    server.stop().await;
    for file in server.stored_files() {
        std::fs::remove_file(file).unwrap();
    }
    server.start_again(|_| {}).await;
    let hash = id(&server.admin().await.file("content").await);
    // Tried once in vain: from now on it is one of those that are tried again.
    let row = rusqlite::Connection::open(&server.config().sqlite_path).unwrap();
    eventually("a first attempt", || async {
        let tried = "SELECT min(attempts) FROM karton_outbox";
        row.query_row(tried, [], |row| row.get::<_, u32>(0)).ok().filter(|least| *least > 0)
    })
    .await;
    bed.redis.restart().await;
    let task = within(Duration::from_mins(1), "the announcement", || async { bed.tasks_so_far().await.pop() }).await;
    assert_eq!(task["payload"]["sample"]["__karton_resource__"]["sha256"], json!(hash));
}

#[tokio::test]
async fn an_object_removed_before_its_announcement_is_not_announced() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    bed.redis.kill();
    let hash = id(&admin.file("content").await);
    admin.delete(&format!("file/{hash}")).await.null();
    let other = id(&admin.file("other").await);
    bed.redis.restart().await;
    let task = bed.tasks(1).await.remove(0);
    assert_eq!(task["payload"]["sample"]["__karton_resource__"]["sha256"], json!(other));
}

#[tokio::test]
async fn an_analysis_unassigned_before_its_announcement_is_not_announced() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    bed.redis.kill();
    let hash = id(&admin.file("content").await);
    let analysis = analyses(&admin, &hash).await["analyses"][0]["id"].as_str().unwrap().to_owned();
    admin.delete(&format!("file/{hash}/karton/{analysis}")).await.null();
    let again = admin.post_empty(&format!("file/{hash}/karton")).await.ok();
    bed.redis.restart().await;
    assert_eq!(bed.tasks(1).await[0]["root_uid"], again["id"]);
}

#[tokio::test]
async fn an_announcement_that_cannot_be_made_holds_up_no_other() {
    let mut bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    bed.redis.kill();
    let broken = id(&admin.file("broken").await);
    let stored = server.stored_files().into_iter().find(|path| path.ends_with(&broken)).unwrap();
    std::fs::remove_file(stored).unwrap();
    bed.redis.restart().await;
    for n in 1..=3 {
        if n == 3 {
            // Time for the pauses between attempts at the broken one to grow beyond the deadline below.
            tokio::time::sleep(Duration::from_millis(4500)).await;
        }
        admin.file(&format!("file {n}")).await;
        let what = format!("the announcement of file {n}");
        within(Duration::from_millis(1500), &what, || async { (bed.announced().await.len() >= n).then_some(()) }).await;
    }
    bed.tasks(3).await;
}

#[tokio::test]
async fn a_redis_that_never_answers_delays_neither_uploads_nor_the_stop() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ini = format!(
        "[redis]\nhost = 127.0.0.1\nport = {}\n[s3]\naddress = http://127.0.0.1:1\naccess_key = a\nsecret_key = b\nbucket = karton\n",
        silent.local_addr().unwrap().port()
    );
    let karton = karton_rs::Config::from_parts(&[("karton.ini", &ini)], []).unwrap();
    let mut server = Server::with(|config| {
        config.enable_karton = true;
        config.karton = Some(karton);
    })
    .await;
    let admin = server.admin().await;
    let started = std::time::Instant::now();
    let hash = id(&admin.file("content").await);
    assert_eq!(analyses(&admin, &hash).await["status"], "running");
    admin.put_empty(&format!("file/{hash}/karton/b197bf85-e86e-421a-857b-eaafdff0b0d9")).await.refused(503);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(analyses(&admin, &hash).await["analyses"].as_array().unwrap().len(), 1, "what was refused is not stored");
    let started = std::time::Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_new_object_of_concurrent_uploads_is_announced_once() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let api = admin.clone();
            tokio::spawn(async move {
                for n in 0..5 {
                    api.upload("a", format!("file {n}"), Value::Null).await.ok();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let mut roots: Vec<String> = bed.tasks(5).await.iter().map(|task| task["root_uid"].as_str().unwrap().to_owned()).collect();
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), 5);
}
