//! The first start: roles, the administrator, the key of all tokens. See MWDB API §U6.

use anyhow::Context;
use rusqlite::Connection;

use super::new_version;
use crate::{
    auth::{Capability, password},
    db::accounts::{self as db, GroupRow, NewUser},
    error::ApiResult,
    timestamp::Timestamp,
};

/// Makes the first account unless there is any user or group. Gives its password when it had to be made up.
pub(crate) fn first_account(c: &Connection, login: &str, given: Option<&str>) -> ApiResult<Option<String>> {
    if db::any_user_or_group(c)? {
        return Ok(None);
    }
    let generated = given.is_none().then(|| uuid::Uuid::new_v4().simple().to_string());
    let secret = given.or(generated.as_deref()).unwrap_or_default();
    let role = |name: &str, capabilities: &[Capability], immutable| GroupRow {
        id: 0,
        name: name.to_owned(),
        capabilities: capabilities.iter().map(|capability| capability.name().to_owned()).collect(),
        private: false,
        is_default: true,
        workspace: false,
        immutable,
    };
    let public = db::insert_group(c, &role("public", &[], true))?;
    let basic = [Capability::AddingFiles, Capability::ManageProfile, Capability::Personalize];
    let registered = db::insert_group(c, &role("registered", &basic, false))?;
    let private =
        db::insert_group(c, &GroupRow { private: true, is_default: false, workspace: true, ..role(login, Capability::ALL, true) })?;
    let id = db::insert_user(
        c,
        &NewUser {
            login,
            email: "admin@mwdb.local",
            additional_info: "MWDB built-in administrator account",
            feed_quality: "high",
            pending: false,
            requested_on: None,
            registered_on: None,
            registered_by: None,
            password_ver: &new_version(),
            identity_ver: &new_version(),
        },
    )?;
    for group in [private, public, registered] {
        db::add_member(c, id, group)?;
    }
    set_password(c, login, secret)?;
    Ok(generated)
}

/// Gives an account a new password, which ends its sessions.
pub(crate) fn set_password(c: &Connection, login: &str, secret: &str) -> ApiResult<()> {
    let mut user = db::user(c, login)?.with_context(|| format!("there is no account `{login}`"))?;
    user.password_hash = Some(password::hash_now(secret)?);
    user.password_ver = new_version();
    user.set_password_on = Some(Timestamp::now());
    db::update_user(c, &user)?;
    Ok(())
}

/// The key of all tokens, made on the first start.
pub(crate) fn secret_key(c: &Connection) -> ApiResult<String> {
    if let Some(key) = db::setting(c, "secret_key")? {
        return Ok(key);
    }
    let key: String = (0..4).map(|_| uuid::Uuid::new_v4().simple().to_string()).collect();
    db::insert_setting(c, "secret_key", &key)?;
    Ok(key)
}
