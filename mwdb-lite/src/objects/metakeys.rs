//! The deprecated view of attributes as texts, with analyses as key `karton`. See MWDB API §O10 and §K7.

use karton_rs::json::{Value, python_text};
use rusqlite::Connection;
use serde::Serialize;
use uuid::Uuid;

use super::{Kind, access, analyses, attributes};
use crate::{
    auth::{Caller, Capability},
    db::{
        analyses as analyses_db,
        attributes::{self as db, Right},
    },
    error::{ApiError, ApiResult},
};

const KARTON: &str = "karton";

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Metakey {
    Attribute { key: String, value: String, url: Option<String>, label: String, description: String },
    Analysis { key: &'static str, value: String },
}

pub(crate) fn list(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, hidden: bool) -> ApiResult<Vec<Metakey>> {
    let object = access::find(c, caller, kind, hash)?;
    of_object(c, caller, object.id, hidden)
}

/// The address that the template of a key makes of a value: `$value` or `${value}` is the value, `$$`
/// is `$`, and other names stay as they are.
pub(crate) fn address(template: &str, value: &str) -> Option<String> {
    if template.is_empty() {
        return None;
    }
    let mut address = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        address.push_str(before);
        let name = after.len() - after.trim_start_matches(|character: char| character.is_ascii_alphanumeric() || character == '_').len();
        if let Some(after) = after.strip_prefix('$') {
            address.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix("{value}") {
            address.push_str(value);
            rest = after;
        } else if &after[..name] == "value" {
            address.push_str(value);
            rest = &after[name..];
        } else {
            address.push('$');
            rest = after;
        }
    }
    address.push_str(rest);
    Some(address)
}

fn of_object(c: &Connection, caller: &Caller, object_id: i64, hidden: bool) -> ApiResult<Vec<Metakey>> {
    let mut metakeys = Vec::new();
    for row in db::values(c, caller, object_id, hidden)? {
        let Some(definition) = db::definition(c, &row.key)? else { continue };
        let value = Value::parse(&row.value).map_err(anyhow::Error::from)?;
        let value = python_text(&value);
        let url = address(&definition.url_template, &value);
        metakeys.push(Metakey::Attribute { key: row.key, value, url, label: definition.label, description: definition.description });
    }
    let analyses = analyses_db::ids(c, object_id)?;
    metakeys.extend(analyses.into_iter().map(|value| Metakey::Analysis { key: KARTON, value }));
    Ok(metakeys)
}

pub(crate) fn add(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, key: &str, value: &str) -> ApiResult<Vec<Metakey>> {
    let object = access::find(c, caller, kind, hash)?;
    let key = attributes::normalise_key(key)?;
    if key == KARTON {
        let id = Uuid::try_parse(value).map_err(|_| ApiError::BadRequest("'karton' attribute accepts only UUID values".to_owned()))?;
        if !caller.has(Capability::KartonAssign) {
            return Err(attributes::not_settable(&key));
        }
        analyses::assign_known(c, &id.to_string(), object.id)?;
    } else {
        if !db::has(c, caller, Right::Set, &key)? {
            return Err(attributes::not_settable(&key));
        }
        attributes::put(c, object.id, [(key.as_str(), &value.into())])?;
    }
    of_object(c, caller, object.id, false)
}

/// Without a value all values of the key go; with one, those that are this text.
pub(crate) fn remove(c: &Connection, caller: &Caller, kind: Option<Kind>, hash: &str, key: &str, value: Option<&str>) -> ApiResult<()> {
    caller.require(Capability::RemovingAttributes)?;
    let missing = || ApiError::NotFound("Metakey is not defined or you have insufficient permissions to delete it".to_owned());
    let object = access::find(c, caller, kind, hash)?;
    if key == KARTON || !db::has(c, caller, Right::Set, key)? {
        return Err(missing());
    }
    let wanted = value.map(|text| Value::from(text).to_json());
    let rows = db::values_of_key(c, object.id, key)?;
    let matching: Vec<_> = rows.into_iter().filter(|row| wanted.as_ref().is_none_or(|wanted| *wanted == row.value)).collect();
    if matching.is_empty() {
        return Err(missing());
    }
    for row in matching {
        db::delete_value(c, row.id)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn templates_know_the_value_and_a_dollar() {
        let of = |template: &str| address(template, "$$1");
        assert_eq!(of(""), None);
        let cases = [
            ("http://x/$$/$value/${value}/", "http://x/$/$$1/$$1/"),
            ("$other/${other}/$values/$_value/${value/$1/$", "$other/${other}/$values/$_value/${value/$1/$"),
            ("$$value $value.x $$$value", "$value $$1.x $$$1"),
        ];
        for (template, expected) in cases {
            assert_eq!(of(template).as_deref(), Some(expected), "{template}");
        }
    }
}
