//! What searches read, made anew from the rows that it is about.
//!
//! Triggers keep it; this is for a database that somebody has changed without them, or that is damaged.
//! The one rule: **it holds what the triggers would have put there**, see the migrations.

use rusqlite::{Connection, Result};

/// One transaction each, so that none grows larger than its table.
const REFILL: [&str; 8] = [
    "INSERT INTO file_fts (file_fts) VALUES ('delete-all');
    DELETE FROM file_many_names;
    INSERT INTO file_many_names (object_id)
        SELECT object_id FROM file_name GROUP BY object_id HAVING sum(octet_length(name)) > 65536;
    INSERT INTO file_fts (rowid, name, type)
        SELECT f.object_id,
            (SELECT group_concat(n.name, char(10)) FROM file_name n WHERE n.object_id = f.object_id
                AND NOT EXISTS (SELECT 1 FROM file_many_names m WHERE m.object_id = f.object_id)),
            mwdb_index(f.file_type)
        FROM file f ORDER BY f.object_id;",
    "INSERT INTO config_fts (config_fts) VALUES ('delete-all');
    INSERT INTO config_fts (rowid, family, type, cfg)
        SELECT object_id, family, config_type, mwdb_index_json(cfg) FROM config ORDER BY object_id;",
    "INSERT INTO blob_fts (blob_fts) VALUES ('delete-all');
    INSERT INTO blob_fts (rowid, name, type, content)
        SELECT object_id, mwdb_index(blob_name), blob_type, mwdb_index(content) FROM blob ORDER BY object_id;",
    "INSERT INTO tag_fts (tag_fts) VALUES ('delete-all');
    INSERT INTO tag_fts (rowid, tag) SELECT id, tag FROM tag ORDER BY id;",
    "INSERT INTO comment_fts (comment_fts) VALUES ('delete-all');
    INSERT INTO comment_fts (rowid, comment) SELECT id, comment FROM comment ORDER BY id;",
    "INSERT INTO attribute_fts (attribute_fts) VALUES ('delete-all');
    INSERT INTO attribute_fts (rowid, value) SELECT id, mwdb_index_json(value) FROM attribute ORDER BY id;",
    "DELETE FROM attribute_leaf;
    INSERT INTO attribute_leaf (hash, object_id, attribute_id)
        SELECT l.value, a.object_id, a.id FROM attribute a, json_each(mwdb_leaves(a.key, a.value)) l ORDER BY 1, 2, 3;",
    "DELETE FROM config_leaf;
    INSERT INTO config_leaf (hash, object_id)
        SELECT l.value, c.object_id FROM config c, json_each(mwdb_leaves('', c.cfg)) l ORDER BY 1, 2;",
];

/// How many steps [`refill`] has.
pub(crate) const STEPS: u64 = REFILL.len() as u64;

/// Makes all of it anew; `done` is called after each step.
pub(crate) fn refill(c: &Connection, mut done: impl FnMut()) -> Result<()> {
    for statements in REFILL {
        let transaction = c.unchecked_transaction()?;
        transaction.execute_batch(statements)?;
        transaction.commit()?;
        done();
    }
    Ok(())
}
