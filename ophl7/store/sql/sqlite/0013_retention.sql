-- When the bytes of a message, and those of its copies, were removed because their time was over; NULL: they are there.
ALTER TABLE journal ADD COLUMN body_removed_at REAL;

-- What retention has passed by because something is open about it: looked at again in every run. stage: what was not removed.
CREATE TABLE retention_left (
    stage TEXT NOT NULL CHECK (stage IN ('bodies', 'rows')),
    message INTEGER NOT NULL,
    PRIMARY KEY (stage, message)
) STRICT, WITHOUT ROWID;

-- Values that were not taken, by the message that offered them. Ascends, so it grows at its end.
CREATE INDEX drift_message ON drift (message);
