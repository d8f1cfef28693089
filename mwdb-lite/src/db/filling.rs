//! Many objects at once, for measurements: row by row through the rules would take hours.
//!
//! The one rule: **what is filled in looks like what uploads leave**, index and digests included, so
//! that searches find it. Content is not there.

use rusqlite::{Connection, Result, functions::FunctionFlags, params};

use crate::objects::attributes::digest;

/// The tag of every second object, and that of two objects.
const TAGS: &str = "INSERT OR IGNORE INTO tag (tag) VALUES ('common'), ('rare'), ('absent');
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT OR IGNORE INTO tag (tag) SELECT 'family:' || i FROM n;";

/// Each gets the first and last id as ?1 and ?2.
const STATEMENTS: [&str; 10] = [
    "INSERT INTO object (id, type, dhash, upload_time, share_3rd_party) SELECT i, CASE WHEN i % 10 = 3 THEN 2 WHEN i % 10 = 4 THEN 3 ELSE 1 END, printf('%064x', i), i * 1000000, 1 FROM n",
    "INSERT INTO file SELECT i, printf('sample_%d_%x.exe', i % 1000, i * 2654435761), i % 100000, 'PE32 executable (GUI) Intel 80386, ' || (i % 9) || ' sections', printf('%032x', i), printf('%040x', i), printf('%0128x', i), printf('%08x', i), NULL FROM n WHERE i % 10 NOT IN (3, 4)",
    "INSERT INTO file_name (object_id, name) SELECT i, printf('sample_%d_%x.exe', i % 1000, i * 2654435761) FROM n WHERE i % 10 NOT IN (3, 4)",
    "INSERT INTO config SELECT i, 'family' || (i % 300), 'static', printf('{\"c2\": [\"http://host%d.example:%d/gate\"], \"id\": %d, \"key\": \"%x\"}', i % 5000, i % 60000, i, i * 2654435761) FROM n WHERE i % 10 = 3",
    "INSERT INTO blob SELECT i, 'strings', 'raw', 40, i * 1000000, printf('some text %x with %d words', i * 2654435761, i) FROM n WHERE i % 10 = 4",
    "INSERT INTO object_tag (object_id, tag_id) SELECT i, (SELECT id FROM tag WHERE tag = 'common') FROM n WHERE i % 2 = 0",
    "INSERT INTO object_tag (object_id, tag_id) SELECT i, (SELECT id FROM tag WHERE tag = 'family:' || (1 + i % 2000)) FROM n",
    "INSERT INTO object_tag (object_id, tag_id) SELECT i, (SELECT id FROM tag WHERE tag = 'rare') FROM n WHERE i IN (5, 77)",
    "INSERT INTO attribute (object_id, key, value, digest) SELECT i, 'open', v, mwdb_digest(v) FROM (SELECT i, CASE i % 10 WHEN 0 THEN printf('\"value %d\"', i) ELSE printf('{\"host\": \"host%d.example\", \"port\": %d}', i % 5000, i % 60000) END AS v FROM n WHERE i % 5 = 0)",
    "INSERT INTO relation (parent_id, child_id, creation_time) SELECT i, i + 1, 0 FROM n WHERE i % 10 = 2",
];

/// Every object is seen by this group.
const OWNED: &str = "INSERT INTO permission SELECT o.id, ?3, o.type, 'added', o.id, ?4, 0 FROM object o WHERE o.id BETWEEN ?1 AND ?2";
/// Every third object is.
const SHARED: &str =
    "INSERT INTO permission SELECT o.id, ?3, o.type, 'shared', o.id, ?4, 0 FROM object o WHERE o.id BETWEEN ?1 AND ?2 AND o.id % 3 = 0";

/// Who has what is filled in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owners {
    pub(crate) user: i64,
    /// Sees everything.
    pub(crate) own: i64,
    /// Sees every third object.
    pub(crate) other: i64,
}

/// The account of this name as the owner of everything, and `public`.
pub(crate) fn owners(c: &Connection, login: &str) -> Result<Owners> {
    let find =
        "SELECT u.id, g.id, p.id FROM users u JOIN groups g ON g.name = u.login JOIN groups p ON p.name = 'public' WHERE u.login = ?";
    c.query_row(find, [login], |row| Ok(Owners { user: row.get(0)?, own: row.get(1)?, other: row.get(2)? }))
}

/// Adds the objects with the ids `first` to `last`: of ten, eight are files, one is a config and one a
/// blob. The last in a row must not have the relation that the next would end, so `last` is a round
/// number.
pub(crate) fn fill(c: &Connection, first: i64, last: i64, owners: Owners) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    c.create_scalar_function("mwdb_digest", 1, flags, |context| {
        Ok(karton_rs::json::Value::parse(context.get_raw(0).as_str()?).map(|value| digest(&value).to_vec()).unwrap_or_default())
    })?;
    c.execute_batch(TAGS)?;
    c.execute("INSERT OR IGNORE INTO attribute_definition VALUES ('open', '', '', '', '', '', 0)", [])?;
    c.execute("INSERT OR IGNORE INTO attribute_permission VALUES ('open', ?, 1, 1)", [owners.other])?;
    for statement in STATEMENTS {
        let series = "WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)";
        c.execute(&format!("{series} {statement}"), [first, last])?;
    }
    c.execute(OWNED, params![first, last, owners.own, owners.user])?;
    c.execute(SHARED, params![first, last, owners.other, owners.user])?;
    Ok(())
}
