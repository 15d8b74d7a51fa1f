-- Patient lists that were loaded before go-live: one row a run, written in the commits of the patients themselves. digest: SHA-256
-- of the file, '' for what cannot be read twice. done_bytes, place: how far it is; finished_at NULL: not to the end.
CREATE TABLE patient_list (
    id INTEGER PRIMARY KEY,
    peer TEXT NOT NULL CHECK (peer IN ('pm', 'emr')),
    digest TEXT NOT NULL,
    started_at REAL NOT NULL,
    finished_at REAL,
    done_bytes INTEGER NOT NULL,
    place INTEGER NOT NULL,
    created INTEGER NOT NULL,
    linked INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    held INTEGER NOT NULL,
    differences INTEGER NOT NULL,
    released INTEGER NOT NULL
) STRICT;

CREATE INDEX patient_list_digest ON patient_list (digest, peer) WHERE digest <> '';

-- What a run did not take, by its place in the file: never by whom it names.
CREATE TABLE patient_list_refusal (
    list INTEGER NOT NULL REFERENCES patient_list (id),
    place INTEGER NOT NULL,
    fate TEXT NOT NULL CHECK (fate IN ('refused', 'held')),
    decision_row TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (list, place)
) STRICT, WITHOUT ROWID;
