-- What the query language reads. Indexes of trigrams hold no text of their own: what they find is put
-- to the real test. Their rows have the id of the object, so that they too give the newest first.
-- `mwdb_index` and `mwdb_index_json` are functions of the program; they leave texts beyond a million
-- bytes out, which the partial indexes of long texts name instead.

CREATE VIRTUAL TABLE file_fts USING fts5 (
    name, type, tokenize = "trigram case_sensitive 1", detail = column, content = '', contentless_delete = 1
);
CREATE VIRTUAL TABLE config_fts USING fts5 (
    family, type, cfg, tokenize = "trigram case_sensitive 1", detail = column, content = '', contentless_delete = 1
);
CREATE VIRTUAL TABLE blob_fts USING fts5 (
    name, type, content, tokenize = "trigram case_sensitive 1", detail = column, content = '', contentless_delete = 1
);
CREATE VIRTUAL TABLE tag_fts USING fts5 (
    tag, tokenize = "trigram case_sensitive 1", detail = column, content = '', contentless_delete = 1
);
CREATE VIRTUAL TABLE comment_fts USING fts5 (
    comment, tokenize = "trigram case_sensitive 1", detail = column, content = '', contentless_delete = 1
);
CREATE VIRTUAL TABLE attribute_fts USING fts5 (
    value, tokenize = "trigram case_sensitive 1", detail = column, content = '', contentless_delete = 1
);

-- A file has a row once it has a name; every further name makes the row anew.
CREATE TRIGGER file_name_added AFTER INSERT ON file_name BEGIN
    DELETE FROM file_fts WHERE rowid = new.object_id;
    INSERT INTO file_fts (rowid, name, type)
        SELECT f.object_id, (SELECT mwdb_index(group_concat(n.name, char(10))) FROM file_name n WHERE n.object_id = f.object_id), mwdb_index(f.file_type)
        FROM file f WHERE f.object_id = new.object_id;
END;
CREATE TRIGGER file_removed AFTER DELETE ON file BEGIN
    DELETE FROM file_fts WHERE rowid = old.object_id;
END;

CREATE TRIGGER config_added AFTER INSERT ON config BEGIN
    INSERT INTO config_fts (rowid, family, type, cfg) VALUES (new.object_id, new.family, new.config_type, mwdb_index_json(new.cfg));
END;
CREATE TRIGGER config_removed AFTER DELETE ON config BEGIN
    DELETE FROM config_fts WHERE rowid = old.object_id;
END;

CREATE TRIGGER blob_added AFTER INSERT ON blob BEGIN
    INSERT INTO blob_fts (rowid, name, type, content)
        VALUES (new.object_id, mwdb_index(new.blob_name), new.blob_type, mwdb_index(new.content));
END;
CREATE TRIGGER blob_removed AFTER DELETE ON blob BEGIN
    DELETE FROM blob_fts WHERE rowid = old.object_id;
END;

CREATE TRIGGER tag_added AFTER INSERT ON tag BEGIN
    INSERT INTO tag_fts (rowid, tag) VALUES (new.id, new.tag);
END;
CREATE TRIGGER tag_removed AFTER DELETE ON tag BEGIN
    DELETE FROM tag_fts WHERE rowid = old.id;
END;

CREATE TRIGGER comment_added AFTER INSERT ON comment BEGIN
    INSERT INTO comment_fts (rowid, comment) VALUES (new.id, new.comment);
END;
CREATE TRIGGER comment_removed AFTER DELETE ON comment BEGIN
    DELETE FROM comment_fts WHERE rowid = old.id;
END;

CREATE TRIGGER attribute_added AFTER INSERT ON attribute BEGIN
    INSERT INTO attribute_fts (rowid, value) VALUES (new.id, mwdb_index_json(new.value));
END;
CREATE TRIGGER attribute_removed AFTER DELETE ON attribute BEGIN
    DELETE FROM attribute_fts WHERE rowid = old.id;
END;

CREATE INDEX config_long ON config (object_id) WHERE octet_length(cfg) > 1000000;
CREATE INDEX blob_long ON blob (object_id) WHERE octet_length(content) > 1000000;
CREATE INDEX attribute_long ON attribute (key, object_id) WHERE octet_length(value) > 1000000;
CREATE INDEX attribute_key_object ON attribute (key, object_id);
CREATE INDEX attribute_container ON attribute (key, object_id) WHERE substr(value, 1, 1) IN ('[', '{');

-- What is there already.
INSERT INTO file_fts (rowid, name, type)
    SELECT f.object_id, (SELECT mwdb_index(group_concat(n.name, char(10))) FROM file_name n WHERE n.object_id = f.object_id), mwdb_index(f.file_type)
    FROM file f ORDER BY f.object_id;
INSERT INTO config_fts (rowid, family, type, cfg) SELECT object_id, family, config_type, mwdb_index_json(cfg) FROM config ORDER BY object_id;
INSERT INTO blob_fts (rowid, name, type, content)
    SELECT object_id, mwdb_index(blob_name), blob_type, mwdb_index(content) FROM blob ORDER BY object_id;
INSERT INTO tag_fts (rowid, tag) SELECT id, tag FROM tag ORDER BY id;
INSERT INTO comment_fts (rowid, comment) SELECT id, comment FROM comment ORDER BY id;
INSERT INTO attribute_fts (rowid, value) SELECT id, mwdb_index_json(value) FROM attribute ORDER BY id;
