//! Tasks of type `config`: a config, the file it was found in, and the sample that all began with.

use karton_rs::{
    config_dhash,
    json::{Map, Value, python_text},
};

use super::{
    Run,
    error::ReportError,
    inputs::{self, Metadata, Reference},
    object::Subject,
    spool::sha256,
};
use crate::mwdb::{Object, ObjectType};

/// Marks an embedded blob.
const IN_BLOB: &str = "in-blob";

impl Run<'_> {
    pub(super) async fn config(&self) -> Result<(), ReportError> {
        let config = inputs::object(self.task, "config")?;
        if config.contains_key("store-in-gridfs") {
            return Err(ReportError::Gridfs);
        }
        let cfg = Value::from(config.clone());
        if !is_unicode(&cfg) {
            return Err(ReportError::payload("config", "holds text that is not Unicode"));
        }
        let family = family(self.task.header("family"), config);
        let config_type = self.task.header("config_type").filter(|value| !value.is_null()).map_or_else(|| "static".to_owned(), python_text);
        let mut metadata = Metadata::of_task(self.task)?;

        let original = self.original_sample(&family).await?;
        let parent = self.config_parent(&family, original.as_ref(), &mut metadata).await?;
        let (dhash, blobs) = identity(config);
        let subject = Subject::Config { id: dhash, family: &family, config_type: &config_type, cfg: &cfg };
        self.report_object(&subject, parent.as_deref(), &metadata).await?;
        for blob in blobs {
            self.put_tag(&blob, &family).await?;
        }
        Ok(())
    }

    /// The sample that was executed. Older producers call it `sample` and leave its tag to us.
    async fn original_sample(&self, family: &str) -> Result<Option<Object>, ReportError> {
        let (reference, metadata) = match inputs::reference(self.task, "executed_sample") {
            Reference::None => (inputs::reference(self.task, "sample"), Metadata::with_tag(&format!("ripped:{family}"))),
            reference => (reference, Metadata::default()),
        };
        match reference {
            Reference::File(resource) => self.report_file(&resource, None, &metadata).await,
            Reference::Id(id) => {
                let found = self.mwdb.query(ObjectType::File, &id).await?;
                if let Some(original) = &found {
                    self.add_tags(original, &metadata.tags).await?;
                } else {
                    tracing::warn!("MWDB has no file {id}");
                }
                Ok(found)
            }
            Reference::None => Ok(None),
        }
    }

    /// The file in which the config was found; its parent is the original sample.
    async fn config_parent(&self, family: &str, original: Option<&Object>, metadata: &mut Metadata) -> Result<Option<String>, ReportError> {
        let original_id = original.map(|original| original.id.as_str());
        match inputs::reference(self.task, "parent") {
            Reference::File(resource) => {
                if let Some(parent) = self.report_file(&resource, original_id, &Metadata::with_tag(family)).await? {
                    return Ok(Some(parent.id));
                }
                tracing::warn!("The file with the config could not be uploaded: the config goes to {}", original_id.unwrap_or("no parent"));
                metadata.comments.push(format!(
                    "warning: mwdb-reporter: the file in which this config was found ({}) is too large for this MWDB. The config is attached to its nearest relative instead.",
                    resource.sha256().unwrap_or(&resource.name),
                ));
                Ok(original_id.map(str::to_owned))
            }
            Reference::Id(id) => {
                let Some(parent) = self.find(&id).await? else { return Ok(None) };
                if let Some(original) = original_id {
                    self.link(original, &parent).await?;
                }
                self.add_tags(&parent, &[family.to_owned()]).await?;
                Ok(Some(parent.id))
            }
            Reference::None => Ok(None),
        }
    }
}

/// Name of the malware family: from the header, else from the config itself.
fn family(header: Option<&Value>, config: &Map) -> String {
    let named = |value: Option<&Value>| value.filter(|value| !value.is_null()).map(python_text).filter(|text| !text.is_empty());
    let of_config = |key| config.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    named(header).or_else(|| of_config("family")).or_else(|| of_config("type")).unwrap_or_else(|| "unknown".to_owned())
}

/// The id that MWDB will give the config, and the ids of the blobs embedded at its top level.
fn identity(config: &Map) -> (String, Vec<String>) {
    let mut replaced = config.clone();
    let mut blobs = Vec::new();
    for value in replaced.values_mut() {
        let Value::Object(map) = value else { continue };
        if map.len() != 1 {
            continue;
        }
        let id = match map.get(IN_BLOB) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Object(blob)) => match blob.get("content").and_then(Value::as_str) {
                Some(content) => sha256(content),
                None => continue,
            },
            _ => continue,
        };
        map.insert(IN_BLOB.to_owned(), id.as_str().into());
        if !blobs.contains(&id) {
            blobs.push(id);
        }
    }
    (config_dhash(&replaced.into()), blobs)
}

/// False when a text has lone surrogates, which no hash is defined for.
fn is_unicode(value: &Value) -> bool {
    match value {
        Value::Unpaired(_) => false,
        Value::Array(items) => items.iter().all(is_unicode),
        Value::Object(map) => map.iter().all(|(key, value)| key.as_str().is_some() && is_unicode(value)),
        _ => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map {
        Value::parse(text).unwrap().as_object().unwrap().clone()
    }

    #[test]
    fn embedded_blobs_are_replaced_before_hashing() {
        let (id, blobs) = identity(&map(r#"{"raw": {"in-blob": {"blob_name": "n", "blob_type": "t", "content": "hello"}}}"#));
        assert_eq!(id, "9889bc58d1bbe3b329b631533079bb7ab52e9605177d6245b7ec82238e701a79");
        assert_eq!(blobs, [sha256("hello")]);
        // A reference to the same blob is the same config.
        let reference = format!(r#"{{"raw": {{"in-blob": "{}"}}}}"#, sha256("hello"));
        assert_eq!(identity(&map(&reference)).0, id);
    }

    #[test]
    fn only_the_top_level_embeds() {
        let nested = map(r#"{"a": [{"in-blob": {"content": "hello"}}], "b": {"c": {"in-blob": "x"}}}"#);
        let (id, blobs) = identity(&nested);
        assert_eq!((id, blobs), (config_dhash(&nested.into()), Vec::new()));
    }

    #[test]
    fn numbers_keep_their_spelling() {
        assert_eq!(identity(&map(r#"{"v": 1.0}"#)).0, "b5483808d228acb669bb07fc1b0ca8583667d3851f53cbf2e52455c76d04ec70");
        assert_eq!(identity(&map(r#"{"v": 1e16}"#)).0, "5b5bb890f1aadcb686540adbbd3ed4d0e4eeef886cd6e30334ae9ef06da799b5");
    }

    #[test]
    fn the_family_has_fallbacks() {
        let of = |header: Option<&str>, config: &str| family(header.map(Value::from).as_ref(), &map(config));
        assert_eq!(of(Some("emotet"), r#"{"family": "x"}"#), "emotet");
        assert_eq!(of(Some(""), r#"{"family": "x", "type": "y"}"#), "x");
        assert_eq!(of(None, r#"{"type": "y"}"#), "y");
        assert_eq!(of(None, "{}"), "unknown");
    }
}
