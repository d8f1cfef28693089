//! Objects as replies show them. See MWDB API §O2.1, §O3.1, §O4, §O5.1.

use rusqlite::Connection;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    Kind,
    attributes::{self, AttributeItem},
};
use crate::{
    auth::Caller,
    db::{
        metadata,
        objects::{self as db, ObjectRow},
        relations::{self, Side},
    },
    error::ApiResult,
    timestamp::Timestamp,
};

#[derive(Debug, Serialize)]
pub(crate) struct TagItem {
    pub(crate) tag: String,
}

/// What every reply says of an object.
#[derive(Debug, Serialize)]
pub(crate) struct ObjectRef {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) tags: Vec<TagItem>,
    /// Tags that are left out. The API leaves out none.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_tags: Option<usize>,
    pub(crate) upload_time: Timestamp,
}

#[derive(Debug, Serialize)]
struct FileFields {
    file_name: String,
    file_size: u64,
    file_type: String,
    md5: String,
    sha1: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct FileDetails {
    sha512: String,
    crc32: String,
    ssdeep: Option<String>,
    alt_names: Vec<String>,
    latest_config: Option<Box<EmbeddedConfig>>,
}

#[derive(Debug, Serialize)]
struct ConfigFields {
    family: String,
    config_type: String,
}

#[derive(Debug, Serialize)]
struct ConfigDetails {
    cfg: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct BlobFields {
    blob_name: String,
    blob_size: u64,
    blob_type: String,
    last_seen: Timestamp,
}

#[derive(Debug, Serialize)]
struct BlobDetails {
    content: String,
    latest_config: Option<Box<Detail>>,
}

/// The newest config of a file, inside the file.
#[derive(Debug, Serialize)]
struct EmbeddedConfig {
    #[serde(flatten)]
    object: ObjectRef,
    #[serde(flatten)]
    fields: ConfigFields,
    cfg: Box<RawValue>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Fields {
    File(FileFields),
    Config(ConfigFields),
    Blob(BlobFields),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Details {
    File(FileDetails),
    Config(ConfigDetails),
    Blob(BlobDetails),
}

/// An object in a list of its type.
#[derive(Debug, Serialize)]
pub(crate) struct ListItem {
    #[serde(flatten)]
    object: ObjectRef,
    #[serde(flatten)]
    fields: Option<Fields>,
}

impl ListItem {
    /// The same with at most so many tags.
    pub(crate) fn with_few_tags(mut self, most: usize) -> Self {
        let left_out = self.object.tags.len().saturating_sub(most);
        if left_out > 0 {
            self.object.tags.truncate(most);
            self.object.more_tags = Some(left_out);
        }
        self
    }
}

/// Everything about one object.
#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    object: ObjectRef,
    #[serde(flatten)]
    fields: Option<Fields>,
    #[serde(flatten)]
    details: Option<Details>,
    favorite: bool,
    share_3rd_party: bool,
    parents: Vec<ObjectRef>,
    children: Vec<ObjectRef>,
    attributes: Vec<AttributeItem>,
}

pub(crate) fn reference(c: &Connection, object: &ObjectRow) -> ApiResult<ObjectRef> {
    Ok(ObjectRef {
        id: object.dhash.clone(),
        kind: object.kind,
        tags: tags(c, object.id)?,
        more_tags: None,
        upload_time: object.upload_time,
    })
}

pub(crate) fn references(c: &Connection, objects: &[ObjectRow]) -> ApiResult<Vec<ObjectRef>> {
    objects.iter().map(|object| reference(c, object)).collect()
}

pub(crate) fn tags(c: &Connection, object_id: i64) -> ApiResult<Vec<TagItem>> {
    Ok(metadata::tags(c, object_id)?.into_iter().map(|tag| TagItem { tag }).collect())
}

fn fields(c: &Connection, object: &ObjectRow) -> ApiResult<Fields> {
    Ok(match object.kind {
        Kind::File => {
            let file = db::file(c, object.id)?;
            Fields::File(FileFields {
                file_name: file.file_name,
                file_size: file.file_size,
                file_type: file.file_type,
                md5: file.md5,
                sha1: file.sha1,
                sha256: object.dhash.clone(),
            })
        }
        Kind::Config => {
            let config = db::config(c, object.id)?;
            Fields::Config(ConfigFields { family: config.family, config_type: config.config_type })
        }
        Kind::Blob => {
            let blob = db::blob(c, object.id)?;
            Fields::Blob(BlobFields {
                blob_name: blob.blob_name,
                blob_size: blob.blob_size,
                blob_type: blob.blob_type,
                last_seen: blob.last_seen,
            })
        }
    })
}

fn details(c: &Connection, caller: &Caller, object: &ObjectRow) -> ApiResult<Details> {
    Ok(match object.kind {
        Kind::File => {
            let file = db::file(c, object.id)?;
            Details::File(FileDetails {
                sha512: file.sha512,
                crc32: file.crc32,
                ssdeep: file.ssdeep,
                alt_names: db::alt_names(c, object.id)?,
                latest_config: relations::latest_config(c, caller, object.id)?
                    .map(|config| embedded_config(c, &config))
                    .transpose()?
                    .map(Box::new),
            })
        }
        Kind::Config => Details::Config(ConfigDetails { cfg: json_text(db::config_cfg(c, object.id)?)? }),
        Kind::Blob => Details::Blob(BlobDetails {
            content: db::blob_content(c, object.id)?,
            latest_config: match relations::latest_config(c, caller, object.id)? {
                Some(config) => Some(Box::new(detail(c, caller, &config)?)),
                None => None,
            },
        }),
    })
}

fn embedded_config(c: &Connection, object: &ObjectRow) -> ApiResult<EmbeddedConfig> {
    let config = db::config(c, object.id)?;
    Ok(EmbeddedConfig {
        object: reference(c, object)?,
        fields: ConfigFields { family: config.family, config_type: config.config_type },
        cfg: json_text(db::config_cfg(c, object.id)?)?,
    })
}

/// Stored JSON goes out as it is: its numbers fit no type of ours.
pub(crate) fn json_text(text: String) -> ApiResult<Box<RawValue>> {
    Ok(RawValue::from_string(text).map_err(anyhow::Error::from)?)
}

/// An item of a list; typed lists show more.
pub(crate) fn list_item(c: &Connection, object: &ObjectRow, typed: bool) -> ApiResult<ListItem> {
    Ok(ListItem { object: reference(c, object)?, fields: typed.then(|| fields(c, object)).transpose()? })
}

/// The view of an object under its own type word.
pub(crate) fn detail(c: &Connection, caller: &Caller, object: &ObjectRow) -> ApiResult<Detail> {
    let typed = (fields(c, object)?, details(c, caller, object)?);
    build(c, caller, object, Some(typed))
}

/// The view of an object under `object`, which says nothing that only one type has.
pub(crate) fn generic_detail(c: &Connection, caller: &Caller, object: &ObjectRow) -> ApiResult<Detail> {
    build(c, caller, object, None)
}

fn build(c: &Connection, caller: &Caller, object: &ObjectRow, typed: Option<(Fields, Details)>) -> ApiResult<Detail> {
    let (fields, details) = typed.unzip();
    Ok(Detail {
        object: reference(c, object)?,
        fields,
        details,
        favorite: metadata::is_favorite(c, caller.id, object.id)?,
        share_3rd_party: object.share_3rd_party,
        parents: references(c, &relations::shown(c, caller, Side::Parents, object.id)?)?,
        children: references(c, &relations::shown(c, caller, Side::Children, object.id)?)?,
        attributes: attributes::items(c, caller, object.id, false)?,
    })
}
