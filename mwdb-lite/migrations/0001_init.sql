-- Times are microseconds since 1970 in UTC. Identifiers of objects only grow (AUTOINCREMENT) and
-- follow upload_time, so that "newest first" is "largest id first" and pages can start at an id.

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    login TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    additional_info TEXT NOT NULL,
    feed_quality TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0,
    requested_on INTEGER,
    registered_on INTEGER,
    registered_by INTEGER REFERENCES users (id) ON DELETE SET NULL,
    logged_on INTEGER,
    set_password_on INTEGER,
    password_hash TEXT,
    password_ver TEXT NOT NULL,
    identity_ver TEXT NOT NULL,
    version_uid TEXT
);
CREATE INDEX users_registered_by ON users (registered_by);

CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    -- JSON list of names, unknown ones included
    capabilities TEXT NOT NULL DEFAULT '[]',
    private INTEGER NOT NULL DEFAULT 0,
    is_default INTEGER NOT NULL DEFAULT 0,
    workspace INTEGER NOT NULL DEFAULT 1,
    immutable INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE member (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    group_admin INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, group_id)
) WITHOUT ROWID;
CREATE INDEX member_group ON member (group_id, user_id);

CREATE TABLE api_key (
    id TEXT PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    issued_on INTEGER NOT NULL,
    issued_by INTEGER REFERENCES users (id) ON DELETE SET NULL
) WITHOUT ROWID;
CREATE INDEX api_key_user ON api_key (user_id);
CREATE INDEX api_key_issuer ON api_key (issued_by);

-- type: 1 file, 2 static_config, 3 text_blob
CREATE TABLE object (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    type INTEGER NOT NULL,
    dhash TEXT NOT NULL UNIQUE,
    upload_time INTEGER NOT NULL,
    share_3rd_party INTEGER NOT NULL
);
CREATE INDEX object_type ON object (type, id);
CREATE INDEX object_time ON object (upload_time);

CREATE TABLE file (
    object_id INTEGER PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    file_name TEXT NOT NULL,
    file_size INTEGER NOT NULL,
    file_type TEXT NOT NULL,
    md5 TEXT NOT NULL,
    sha1 TEXT NOT NULL,
    sha512 TEXT NOT NULL,
    crc32 TEXT NOT NULL,
    ssdeep TEXT
);
CREATE INDEX file_size ON file (file_size);
CREATE INDEX file_type ON file (file_type);
CREATE INDEX file_md5 ON file (md5);
CREATE INDEX file_sha1 ON file (sha1);
CREATE INDEX file_sha512 ON file (sha512);
CREATE INDEX file_crc32 ON file (crc32);
CREATE INDEX file_ssdeep ON file (ssdeep);

-- Every name a file was uploaded under, the first one included, in upload order.
CREATE TABLE file_name (
    id INTEGER PRIMARY KEY,
    object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    UNIQUE (object_id, name)
);
CREATE INDEX file_name_name ON file_name (name, object_id);

CREATE TABLE config (
    object_id INTEGER PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    family TEXT NOT NULL,
    config_type TEXT NOT NULL,
    cfg TEXT NOT NULL
);
CREATE INDEX config_family ON config (family, object_id);
CREATE INDEX config_config_type ON config (config_type, object_id);

CREATE TABLE blob (
    object_id INTEGER PRIMARY KEY REFERENCES object (id) ON DELETE CASCADE,
    blob_name TEXT NOT NULL,
    blob_type TEXT NOT NULL,
    blob_size INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX blob_name ON blob (blob_name, object_id);
CREATE INDEX blob_type ON blob (blob_type, object_id);
CREATE INDEX blob_size ON blob (blob_size);
CREATE INDEX blob_last_seen ON blob (last_seen);

CREATE TABLE tag (
    id INTEGER PRIMARY KEY,
    tag TEXT NOT NULL UNIQUE
);
CREATE TABLE object_tag (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    tag_id INTEGER NOT NULL REFERENCES tag (id) ON DELETE CASCADE,
    UNIQUE (object_id, tag_id)
);
CREATE INDEX object_tag_tag ON object_tag (tag_id, object_id);

CREATE TABLE comment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    user_id INTEGER REFERENCES users (id) ON DELETE SET NULL,
    comment TEXT NOT NULL,
    timestamp INTEGER NOT NULL
);
CREATE INDEX comment_object ON comment (object_id, id);
CREATE INDEX comment_user ON comment (user_id, object_id);

CREATE TABLE attribute_definition (
    key TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    description TEXT NOT NULL,
    url_template TEXT NOT NULL,
    rich_template TEXT NOT NULL,
    example_value TEXT NOT NULL,
    hidden INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE attribute_permission (
    key TEXT NOT NULL REFERENCES attribute_definition (key) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    can_read INTEGER NOT NULL,
    can_set INTEGER NOT NULL,
    PRIMARY KEY (key, group_id)
) WITHOUT ROWID;
CREATE INDEX attribute_permission_group ON attribute_permission (group_id, key);

CREATE TABLE attribute (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    key TEXT NOT NULL REFERENCES attribute_definition (key) ON DELETE CASCADE,
    -- JSON text
    value TEXT NOT NULL,
    -- SHA-256 of the value in canonical form: equal values have equal digests
    digest BLOB NOT NULL,
    UNIQUE (object_id, key, digest)
);
CREATE INDEX attribute_key ON attribute (key, digest, object_id);

CREATE TABLE relation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    parent_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    child_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    creation_time INTEGER NOT NULL,
    UNIQUE (parent_id, child_id)
);
CREATE INDEX relation_child ON relation (child_id, parent_id);

-- Who sees what. type repeats object.type, so that the newest objects of one type that a group
-- sees are one walk over an index.
CREATE TABLE permission (
    object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    type INTEGER NOT NULL,
    reason_type TEXT NOT NULL,
    related_object_id INTEGER REFERENCES object (id) ON DELETE SET NULL,
    related_user_id INTEGER REFERENCES users (id) ON DELETE SET NULL,
    access_time INTEGER NOT NULL,
    PRIMARY KEY (object_id, group_id)
) WITHOUT ROWID;
CREATE INDEX permission_group ON permission (group_id, object_id);
CREATE INDEX permission_group_type ON permission (group_id, type, object_id);
CREATE INDEX permission_related_object ON permission (related_object_id);
CREATE INDEX permission_related_user ON permission (related_user_id, reason_type, object_id);

CREATE TABLE favorite (
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, object_id)
) WITHOUT ROWID;
CREATE INDEX favorite_object ON favorite (object_id);

CREATE TABLE quick_query (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    query TEXT NOT NULL
);
CREATE INDEX quick_query_user ON quick_query (user_id, type);

CREATE TABLE analysis (
    id TEXT PRIMARY KEY,
    creation_time INTEGER NOT NULL,
    -- JSON object
    arguments TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE analysis_object (
    analysis_id TEXT NOT NULL REFERENCES analysis (id) ON DELETE CASCADE,
    object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    PRIMARY KEY (analysis_id, object_id)
) WITHOUT ROWID;
CREATE INDEX analysis_object_object ON analysis_object (object_id, analysis_id);

-- Analyses that Karton has not been told of yet. A row is written with the upload that asks for it
-- and removed once the task is in Karton's queue.
CREATE TABLE karton_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    analysis_id TEXT NOT NULL UNIQUE REFERENCES analysis (id) ON DELETE CASCADE,
    object_id INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    -- feed quality of the acting user
    quality TEXT NOT NULL,
    -- uid of the sample in Karton's bucket, the same on every attempt
    resource_uid TEXT NOT NULL,
    created INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
);
CREATE INDEX karton_outbox_object ON karton_outbox (object_id);
