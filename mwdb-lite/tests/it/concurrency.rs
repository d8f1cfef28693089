//! Sixteen clients at once: no error, no duplicate, no lost update.

use std::collections::BTreeSet;

use karton_rs::testing::eventually;
use serde_json::{Value, json};

use crate::harness::{Api, each, id, sorted};
use crate::karton::Bed;

const CLIENTS: usize = 16;
const ROUNDS: usize = 3;

/// What one client does; every reply is a success.
async fn work(api: Api, client: usize, shared: String) -> Vec<Value> {
    let mut replies = Vec::new();
    for round in 0..ROUNDS {
        let mine = format!("{client}-{round}");
        let options = json!({"tags": [{"tag": format!("up-{mine}")}], "attributes": [{"key": "k", "value": mine}]});
        let same = api.upload(&format!("name-{mine}"), format!("same {round}"), options.clone()).await;
        let own = api.upload("own", format!("own {mine}"), json!({"parent": shared})).await;
        let tag = api.put(&format!("file/{shared}/tag"), json!({"tag": format!("put-{mine}")})).await;
        let attribute = api.post(&format!("file/{shared}/attribute"), json!({"key": "k", "value": {"of": mine}})).await;
        let comment = api.post(&format!("file/{shared}/comment"), json!({"comment": mine})).await;
        let analysis = api.post(&format!("file/{shared}/karton"), json!({})).await;
        let view = api.get(&format!("file/{shared}")).await;
        for reply in [same, own, tag, attribute, comment, analysis, view] {
            replies.push(reply.ok());
        }
    }
    replies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_clients_lose_nothing_and_double_nothing() {
    let bed = Bed::start().await;
    let server = bed.server().await;
    let admin = server.admin().await;
    admin.post("attribute", json!({"key": "k", "label": "", "description": "", "hidden": false})).await.ok();
    let shared = id(&admin.file("shared").await);
    let clients: Vec<_> = (0..CLIENTS).map(|client| tokio::spawn(work(admin.clone(), client, shared.clone()))).collect();
    for client in clients {
        client.await.expect("no client fails");
    }
    let every = |prefix: &str| -> Vec<String> {
        let all = (0..CLIENTS).flat_map(|client| (0..ROUNDS).map(move |round| (client, round)));
        let mut names: Vec<String> = all.map(|(client, round)| format!("{prefix}{client}-{round}")).collect();
        names.sort();
        names
    };
    assert_eq!(admin.get("file/count").await.ok()["count"], 1 + ROUNDS + CLIENTS * ROUNDS);
    let view = admin.get(&format!("file/{shared}")).await.ok();
    assert_eq!(sorted(&view["tags"], "tag"), every("put-"));
    let mut values: Vec<&str> = each(&view["attributes"], "value").into_iter().map(|value| value["of"].as_str().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, every(""));
    assert_eq!(sorted(&admin.get(&format!("file/{shared}/comment")).await.ok(), "comment"), every(""));
    assert_eq!(view["children"].as_array().unwrap().len(), CLIENTS * ROUNDS);
    for round in 0..ROUNDS {
        let same = id(&admin.upload("name-0-0", format!("same {round}"), Value::Null).await.ok());
        let view = admin.get(&format!("file/{same}")).await.ok();
        assert_eq!(view["tags"].as_array().unwrap().len(), CLIENTS);
        assert_eq!(view["attributes"].as_array().unwrap().len(), CLIENTS);
    }
    // Each new file is announced once, each reanalysis too.
    let expected = 1 + ROUNDS + CLIENTS * ROUNDS + CLIENTS * ROUNDS;
    let uids = eventually("the announcements", || async { Some(bed.announced().await).filter(|uids| uids.len() >= expected) }).await;
    assert_eq!((uids.len(), uids.iter().collect::<BTreeSet<_>>().len()), (expected, expected));
}
