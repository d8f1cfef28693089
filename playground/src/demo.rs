//! `playground demo`: uploads a few harmless files and shows what the services made of them.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::mwdb::Mwdb;
use crate::samples;
use crate::settings::ACCOUNT;
use crate::status;
use crate::table::columns;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What became of the files.
#[derive(Debug)]
pub(crate) struct Report {
    files: Vec<File>,
}

#[derive(Debug)]
struct File {
    name: &'static str,
    id: String,
    finished_after: Option<Duration>,
    tags: Vec<String>,
    children: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    id: String,
    name: String,
}

pub(crate) async fn run(data: &Path, limit: Duration, tell: impl Fn(&str)) -> anyhow::Result<Report> {
    let state = status::find(data)?;
    let Some(address) = &state.mwdb else { bail!("this playground was started without mwdb-lite") };
    let mut mwdb = Mwdb::new(address)?;
    if !mwdb.login(ACCOUNT.0, ACCOUNT.1).await? {
        bail!("MWDB does not accept the password of `{}` any more: the demo cannot log in", ACCOUNT.0);
    }
    // The same file twice is the same object, analysed before: each run has files of its own.
    let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let started = Instant::now();
    let mut files = Vec::new();
    for (name, content) in samples::all(&run.to_string())? {
        let object = mwdb.upload(name, content).await?;
        files.push(File { name, id: object.id, finished_after: None, tags: Vec::new(), children: Vec::new() });
    }
    tell(&format!("Uploaded {} files to {address}, waiting for their analyses ...", files.len()));
    while files.iter().any(|file| file.finished_after.is_none()) && started.elapsed() < limit {
        for file in files.iter_mut().filter(|file| file.finished_after.is_none()) {
            if mwdb.is_analyzed(&file.id).await? {
                file.finished_after = Some(started.elapsed());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    for file in &mut files {
        let object = mwdb.object(&file.id).await.context("the uploaded object is gone")?;
        file.tags = object.tags.into_iter().map(|tag| tag.tag).collect();
        file.tags.sort();
        for child in object.children {
            let name = mwdb.label(&child.id).await?;
            file.children.push(Named { id: child.id, name });
        }
    }
    Ok(Report { files })
}

impl Report {
    /// Whether all analyses were finished in time.
    pub(crate) fn is_complete(&self) -> bool {
        self.files.iter().all(|file| file.finished_after.is_some())
    }

    pub(crate) fn json_line(&self) -> String {
        let files = self.files.iter().map(|file| {
            let children = file.children.iter().map(|child| json!({"id": child.id, "name": child.name}));
            json!({
                "name": file.name,
                "id": file.id,
                "finished": file.finished_after.is_some(),
                "seconds": file.finished_after.map(|time| time.as_secs_f64()),
                "tags": file.tags,
                "children": children.collect::<Vec<_>>(),
            })
        });
        json!({"files": files.collect::<Vec<_>>()}).to_string()
    }

    pub(crate) fn table(&self) -> String {
        let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let mut rows = vec![["file", "analysis", "tags", "children", "id"].map(str::to_owned).to_vec()];
        rows.extend(self.files.iter().map(|file| {
            let children = file.children.iter().map(|child| child.name.as_str()).collect::<Vec<_>>().join(", ");
            let analysis = file.finished_after.map_or_else(|| "not finished".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
            vec![file.name.to_owned(), analysis, or_dash(file.tags.join(", ")), or_dash(children), file.id.chars().take(16).collect()]
        }));
        columns(&rows)
    }
}
