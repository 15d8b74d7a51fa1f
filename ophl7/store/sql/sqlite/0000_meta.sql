-- Facts about this database. prefix: begins every control id that we make, so that they stay unique after a restore.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
