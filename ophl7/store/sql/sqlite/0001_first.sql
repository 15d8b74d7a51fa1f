-- The journal: every message as it came, what was decided and what was answered. Rows are appended; only a release, a
-- person's decision or retention changes one. state, row, reason: decisions.md; detail: JSON, the provenance row.
CREATE TABLE journal (
    id INTEGER PRIMARY KEY,
    peer TEXT NOT NULL CHECK (peer IN ('pm', 'emr')),
    connection INTEGER NOT NULL,
    received_at REAL NOT NULL,
    event TEXT NOT NULL,
    control_id TEXT NOT NULL,
    digest BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('accepted', 'rejected', 'held', 'ignored', 'duplicate', 'stale', 'error')),
    ack_code TEXT NOT NULL,
    answer BLOB,
    decision_row TEXT NOT NULL,
    reason TEXT NOT NULL,
    subject INTEGER,
    repeats INTEGER,
    raw BLOB,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- Duplicates are looked up by control id first: control ids mostly ascend, digests are random and would dirty a page each.
CREATE INDEX journal_control ON journal (control_id, digest) WHERE state <> 'duplicate' AND control_id <> '';
CREATE INDEX journal_subject ON journal (subject) WHERE subject IS NOT NULL;

-- Patients. lane: the set joined by either redirect map. fields: JSON, HL7 path -> canonical text.
CREATE TABLE patient (
    id INTEGER PRIMARY KEY,
    subject INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    identifiers TEXT NOT NULL,
    fields TEXT NOT NULL,
    created_at REAL NOT NULL,
    message INTEGER NOT NULL,
    provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
    merged_pm INTEGER REFERENCES patient (id),
    merged_emr INTEGER REFERENCES patient (id),
    inactive_pm REAL,
    inactive_emr REAL
) STRICT;

CREATE INDEX patient_lane ON patient (lane);
CREATE UNIQUE INDEX patient_subject ON patient (subject);

CREATE TABLE alias (
    value TEXT NOT NULL,
    authority TEXT NOT NULL,
    type TEXT NOT NULL,
    patient INTEGER NOT NULL REFERENCES patient (id),
    PRIMARY KEY (value, authority)
) STRICT, WITHOUT ROWID;

-- The schedule. origin: the side whose numbering filler (SCH-2) and placer (SCH-1) belong to.
CREATE TABLE appointment (
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL CHECK (origin IN ('pm', 'emr')),
    filler TEXT NOT NULL,
    placer TEXT NOT NULL,
    subject INTEGER NOT NULL,
    patient INTEGER REFERENCES patient (id),
    start TEXT NOT NULL,
    starts_at REAL,
    duration TEXT NOT NULL,
    status TEXT NOT NULL,
    status_raw TEXT NOT NULL,
    resources TEXT NOT NULL,
    progress TEXT NOT NULL,
    message INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX appointment_filler ON appointment (filler, origin) WHERE filler <> '';
CREATE INDEX appointment_placer ON appointment (placer, origin) WHERE placer <> '';
CREATE INDEX appointment_subject ON appointment (subject);
CREATE INDEX appointment_start ON appointment (starts_at);

-- The ledger: one row per FT1, whatever became of its DFT. transaction_id: '' when FT1-2 identifies nothing (#57).
CREATE TABLE charge (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    line INTEGER NOT NULL,
    subject INTEGER NOT NULL,
    transaction_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    date TEXT NOT NULL,
    procedure TEXT NOT NULL,
    modifiers TEXT NOT NULL,
    units TEXT NOT NULL,
    diagnoses TEXT NOT NULL,
    amount TEXT NOT NULL,
    visit TEXT NOT NULL,
    content BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('held', 'sent', 'rejected', 'cancelled', 'superseded')),
    delivery INTEGER
) STRICT;

CREATE INDEX charge_subject ON charge (subject, transaction_id);
CREATE UNIQUE INDEX charge_line ON charge (message, line);

-- Messages in custody. blocks: the object whose later messages wait too.
CREATE TABLE hold (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES journal (id),
    key TEXT NOT NULL,
    blocks TEXT NOT NULL,
    reason TEXT NOT NULL,
    since REAL NOT NULL,
    peer TEXT NOT NULL,
    closed_at REAL,
    closed_how TEXT
) STRICT;

CREATE INDEX hold_open_key ON hold (key) WHERE closed_at IS NULL;
CREATE INDEX hold_open_block ON hold (blocks) WHERE closed_at IS NULL AND blocks <> '';
CREATE INDEX hold_open_message ON hold (message) WHERE closed_at IS NULL;

-- The outbox. body: NULL when it is the journal's bytes with our control id.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    destination TEXT NOT NULL CHECK (destination IN ('pm', 'emr')),
    lane INTEGER NOT NULL,
    stream TEXT NOT NULL CHECK (stream IN ('record', 'charges')),
    message INTEGER NOT NULL REFERENCES journal (id),
    control_id TEXT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'sending', 'accepted', 'held', 'unknown', 'parked', 'rejected', 'skipped')),
    body BLOB,
    created_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL,
    last_answer TEXT NOT NULL DEFAULT '',
    changed_at REAL
) STRICT;

-- What is not settled, oldest first: its size is that of the queue, not of the history.
CREATE INDEX delivery_open ON delivery (destination, id)
    WHERE state IN ('queued', 'sending', 'held', 'unknown', 'parked');
CREATE INDEX delivery_message ON delivery (message);

-- Values that were not taken (#5).
CREATE TABLE drift (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    patient INTEGER NOT NULL,
    peer TEXT NOT NULL,
    field TEXT NOT NULL,
    offered TEXT NOT NULL,
    kept TEXT,
    rule TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;

CREATE INDEX drift_patient ON drift (patient);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
