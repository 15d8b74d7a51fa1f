-- Merges can be taken apart (#73). pm_message, emr_message: the message by which that side holds the two for one chart; of older
-- rows the first that said so, which lists too much rather than too little. unmerged: no side's map leads from one to the other.
CREATE TABLE merge_with_messages (
    id INTEGER PRIMARY KEY,
    retired INTEGER NOT NULL REFERENCES patient (id),
    survivor INTEGER NOT NULL REFERENCES patient (id),
    pm_at REAL,
    emr_at REAL,
    state TEXT NOT NULL CHECK (state IN ('one_sided', 'two_sided', 'conflict', 'unmerged')),
    message INTEGER NOT NULL,
    pm_message INTEGER,
    emr_message INTEGER,
    noted_at REAL NOT NULL DEFAULT 0
) STRICT;

INSERT INTO merge_with_messages (id, retired, survivor, pm_at, emr_at, state, message, pm_message, emr_message, noted_at)
SELECT m.id, m.retired, m.survivor, m.pm_at, m.emr_at, m.state, m.message,
    CASE WHEN m.pm_at IS NOT NULL THEN m.message END, CASE WHEN m.emr_at IS NOT NULL THEN m.message END,
    coalesce((SELECT j.received_at FROM journal j WHERE j.id = m.message), m.pm_at, m.emr_at, 0)
FROM merge m;

DROP TABLE merge;
ALTER TABLE merge_with_messages RENAME TO merge;
CREATE UNIQUE INDEX merge_pair ON merge (retired, survivor);
CREATE INDEX merge_survivor ON merge (survivor);
CREATE INDEX merge_open ON merge (id) WHERE state IN ('one_sided', 'conflict');

-- Who took which merge apart, and when: rows are never changed.
CREATE TABLE unmerge (
    id INTEGER PRIMARY KEY,
    merge INTEGER NOT NULL REFERENCES merge (id),
    side TEXT NOT NULL CHECK (side IN ('pm', 'emr')),
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE INDEX unmerge_merge ON unmerge (merge);

-- A message in custody that a person has said is about another patient (closed_how 'redirected'): the id that counts from then on.
ALTER TABLE hold ADD COLUMN redirected_authority TEXT;
ALTER TABLE hold ADD COLUMN redirected_value TEXT;
CREATE INDEX hold_redirected ON hold (message) WHERE redirected_value IS NOT NULL;

-- Each audit row carries a digest over the row before it and itself (engine/chain.py); meta 'audit head' is the last of them.
ALTER TABLE audit ADD COLUMN digest BLOB;
