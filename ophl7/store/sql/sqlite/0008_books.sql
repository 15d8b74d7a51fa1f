-- The books. A day is found by its times of receipt: they ascend, so this index grows at its end and costs no page of its own.
CREATE INDEX journal_received ON journal (received_at);

-- Claims and superbills that were refused (#56).
CREATE INDEX journal_superbill ON journal (id) WHERE decision_row = '#56';

-- Whether a message ever waited, and how that ended.
CREATE INDEX hold_of_message ON hold (message);

-- The service date as the sender wrote it: nearly always today's.
CREATE INDEX charge_date ON charge (date);

-- What billing has noted as rolled up into a claim that was made in the PM: a note, never an act. A note that was taken back stays.
CREATE TABLE roll_up (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    claim TEXT NOT NULL,
    note TEXT NOT NULL,
    taken_back_at REAL,
    taken_back_by TEXT,
    taken_back_reason TEXT
) STRICT;

-- current: whether its roll-up stands. A charge is in one that stands at most.
CREATE TABLE rolled_up (
    roll_up INTEGER NOT NULL REFERENCES roll_up (id),
    charge INTEGER NOT NULL REFERENCES charge (id),
    current INTEGER NOT NULL CHECK (current IN (0, 1)),
    PRIMARY KEY (roll_up, charge)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX rolled_up_current ON rolled_up (charge) WHERE current = 1;
