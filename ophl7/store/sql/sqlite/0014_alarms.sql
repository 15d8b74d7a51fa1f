-- Alarms from their opening to their end: what rang before a restart does not ring again after it.
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    about TEXT NOT NULL,
    reason TEXT NOT NULL,
    opened_at REAL NOT NULL,
    times INTEGER NOT NULL,
    acknowledged_at REAL,
    acknowledged_by TEXT,
    acknowledged_reason TEXT,
    resolved_at REAL,
    how TEXT CHECK (how IN ('cause_gone', 'acknowledged'))
) STRICT;

CREATE INDEX alarm_open ON alarm (id) WHERE resolved_at IS NULL;

-- When each peer was last heard of, to the minute: its silence is judged also after a restart, without a look at the journal.
CREATE TABLE feed (
    peer TEXT PRIMARY KEY CHECK (peer IN ('pm', 'emr')),
    heard_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO feed (peer, heard_at) SELECT peer, max(received_at) FROM journal WHERE peer IN ('pm', 'emr') GROUP BY peer;
