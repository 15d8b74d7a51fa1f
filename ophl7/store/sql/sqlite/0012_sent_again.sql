-- Everything to a destination since some time, sent again (an EMR restored from a backup): one row a run, written in the commits of
-- the copies themselves. streams: 'record', 'charges', or both parted by a blank; last: the last delivery when it began;
-- place: up to which delivery it has looked; forgiven: refusals that a person has seen and gone on after.
CREATE TABLE resend (
    id INTEGER PRIMARY KEY,
    destination TEXT NOT NULL CHECK (destination IN ('pm', 'emr')),
    since REAL NOT NULL,
    until REAL NOT NULL,
    streams TEXT NOT NULL,
    stop_after INTEGER NOT NULL,
    key TEXT NOT NULL,
    started_at REAL NOT NULL,
    last INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'stopped', 'done', 'dropped')),
    place INTEGER NOT NULL,
    made INTEGER NOT NULL,
    gone INTEGER NOT NULL,
    forgiven INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX resend_key ON resend (key) WHERE key <> '';
CREATE INDEX resend_open ON resend (destination) WHERE state IN ('running', 'stopped');

-- resend_of: the delivery that this one sends again, the first of them all; resend: the run. A run sends nothing twice.
ALTER TABLE delivery ADD COLUMN resend_of INTEGER REFERENCES delivery (id);
ALTER TABLE delivery ADD COLUMN resend INTEGER REFERENCES resend (id);
CREATE UNIQUE INDEX delivery_resent ON delivery (resend_of, resend) WHERE resend_of IS NOT NULL;
CREATE INDEX delivery_resend ON delivery (resend, state, last_answer) WHERE resend IS NOT NULL;

-- Since when the peer says that it cannot take this one just now (206, severity F), without end (decisions 8); NULL where it does not.
ALTER TABLE delivery ADD COLUMN refused_since REAL;
CREATE INDEX delivery_refused ON delivery (refused_since) WHERE refused_since IS NOT NULL;

-- What was done under a caller's Idempotency-Key: whoever asks again is told the same, and nothing is done twice.
CREATE TABLE deed (
    key TEXT PRIMARY KEY,
    what TEXT NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    control_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
