//! One object with all that belongs to it.

use std::sync::Arc;

use anyhow::ensure;
use futures::future::BoxFuture;
use karton_rs::json::Value;
use reporter::mwdb::{Client, Content, ContentError, FileUpload, Object, Opened, UploadOptions};
use rusqlite::Connection;

use super::target::Target;
use crate::{
    auth::Capability,
    content::{Store, StoreError},
    db::{
        analyses, metadata,
        objects::{self, BlobRow, ConfigRow, FileRow},
        upkeep::{self, Known, Viewer},
    },
    objects::Kind,
};

/// How often the comments of an object are looked at when the connection keeps breaking.
const LOOKS: u32 = 5;

/// An object as the database has it.
pub(super) struct Item {
    dhash: String,
    share_3rd_party: bool,
    body: Body,
    tags: Vec<String>,
    attributes: Vec<(String, String)>,
    comments: Vec<String>,
    analyses: Vec<String>,
    viewers: Vec<Viewer>,
}

enum Body {
    File(FileRow),
    Config(ConfigRow, String),
    Blob(BlobRow, String),
}

impl Item {
    pub(super) fn read(c: &Connection, kind: Kind, known: &Known) -> rusqlite::Result<Self> {
        let id = known.id;
        let object = objects::by_id(c, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(Self {
            dhash: object.dhash,
            share_3rd_party: object.share_3rd_party,
            body: match kind {
                Kind::File => Body::File(objects::file(c, id)?),
                Kind::Config => Body::Config(objects::config(c, id)?, objects::config_cfg(c, id)?),
                Kind::Blob => Body::Blob(objects::blob(c, id)?, objects::blob_content(c, id)?),
            },
            tags: metadata::tags(c, id)?,
            attributes: upkeep::attributes(c, id)?,
            comments: metadata::comments(c, id)?.into_iter().map(|comment| comment.comment).collect(),
            analyses: analyses::ids(c, id)?,
            viewers: upkeep::viewers(c, id)?,
        })
    }

    /// Sends it. All of it may be there already: then nothing changes.
    pub(super) async fn send(self, client: &Client, store: &Arc<Store>, target: &Target) -> anyhow::Result<()> {
        let analyses = if target.may(Capability::KartonAssign) { self.analyses.as_slice() } else { &[] };
        let uploader = self.viewers.iter().find(|viewer| viewer.uploader).map(|viewer| viewer.group.as_str());
        let mut options = UploadOptions {
            upload_as: Some(target.upload_as(uploader)),
            share_3rd_party: Some(self.share_3rd_party),
            tags: self.tags.clone(),
            karton_id: analyses.first().cloned(),
            ..UploadOptions::default()
        };
        for (key, value) in self.attributes.iter().filter(|(key, _)| target.takes_key(key)) {
            options.attributes.push((key.clone(), Value::parse(value)?));
        }
        let there = self.upload(client, store, &options).await?;
        ensure!(there.id == self.dhash, "the other MWDB stored it as {}", there.id);
        for analysis in analyses.iter().skip(1) {
            client.assign_analysis(&self.dhash, analysis).await?;
        }
        self.comment(client, target).await?;
        self.share(client, target).await
    }

    async fn upload(&self, client: &Client, store: &Arc<Store>, options: &UploadOptions) -> anyhow::Result<Object> {
        Ok(match &self.body {
            Body::File(file) => {
                let content = StoredContent { store: Arc::clone(store), sha256: self.dhash.clone(), size: file.file_size };
                // A name of nothing but odd characters has nothing left, and an upload needs one.
                let name = if file.file_name.is_empty() { &self.dhash } else { &file.file_name };
                client.upload_file(&FileUpload::new(name, &content), options).await?
            }
            Body::Config(config, cfg) => client.upload_config(&config.family, &config.config_type, &Value::parse(cfg)?, options).await?,
            Body::Blob(blob, content) => client.upload_blob(&blob.blob_name, &blob.blob_type, content, options).await?,
        })
    }

    /// Adds the comments that are not there. The author there is the account.
    async fn comment(&self, client: &Client, target: &Target) -> anyhow::Result<()> {
        if self.comments.is_empty() || !target.may(Capability::AddingComments) {
            return Ok(());
        }
        let mut looks = 0;
        'look: loop {
            looks += 1;
            let mut there: Vec<String> = client.comments(&self.dhash).await?.into_iter().map(|comment| comment.text).collect();
            for comment in &self.comments {
                if let Some(index) = there.iter().position(|known| known == comment) {
                    there.swap_remove(index);
                    continue;
                }
                match client.add_comment(&self.dhash, comment).await {
                    Ok(()) => {}
                    // It may have arrived: the next look tells.
                    Err(error) if error.is_temporary() && looks < LOOKS => continue 'look,
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(());
        }
    }

    async fn share(&self, client: &Client, target: &Target) -> anyhow::Result<()> {
        let mut groups: Vec<&str> = self.viewers.iter().map(|viewer| viewer.group.as_str()).collect();
        groups.retain(|group| target.shares_with(group));
        if groups.is_empty() {
            return Ok(());
        }
        let there = client.shares(&self.dhash).await?;
        for group in groups.into_iter().filter(|group| !there.iter().any(|share| share.group == *group)) {
            client.share_with(&self.dhash, group).await?;
        }
        Ok(())
    }
}

/// The content of a file, wherever it is kept.
struct StoredContent {
    store: Arc<Store>,
    sha256: String,
    size: u64,
}

impl Content for StoredContent {
    fn open(&self) -> BoxFuture<'_, Result<Opened, ContentError>> {
        Box::pin(async {
            let opened = async { self.store.open_content(&self.sha256).await?.whole().await };
            opened.await.map(|reader| Opened::new(self.size, reader)).map_err(|error| match error {
                StoreError::Away(reason) => ContentError::away(reason),
                other => ContentError::broken(other.to_string()),
            })
        })
    }
}
