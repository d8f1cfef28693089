//! The same task more than once: after an answer that was lost, at the same time, on a real MWDB.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use karton_rs::{Karton, TaskState};
use reporter::report::{Options, Reporter};
use serde_json::json;

use crate::bench::{Bench, sample_task};
use crate::mwdb::{ACCOUNT, Mwdb};
use crate::service::{World, sample};
use crate::stub::{Answer, Stub};
use reporter::mwdb::{Client, Credentials, Settings};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_not_made_again() {
    let bench = Bench::start().await;
    let (sample, id) = bench.file("s", "sample");
    let mut task = sample_task();
    task.set_payload("sample", sample);
    task.set_payload("comments", vec!["one", "two"]);
    bench.stub.answer(&format!("POST object/{id}/comment"), 1, Answer::Lost);
    bench.report(&task).await;
    assert_eq!(bench.stub.stored(&id).unwrap().comments, ["one", "two"]);
    // One that really did not arrive is made.
    task.set_payload("comments", vec!["three"]);
    bench.stub.answer(&format!("POST object/{id}/comment"), 2, Answer::status(502));
    bench.report(&task).await;
    assert_eq!(bench.stub.stored(&id).unwrap().comments, ["one", "two", "three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_comes_again_changes_nothing_more() {
    let (mwdb, bench) = (Mwdb::start(None).await, Bench::start().await);
    mwdb.define_attribute("k").await;
    let settings = Settings::new(&mwdb.api, Credentials::password(ACCOUNT.0, ACCOUNT.1)).unwrap();
    let client = Client::new(settings, CancellationToken::new()).unwrap();
    let mut task = sample_task();
    task.set_payload("sample", bench.file("s", "sample").0);
    task.set_payload("parent", bench.file("p", "parent").0);
    task.set_payload("tags", vec!["Tag", "tag"]);
    task.set_payload("attributes", json!({"k": ["v", {"a": 1, "b": [2]}]}));
    task.set_payload("comments", vec!["comment"]);
    let mut before = None;
    for upload_existing in [true, true, false] {
        let mut options = Options::default();
        options.upload_existing = upload_existing;
        let reporter = Reporter::new(client.clone(), options);
        // Four at once, as with `concurrency_limit` and a broker that delivered twice.
        futures::future::try_join_all((0..4).map(|_| reporter.report(&task, &bench.samples))).await.unwrap();
        let now = mwdb.dump().await;
        assert_eq!(now.len(), 2);
        assert_eq!(*before.get_or_insert_with(|| now.clone()), now);
    }
    let sample = before.unwrap().into_values().find(|object| object["file_name"] == "s").unwrap();
    assert_eq!((&sample["comments"], &sample["tags"]), (&json!([["admin", "comment"]]), &json!(["tag"])));
    assert_eq!((&sample["analyses"], sample["attributes"].as_array().unwrap().len()), (&json!([task.root_uid()]), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_of_mwdb_costs_neither_the_claim_nor_a_second_upload() {
    let stub = Stub::start().await;
    let (url, address) = (stub.url(), stub.address());
    drop(stub);
    // An outage of several leases, under a broker that takes lapsed ones away every second.
    let world = World::with(&url, "[karton]\nlease_timeout = 1\n[system]\nsweep_interval = 1\n").await;
    let service = world.serve(&url);
    let broker = tokio::spawn(karton_rs::system::run(world.config.clone(), false, world.stop.clone()));
    let karton = Karton::connect(&world.config, "karton.test", None).await.unwrap();
    world.wait_for_bind().await;
    karton.send_task(sample("content")).await.unwrap();
    let uid = world.routed().await;
    world.wait_for(&uid, TaskState::Started).await;
    let left = AtomicBool::new(false);
    let outage = async {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        left.store(true, Ordering::Relaxed);
    };
    let watch = async {
        while !left.load(Ordering::Relaxed) {
            assert_eq!(world.status(&uid).await, TaskState::Started);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::join!(outage, watch);
    let stub = Stub::start_at(address, "2.17.0").await;
    world.wait_for(&uid, TaskState::Finished).await;
    assert_eq!(stub.lines().iter().filter(|line| *line == "POST file").count(), 1, "{:?}", stub.lines());
    world.stop.cancel();
    service.await.unwrap().unwrap();
    broker.await.unwrap().unwrap();
}
