//! Takes over what the Karton plugin of MWDB before 2.3 left behind. See MWDB API §K8.
//!
//! Its analyses were values of an attribute `karton`, and its right was called `karton_manage`. Running
//! it again changes nothing.

use karton_rs::json::Value;
use rusqlite::Connection;
use uuid::Uuid;

use super::analyses;
use crate::{
    auth::Capability,
    db::{accounts, analyses as db, attributes},
    error::ApiResult,
};

const KEY: &str = "karton";
const OLD_RIGHT: &str = "karton_manage";

/// What was found and changed.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Objects that were given an analysis, counted once for each.
    pub(crate) assigned: usize,
    /// Values that are no UUIDs.
    pub(crate) skipped: Vec<String>,
    /// Groups that may send objects to Karton again now.
    pub(crate) groups: Vec<String>,
}

/// Makes analyses of the attribute and removes it; gives the new right beside the old one.
pub(crate) fn take_over(c: &Connection) -> ApiResult<Taken> {
    let mut taken = Taken::default();
    if attributes::definition(c, KEY)?.is_some() {
        for (object_id, text) in db::values_of_plugin(c, KEY)? {
            let id = Value::parse(&text).ok().and_then(|value| Uuid::try_parse(value.as_str()?).ok());
            match id {
                Some(id) => {
                    analyses::assign_known(c, &id.to_string(), object_id)?;
                    taken.assigned += 1;
                }
                None => taken.skipped.push(text),
            }
        }
        attributes::delete_definition(c, KEY)?;
    }
    let new_right = Capability::KartonReanalyze.name();
    for mut group in accounts::groups(c)? {
        let has = |name: &str| group.capabilities.iter().any(|held| held == name);
        if has(OLD_RIGHT) && !has(new_right) {
            group.capabilities.push(new_right.to_owned());
            accounts::update_group(c, &group)?;
            taken.groups.push(group.name);
        }
    }
    Ok(taken)
}
