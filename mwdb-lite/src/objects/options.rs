//! What an upload asks for beside its content, and the checks on it. See MWDB API §O1.1 and §O1.2.

use karton_rs::json::{Map, Value};
use rusqlite::Connection;
use uuid::Uuid;

use super::{access, attributes};
use crate::{
    auth::{Caller, Capability},
    db::{attributes as db, attributes::Right, objects::ObjectRow},
    error::{ApiError, ApiResult},
};

/// The options as the client gave them.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) parent: Option<String>,
    pub(crate) upload_as: String,
    pub(crate) attributes: Vec<(String, Value)>,
    pub(crate) metakeys: Vec<(String, String)>,
    pub(crate) tags: Vec<String>,
    pub(crate) karton_id: Option<Uuid>,
    pub(crate) karton_arguments: Map,
    pub(crate) share_3rd_party: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parent: None,
            upload_as: "*".to_owned(),
            attributes: Vec::new(),
            metakeys: Vec::new(),
            tags: Vec::new(),
            karton_id: None,
            karton_arguments: Map::new(),
            share_3rd_party: true,
        }
    }
}

/// The options once everything they name was found and allowed.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) parent: Option<ObjectRow>,
    pub(crate) groups: Vec<i64>,
    pub(crate) attributes: Vec<(String, Value)>,
    pub(crate) tags: Vec<String>,
    pub(crate) analysis: Option<Uuid>,
    pub(crate) arguments: Map,
    pub(crate) share_3rd_party: bool,
}

/// The only argument of an analysis that means anything.
const EXECUTE: &str = "execute";

/// Arguments of an analysis: nothing but `execute`, checked before anything is stored.
pub(crate) fn check_arguments(arguments: &Map) -> ApiResult<()> {
    match arguments.keys().find(|key| *key != EXECUTE) {
        Some(key) => Err(ApiError::BadRequest(format!("Unknown analysis argument: {}", key.spelled().escape_default()))),
        None => Ok(()),
    }
}

impl Options {
    /// Checks the options in the order of the reference.
    pub(crate) fn check(self, c: &Connection, caller: &Caller) -> ApiResult<Checked> {
        check_arguments(&self.karton_arguments)?;
        let parent = match &self.parent {
            None => None,
            Some(hash) => {
                caller.require(Capability::AddingParents)?;
                let missing = |error| match error {
                    ApiError::NotFound(_) => ApiError::NotFound("Parent object not found".to_owned()),
                    other => other,
                };
                Some(access::find(c, caller, None, hash).map_err(missing)?)
            }
        };
        if !self.metakeys.is_empty() && !self.attributes.is_empty() {
            return Err(ApiError::invalid("_schema", "'attributes' and 'metakeys' options can't be mixed"));
        }
        let mut analyses: Vec<Uuid> = self.karton_id.into_iter().collect();
        let mut values = Vec::new();
        let given = self.metakeys.into_iter().map(|(key, value)| (key, Value::from(value), true));
        for (index, (key, value, metakey)) in given.chain(self.attributes.into_iter().map(|(key, value)| (key, value, false))).enumerate() {
            // Only one of the two lists holds something.
            let placed = |error: ApiError| error.in_item(if metakey { "metakeys" } else { "attributes" }, index);
            let key = attributes::normalise_key(&key).map_err(placed)?;
            let karton = key == "karton";
            let assigns = karton && metakey;
            if !assigns && !db::has(c, caller, Right::Set, &key)? {
                return Err(attributes::not_settable(&key));
            }
            if karton {
                let text = value.as_str().unwrap_or_default();
                analyses.push(
                    Uuid::try_parse(text).map_err(|_| ApiError::BadRequest("'karton' attribute accepts only UUID values".to_owned()))?,
                );
            } else {
                attributes::check_value(&value).map_err(placed)?;
                values.push((key, value));
            }
        }
        // Also when it is the same one twice.
        if analyses.len() > 1 {
            return Err(ApiError::BadRequest("You can't provide more than one Karton analysis identifier".to_owned()));
        }
        if !analyses.is_empty() {
            caller.require(Capability::KartonAssign)?;
        }
        Ok(Checked {
            parent,
            groups: access::upload_groups(c, caller, &self.upload_as)?,
            attributes: values,
            tags: self.tags,
            analysis: analyses.first().copied(),
            arguments: self.karton_arguments,
            share_3rd_party: self.share_3rd_party,
        })
    }
}
