//! Binds: which tasks a consumer wants. See Karton protocol §8.1.

use crate::{
    backend::names::KARTON_VERSION,
    json::{Map, Value},
};

/// The declaration of a consumer, as it stands in `karton.binds`.
///
/// ```
/// use karton_rs::Bind;
///
/// let bind = Bind::from_json("karton.x", r#"{"filters": [{"type": "sample"}], "info": null, "persistent": true, "version": "5.9.1"}"#)?;
/// assert!(bind.persistent && !bind.is_async);
/// # Ok::<(), karton_rs::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Bind {
    /// Who wants the tasks.
    pub identity: String,
    /// Description of the service.
    pub info: Value,
    /// Version of the Karton library.
    pub version: Value,
    /// Version of the service.
    pub service_version: Value,
    /// Whether tasks are queued while no replica is online.
    pub persistent: bool,
    /// The rules that headers must match.
    pub filters: Value,
    /// Whether the consumer is an asyncio one.
    pub is_async: bool,
}

impl Bind {
    /// The bind of a consumer of this library.
    pub fn new(identity: &str, filters: Value) -> Self {
        Self {
            identity: identity.to_owned(),
            info: Value::Null,
            version: KARTON_VERSION.into(),
            service_version: Value::Null,
            persistent: true,
            filters,
            is_async: false,
        }
    }

    /// Reads a bind, those of Karton 2.x (a bare list of filters) included.
    ///
    /// # Errors
    /// When it is not JSON or a required field is missing.
    pub fn from_json(identity: &str, text: &str) -> Result<Self, crate::Error> {
        let error = |problem: String| crate::Error::Bind { identity: identity.to_owned(), problem };
        let mut fields = match Value::parse(text).map_err(|problem| error(format!("is not JSON: {problem}")))? {
            filters @ Value::Array(_) => {
                let mut bind = Self::new(identity, filters);
                bind.version = "2.x.x".into();
                bind.persistent = identity.strip_suffix(".test").is_none();
                return Ok(bind);
            }
            Value::Object(fields) => fields,
            _ => return Err(error("is neither an object nor a list".to_owned())),
        };
        let mut take = |field: &str| fields.swap_remove(field).ok_or_else(|| error(format!("has no `{field}`")));
        let mut bind = Self::new(identity, take("filters")?);
        bind.info = take("info")?;
        bind.version = take("version")?;
        bind.persistent = truth(&take("persistent")?);
        bind.service_version = take("service_version").unwrap_or_default();
        bind.is_async = take("is_async").is_ok_and(|value| truth(&value));
        Ok(bind)
    }

    /// The record as the reference writes it, byte for byte.
    pub fn to_json(&self) -> String {
        let mut fields = Map::new();
        fields.insert("info".to_owned(), self.info.clone());
        fields.insert("version".to_owned(), self.version.clone());
        fields.insert("filters".to_owned(), self.filters.clone());
        fields.insert("persistent".to_owned(), self.persistent.into());
        fields.insert("service_version".to_owned(), self.service_version.clone());
        fields.insert("is_async".to_owned(), self.is_async.into());
        Value::from(fields).to_json()
    }
}

/// Python's idea of a true value.
fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != 0.0,
        Value::String(text) => !text.is_empty(),
        Value::Unpaired(_) => true,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}
