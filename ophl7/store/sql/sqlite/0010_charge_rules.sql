-- What FT1-6 asked for by the sender's profile of that day. Before profiles there were the codes of `generic`.
ALTER TABLE charge ADD COLUMN verb TEXT NOT NULL DEFAULT 'new' CHECK (verb IN ('new', 'update', 'void', 'payment'));
UPDATE charge SET verb = 'void' WHERE kind = 'CD';
UPDATE charge SET verb = 'payment' WHERE kind IN ('PY', 'AJ', 'CO');

-- On one line of a message: the digest of all its lines that no FT1-2 names (#57). Whoever names his charges pays nothing for it.
ALTER TABLE charge ADD COLUMN same_set BLOB;
CREATE INDEX charge_set ON charge (subject, same_set) WHERE same_set IS NOT NULL;

-- Copies that take back, or change, the charges of an earlier copy: if that one is lost, they must not leave (#50).
CREATE TABLE taken_back (
    lost INTEGER NOT NULL REFERENCES delivery (id),
    delivery INTEGER NOT NULL REFERENCES delivery (id),
    PRIMARY KEY (lost, delivery)
) STRICT, WITHOUT ROWID;
