-- Pairs of charts that a side has merged. pm_at, emr_at: when that side did it. message: the first that said so.
CREATE TABLE merge (
    id INTEGER PRIMARY KEY,
    retired INTEGER NOT NULL REFERENCES patient (id),
    survivor INTEGER NOT NULL REFERENCES patient (id),
    pm_at REAL,
    emr_at REAL,
    state TEXT NOT NULL CHECK (state IN ('one_sided', 'two_sided', 'conflict')),
    message INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX merge_pair ON merge (retired, survivor);
CREATE INDEX merge_survivor ON merge (survivor);
CREATE INDEX merge_open ON merge (id) WHERE state <> 'two_sided';

-- The control id with which a delivery was refused (204) before a merge explained why; its bytes were then made anew.
ALTER TABLE delivery ADD COLUMN former_control_id TEXT NOT NULL DEFAULT '';
