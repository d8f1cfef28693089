//! The rules of users, groups and API keys (no HTTP, no SQL). See MWDB API §U1 to §U6.

pub(crate) mod address;
pub(crate) mod groups;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod users;

use std::sync::Arc;

use rusqlite::Connection;
use serde::Serialize;

use crate::{
    auth::{Caller, Capability, OwnGroup, Standing, tokens::Claim},
    db::accounts::{self as db, UserRow},
    deprecated::Feature,
    error::{ApiError, ApiResult},
    timestamp::Timestamp,
};

/// The account a token speaks for, when the account still agrees with it.
///
/// # Errors
/// 403 for accounts that are disabled.
pub(crate) fn identify(c: &Connection, claim: &Arc<Claim>) -> ApiResult<Option<Caller>> {
    let (user, provider) = match &**claim {
        Claim::Session { login, password_ver, identity_ver, provider } => {
            let user = db::user(c, login)?.filter(|user| user.password_ver == *password_ver && user.identity_ver == *identity_ver);
            (user, provider.clone())
        }
        Claim::ApiKey { id } | Claim::LegacyKey { id } => {
            let owner = db::api_key_owner(c, id)?;
            (owner.map(|owner| db::user_by_id(c, owner)).transpose()?.flatten(), None)
        }
        Claim::LegacyVersion { login, version_uid } => (db::user(c, login)?.filter(|user| user.version_uid == *version_uid), None),
    };
    if user.as_ref().is_some_and(|user| user.disabled) {
        return Err(ApiError::Forbidden("User has been disabled.".to_owned()));
    }
    let legacy_key = match &**claim {
        Claim::LegacyVersion { .. } => Some(Feature::ApiKeyV1),
        Claim::LegacyKey { .. } => Some(Feature::ApiKeyV2),
        _ => None,
    };
    let caller = user.map(|user| caller(c, user, provider)).transpose()?;
    Ok(caller.map(|caller| Caller { legacy_key, standing: Standing::of(claim), ..caller }))
}

/// The caller as of now. Session, key, account or a right may be gone since the request began.
pub(crate) fn again(c: &Connection, caller: &Caller) -> ApiResult<Caller> {
    let claim = caller.standing.claim.as_ref().ok_or(ApiError::NotAuthenticated)?;
    let now = identify(c, claim)?.ok_or(ApiError::NotAuthenticated)?;
    caller.standing.required().into_iter().try_for_each(|capability| now.require(capability))?;
    Ok(now)
}

/// Loads what the checks of a request need to know of an account.
pub(crate) fn caller(c: &Connection, user: UserRow, provider: Option<String>) -> ApiResult<Caller> {
    let groups = db::groups_of(c, user.id)?;
    let sharing = Capability::ShareQueriedObjects.name();
    Ok(Caller {
        capabilities: groups.iter().flat_map(|group| group.capabilities.iter().cloned()).collect(),
        groups: groups
            .into_iter()
            .map(|group| OwnGroup {
                shares_queried: group.capabilities.iter().any(|name| name == sharing),
                id: group.id,
                name: group.name,
                private: group.private,
                workspace: group.workspace,
            })
            .collect(),
        id: user.id,
        login: user.login,
        feed_quality: user.feed_quality,
        provider,
        legacy_key: None,
        standing: Standing::default(),
    })
}

/// A group as lists of a user show it.
#[derive(Debug, Serialize)]
pub(crate) struct GroupBasic {
    pub(crate) name: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) private: bool,
}

/// An API key without its secret.
#[derive(Debug, Serialize)]
pub(crate) struct KeyItem {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) issued_on: Timestamp,
    pub(crate) issuer_login: Option<String>,
}

/// Sixteen random hexadecimal digits: a version that tokens are bound to.
pub(crate) fn new_version() -> String {
    let mut text = uuid::Uuid::new_v4().simple().to_string();
    text.truncate(16);
    text
}
