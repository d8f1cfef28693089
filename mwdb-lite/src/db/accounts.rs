//! Users, groups, memberships and API keys in SQL.

use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::timestamp::Timestamp;

#[derive(Debug, Clone)]
pub(crate) struct UserRow {
    pub(crate) id: i64,
    pub(crate) login: String,
    pub(crate) email: String,
    pub(crate) additional_info: String,
    pub(crate) feed_quality: String,
    pub(crate) disabled: bool,
    pub(crate) pending: bool,
    pub(crate) requested_on: Option<Timestamp>,
    pub(crate) registered_on: Option<Timestamp>,
    pub(crate) registrar_login: Option<String>,
    pub(crate) logged_on: Option<Timestamp>,
    pub(crate) set_password_on: Option<Timestamp>,
    pub(crate) password_hash: Option<String>,
    pub(crate) password_ver: String,
    pub(crate) identity_ver: String,
    pub(crate) version_uid: Option<String>,
}

const USER: &str = "SELECT u.id, u.login, u.email, u.additional_info, u.feed_quality, u.disabled, u.pending, u.requested_on, \
    u.registered_on, r.login, u.logged_on, u.set_password_on, u.password_hash, u.password_ver, u.identity_ver, u.version_uid \
    FROM users u LEFT JOIN users r ON r.id = u.registered_by";

fn user_row(row: &Row<'_>) -> Result<UserRow> {
    Ok(UserRow {
        id: row.get(0)?,
        login: row.get(1)?,
        email: row.get(2)?,
        additional_info: row.get(3)?,
        feed_quality: row.get(4)?,
        disabled: row.get(5)?,
        pending: row.get(6)?,
        requested_on: row.get(7)?,
        registered_on: row.get(8)?,
        registrar_login: row.get(9)?,
        logged_on: row.get(10)?,
        set_password_on: row.get(11)?,
        password_hash: row.get(12)?,
        password_ver: row.get(13)?,
        identity_ver: row.get(14)?,
        version_uid: row.get(15)?,
    })
}

pub(crate) fn user(c: &Connection, login: &str) -> Result<Option<UserRow>> {
    c.prepare_cached(&format!("{USER} WHERE u.login = ?"))?.query_row([login], user_row).optional()
}

pub(crate) fn user_by_id(c: &Connection, id: i64) -> Result<Option<UserRow>> {
    c.prepare_cached(&format!("{USER} WHERE u.id = ?"))?.query_row([id], user_row).optional()
}

pub(crate) fn users(c: &Connection, pending: bool) -> Result<Vec<UserRow>> {
    c.prepare_cached(&format!("{USER} WHERE u.pending = ? ORDER BY u.id"))?.query_map([pending], user_row)?.collect()
}

pub(crate) fn count_pending(c: &Connection) -> Result<u64> {
    c.prepare_cached("SELECT count(*) FROM users WHERE pending")?.query_row([], |row| row.get(0))
}

pub(crate) fn any_user_or_group(c: &Connection) -> Result<bool> {
    c.query_row("SELECT EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM groups)", [], |row| row.get(0))
}

/// What a new account is made of.
pub(crate) struct NewUser<'a> {
    pub(crate) login: &'a str,
    pub(crate) email: &'a str,
    pub(crate) additional_info: &'a str,
    pub(crate) feed_quality: &'a str,
    pub(crate) pending: bool,
    pub(crate) requested_on: Option<Timestamp>,
    pub(crate) registered_on: Option<Timestamp>,
    pub(crate) registered_by: Option<i64>,
    pub(crate) password_ver: &'a str,
    pub(crate) identity_ver: &'a str,
}

pub(crate) fn insert_user(c: &Connection, new: &NewUser<'_>) -> Result<i64> {
    c.prepare_cached(
        "INSERT INTO users (login, email, additional_info, feed_quality, pending, requested_on, registered_on, registered_by, \
         password_ver, identity_ver) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .insert(params![
        new.login,
        new.email,
        new.additional_info,
        new.feed_quality,
        new.pending,
        new.requested_on,
        new.registered_on,
        new.registered_by,
        new.password_ver,
        new.identity_ver
    ])
}

pub(crate) fn update_user(c: &Connection, user: &UserRow) -> Result<()> {
    c.prepare_cached(
        "UPDATE users SET email = ?2, additional_info = ?3, feed_quality = ?4, disabled = ?5, pending = ?6, logged_on = ?7, \
         set_password_on = ?8, password_hash = ?9, password_ver = ?10, identity_ver = ?11 WHERE id = ?1",
    )?
    .execute(params![
        user.id,
        user.email,
        user.additional_info,
        user.feed_quality,
        user.disabled,
        user.pending,
        user.logged_on,
        user.set_password_on,
        user.password_hash,
        user.password_ver,
        user.identity_ver
    ])?;
    Ok(())
}

pub(crate) fn accept_user(c: &Connection, id: i64, by: i64) -> Result<()> {
    c.prepare_cached("UPDATE users SET pending = 0, registered_on = ?, registered_by = ? WHERE id = ?")?.execute(params![
        Timestamp::now(),
        by,
        id
    ])?;
    Ok(())
}

pub(crate) fn set_logged_on(c: &Connection, id: i64) -> Result<()> {
    c.prepare_cached("UPDATE users SET logged_on = ? WHERE id = ?")?.execute(params![Timestamp::now(), id])?;
    Ok(())
}

pub(crate) fn delete_user(c: &Connection, id: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM users WHERE id = ?")?.execute([id])?;
    Ok(())
}

#[derive(Debug, Clone)]
pub(crate) struct GroupRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) private: bool,
    pub(crate) is_default: bool,
    pub(crate) workspace: bool,
    pub(crate) immutable: bool,
}

const GROUP: &str = "SELECT g.id, g.name, g.capabilities, g.private, g.is_default, g.workspace, g.immutable FROM groups g";

fn group_row(row: &Row<'_>) -> Result<GroupRow> {
    let capabilities: String = row.get(2)?;
    Ok(GroupRow {
        id: row.get(0)?,
        name: row.get(1)?,
        // Written by this module; a row damaged by hand gives no rights instead of no answer.
        capabilities: serde_json::from_str(&capabilities).unwrap_or_default(),
        private: row.get(3)?,
        is_default: row.get(4)?,
        workspace: row.get(5)?,
        immutable: row.get(6)?,
    })
}

pub(crate) fn group(c: &Connection, name: &str) -> Result<Option<GroupRow>> {
    c.prepare_cached(&format!("{GROUP} WHERE g.name = ?"))?.query_row([name], group_row).optional()
}

pub(crate) fn groups(c: &Connection) -> Result<Vec<GroupRow>> {
    c.prepare_cached(&format!("{GROUP} ORDER BY g.id"))?.query_map([], group_row)?.collect()
}

pub(crate) fn default_groups(c: &Connection) -> Result<Vec<GroupRow>> {
    c.prepare_cached(&format!("{GROUP} WHERE g.is_default"))?.query_map([], group_row)?.collect()
}

/// The private group comes first: uploads give access in this order.
pub(crate) fn groups_of(c: &Connection, user_id: i64) -> Result<Vec<GroupRow>> {
    c.prepare_cached(&format!("{GROUP} JOIN member m ON m.group_id = g.id WHERE m.user_id = ? ORDER BY g.private DESC, g.id"))?
        .query_map([user_id], group_row)?
        .collect()
}

/// Names of the groups objects can be shared with, without those of accounts that wait for acceptance.
/// All groups, or those of one user.
pub(crate) fn shareable_group_names(c: &Connection, of_user: Option<i64>) -> Result<Vec<String>> {
    c.prepare_cached(
        "SELECT g.name FROM groups g WHERE (?1 IS NULL OR EXISTS (SELECT 1 FROM member m WHERE m.group_id = g.id AND m.user_id = ?1)) \
         AND NOT EXISTS (SELECT 1 FROM users u WHERE g.private AND u.login = g.name AND u.pending) ORDER BY g.name",
    )?
    .query_map([of_user], |row| row.get(0))?
    .collect()
}

pub(crate) fn is_of_pending_user(c: &Connection, group: &GroupRow) -> Result<bool> {
    if !group.private {
        return Ok(false);
    }
    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM users WHERE login = ? AND pending)")?.query_row([&group.name], |row| row.get(0))
}

pub(crate) fn insert_group(c: &Connection, group: &GroupRow) -> Result<i64> {
    c.prepare_cached("INSERT INTO groups (name, capabilities, private, is_default, workspace, immutable) VALUES (?, ?, ?, ?, ?, ?)")?
        .insert(params![group.name, json_list(&group.capabilities), group.private, group.is_default, group.workspace, group.immutable])
}

pub(crate) fn update_group(c: &Connection, group: &GroupRow) -> Result<()> {
    c.prepare_cached("UPDATE groups SET name = ?, capabilities = ?, is_default = ?, workspace = ? WHERE id = ?")?.execute(params![
        group.name,
        json_list(&group.capabilities),
        group.is_default,
        group.workspace,
        group.id
    ])?;
    Ok(())
}

fn json_list(names: &[String]) -> String {
    serde_json::Value::from(names.to_vec()).to_string()
}

pub(crate) fn delete_group(c: &Connection, id: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM groups WHERE id = ?")?.execute([id])?;
    Ok(())
}

/// Logins of the members; with `only_admins` those who administer the group.
pub(crate) fn members(c: &Connection, group_id: i64, only_admins: bool) -> Result<Vec<String>> {
    c.prepare_cached(
        "SELECT u.login FROM member m JOIN users u ON u.id = m.user_id WHERE m.group_id = ? AND (m.group_admin OR NOT ?) ORDER BY u.login",
    )?
    .query_map(params![group_id, only_admins], |row| row.get(0))?
    .collect()
}

/// Whether a user is a member, and if so whether as administrator of the group.
pub(crate) fn membership(c: &Connection, user_id: i64, group_id: i64) -> Result<Option<bool>> {
    c.prepare_cached("SELECT group_admin FROM member WHERE user_id = ? AND group_id = ?")?
        .query_row([user_id, group_id], |row| row.get(0))
        .optional()
}

pub(crate) fn add_member(c: &Connection, user_id: i64, group_id: i64) -> Result<()> {
    c.prepare_cached("INSERT INTO member (user_id, group_id) VALUES (?, ?)")?.execute([user_id, group_id])?;
    Ok(())
}

pub(crate) fn set_group_admin(c: &Connection, user_id: i64, group_id: i64, group_admin: bool) -> Result<()> {
    c.prepare_cached("UPDATE member SET group_admin = ? WHERE user_id = ? AND group_id = ?")?.execute(params![
        group_admin,
        user_id,
        group_id
    ])?;
    Ok(())
}

pub(crate) fn remove_member(c: &Connection, user_id: i64, group_id: i64) -> Result<()> {
    c.prepare_cached("DELETE FROM member WHERE user_id = ? AND group_id = ?")?.execute([user_id, group_id])?;
    Ok(())
}

/// Whether two users share a group other than `public`.
pub(crate) fn share_a_group(c: &Connection, one: i64, other: i64) -> Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM member a JOIN member b ON b.group_id = a.group_id JOIN groups g ON g.id = a.group_id \
         WHERE a.user_id = ? AND b.user_id = ? AND g.name <> 'public')",
    )?
    .query_row([one, other], |row| row.get(0))
}

#[derive(Debug, Clone)]
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) issued_on: Timestamp,
    pub(crate) issuer_login: Option<String>,
}

pub(crate) fn api_keys(c: &Connection, user_id: i64) -> Result<Vec<KeyRow>> {
    c.prepare_cached(
        "SELECT k.id, k.name, k.issued_on, i.login FROM api_key k LEFT JOIN users i ON i.id = k.issued_by WHERE k.user_id = ? \
         ORDER BY k.issued_on, k.id",
    )?
    .query_map([user_id], |row| Ok(KeyRow { id: row.get(0)?, name: row.get(1)?, issued_on: row.get(2)?, issuer_login: row.get(3)? }))?
    .collect()
}

pub(crate) fn insert_api_key(c: &Connection, user_id: i64, key: &KeyRow, issued_by: i64) -> Result<()> {
    c.prepare_cached("INSERT INTO api_key (id, user_id, name, issued_on, issued_by) VALUES (?, ?, ?, ?, ?)")?.execute(params![
        key.id,
        user_id,
        key.name,
        key.issued_on,
        issued_by
    ])?;
    Ok(())
}

/// Whose key this is.
pub(crate) fn api_key_owner(c: &Connection, id: &str) -> Result<Option<i64>> {
    c.prepare_cached("SELECT user_id FROM api_key WHERE id = ?")?.query_row([id], |row| row.get(0)).optional()
}

pub(crate) fn delete_api_key(c: &Connection, id: &str) -> Result<()> {
    c.prepare_cached("DELETE FROM api_key WHERE id = ?")?.execute([id])?;
    Ok(())
}

pub(crate) fn setting(c: &Connection, name: &str) -> Result<Option<String>> {
    c.prepare_cached("SELECT value FROM setting WHERE name = ?")?.query_row([name], |row| row.get(0)).optional()
}

pub(crate) fn insert_setting(c: &Connection, name: &str, value: &str) -> Result<()> {
    c.prepare_cached("INSERT INTO setting (name, value) VALUES (?, ?)")?.execute([name, value])?;
    Ok(())
}

#[derive(Debug, Clone)]
pub(crate) struct QuickQueryRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) kind: String,
}

pub(crate) fn quick_queries(c: &Connection, user_id: i64, kind: &str) -> Result<Vec<QuickQueryRow>> {
    c.prepare_cached("SELECT id, name, query, type FROM quick_query WHERE user_id = ? AND type = ? ORDER BY id")?
        .query_map(params![user_id, kind], |row| {
            Ok(QuickQueryRow { id: row.get(0)?, name: row.get(1)?, query: row.get(2)?, kind: row.get(3)? })
        })?
        .collect()
}

pub(crate) fn insert_quick_query(c: &Connection, user_id: i64, kind: &str, name: &str, query: &str) -> Result<i64> {
    c.prepare_cached("INSERT INTO quick_query (user_id, type, name, query) VALUES (?, ?, ?, ?)")?
        .insert(params![user_id, kind, name, query])
}

/// Removes a saved search of this user; false when there is none.
pub(crate) fn delete_quick_query(c: &Connection, user_id: i64, id: i64) -> Result<bool> {
    Ok(c.prepare_cached("DELETE FROM quick_query WHERE id = ? AND user_id = ?")?.execute([id, user_id])? > 0)
}
