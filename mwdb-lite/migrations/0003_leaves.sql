-- Whole values inside attributes and configs: one row for each number, string, `true`, `false` and `null`
-- in a document, by what it is and where it stands. `mwdb_leaves` is a function of the program that gives
-- the hashes; equal hashes are a hint, the document itself is then put to the test. A document with very
-- many, or beyond a million bytes, has one row under a hash that every search looks at.

CREATE TABLE attribute_leaf (
    hash INTEGER NOT NULL,
    object_id INTEGER NOT NULL,
    attribute_id INTEGER NOT NULL,
    PRIMARY KEY (hash, object_id, attribute_id)
) WITHOUT ROWID;
CREATE TABLE config_leaf (
    hash INTEGER NOT NULL,
    object_id INTEGER NOT NULL,
    PRIMARY KEY (hash, object_id)
) WITHOUT ROWID;

CREATE TRIGGER attribute_leaves_added AFTER INSERT ON attribute BEGIN
    INSERT INTO attribute_leaf (hash, object_id, attribute_id)
        SELECT l.value, new.object_id, new.id FROM json_each(mwdb_leaves(new.key, new.value)) l;
END;
CREATE TRIGGER attribute_leaves_removed AFTER DELETE ON attribute BEGIN
    DELETE FROM attribute_leaf WHERE object_id = old.object_id AND attribute_id = old.id
        AND hash IN (SELECT l.value FROM json_each(mwdb_leaves(old.key, old.value)) l);
END;
CREATE TRIGGER config_leaves_added AFTER INSERT ON config BEGIN
    INSERT INTO config_leaf (hash, object_id) SELECT l.value, new.object_id FROM json_each(mwdb_leaves('', new.cfg)) l;
END;
CREATE TRIGGER config_leaves_removed AFTER DELETE ON config BEGIN
    DELETE FROM config_leaf WHERE object_id = old.object_id
        AND hash IN (SELECT l.value FROM json_each(mwdb_leaves('', old.cfg)) l);
END;

-- Nothing is looked up by the digest of a whole value any more.
DROP INDEX attribute_key;

-- Files whose names are not in the index of trigrams: with each further name all of them would be read again.
CREATE TABLE file_many_names (
    object_id INTEGER PRIMARY KEY
);
DROP TRIGGER file_name_added;
CREATE TRIGGER file_name_added AFTER INSERT ON file_name
WHEN NOT EXISTS (SELECT 1 FROM file_many_names m WHERE m.object_id = new.object_id) BEGIN
    INSERT INTO file_many_names (object_id)
        SELECT new.object_id WHERE (SELECT sum(octet_length(n.name)) FROM file_name n WHERE n.object_id = new.object_id) > 65536;
    DELETE FROM file_fts WHERE rowid = new.object_id;
    INSERT INTO file_fts (rowid, name, type)
        SELECT f.object_id,
            (SELECT group_concat(n.name, char(10)) FROM file_name n WHERE n.object_id = f.object_id
                AND NOT EXISTS (SELECT 1 FROM file_many_names m WHERE m.object_id = f.object_id)),
            mwdb_index(f.file_type)
        FROM file f WHERE f.object_id = new.object_id;
END;
CREATE TRIGGER file_many_names_removed AFTER DELETE ON file BEGIN
    DELETE FROM file_many_names WHERE object_id = old.object_id;
END;
INSERT INTO file_many_names (object_id)
    SELECT object_id FROM file_name GROUP BY object_id HAVING sum(octet_length(name)) > 65536;

CREATE INDEX blob_long_name ON blob (object_id) WHERE octet_length(blob_name) > 1000000;

-- What is there already, in the order of the keys.
INSERT INTO attribute_leaf (hash, object_id, attribute_id)
    SELECT l.value, a.object_id, a.id FROM attribute a, json_each(mwdb_leaves(a.key, a.value)) l ORDER BY 1, 2, 3;
INSERT INTO config_leaf (hash, object_id)
    SELECT l.value, c.object_id FROM config c, json_each(mwdb_leaves('', c.cfg)) l ORDER BY 1, 2;
