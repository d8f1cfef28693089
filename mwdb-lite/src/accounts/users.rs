//! Creating, changing, accepting and removing users; profiles. See MWDB API §U2 and §U5.

use rusqlite::Connection;
use serde::Serialize;

use super::{GroupBasic, KeyItem, new_version};
use crate::{
    auth::{Caller, Capability},
    db::accounts::{self as db, GroupRow, NewUser, UserRow},
    error::{ApiError, ApiResult},
    objects::text::check_longest,
    timestamp::Timestamp,
};

/// A user as the list of users shows it.
#[derive(Debug, Serialize)]
pub(crate) struct UserItem {
    login: String,
    email: String,
    additional_info: String,
    feed_quality: String,
    requested_on: Option<Timestamp>,
    disabled: bool,
    pending: bool,
    groups: Vec<GroupBasic>,
}

/// A user as the administrator sees it.
#[derive(Debug, Serialize)]
pub(crate) struct UserDetail {
    #[serde(flatten)]
    item: UserItem,
    registered_on: Option<Timestamp>,
    logged_on: Option<Timestamp>,
    set_password_on: Option<Timestamp>,
    registrar_login: Option<String>,
    capabilities: Vec<String>,
    api_keys: Vec<KeyItem>,
}

/// A user as a group mate sees it; the rest is for the user alone.
#[derive(Debug, Serialize)]
pub(crate) struct Profile {
    login: String,
    email: String,
    registered_on: Option<Timestamp>,
    logged_on: Option<Timestamp>,
    #[serde(flatten)]
    own: Option<OwnProfile>,
}

#[derive(Debug, Serialize)]
pub(crate) struct OwnProfile {
    set_password_on: Option<Timestamp>,
    capabilities: Vec<String>,
    groups: Vec<GroupBasic>,
    api_keys: Vec<KeyItem>,
}

pub(crate) fn no_user() -> ApiError {
    ApiError::NotFound("User doesn't exist".to_owned())
}

fn find(c: &Connection, login: &str) -> ApiResult<UserRow> {
    db::user(c, login)?.ok_or_else(no_user)
}

fn basic(group: GroupRow) -> GroupBasic {
    GroupBasic { name: group.name, capabilities: group.capabilities, private: group.private }
}

fn item(c: &Connection, user: &UserRow) -> ApiResult<UserItem> {
    Ok(UserItem {
        groups: db::groups_of(c, user.id)?.into_iter().map(basic).collect(),
        login: user.login.clone(),
        email: user.email.clone(),
        additional_info: user.additional_info.clone(),
        feed_quality: user.feed_quality.clone(),
        requested_on: user.requested_on,
        disabled: user.disabled,
        pending: user.pending,
    })
}

fn union_of_capabilities(groups: &[GroupBasic]) -> Vec<String> {
    let all: std::collections::BTreeSet<&String> = groups.iter().flat_map(|group| &group.capabilities).collect();
    all.into_iter().cloned().collect()
}

fn keys(c: &Connection, user_id: i64) -> ApiResult<Vec<KeyItem>> {
    Ok(db::api_keys(c, user_id)?.into_iter().map(KeyItem::from).collect())
}

/// Users, or those who wait for acceptance.
pub(crate) fn list(c: &Connection, pending: bool) -> ApiResult<Vec<UserItem>> {
    db::users(c, pending)?.iter().map(|user| item(c, user)).collect()
}

pub(crate) fn detail(c: &Connection, login: &str) -> ApiResult<UserDetail> {
    let user = find(c, login)?;
    let item = item(c, &user)?;
    Ok(UserDetail {
        capabilities: union_of_capabilities(&item.groups),
        item,
        registered_on: user.registered_on,
        logged_on: user.logged_on,
        set_password_on: user.set_password_on,
        registrar_login: user.registrar_login,
        api_keys: keys(c, user.id)?,
    })
}

/// Oneself, those who share a group other than `public`, and everybody for administrators.
pub(crate) fn profile(c: &Connection, caller: &Caller, login: &str) -> ApiResult<Profile> {
    let user = find(c, login)?;
    let own = user.id == caller.id;
    if !own && !caller.has(Capability::ManageUsers) && !db::share_a_group(c, caller.id, user.id)? {
        return Err(no_user());
    }
    let details = || -> ApiResult<OwnProfile> {
        let groups: Vec<GroupBasic> = db::groups_of(c, user.id)?.into_iter().map(basic).collect();
        Ok(OwnProfile {
            set_password_on: user.set_password_on,
            capabilities: union_of_capabilities(&groups),
            groups,
            api_keys: keys(c, user.id)?,
        })
    };
    Ok(Profile {
        own: own.then(details).transpose()?,
        login: user.login.clone(),
        email: user.email.clone(),
        registered_on: user.registered_on,
        logged_on: user.logged_on,
    })
}

/// What an account is made of, by an administrator or by registration.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) login: String,
    pub(crate) email: String,
    pub(crate) additional_info: String,
    pub(crate) feed_quality: String,
}

/// Characters of each text of somebody who asks for an account.
const LONGEST_TEXT: usize = 4096;
/// Characters of an address for mails (RFC 5321, 4.5.3.1.3).
const LONGEST_EMAIL: usize = 254;
/// Accounts that wait for acceptance at a time: anybody may ask for one.
const MOST_PENDING: u64 = 1000;

/// Bounds what somebody without an account can make us keep.
fn check_request(c: &Connection, account: &Account) -> ApiResult<()> {
    check_longest("additional_info", &account.additional_info, LONGEST_TEXT)?;
    check_longest("email", &account.email, LONGEST_EMAIL)?;
    check_longest("feed_quality", &account.feed_quality, LONGEST_TEXT)?;
    if db::count_pending(c)? >= MOST_PENDING {
        return Err(ApiError::Unavailable("Too many registrations wait for acceptance. Try again later.".to_owned()));
    }
    Ok(())
}

/// Makes an account with its private group, in all default groups. Without a registrar it waits for acceptance.
pub(crate) fn create(c: &Connection, account: &Account, registrar: Option<&Caller>) -> ApiResult<()> {
    if db::user(c, &account.login)?.is_some() || db::group(c, &account.login)?.is_some() {
        return Err(ApiError::Conflict("User or group with this name already exists".to_owned()));
    }
    if registrar.is_none() {
        check_request(c, account)?;
    }
    let now = Timestamp::now();
    let id = db::insert_user(
        c,
        &NewUser {
            login: &account.login,
            email: &account.email,
            additional_info: &account.additional_info,
            feed_quality: &account.feed_quality,
            pending: registrar.is_none(),
            requested_on: registrar.is_none().then_some(now),
            registered_on: registrar.is_some().then_some(now),
            registered_by: registrar.map(|caller| caller.id),
            password_ver: &new_version(),
            identity_ver: &new_version(),
        },
    )?;
    let private = GroupRow {
        id: 0,
        name: account.login.clone(),
        capabilities: Vec::new(),
        private: true,
        is_default: false,
        workspace: true,
        immutable: true,
    };
    let private = db::insert_group(c, &private)?;
    let defaults = db::default_groups(c)?;
    for group in defaults.iter().map(|group| group.id).chain([private]) {
        db::add_member(c, id, group)?;
    }
    Ok(())
}

/// What to change; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub(crate) email: Option<String>,
    pub(crate) additional_info: Option<String>,
    pub(crate) feed_quality: Option<String>,
    pub(crate) disabled: Option<bool>,
}

pub(crate) fn update(c: &Connection, caller: &Caller, login: &str, changes: &Changes) -> ApiResult<()> {
    let mut user = find(c, login)?;
    refuse_pending(&user)?;
    // Any value: it would end the caller's own sessions.
    if user.id == caller.id && changes.disabled.is_some() {
        return Err(ApiError::Forbidden("You can't block yourself.".to_owned()));
    }
    let take = |target: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            target.clone_from(value);
        }
    };
    take(&mut user.email, &changes.email);
    take(&mut user.additional_info, &changes.additional_info);
    take(&mut user.feed_quality, &changes.feed_quality);
    if let Some(disabled) = changes.disabled {
        user.disabled = disabled;
        // Ends all sessions, also when the account is enabled again.
        user.identity_ver = new_version();
    }
    Ok(db::update_user(c, &user)?)
}

pub(crate) fn refuse_pending(user: &UserRow) -> ApiResult<()> {
    if user.pending { Err(ApiError::Forbidden("User is pending and has to be accepted first".to_owned())) } else { Ok(()) }
}

/// Removes an account and its private group; what it wrote stays, without a name.
pub(crate) fn remove(c: &Connection, caller: &Caller, login: &str) -> ApiResult<()> {
    if caller.login == login {
        return Err(ApiError::Forbidden("You can't remove yourself from the database.".to_owned()));
    }
    let user = find(c, login)?;
    forget(c, &user)
}

fn forget(c: &Connection, user: &UserRow) -> ApiResult<()> {
    if let Some(group) = db::group(c, &user.login)?.filter(|group| group.private) {
        db::delete_group(c, group.id)?;
    }
    Ok(db::delete_user(c, user.id)?)
}

fn find_pending(c: &Connection, login: &str) -> ApiResult<UserRow> {
    db::user(c, login)?
        .filter(|user| user.pending)
        .ok_or_else(|| ApiError::NotFound("User doesn't exist or is already registered".to_owned()))
}

/// Whether the account waits for acceptance.
pub(crate) fn must_be_pending(c: &Connection, login: &str) -> ApiResult<()> {
    find_pending(c, login).map(drop)
}

pub(crate) fn accept(c: &Connection, caller: &Caller, login: &str) -> ApiResult<()> {
    let user = find_pending(c, login)?;
    Ok(db::accept_user(c, user.id, caller.id)?)
}

/// Gives the address of who is rejected.
pub(crate) fn reject(c: &Connection, login: &str) -> ApiResult<String> {
    let user = find_pending(c, login)?;
    forget(c, &user)?;
    Ok(user.email)
}

/// The address of an account, for mails.
pub(crate) fn email(c: &Connection, login: &str) -> ApiResult<String> {
    Ok(find(c, login)?.email)
}

/// The version that a set-password token for this account must carry.
pub(crate) fn password_version(c: &Connection, login: &str) -> ApiResult<String> {
    Ok(find(c, login)?.password_ver)
}
