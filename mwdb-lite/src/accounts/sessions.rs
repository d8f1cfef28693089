//! Logging in, refreshing, setting passwords, API keys. See MWDB API §U4.

use rusqlite::Connection;
use serde::Serialize;

use super::{KeyItem, new_version};
use crate::{
    auth::{Caller, Capability},
    db::accounts::{self as db, KeyRow, UserRow},
    error::{ApiError, ApiResult},
    timestamp::Timestamp,
};

/// What a session may do, in the shape of login, refresh and validate.
#[derive(Debug, Serialize)]
pub(crate) struct Identity {
    pub(crate) login: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) groups: Vec<String>,
}

impl Identity {
    pub(crate) fn of(caller: &Caller) -> Self {
        Self {
            login: caller.login.clone(),
            capabilities: caller.capabilities.iter().cloned().collect(),
            groups: caller.groups.iter().map(|group| group.name.clone()).collect(),
        }
    }
}

/// The account as it is stored, to check a password against.
pub(crate) fn account(c: &Connection, login: &str) -> ApiResult<Option<UserRow>> {
    Ok(db::user(c, login)?)
}

/// Notes a login and gives the account as it is now, with the versions its token must carry. They must be
/// those of the account whose password was `checked`: that takes a while, and the password may be another now.
pub(crate) fn open(c: &Connection, checked: &UserRow) -> ApiResult<(Caller, UserRow)> {
    let same = |user: &UserRow| user.password_ver == checked.password_ver && user.identity_ver == checked.identity_ver;
    let user = db::user_by_id(c, checked.id)?.filter(same).ok_or_else(bad_credentials)?;
    note(c, user, None)
}

/// The same for who has a session.
pub(crate) fn refresh(c: &Connection, caller: &Caller) -> ApiResult<(Caller, UserRow)> {
    let user = db::user_by_id(c, caller.id)?.ok_or(ApiError::NotAuthenticated)?;
    note(c, user, caller.provider.clone())
}

fn note(c: &Connection, user: UserRow, provider: Option<String>) -> ApiResult<(Caller, UserRow)> {
    db::set_logged_on(c, user.id)?;
    Ok((super::caller(c, user.clone(), provider)?, user))
}

pub(crate) fn bad_credentials() -> ApiError {
    ApiError::Forbidden("Invalid login or password.".to_owned())
}

/// Sets a password by a link: the token must carry the present version, so it works once.
pub(crate) fn change_password(c: &Connection, login: &str, password_ver: &str, hash: String) -> ApiResult<()> {
    let mut user = db::user(c, login)?.filter(|user| user.password_ver == password_ver).ok_or_else(bad_password_token)?;
    user.password_hash = Some(hash);
    user.password_ver = new_version();
    user.set_password_on = Some(Timestamp::now());
    Ok(db::update_user(c, &user)?)
}

/// The account that may have a link mailed by who knows its login and address.
pub(crate) fn recoverable(c: &Connection, login: &str, email: &str) -> ApiResult<UserRow> {
    let refused = || ApiError::Forbidden("Invalid login or e-mail address.".to_owned());
    let user = db::user(c, login)?.filter(|user| !user.pending && user.email.to_lowercase() == email.to_lowercase()).ok_or_else(refused)?;
    let caller = super::caller(c, user.clone(), None)?;
    caller.require(Capability::ManageProfile)?;
    Ok(user)
}

pub(crate) fn bad_password_token() -> ApiError {
    ApiError::Forbidden("Token expired, please contact admin.".to_owned())
}

/// Issues a key for oneself, or for anybody with `manage_users`.
pub(crate) fn issue_key(c: &Connection, caller: &Caller, login: &str, name: &str) -> ApiResult<KeyItem> {
    if caller.login != login {
        caller.require(Capability::ManageUsers)?;
    }
    let user = db::user(c, login)?.ok_or_else(super::users::no_user)?;
    let key = KeyRow {
        id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        issued_on: Timestamp::now(),
        issuer_login: Some(caller.login.clone()),
    };
    db::insert_api_key(c, user.id, &key, caller.id)?;
    Ok(key.into())
}

/// Revokes one's own key, or anybody's with `manage_users`.
pub(crate) fn revoke_key(c: &Connection, caller: &Caller, id: &str) -> ApiResult<()> {
    match db::api_key_owner(c, id)? {
        Some(owner) if owner == caller.id || caller.has(Capability::ManageUsers) => Ok(db::delete_api_key(c, id)?),
        _ => Err(ApiError::NotFound("API key doesn't exist".to_owned())),
    }
}

impl From<KeyRow> for KeyItem {
    fn from(key: KeyRow) -> Self {
        Self { id: key.id, name: key.name, issued_on: key.issued_on, issuer_login: key.issuer_login }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::setup;

    #[test]
    fn a_login_ends_when_the_password_changes_before_it_is_through() -> ApiResult<()> {
        let c = crate::db::scratch();
        setup::first_account(&c, "admin", Some("the first password"))?;
        let checked = account(&c, "admin")?.ok_or(ApiError::NotAuthenticated)?;
        assert!(open(&c, &checked).is_ok());
        change_password(&c, "admin", &checked.password_ver, "another hash".to_owned())?;
        assert!(matches!(open(&c, &checked), Err(ApiError::Forbidden(_))));
        Ok(())
    }
}
