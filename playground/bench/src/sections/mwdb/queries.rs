//! What a filled database answers, and how fast it is there.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use super::{
    client::{Client, Effort, Times, Upload},
    load, lower,
    server::Server,
};
use crate::{
    Plan,
    bed::Bed,
    report::{Report, Who},
    sections::short,
};

const RELATIVES: usize = 2_000;
const STARTS: usize = 3;

/// A kind of request; the number makes each one another.
enum Ask {
    Path(&'static str),
    Hash,
    Search(&'static str, fn(usize) -> String),
}

const KINDS: [(&str, Ask); 12] = [
    ("ping", Ask::Path("/ping")),
    ("list, first page", Ask::Path("/object")),
    ("object by hash", Ask::Hash),
    ("tag", Ask::Search("/object", |number| format!("tag:\"family:{}\"", 1 + number % 2000))),
    ("frequent tag", Ask::Search("/object", |_| "tag:common".to_owned())),
    ("name wildcard", Ask::Search("/file", |number| format!("name:*_{}_*", number % 1000))),
    ("name wildcard that few have", Ask::Search("/file", |number| format!("name:*{:03x}.exe", number * 7 % 4096))),
    ("attribute", Ask::Search("/object", |number| format!("attribute.open:\"value {}\"", number % 100 * 10))),
    ("JSON attribute", Ask::Search("/object", |number| format!("attribute.open.host:\"host{}.example\"", number * 10 % 1000 + 5))),
    ("count all", Ask::Path("/object/count")),
    ("count a frequent tag", Ask::Search("/object/count", |_| "tag:common".to_owned())),
    ("count a name wildcard", Ask::Search("/file/count", |number| format!("name:*_{}_*", number % 1000))),
];

pub(super) async fn run(plan: &Plan, report: &mut Report, who: Who, objects: u32) -> anyhow::Result<()> {
    let bed = Bed::start(0, "").await?;
    let mut server = Server::prepare(plan, &bed, who, false).await?;
    let hashes = if who == Who::Ours {
        let settings = server.settings()?;
        mwdb_lite::setup(settings.clone()).await?;
        mwdb_lite::fill_database(&settings, objects).await?;
        // Files, from everywhere.
        (0..1_000).map(|number| mwdb_lite::filled_hash(1 + (objects / 1_000).max(1) * number % objects / 10 * 10)).collect()
    } else {
        server.start().await?;
        let hashes = fill(&Client::login(&server.url).await?, objects).await?;
        server.stop();
        hashes
    };
    let size = short(u64::from(objects));
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        server.stop();
        starts.push(server.start().await?);
    }
    lower(report, who, format!("start to first answer, {size} objects"), "ms", Times::sorted(starts).percentile(50));
    let client = Client::login(&server.url).await?;
    let effort = Effort { requests: if who == Who::Ours { 500 } else { 200 }, time: Duration::from_secs(10) };
    for (what, ask) in &KINDS {
        let cpu = server.cpu()?;
        let times = Times::of(effort, |number| one(&client, ask, &hashes, number)).await?;
        add(report, who, &format!("{what}, {size} objects"), &times);
        #[expect(clippy::cast_precision_loss, reason = "hundreds")]
        let each = (server.cpu()? - cpu) / times.len() as f64 * 1e3;
        lower(report, who, format!("{what}, {size} objects: CPU"), "ms", each);
    }
    let parent = relate(&client).await?;
    for (what, path) in [("view", format!("/file/{parent}")), ("relations", format!("/file/{parent}/relations"))] {
        let effort = Effort { requests: 50, ..effort };
        let times = Times::of(effort, |_| async { client.get(&path).await.map(drop) }).await?;
        add(report, who, &format!("{what} of an object with 2,000 children, {size} objects"), &times);
    }
    lower(report, who, format!("memory, {size} objects"), "MiB", server.memory()?);
    server.stop();
    Ok(())
}

fn add(report: &mut Report, who: Who, what: &str, times: &Times) {
    for part in [50, 99] {
        lower(report, who, format!("{what}: p{part}"), "ms", times.percentile(part));
    }
}

async fn one(client: &Client, ask: &Ask, hashes: &[String], number: usize) -> anyhow::Result<()> {
    let body = match ask {
        Ask::Path(path) => client.get(path).await?,
        Ask::Hash => client.get(&format!("/file/{}", hashes[number % hashes.len()])).await?,
        Ask::Search(path, query) => client.search(path, &query(number)).await?,
    };
    anyhow::ensure!(!body.is_empty(), "an answer is empty");
    Ok(())
}

/// What mwdb-lite is filled with, by uploads; gives the hashes of files.
async fn fill(client: &Client, objects: u32) -> anyhow::Result<Vec<String>> {
    let attribute = json!({"key": "open", "label": "", "description": "", "url_template": "", "hidden": false});
    client.post("/attribute", &attribute).await?;
    let uploads = stream::iter(1..=u64::from(objects)).map(|number| async move {
        let mut options = json!({"tags": [{"tag": format!("family:{}", 1 + number % 2000)}]});
        if number % 2 == 0 {
            options["tags"] = json!([options["tags"][0], {"tag": "common"}]);
        }
        if number % 5 == 0 {
            let value = if number % 10 == 0 {
                json!(format!("value {number}"))
            } else {
                json!({"host": format!("host{}.example", number % 5000), "port": number % 60000})
            };
            options["attributes"] = json!([{"key": "open", "value": value}]);
        }
        let name = format!("sample_{}_{:x}.exe", number % 1000, number * 2_654_435_761);
        client.upload(Upload { name, options: Some(options) }, load::content(usize::try_from(number)?)).await
    });
    uploads.buffer_unordered(4).try_collect().await
}

/// Gives a file many children; tells its hash.
async fn relate(client: &Client) -> anyhow::Result<String> {
    let parent = client.upload(Upload { name: "parent.exe".to_owned(), options: None }, load::content(usize::MAX)).await?;
    let children = stream::iter(0..RELATIVES).map(|number| {
        let content = format!("child {number} of a parent with many");
        let blob = json!({"blob_name": format!("child{number}"), "blob_type": "raw", "content": content, "parent": parent});
        async move { client.post("/blob", &blob).await.map(drop) }
    });
    children.buffer_unordered(4).try_collect::<()>().await?;
    Ok(parent)
}
