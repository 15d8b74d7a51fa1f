-- Codes that the two systems call differently (#36, #46). What a profile says stands in its file; here is what people have said.

-- name: the table of the peer's profile; code: the peer's own; target: what it is called in the other system.
CREATE TABLE code_entry (
    peer TEXT NOT NULL,
    name TEXT NOT NULL,
    code TEXT NOT NULL,
    target TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at REAL NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (peer, name, code)
) STRICT, WITHOUT ROWID;

-- A code without an entry in a message that came: somebody must say what it is called. messages: how many had it.
CREATE TABLE code_task (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL,
    name TEXT NOT NULL,
    code TEXT NOT NULL,
    first_message INTEGER NOT NULL,
    last_message INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    messages INTEGER NOT NULL,
    UNIQUE (peer, name, code)
) STRICT;
