//! `backup`: consistent while the server works, incremental, and as good as the original.

use std::path::{Path, PathBuf};

use mwdb_lite::{
    backup,
    check::{self, Mode},
};
use serde_json::{Value, json};

use crate::harness::{Server, id};
use crate::storage::Bucket;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_made_during_uploads_and_deletions_is_whole_and_serves() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for n in 0..20 {
        admin.file(&format!("before {n}")).await;
    }
    let busy = tokio::spawn({
        let api = admin.clone();
        async move {
            for n in 0.. {
                let file = api.upload("during", format!("during {n}"), json!({"tags": [{"tag": "t"}]})).await.ok();
                if n % 2 == 0 {
                    api.delete(&format!("file/{}", id(&file))).await.null();
                }
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("copy");
    for round in 0..3 {
        let report = backup::run(server.config(), &dest).await.unwrap();
        assert!(report.unreadable.is_empty() && report.files >= 20, "{report:?}");
        assert_eq!(report.copied >= 20, round == 0, "only the first has everything to copy: {report:?}");
        let copy = backup::settings_of_copy(server.config(), &dest);
        let checked = check::run(&copy, Mode::Look).await.unwrap();
        assert!(checked.problems.is_empty() && checked.files >= 20, "{checked:?}");
    }
    busy.abort();
    // Also the original is whole while it works.
    let checked = check::run(server.config(), Mode::Look).await.unwrap();
    assert!(checked.problems.is_empty(), "{checked:?}");

    let copy = backup::settings_of_copy(server.config(), &dest);
    let restored = Server::with(|config| (config.sqlite_path, config.uploads_folder) = (copy.sqlite_path, copy.uploads_folder)).await;
    let admin = restored.admin().await;
    let hash = id(&admin.upload("again", "before 7", Value::Null).await.ok());
    assert_eq!(admin.get(&format!("file/{hash}")).await.ok()["alt_names"], json!(["again"]), "it was there");
    assert_eq!(admin.get(&format!("file/{hash}/download")).await.text(), "before 7");
}

#[tokio::test]
async fn a_second_copy_takes_what_is_new_and_drops_what_is_gone_also_from_a_bucket() {
    let bucket = Bucket::start().await;
    let server = bucket.server().await;
    let admin = server.admin().await;
    let gone = id(&admin.file("gone").await);
    admin.file("stays").await;
    let folder = tempfile::tempdir().unwrap();
    let first = backup::run(server.config(), folder.path()).await.unwrap();
    assert_eq!((first.files, first.copied, first.copied_bytes, first.removed), (2, 2, 9, 0));
    admin.delete(&format!("file/{gone}")).await.null();
    admin.file("new").await;
    let second = backup::run(server.config(), folder.path()).await.unwrap();
    assert_eq!((second.files, second.copied, second.removed), (2, 1, 1));
    assert_eq!(files(folder.path()).len(), 3, "two files and the database: {:?}", files(folder.path()));
    // Content that is missing is told, and what was copied before is kept.
    let (key, _) = bucket.objects().await.remove(0);
    bucket.client().delete_object().bucket("mwdb").key(&key).send().await.unwrap();
    let third = backup::run(server.config(), folder.path()).await.unwrap();
    assert_eq!((third.files, third.unreadable.len()), (2, 0), "the copy still has it");
    let other = tempfile::tempdir().unwrap();
    let fresh = backup::run(server.config(), other.path()).await.unwrap();
    assert_eq!((fresh.files, fresh.unreadable.len()), (1, 1));
}

#[tokio::test]
async fn the_folder_of_the_server_is_no_place_for_a_copy() {
    let server = Server::start().await;
    let folder = server.config().sqlite_path.parent().unwrap().to_owned();
    let error = backup::run(server.config(), &folder).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error:#}");
    let error = backup::run(server.config(), &server.config().uploads_folder.join("copy")).await.unwrap_err();
    assert!(error.to_string().contains("inside the uploads folder"), "{error:#}");
}
