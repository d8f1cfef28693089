-- The bytes of small files whose place in the uploads folder the disk may not have yet: they are
-- committed with the row of the file, and go once the disk has the folder. After a power cut the next
-- start puts back from here what the folder has lost.

CREATE TABLE fresh_content (
    -- Never used again: who removes the rows up to one takes none that came after it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL,
    content BLOB NOT NULL
);
