//! Accounts and groups in conditions.
//!
//! Which accounts a name means depends on who asks: it is looked up first, and a name that the caller
//! must not know is unknown. The ids found here go into the condition.

use rusqlite::{Connection, OptionalExtension, Result};

use super::{Part, Source, list, parts::MOST_SOURCES, sql};
use crate::auth::{Caller, Capability};

/// Members of groups that the caller shares a workspace with; themselves included.
const MATES: &str = "SELECT b.user_id FROM member a JOIN groups w ON w.id = a.group_id JOIN member b ON b.group_id = a.group_id \
     WHERE w.workspace AND a.user_id = ?";

/// The accounts that `name` means to the caller: an account, or the members of a group.
pub(crate) fn users_called(c: &Connection, caller: &Caller, name: &str) -> Result<Vec<i64>> {
    let knows_all = [Capability::ManageUsers, Capability::SharingWithAll, Capability::AccessUploaderInfo];
    if knows_all.into_iter().any(|capability| caller.has(capability)) {
        return c
            .prepare_cached("SELECT m.user_id FROM groups g JOIN member m ON m.group_id = g.id WHERE g.name = ? ORDER BY 1")?
            .query_map([name], |row| row.get(0))?
            .collect();
    }
    c.prepare_cached(&format!(
        "{MATES} AND (w.name = ? OR EXISTS (SELECT 1 FROM users u WHERE u.id = b.user_id AND u.login = ?)) GROUP BY 1 ORDER BY 1"
    ))?
    .query_map((caller.id, name, name), |row| row.get(0))?
    .collect()
}

/// Those of `users` that the caller may see as uploaders (MWDB API §U8).
pub(crate) fn visible_uploaders(c: &Connection, caller: &Caller, users: Vec<i64>) -> Result<Vec<i64>> {
    if caller.has(Capability::AccessUploaderInfo) || caller.has(Capability::SharingWithAll) {
        return Ok(users);
    }
    let mates: Vec<i64> = c.prepare_cached(MATES)?.query_map([caller.id], |row| row.get(0))?.collect::<Result<_>>()?;
    Ok(users.into_iter().filter(|user| *user == caller.id || mates.contains(user)).collect())
}

/// The account with this login.
pub(crate) fn login_id(c: &Connection, login: &str) -> Result<Option<i64>> {
    c.prepare_cached("SELECT id FROM users WHERE login = ?")?.query_row([login], |row| row.get(0)).optional()
}

/// Uploaded by one of these accounts.
pub(crate) fn uploader(users: &[i64]) -> Part {
    let text = "EXISTS (SELECT 1 FROM permission p WHERE p.object_id = @.id AND p.reason_type = 'added' \
                AND p.related_object_id = @.id AND p.related_user_id IN (SELECT value FROM json_each(?)))";
    let part = Part::new(None, sql(text, [list(users)]));
    if users.len() > MOST_SOURCES {
        return part;
    }
    let own = "s.related_user_id = ? AND s.reason_type = 'added' AND s.related_object_id = s.object_id";
    part.way(users.iter().map(|user| Source::new("permission s", "s.object_id", sql(own, [(*user).into()])).repeating()).collect())
}

/// Shared by one of these accounts, as far as the caller may know.
pub(crate) fn sharer(caller: &Caller, users: &[i64]) -> Part {
    let known = |alias: &str| {
        if caller.has(Capability::SharingWithAll) {
            return "1".to_owned();
        }
        // A number from our own table.
        format!("{alias}.group_id IN (SELECT m.group_id FROM member m WHERE m.user_id = {})", caller.id)
    };
    let text = format!(
        "EXISTS (SELECT 1 FROM permission p WHERE p.object_id = @.id AND p.reason_type = 'shared' AND {} \
         AND p.related_user_id IN (SELECT value FROM json_each(?)))",
        known("p")
    );
    let part = Part::new(None, sql(&text, [list(users)]));
    if users.len() > MOST_SOURCES {
        return part;
    }
    let own = format!("s.related_user_id = ? AND s.reason_type = 'shared' AND {}", known("s"));
    part.way(users.iter().map(|user| Source::new("permission s", "s.object_id", sql(&own, [(*user).into()])).repeating()).collect())
}

/// A group has access.
pub(crate) fn shared(group: i64) -> Part {
    let test = sql("EXISTS (SELECT 1 FROM permission p WHERE p.object_id = @.id AND p.group_id = ?)", [group.into()]);
    Part::new(None, test).way(vec![Source::new("permission s", "s.object_id", sql("s.group_id = ?", [group.into()]))]).exact()
}

/// A favourite of an account.
pub(crate) fn favorites(user: i64) -> Part {
    let test = sql("EXISTS (SELECT 1 FROM favorite x WHERE x.object_id = @.id AND x.user_id = ?)", [user.into()]);
    Part::new(None, test).way(vec![Source::new("favorite s", "s.object_id", sql("s.user_id = ?", [user.into()]))]).exact()
}

/// Commented on by an account.
pub(crate) fn author(user: i64) -> Part {
    let test = sql("EXISTS (SELECT 1 FROM comment k WHERE k.object_id = @.id AND k.user_id = ?)", [user.into()]);
    Part::new(None, test).way(vec![Source::new("comment s", "s.object_id", sql("s.user_id = ?", [user.into()])).repeating()])
}
