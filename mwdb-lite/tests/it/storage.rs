//! Content on disk and in a bucket: the same for clients, whatever the store. See MWDB API §A3.2 and §O12.

use std::io::{Cursor, Read};
use std::net::SocketAddr;
use std::path::Path;

use karton_rs::testing::eventually;
use mwdb_lite::config::{Config, S3Storage, Storage};
use serde_json::{Value, json};

use crate::harness::{Api, Server, id};
use crate::karton::Bed;

/// The S3 server of the test.
pub(crate) struct Bucket {
    pub(crate) s3: Option<playground_s3::Server>,
    pub(crate) address: SocketAddr,
    pub(crate) folder: tempfile::TempDir,
}

impl Bucket {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let s3 = serve(folder.path(), "127.0.0.1:0".parse().unwrap()).await;
        s3.ensure_bucket("mwdb").await.unwrap();
        Self { address: s3.addr(), s3: Some(s3), folder }
    }

    async fn start_again(&mut self) {
        self.s3 = Some(serve(self.folder.path(), self.address).await);
    }

    pub(crate) fn storage(&self) -> Storage {
        Storage::S3(S3Storage {
            endpoint: format!("http://{}", self.address),
            bucket: "mwdb".to_owned(),
            region: None,
            keys: Some(("mwdb".to_owned(), "mwdbmwdb".to_owned())),
        })
    }

    pub(crate) async fn server(&self) -> Server {
        let storage = self.storage();
        Server::with(|config| config.storage = storage).await
    }

    /// Keys and sizes of the objects in the bucket.
    pub(crate) async fn objects(&self) -> Vec<(String, u64)> {
        let listed = self.client().list_objects_v2().bucket("mwdb").send().await.unwrap();
        listed.contents().iter().map(|object| (object.key().unwrap().to_owned(), object.size().unwrap().try_into().unwrap())).collect()
    }

    pub(crate) fn client(&self) -> aws_sdk_s3::Client {
        use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", self.address))
            .force_path_style(true)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("mwdb", "mwdbmwdb", None, None, "test"))
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }
}

async fn serve(folder: &Path, address: SocketAddr) -> playground_s3::Server {
    playground_s3::Server::start(folder, address, "mwdb", "mwdbmwdb").await.unwrap()
}

fn spread(hash: &str) -> String {
    format!("{}/{}/{}/{}/{hash}", &hash[..1], &hash[1..2], &hash[2..3], &hash[3..4])
}

#[tokio::test]
async fn content_goes_to_the_bucket_and_comes_back_whole_in_ranges_and_zipped() {
    let bucket = Bucket::start().await;
    let server = bucket.server().await;
    let admin = server.admin().await;
    // More than goes without parts.
    let content: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let large = id(&admin.upload("large.bin", content.clone(), Value::Null).await.ok());
    let small = id(&admin.file("hello world").await);
    let mut expected = vec![(spread(&large), 20_000_000), (spread(&small), 11)];
    expected.sort();
    assert_eq!(bucket.objects().await, expected);
    assert!(server.stored_files().is_empty(), "nothing stays on disk");
    assert_eq!(admin.get(&format!("file/{small}")).await.ok()["file_type"], "ASCII text, with no line terminators");

    let whole = admin.get(&format!("file/{large}/download")).await;
    assert_eq!(whole.status, 200);
    assert!(whole.bytes == content);
    for (range, from, to) in
        [("bytes=0-9", 0, 10), ("bytes=16777210-16777225", 16_777_210, 16_777_226), ("bytes=-5", 19_999_995, 20_000_000)]
    {
        let request = admin.request(reqwest::Method::GET, &format!("file/{large}/download")).header("Range", range);
        let part = admin.send(request).await;
        assert_eq!((part.status.as_u16(), part.header("content-range")), (206, format!("bytes {from}-{}/20000000", to - 1).as_str()));
        assert!(part.bytes == content[from..to]);
    }
    let request = admin.request(reqwest::Method::GET, &format!("file/{small}/download")).header("Range", "bytes=11-");
    admin.send(request).await.refused(416);
    let hidden = admin.get(&format!("file/{small}/download?obfuscate=1")).await.bytes;
    assert_eq!(hidden.iter().map(|byte| !byte).collect::<Vec<u8>>(), b"hello world");
    let zip = admin.get(&format!("file/{large}/download/zip")).await.bytes;
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut unpacked = Vec::new();
    archive.by_name_decrypt("large.bin", b"infected").unwrap().read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == content);

    // The same bytes again are not sent again; the page shows them.
    admin.file("hello world").await;
    assert_eq!(bucket.objects().await.len(), 2);
    // Deleting removes them, and another upload brings them back.
    admin.delete(&format!("file/{small}")).await.null();
    admin.delete(&format!("file/{large}")).await.null();
    assert!(bucket.objects().await.is_empty());
    admin.file("hello world").await;
    assert_eq!(admin.get(&format!("file/{small}/download")).await.text(), "hello world");
}

#[tokio::test]
async fn a_bucket_that_is_away_refuses_uploads_and_keeps_what_there_is() {
    let mut bucket = Bucket::start().await;
    let mut server = bucket.server().await;
    let admin = server.admin().await;
    let old = id(&admin.file("old").await);
    let doomed = id(&admin.file("doomed").await);
    bucket.s3.take().unwrap().stop().await;

    admin.upload("new", "new", Value::Null).await.refused(503);
    admin.upload("old", "old", Value::Null).await.refused(503);
    assert_eq!(admin.get("file/count").await.ok()["count"], 2, "nothing is half-registered");
    let refusal = admin.get(&format!("file/{old}/download")).await;
    assert_eq!((refusal.refused(503).as_str(), refusal.header("retry-after")), ("The store of file content does not answer", "5"));
    // What the database forgets is forgotten; the content follows when the bucket is back.
    admin.delete(&format!("file/{doomed}")).await.null();
    admin.get(&format!("file/{doomed}")).await.missing();
    // A restart does not wait for the bucket.
    server.restart().await;
    let admin = server.admin().await;
    admin.get(&format!("file/{old}")).await.ok();

    bucket.start_again().await;
    admin.upload("new", "new", Value::Null).await.ok();
    assert_eq!(admin.get(&format!("file/{old}/download")).await.text(), "old");
    server.restart().await;
    eventually("the content of the deleted file to go", || async { (bucket.objects().await.len() == 2).then_some(()) }).await;
    assert!(server.stored_files().is_empty());
}

#[tokio::test]
async fn a_missing_bucket_stops_the_start_and_is_named() {
    let bucket = Bucket::start().await;
    let folder = tempfile::tempdir().unwrap();
    let Storage::S3(storage) = bucket.storage() else { unreachable!() };
    let config = |storage| Config {
        port: 0,
        sqlite_path: folder.path().join("mwdb.sqlite"),
        uploads_folder: folder.path().join("uploads"),
        admin_password: Some("password".to_owned()),
        storage: Storage::S3(storage),
        ..Config::default()
    };
    let wrong_bucket = S3Storage { bucket: "other".to_owned(), ..storage.clone() };
    let wrong_key = S3Storage { keys: Some(("mwdb".to_owned(), "wrong".to_owned())), ..storage };
    for (storage, named) in [(wrong_bucket, "there is no bucket `other`"), (wrong_key, "bucket `mwdb`")] {
        let error = mwdb_lite::serve(config(storage), tokio_util::sync::CancellationToken::new(), |_| {}).await.unwrap_err();
        assert!(format!("{error:#}").contains(named), "{error:#}");
    }
}

#[tokio::test]
async fn content_under_the_other_scheme_is_found_with_the_fallback_only() {
    let bucket = Bucket::start().await;
    for storage in [Storage::Disk, bucket.storage()] {
        let mut server = Server::with(|config| (config.storage, config.hash_pathing) = (storage.clone(), false)).await;
        let hash = id(&server.admin().await.file("flat").await);
        if storage == Storage::Disk {
            assert!(server.config().uploads_folder.join(&hash).is_file());
        } else {
            assert_eq!(bucket.objects().await[0].0, hash);
        }
        server.stop().await;
        server.start_again(|config| config.hash_pathing = true).await;
        server.admin().await.get(&format!("file/{hash}/download")).await.refused(500);
        server.stop().await;
        server.start_again(|config| config.hash_pathing_fallback = true).await;
        let admin = server.admin().await;
        assert_eq!(admin.get(&format!("file/{hash}/download")).await.text(), "flat");
        // A second upload uses what is there, a removal finds it.
        admin.file("flat").await;
        admin.delete(&format!("file/{hash}")).await.null();
        assert!(server.stored_files().is_empty() && bucket.objects().await.is_empty());
    }
}

#[tokio::test]
async fn a_sample_in_the_bucket_reaches_karton() {
    let bucket = Bucket::start().await;
    let bed = Bed::start().await;
    let (storage, karton) = (bucket.storage(), bed.karton_config());
    let server = Server::with(|config| (config.storage, config.enable_karton, config.karton) = (storage, true, Some(karton))).await;
    let hash = id(&server.admin().await.file("for karton").await);
    let task = bed.tasks(1).await.remove(0);
    let resource = &task["payload"]["sample"]["__karton_resource__"];
    assert_eq!((&resource["sha256"], &resource["bucket"]), (&json!(hash), &json!("karton")));
    let karton = karton_rs::Karton::connect(&bed.karton_config(), "karton.test", None).await.unwrap();
    let known = eventually("the task", || async { karton.task(task["uid"].as_str().unwrap()).await.unwrap() }).await;
    assert_eq!(karton.read(&known.resource("sample").unwrap(), 100).await.unwrap().as_ref(), b"for karton");
    eventually("an empty staging folder", || async { server.stored_files().is_empty().then_some(()) }).await;
}

/// Uploads and deletions of the same bytes, all at once: what is acknowledged last is there.
async fn contest(server: &Server) {
    let admin = server.admin().await;
    let hash = id(&admin.file("contested").await);
    let path = format!("file/{hash}");
    let workers = (0..4).map(|n| {
        let (api, path): (Api, String) = (admin.clone(), path.clone());
        tokio::spawn(async move {
            for _ in 0..12 {
                if n % 2 == 0 {
                    let reply = api.delete(&path).await;
                    assert!(reply.status == 200 || reply.status == 404, "{}", reply.text());
                } else {
                    api.file("contested").await;
                    let download = api.get(&format!("{path}/download")).await;
                    // Deleted meanwhile, or between the look at the row and the read.
                    assert!(matches!(download.status.as_u16(), 200 | 404 | 500), "{}", download.text());
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    admin.file("contested").await;
    assert_eq!(admin.get(&format!("{path}/download")).await.text(), "contested");
    admin.delete(&path).await.null();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn deletions_and_uploads_of_the_same_bytes_never_part_a_row_from_its_content() {
    let bucket = Bucket::start().await;
    let on_s3 = bucket.server().await;
    let on_disk = Server::start().await;
    tokio::join!(contest(&on_s3), contest(&on_disk));
    assert!(bucket.objects().await.is_empty());
    assert!(on_disk.stored_files().is_empty());
}

#[tokio::test]
async fn two_servers_do_not_share_a_folder() {
    let server = Server::start().await;
    let error = mwdb_lite::serve(server.config().clone(), tokio_util::sync::CancellationToken::new(), |_| {}).await.unwrap_err();
    assert!(format!("{error:#}").contains("another mwdb-lite"), "{error:#}");
}

#[tokio::test]
async fn a_database_is_served_by_one_server_at_a_time() {
    let bucket = Bucket::start().await;
    let mut server = bucket.server().await;
    // Each has a staging folder of its own, so that alone would not tell them apart.
    let second = || {
        let uploads_folder = bucket.folder.path().join("other uploads");
        mwdb_lite::serve(Config { uploads_folder, ..server.config().clone() }, tokio_util::sync::CancellationToken::new(), |_| ())
    };
    let error = second().await.unwrap_err();
    assert!(format!("{error:#}").contains("another mwdb-lite serves the database"), "{error:#}");
    let repair = Config { uploads_folder: bucket.folder.path().join("other uploads"), ..server.config().clone() };
    let error = mwdb_lite::check::run(&repair, mwdb_lite::check::Mode::Repair).await.unwrap_err();
    assert!(format!("{error:#}").contains("stop it"), "{error:#}");
    // Whoever only looks is welcome, and a server that has stopped leaves nothing locked.
    assert!(mwdb_lite::check::run(&repair, mwdb_lite::check::Mode::Look).await.unwrap().is_clean());
    server.restart().await;
    server.admin().await;
}

#[tokio::test]
async fn an_upload_brings_back_content_that_is_damaged() {
    let bucket = Bucket::start().await;
    for (server, in_bucket) in [(bucket.server().await, true), (Server::start().await, false)] {
        let admin = server.admin().await;
        let hash = id(&admin.file("content").await);
        // Other bytes, but as many.
        if in_bucket {
            let put = bucket.client().put_object().bucket("mwdb").key(spread(&hash)).body(b"CONTENT".to_vec().into());
            put.send().await.unwrap();
        } else {
            std::fs::write(server.config().uploads_folder.join(spread(&hash)), "CONTENT").unwrap();
        }
        let path = format!("file/{hash}/download");
        assert_eq!(admin.get(&path).await.text(), "CONTENT");
        let report = mwdb_lite::check::run(server.config(), mwdb_lite::check::Mode::Look).await.unwrap();
        assert_eq!(report.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), ["damaged"]);
        admin.file("content").await;
        assert_eq!(admin.get(&path).await.text(), "content");
        assert!(mwdb_lite::check::run(server.config(), mwdb_lite::check::Mode::Look).await.unwrap().is_clean());
    }
}
