//! Resources: files that travel with a task by reference, kept in the object store.
//!
//! The one rule: content is streamed. Nothing here holds a whole file unless it was given in memory.
//! See Karton protocol §5.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

use crate::{
    hex,
    json::{Map, Value},
    task::new_uid,
};

/// The key that marks a resource inside a payload.
pub(crate) const MARK: &str = "__karton_resource__";

/// A file in the object store, as a payload refers to it.
///
/// ```
/// use karton_rs::{Resource, json::Value};
///
/// let value = Value::parse(r#"{"__karton_resource__": {"uid": "u", "name": "a.bin", "bucket": "karton", "size": 3}}"#)?;
/// let resource = Resource::from_value(&value).expect("a resource");
/// assert_eq!((resource.name.as_str(), resource.size), ("a.bin", Some(3)));
/// # Ok::<(), karton_rs::json::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Resource {
    /// Key of the object in its bucket.
    pub uid: String,
    /// File name, free text; empty when the sender gave none.
    pub name: String,
    /// The name as it came, when it was no text: null, or not Unicode. It goes on like that unless `name` is set.
    given_name: Option<Box<Value>>,
    /// Bucket; none: the default bucket, filled in when the task is sent.
    pub bucket: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Free data; always has `sha256`, which may be null.
    pub metadata: Map,
    /// `Directory` for a zipped folder.
    pub flags: Vec<String>,
}

impl Resource {
    /// The typed view of a payload value; nothing when it is no resource.
    pub fn from_value(value: &Value) -> Option<Self> {
        let fields = value.get(MARK)?.as_object()?;
        Self::from_fields(fields).ok()
    }

    /// Digest of the content in lower-case hex, when the sender knew it.
    pub fn sha256(&self) -> Option<&str> {
        self.metadata.get("sha256").and_then(Value::as_str)
    }

    /// Records the digest of the content.
    pub fn set_sha256(&mut self, sha256: &str) {
        self.metadata.insert("sha256".to_owned(), sha256.into());
    }

    /// The JSON form that goes into a payload.
    pub fn to_value(&self) -> Value {
        let mut fields = Map::new();
        fields.insert("uid".to_owned(), self.uid.as_str().into());
        let given = self.given_name.as_ref().filter(|given| shown_name(given).as_ref() == Some(&self.name));
        fields.insert("name".to_owned(), given.map_or_else(|| self.name.as_str().into(), |given| Value::clone(given)));
        fields.insert("bucket".to_owned(), self.bucket.clone().into());
        fields.insert("size".to_owned(), self.size.into());
        fields.insert("metadata".to_owned(), self.metadata.clone().into());
        fields.insert("flags".to_owned(), self.flags.clone().into());
        fields.insert("sha256".to_owned(), self.metadata.get("sha256").cloned().unwrap_or_default());
        let mut value = Map::new();
        value.insert(MARK.to_owned(), fields.into());
        value.into()
    }

    /// Reads the inner object, older forms included.
    pub(crate) fn from_fields(fields: &Map) -> Result<Self, ResourceError> {
        let required = |field: &'static str| fields.get(field).ok_or(ResourceError::Missing(field));
        let text = |value: &Value, field| match value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(ResourceError::Invalid(field)),
        };
        let uid = match required("uid")? {
            Value::Null => new_uid(),
            uid => text(uid, "uid")?,
        };
        let given_name = required("name")?;
        let name = shown_name(given_name).ok_or(ResourceError::Invalid("name"))?;
        let given_name = Some(given_name).filter(|given| !matches!(given, Value::String(_))).cloned().map(Box::new);
        let bucket = match required("bucket")? {
            Value::Null => None,
            bucket => Some(text(bucket, "bucket")?),
        };
        let size = match fields.get("size") {
            None | Some(Value::Null) => None,
            Some(Value::Number(size)) => Some(size.as_u64().ok_or(ResourceError::Invalid("size"))?),
            Some(_) => return Err(ResourceError::Invalid("size")),
        };
        let mut metadata = match fields.get("metadata") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(metadata)) => metadata.clone(),
            Some(_) => return Err(ResourceError::Invalid("metadata")),
        };
        if let Some(sha256) = fields.get("sha256") {
            metadata.insert("sha256".to_owned(), sha256.clone());
        }
        metadata.entry("sha256".to_owned()).or_default();
        let flags = match fields.get("flags") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(flags)) => flags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(_) => return Err(ResourceError::Invalid("flags")),
        };
        Ok(Self { uid, name, given_name, bucket, size, metadata, flags })
    }
}

/// A name as text: null is empty, and what is not Unicode is shown by its JSON text.
fn shown_name(name: &Value) -> Option<String> {
    match name {
        Value::Null => Some(String::new()),
        Value::String(name) => Some(name.clone()),
        Value::Unpaired(json) => Some(json.trim_matches('"').to_owned()),
        _ => None,
    }
}

/// Why an object with the mark of a resource is none, or a file cannot become one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceError {
    /// A required field is missing.
    #[error("resource has no `{0}`")]
    Missing(&'static str),
    /// A field has the wrong type.
    #[error("resource field `{0}` has the wrong type")]
    Invalid(&'static str),
    /// Content given in memory is empty, which Karton refuses.
    #[error("resource `{0}` has no content")]
    Empty(String),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A file or some bytes that a task brings along; uploaded when the task is sent.
///
/// ```
/// use karton_rs::{LocalResource, Task};
/// use serde_json::json;
///
/// let mut task = Task::new(json!({"type": "sample", "kind": "raw"}));
/// task.attach("sample", LocalResource::from_bytes("hello.txt", "hello")?);
/// # Ok::<(), karton_rs::ResourceError>(())
/// ```
#[derive(Debug, Clone)]
pub struct LocalResource {
    resource: Resource,
    source: Source,
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    Bytes(Bytes),
    File(PathBuf),
    /// A file that is removed with the last copy of this.
    Temporary(std::sync::Arc<tempfile::TempPath>),
}

impl LocalResource {
    /// Content that is in memory already.
    ///
    /// # Errors
    /// When `content` is empty, as in the reference; an empty *file* is fine.
    pub fn from_bytes(name: &str, content: impl Into<Bytes>) -> Result<Self, ResourceError> {
        let content = content.into();
        if content.is_empty() {
            return Err(ResourceError::Empty(name.to_owned()));
        }
        let sha256 = hex(&Sha256::digest(&content));
        Ok(Self::new(name, content.len() as u64, &sha256, Source::Bytes(content)))
    }

    /// A file on disk. It is read once now, for its digest, and once when the task is sent.
    ///
    /// # Errors
    /// When it is no file, as a folder, a pipe or a device, or cannot be read.
    pub async fn from_path(name: &str, path: impl AsRef<Path>) -> Result<Self, ResourceError> {
        let path = path.as_ref();
        let (size, sha256) = digest(path).await.map_err(|source| ResourceError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self::new(name, size, &sha256, Source::File(path.to_owned())))
    }

    /// A temporary file, which lives until the last copy of the resource is dropped.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn from_temp(name: &str, path: tempfile::TempPath) -> Result<Self, ResourceError> {
        let mut resource = Self::from_path(name, &path).await?;
        resource.source = Source::Temporary(std::sync::Arc::new(path));
        Ok(resource)
    }

    /// A folder, as a zip of the files below it with the flag `Directory`; see [`Karton::extract`](crate::Karton::extract).
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub async fn from_directory(name: &str, folder: impl AsRef<Path>) -> Result<Self, ResourceError> {
        let folder = folder.as_ref().to_owned();
        let unreadable = |source| ResourceError::Unreadable { path: folder.clone(), source };
        let from = folder.clone();
        // A thread goes on when its caller is dropped, unless it is told.
        let unwanted = CancellationToken::new();
        let _guard = unwanted.clone().drop_guard();
        let packed = tokio::task::spawn_blocking(move || crate::folder::pack(&from, &unwanted)).await;
        let packed = packed.map_err(|error| unreadable(std::io::Error::other(error)))?.map_err(unreadable)?;
        Ok(Self::from_temp(name, packed).await?.with_flag("Directory"))
    }

    /// A file whose size and digest the caller knows, so that it is not read for them.
    pub fn from_known_path(name: &str, path: impl Into<PathBuf>, size: u64, sha256: &str) -> Self {
        Self::new(name, size, sha256, Source::File(path.into()))
    }

    fn new(name: &str, size: u64, sha256: &str, source: Source) -> Self {
        let mut resource = Resource {
            uid: new_uid(),
            name: name.to_owned(),
            given_name: None,
            bucket: None,
            size: Some(size),
            metadata: Map::new(),
            flags: Vec::new(),
        };
        resource.set_sha256(sha256);
        Self { resource, source }
    }

    /// Adds free data that travels with the resource.
    #[must_use]
    pub fn with_metadata(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.resource.metadata.insert(key.to_owned(), value.into());
        self
    }

    /// Chooses a bucket other than the default one, which the collector does not clean.
    #[must_use]
    pub fn with_bucket(mut self, bucket: &str) -> Self {
        self.resource.bucket = Some(bucket.to_owned());
        self
    }

    /// Chooses the key of the object.
    #[must_use]
    pub fn with_uid(mut self, uid: &str) -> Self {
        uid.clone_into(&mut self.resource.uid);
        self
    }

    /// Adds a flag, as `Directory` for a zipped folder.
    #[must_use]
    pub fn with_flag(mut self, flag: &str) -> Self {
        self.resource.flags.push(flag.to_owned());
        self
    }

    /// How the payload refers to it.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }
}

/// Size and SHA-256 of a file, read in pieces.
async fn digest(path: &Path) -> std::io::Result<(u64, String)> {
    // A look before it is opened: a pipe would wait for who writes to it, and a device may never end.
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    let mut file = tokio::fs::File::open(path).await?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer).await?;
        if count == 0 {
            return Ok((size, hex(&hasher.finalize())));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

/// Whether both are resources, of the same object in the same bucket.
pub(crate) fn is_same_object(one: &Value, other: &Value) -> bool {
    let place = |value: &Value| Resource::from_value(value).map(|resource| (resource.uid, resource.bucket));
    place(one).is_some_and(|one| Some(one) == place(other))
}

/// Rewrites every resource below `value` in today's form.
pub(crate) fn normalise(value: &mut Value) -> Result<(), ResourceError> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(normalise),
        Value::Object(map) => match map.get(MARK) {
            Some(Value::Object(fields)) if is_normal(fields) => Ok(()),
            Some(Value::Object(fields)) => {
                *value = Resource::from_fields(fields)?.to_value();
                Ok(())
            }
            Some(_) => Err(ResourceError::Invalid(MARK)),
            None => map.values_mut().try_for_each(normalise),
        },
        _ => Ok(()),
    }
}

/// Whether a resource is in today's form already, as most are: the rest is written anew.
fn is_normal(fields: &Map) -> bool {
    let is_text = |name| matches!(fields.get(name), Some(Value::String(_)));
    let is_size = |value: &Value| value.is_null() || matches!(value, Value::Number(size) if size.as_u64().is_some());
    let sha256 = fields.get("sha256").filter(|sha256| matches!(sha256, Value::Null | Value::String(_)));
    let in_metadata = fields.get("metadata").and_then(Value::as_object).and_then(|metadata| metadata.get("sha256"));
    let flags = fields.get("flags").and_then(Value::as_array);
    fields.len() == 7
        && is_text("uid")
        && is_text("name")
        && (is_text("bucket") || fields.get("bucket").is_some_and(Value::is_null))
        && fields.get("size").is_some_and(is_size)
        && flags.is_some_and(|flags| flags.iter().all(|flag| matches!(flag, Value::String(_))))
        && sha256.zip(in_metadata).is_some_and(|(one, other)| match (one, other) {
            (Value::Null, Value::Null) => true,
            (one, other) => one.as_str().is_some() && one.as_str() == other.as_str(),
        })
}

/// Finds every resource below `value`, lists and objects in order.
pub(crate) fn collect(value: &Value, found: &mut Vec<Resource>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(map) => match Resource::from_value(value) {
            Some(resource) => found.push(resource),
            None => map.values().for_each(|item| collect(item, found)),
        },
        _ => {}
    }
}

/// Sets the bucket of every resource below `value` that has none and that `is_local` knows.
pub(crate) fn fill_bucket(value: &mut Value, bucket: &str, is_local: &impl Fn(&str) -> bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| fill_bucket(item, bucket, is_local)),
        Value::Object(map) => match map.get_mut(MARK).and_then(Value::as_object_mut) {
            Some(fields) => {
                let local = fields.get("uid").and_then(Value::as_str).is_some_and(is_local);
                if local && fields.get("bucket").is_none_or(Value::is_null) {
                    fields.insert("bucket".to_owned(), bucket.into());
                }
            }
            None => map.values_mut().for_each(|item| fill_bucket(item, bucket, is_local)),
        },
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_left_as_it_is_only_when_writing_it_anew_changes_nothing() {
        let normal =
            r#"{"uid": "u", "name": "n", "bucket": null, "size": 3, "metadata": {"sha256": "x", "more": 1}, "flags": [], "sha256": "x"}"#;
        let fields = |text: &str| Value::parse(text).expect("JSON").as_object().expect("an object").clone();
        assert!(is_normal(&fields(normal)));
        for (old, new, is_same) in [
            ("\"u\"", "null", false),
            ("\"n\"", "null", false),
            ("\"bucket\": null", "\"bucket\": \"b\"", true),
            ("\"bucket\": null, ", "", false),
            ("3", "null", true),
            ("3", "03e1", false),
            ("[]", "[\"Directory\"]", true),
            ("[]", "[1]", false),
            ("[]", "null", false),
            ("\"sha256\": \"x\"}", "\"sha256\": \"y\"}", false),
            ("\"sha256\": \"x\", \"more\"", "\"more\"", false),
            ("{\"uid\"", "{\"else\": 1, \"uid\"", false),
        ] {
            let Ok(value) = Value::parse(&normal.replacen(old, new, 1)) else { continue };
            let fields = value.as_object().expect("an object");
            assert_eq!(is_normal(fields), is_same, "{value}");
            let again = Resource::from_fields(fields).map(|resource| resource.to_value().get(MARK).expect("the mark").to_json());
            assert!(!is_same || again.ok() == Some(value.to_json()), "{value}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_stays_until_it_is_set() {
        let text = r#"{"__karton_resource__": {"uid": "u", "name": NAME, "bucket": "b", "size": 3}}"#;
        for (name, shown) in [("null", ""), (r#""""#, ""), (r#""a""#, "a"), (r#""a\ud800""#, r"a\ud800")] {
            let mut value = Value::parse(&text.replace("NAME", name)).expect("JSON");
            let mut resource = Resource::from_value(&value).expect("a resource");
            assert_eq!(resource.name, shown);
            normalise(&mut value).expect("a resource");
            for value in [&value, &resource.to_value()] {
                let kept = value.get(MARK).and_then(|fields| fields.get("name")).map(Value::to_json);
                assert_eq!(kept.as_deref(), Some(name));
            }
            "b".clone_into(&mut resource.name);
            assert_eq!(Resource::from_value(&resource.to_value()).map(|resource| resource.name).as_deref(), Some("b"));
        }
    }
}
