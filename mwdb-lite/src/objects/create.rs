//! Uploads: creating an object or merging into the one that is there. See MWDB API §O1.3, §O2 to §O4.
//!
//! All of it is one transaction, the announcement to Karton included.

use karton_rs::json::{Map, Value};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::{
    Kind, access, analyses, attributes,
    names::sanitise,
    options::{Checked, Options},
    tags,
    text::{HAS_NUL, check_longest},
    views::{self, Detail},
};
use crate::{
    auth::{Caller, Capability},
    content::Digests,
    db::{
        analyses as analyses_db, fresh,
        objects::{self as db, BlobRow, ConfigRow, FileRow, ObjectRow},
    },
    error::{ApiError, ApiResult},
    mistakes::Mistakes,
    timestamp::Timestamp,
};

/// What is uploaded.
pub(crate) enum Content {
    File(NewFile),
    Config { family: String, config_type: String, cfg: Map },
    Blob(NewBlob),
}

/// A file whose content is in place.
pub(crate) struct NewFile {
    dhash: String,
    row: FileRow,
    /// The bytes, where the disk may not have them in their place yet.
    fresh: Option<Vec<u8>>,
}

impl NewFile {
    /// What the database keeps of it.
    pub(crate) fn new(name: &str, file_size: u64, digests: Digests, file_type: String, fresh: Option<Vec<u8>>) -> Self {
        Self {
            dhash: digests.sha256,
            row: FileRow {
                file_name: sanitise(name),
                file_size,
                file_type,
                md5: digests.md5,
                sha1: digests.sha1,
                sha512: digests.sha512,
                crc32: digests.crc32,
                ssdeep: digests.ssdeep,
            },
            fresh,
        }
    }
}

/// A text with a name and a type.
#[derive(Debug, Clone)]
pub(crate) struct NewBlob {
    pub(crate) blob_name: String,
    pub(crate) blob_type: String,
    pub(crate) content: String,
}

/// Stores an upload and gives it as the uploader sees it. With `announce`, a new object is sent to Karton.
pub(crate) fn upload(c: &Connection, caller: &Caller, content: Content, options: Options, announce: bool) -> ApiResult<Detail> {
    let options = options.check(c, caller)?;
    let (object, new) = match content {
        Content::File(file) => file_object(c, &file, &options)?,
        Content::Config { family, config_type, cfg } => config_object(c, caller, family, config_type, cfg, &options)?,
        Content::Blob(blob) => blob_object(c, &blob, options.share_3rd_party)?,
    };
    share(c, caller, &object, &options)?;
    if let Some(parent) = &options.parent {
        access::link(c, parent.id, object.id)?;
    }
    if let Some(analysis) = options.analysis {
        analyses::assign_known(c, &analysis.to_string(), object.id)?;
    }
    tags::put(c, object.id, &options.tags)?;
    if new && announce && options.analysis.is_none() {
        let id = uuid::Uuid::new_v4().to_string();
        analyses_db::insert(c, &id, &Value::Object(options.arguments).to_json())?;
        analyses_db::assign(c, &id, object.id)?;
        analyses_db::announce_later(c, &id, object.id, &caller.feed_quality)?;
    }
    let object = db::by_id(c, object.id)?.ok_or_else(ApiError::no_object)?;
    views::detail(c, caller, &object)
}

/// What uploads and blobs embedded in configs have in common: attributes, access, the flag.
fn share(c: &Connection, caller: &Caller, object: &ObjectRow, options: &Checked) -> ApiResult<()> {
    attributes::put(c, object.id, options.attributes.iter().map(|(key, value)| (key.as_str(), value)))?;
    let private = caller.groups.iter().find(|group| group.private).map(|group| group.id);
    for group in &options.groups {
        let reason = if Some(*group) == private { "added" } else { "shared" };
        access::grant(c, &access::reason(object, *group, reason, caller))?;
    }
    if options.share_3rd_party {
        db::allow_3rd_party(c, object.id)?;
    }
    Ok(())
}

/// The object with this hash, made when there is none; the flag says whether it is new.
fn create(c: &Connection, kind: Kind, dhash: &str, share_3rd_party: bool) -> ApiResult<(ObjectRow, bool)> {
    match db::by_dhash(c, dhash)? {
        Some(object) if object.kind == kind => Ok((object, false)),
        Some(_) => Err(ApiError::Conflict("Object already exists in database and has different type".to_owned())),
        None => {
            let id = db::insert(c, kind, dhash, share_3rd_party)?;
            Ok((db::by_id(c, id)?.ok_or_else(ApiError::no_object)?, true))
        }
    }
}

fn file_object(c: &Connection, file: &NewFile, options: &Checked) -> ApiResult<(ObjectRow, bool)> {
    let (object, new) = create(c, Kind::File, &file.dhash, options.share_3rd_party)?;
    if new {
        db::insert_file(c, object.id, &file.row)?;
    }
    db::add_file_name(c, object.id, &file.row.file_name)?;
    if let Some(content) = &file.fresh {
        fresh::insert(c, &file.dhash, content)?;
    }
    Ok((object, new))
}

fn blob_object(c: &Connection, blob: &NewBlob, share_3rd_party: bool) -> ApiResult<(ObjectRow, bool)> {
    let dhash: String = Sha256::digest(blob.content.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let (object, new) = create(c, Kind::Blob, &dhash, share_3rd_party)?;
    if new {
        let row = BlobRow {
            blob_name: blob.blob_name.clone(),
            blob_type: blob.blob_type.clone(),
            blob_size: blob.content.chars().count() as u64,
            last_seen: object.upload_time,
        };
        db::insert_blob(c, object.id, &row, &blob.content)?;
    } else {
        db::see_blob(c, object.id)?;
    }
    Ok((object, new))
}

fn config_object(
    c: &Connection,
    caller: &Caller,
    family: String,
    config_type: String,
    mut cfg: Map,
    options: &Checked,
) -> ApiResult<(ObjectRow, bool)> {
    let mut blobs = Vec::new();
    for value in cfg.values_mut() {
        if let Some(spec) = value.get(IN_BLOB) {
            let only = value.as_object().is_some_and(|map| map.len() == 1);
            let blob = embedded_blob(c, caller, spec, only, options)?;
            let mut reference = Map::new();
            reference.insert(IN_BLOB.to_owned(), blob.dhash.clone().into());
            *value = reference.into();
            blobs.push(blob);
        }
    }
    let cfg = Value::Object(cfg);
    let (object, new) = create(c, Kind::Config, &karton_rs::config_dhash(&cfg), options.share_3rd_party)?;
    if new {
        db::insert_config(c, object.id, &ConfigRow { family, config_type }, &cfg.to_json())?;
    }
    for blob in blobs {
        access::link(c, object.id, blob.id)?;
    }
    Ok((object, new))
}

const IN_BLOB: &str = "in-blob";

/// The blob that a top-level value of a config stands for.
fn embedded_blob(c: &Connection, caller: &Caller, spec: &Value, only: bool, options: &Checked) -> ApiResult<ObjectRow> {
    if !only {
        return Err(ApiError::BadRequest("'in-blob' should be the only key".to_owned()));
    }
    caller.require(Capability::AddingBlobs)?;
    match spec {
        Value::Object(fields) => {
            let mut mistakes = Mistakes::default();
            let mut text = |name: &str| {
                let reason = match fields.get(name) {
                    Some(Value::String(text)) => return text.clone(),
                    Some(Value::Null) => "Field may not be null.",
                    Some(_) => "Not a valid string.",
                    None => "Missing data for required field.",
                };
                mistakes.add(Mistakes::of(name, reason));
                String::new()
            };
            let blob = NewBlob { blob_name: text("blob_name"), blob_type: text("blob_type"), content: text("content") };
            if !mistakes.is_empty() {
                return Err(ApiError::Invalid(mistakes));
            }
            check_width("blob_type", &blob.blob_type)?;
            for (field, text) in [("blob_name", &blob.blob_name), ("blob_type", &blob.blob_type)] {
                if text.contains('\0') {
                    return Err(ApiError::invalid(field, HAS_NUL));
                }
            }
            let (object, _) = blob_object(c, &blob, options.share_3rd_party)?;
            share(c, caller, &object, options)?;
            Ok(object)
        }
        Value::String(hash) => {
            let missing = |error| match error {
                ApiError::NotFound(_) => ApiError::NotFound(format!("Blob {} doesn't exist", hash.escape_default())),
                other => other,
            };
            access::find(c, caller, Some(Kind::Blob), hash).map_err(missing)
        }
        _ => Err(ApiError::BadRequest("'in-blob' key must be set to blob keys or blob id".to_owned())),
    }
}

/// Families and types are short words.
pub(crate) fn check_width(field: &str, text: &str) -> ApiResult<()> {
    check_longest(field, text, 32)
}

/// Configs per family since a moment, whoever sees them.
pub(crate) fn families(c: &Connection, since: Option<Timestamp>) -> ApiResult<Vec<(String, Timestamp, u64)>> {
    Ok(db::config_families(c, since)?)
}
