//! The procedure that files, configs and blobs share.
//!
//! The one rule: an object that exists is uploaded again, unless the settings say otherwise; either
//! way it becomes part of this analysis, and MWDB merges.

use karton_rs::{Resource, json::Value};

use super::{Run, error::ReportError, inputs::Metadata, spool::SampleFile};
use crate::mwdb::{Attribute, Client, Error, FileUpload, Object, ObjectType, Problem, UploadOptions, metakey_text};

/// What is reported.
pub(super) enum Subject<'a> {
    File(&'a SampleFile<'a>),
    Config { id: String, family: &'a str, config_type: &'a str, cfg: &'a Value },
    Blob { id: String, name: &'a str, kind: &'a str, content: &'a str },
}

impl Subject<'_> {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::File(file) => &file.id,
            Self::Config { id, .. } | Self::Blob { id, .. } => id,
        }
    }

    pub(super) fn kind(&self) -> ObjectType {
        match self {
            Self::File(_) => ObjectType::File,
            Self::Config { .. } => ObjectType::Config,
            Self::Blob { .. } => ObjectType::Blob,
        }
    }

    /// Name of a file or blob, family of a config; and the bytes of the content.
    pub(super) fn name_and_size(&self) -> (String, u64) {
        match self {
            Self::File(file) => (file.name.clone(), file.size),
            Self::Config { family, cfg, .. } => ((*family).to_owned(), cfg.to_json().len() as u64),
            Self::Blob { name, content, .. } => ((*name).to_owned(), content.len() as u64),
        }
    }

    pub(super) async fn upload(&self, mwdb: &Client, options: &UploadOptions) -> Result<Object, Error> {
        match self {
            Self::File(file) => mwdb.upload_file(&FileUpload::new(&file.name, &*file.content), options).await,
            Self::Config { family, config_type, cfg, .. } => mwdb.upload_config(family, config_type, cfg, options).await,
            Self::Blob { name, kind, content, .. } => mwdb.upload_blob(name, kind, content, options).await,
        }
    }
}

impl Run<'_> {
    /// Uploads a file; nothing when it is too large for the server.
    pub(super) async fn report_file(
        &self,
        resource: &Resource,
        parent: Option<&str>,
        metadata: &Metadata,
    ) -> Result<Option<Object>, ReportError> {
        let mut file = self.sample_file(resource).await?;
        if self.plan.is_some() {
            let opened = file.content.open().await.map_err(|source| ReportError::Content { name: file.name.clone(), source })?;
            file.size = opened.size;
        }
        match self.report_object(&Subject::File(&file), parent, metadata).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if matches!(error.problem(), Problem::TooLarge) => {
                tracing::warn!("File `{}` ({}) is too large for MWDB: not uploaded", file.name, file.id);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Puts an object with its relations and metadata into MWDB.
    pub(super) async fn report_object(&self, subject: &Subject<'_>, parent: Option<&str>, metadata: &Metadata) -> Result<Object, Error> {
        let parent = parent.filter(|parent| {
            let circular = parent.eq_ignore_ascii_case(subject.id());
            if circular {
                tracing::warn!("Object {parent} is named as its own parent: ignored");
            }
            !circular
        });
        let in_one_request = self.mwdb.server_version().await?.has_rich_uploads();
        let uploads_all = in_one_request && self.options.upload_existing;
        // What is uploaded in any case need not be looked up, unless somebody wants to know what that would do.
        let existing = if uploads_all && self.plan.is_none() { None } else { self.mwdb.query(subject.kind(), subject.id()).await? };
        let is_uploaded = uploads_all || existing.is_none();
        let object = match existing {
            Some(object) if !uploads_all => {
                if let Some(parent) = parent {
                    self.link(parent, &object).await?;
                }
                self.add_metadata(&object, metadata).await?;
                // Before 2.6 an object stays with the analysis that it came with.
                if in_one_request {
                    self.put_analysis(&object.id).await?;
                }
                object
            }
            existing if in_one_request => {
                let options = UploadOptions {
                    parent: parent.map(str::to_owned),
                    tags: metadata.tags.clone(),
                    attributes: metadata.attributes.clone(),
                    karton_id: Some(self.task.root_uid().to_owned()),
                    ..UploadOptions::default()
                };
                self.upload(subject, existing, options).await?
            }
            // Uploads to servers before 2.6 take a parent and metakeys only.
            _ => {
                let metakeys = vec![("karton".to_owned(), self.task.root_uid().to_owned())];
                let options = UploadOptions { parent: parent.map(str::to_owned), metakeys, ..UploadOptions::default() };
                let object = self.upload(subject, None, options).await?;
                self.add_metadata(&object, metadata).await?;
                object
            }
        };
        self.put_comments(&object.id, &metadata.comments).await?;
        if self.plan.is_none() {
            summary(subject.kind(), &object.id, is_uploaded, parent, metadata);
        }
        Ok(object)
    }

    /// Adds tags and attributes one by one.
    async fn add_metadata(&self, object: &Object, metadata: &Metadata) -> Result<(), Error> {
        self.add_tags(object, &metadata.tags).await?;
        if metadata.attributes.is_empty() {
            return Ok(());
        }
        let is_planned = self.plan.is_some_and(|plan| plan.makes(&object.id));
        let present = if is_planned { Vec::new() } else { self.mwdb.attributes(&object.id).await? };
        let is_present = |key: &str, value: &Value| {
            let holds = |held: &Attribute| {
                // The list shows text even where something else was meant.
                held.key == key && (held.value == *value || held.value.as_str() == Some(metakey_text(value).as_str()))
            };
            present.iter().any(holds)
        };
        for (key, value) in metadata.attributes.iter().filter(|(key, value)| !is_present(key, value)) {
            self.put_attribute(&object.id, key, value).await?;
        }
        Ok(())
    }

    /// Makes `child` a child of `parent`, unless the answer that we have shows that it is.
    pub(super) async fn link(&self, parent: &str, child: &Object) -> Result<(), Error> {
        let linked = child.parents.as_ref().is_some_and(|parents| parents.iter().any(|known| known == parent));
        if !linked && parent != child.id {
            self.put_child(parent, &child.id).await?;
        }
        Ok(())
    }

    /// Adds the tags that an object does not have.
    pub(super) async fn add_tags(&self, object: &Object, tags: &[String]) -> Result<(), Error> {
        if tags.is_empty() {
            return Ok(());
        }
        let present = match &object.tags {
            Some(tags) => tags.clone(),
            None => self.mwdb.tags(&object.id).await?,
        };
        for tag in tags.iter().filter(|tag| !present.contains(tag)) {
            self.put_tag(&object.id, tag).await?;
        }
        Ok(())
    }
}

fn summary(kind: ObjectType, id: &str, is_uploaded: bool, parent: Option<&str>, metadata: &Metadata) {
    let mut keys: Vec<&str> = metadata.attributes.iter().map(|(key, _)| key.as_str()).collect();
    keys.dedup();
    tracing::info!(
        "{} {} {id}: parent {}, tags [{}], attributes [{}], {} comments",
        if is_uploaded { "Uploaded" } else { "Added metadata to existing" },
        kind.as_str(),
        parent.unwrap_or("none"),
        metadata.tags.join(", "),
        keys.join(", "),
        metadata.comments.len(),
    );
}
