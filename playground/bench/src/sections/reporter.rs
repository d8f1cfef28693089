//! The reporter: samples with a parent, tags, attributes and a comment, into an MWDB that has none of them.
//!
//! The floor is the same requests, from a client that has everything in memory.

use std::time::Instant;

use anyhow::Context as _;
use karton_rs::{Task, json::Value};
use reqwest::{RequestBuilder, multipart};
use serde_json::json;

use super::service::Service;
use crate::{
    Plan,
    bed::Bed,
    process::Process,
    report::{Better, Figure, Report, Who},
    samples, tasks,
};

pub(crate) const NAME: &str = "reporter";
const SERVICE: Service = Service { section: NAME, identity: reporter::IDENTITY, units: ("tasks/s", "us/task") };
const TASKS: usize = 1_000;
/// Fewer of the reference, as it takes longer.
const REFERENCE_TASKS: usize = 200;
/// Bytes of a sample, and of its parent.
const SIZE: usize = 10 << 10;

pub(super) async fn run(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for _ in 0..plan.runs {
        for concurrency in [1_usize, 8] {
            let what = format!("10 KiB samples with parents, {concurrency} at once");
            // The reference has one at a time: it is the same figure.
            if let Some(python) = &plan.python {
                let start = |bed: &Bed| Process::installed(python, "karton-mwdb-reporter", &["--config-file", &bed.ini()], bed.folder());
                measure(report, (Who::Reference, &what), REFERENCE_TASKS, start).await?;
            }
            let start = |bed: &Bed| Process::service("karton-mwdb-reporter", bed, concurrency);
            measure(report, (Who::Ours, &what), TASKS, start).await?;
            if concurrency == 1 {
                let speed = floor().await?;
                report.add(Figure::new(NAME, what, "tasks/s", Better::Higher), Who::Floor, speed);
            }
        }
    }
    Ok(())
}

/// Everything of its own each time: what is known already is less work.
async fn measure(
    report: &mut Report,
    who: (Who, &str),
    count: usize,
    start: impl FnOnce(&Bed) -> anyhow::Result<Process>,
) -> anyhow::Result<()> {
    let mut bed = Bed::start(0, "").await?;
    let mwdb = Mwdb::start(&bed).await?;
    let mut ini = std::fs::read_to_string(&bed.ini)?;
    ini.push_str(&format!("\n[mwdb]\napi_url = {}\nusername = admin\npassword = admin\n", mwdb.url));
    std::fs::write(&bed.ini, ini)?;
    let files = |word: &'static str| (0..count).map(move |number| (format!("{word}.bin"), content(word, number))).collect();
    let (children, parents) = (samples::store(&bed, files("sample")).await?, samples::store(&bed, files("parent")).await?);
    let records: Vec<_> = children.iter().zip(&parents).map(|(sample, parent)| record(sample, parent)).collect();
    SERVICE.measure(&mut bed, report, who, &records, start).await?;
    let known = mwdb.count().await?;
    anyhow::ensure!(known == 2 * count, "{known} objects of {count} tasks");
    Ok(())
}

fn content(word: &str, number: usize) -> Vec<u8> {
    let mut content = format!("{word} {number} ").into_bytes();
    content.resize(SIZE, b'x');
    content
}

const TAGS: [&str; 2] = ["runnable:win32:exe", "feed:example"];
const VALUES: [&str; 2] = ["first", "second"];
const COMMENT: &str = "seen before";

fn record(sample: &Value, parent: &Value) -> (String, String) {
    let mut task = Task::new(json!({"type": "sample", "stage": "recognized", "kind": "runnable", "quality": "high"}));
    task.set_payload("sample", sample.clone());
    task.set_payload("parent", parent.clone());
    task.set_payload("tags", Value::from(json!(TAGS)));
    task.set_payload("attributes", Value::from(json!({"source": VALUES})));
    task.set_payload("comments", Value::from(json!([COMMENT])));
    tasks::record(&task, "Spawned", Some(reporter::IDENTITY))
}

/// An MWDB in a process of its own, and a client that does nothing else than ask.
struct Mwdb {
    _process: Process,
    url: String,
    http: reqwest::Client,
    token: String,
}

impl Mwdb {
    async fn start(bed: &Bed) -> anyhow::Result<Self> {
        let folder = bed.folder().join("mwdb");
        std::fs::create_dir(&folder)?;
        let mut process = Process::server(&["peer-repository", &folder.to_string_lossy()], bed.folder())?;
        let url = process.line().await?.trim().to_owned();
        let mut mwdb = Self { _process: process, url, http: reqwest::Client::new(), token: String::new() };
        let login = mwdb.send(mwdb.http.post(mwdb.path("auth/login")).json(&json!({"login": "admin", "password": "admin"}))).await?;
        mwdb.token = login["token"].as_str().context("no token")?.to_owned();
        let attribute = json!({"key": "source", "label": "Source", "description": "", "hidden": false});
        mwdb.send(mwdb.http.post(mwdb.path("attribute")).json(&attribute)).await?;
        Ok(mwdb)
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<serde_json::Value> {
        let answer = request.bearer_auth(&self.token).send().await?;
        let (status, url, body) = (answer.status(), answer.url().clone(), answer.bytes().await?);
        anyhow::ensure!(status.is_success(), "{url} answered {status}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }

    async fn count(&self) -> anyhow::Result<usize> {
        let counted = self.send(self.http.get(self.path("object/count"))).await?;
        counted["count"].as_u64().and_then(|count| count.try_into().ok()).context("no count")
    }

    async fn upload(&self, name: &str, content: Vec<u8>, options: &serde_json::Value) -> anyhow::Result<String> {
        let part = multipart::Part::bytes(content).file_name(name.to_owned());
        let form = multipart::Form::new().part("file", part).text("options", options.to_string());
        let file = self.send(self.http.post(self.path("file")).multipart(form)).await?;
        Ok(file["id"].as_str().context("no id")?.to_owned())
    }
}

async fn floor() -> anyhow::Result<f64> {
    let bed = Bed::start(0, "").await?;
    let mwdb = Mwdb::start(&bed).await?;
    let tags = TAGS.map(|tag| json!({"tag": tag}));
    let attributes = VALUES.map(|value| json!({"key": "source", "value": value}));
    let started = Instant::now();
    for number in 0..TASKS {
        let analysis = Task::new(json!({})).root_uid().to_owned();
        let options = json!({"parent": null, "upload_as": "*", "karton_id": analysis});
        let parent = mwdb.upload("parent.bin", content("parent", number), &options).await?;
        let options = json!({"parent": parent, "upload_as": "*", "karton_id": analysis, "tags": tags, "attributes": attributes});
        let sample = mwdb.upload("sample.bin", content("sample", number), &options).await?;
        mwdb.send(mwdb.http.post(mwdb.path(&format!("object/{sample}/comment"))).json(&json!({"comment": COMMENT}))).await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let speed = TASKS as f64 / started.elapsed().as_secs_f64();
    Ok(speed)
}
