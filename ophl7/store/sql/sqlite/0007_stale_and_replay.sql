-- The time of what each side has said last of a patient's record or an appointment (decisions #87): what is older is stale.
-- As written by ophl7/domain/watermark.py; NULL: nothing yet.
ALTER TABLE patient ADD COLUMN mark_pm TEXT;
ALTER TABLE patient ADD COLUMN mark_emr TEXT;
ALTER TABLE appointment ADD COLUMN mark_pm TEXT;
ALTER TABLE appointment ADD COLUMN mark_emr TEXT;

-- A message that a person had judged again. replay_of: the one that came. spared: sides that have had a copy of it, and get
-- none of this one; '' for none.
ALTER TABLE journal ADD COLUMN replay_of INTEGER REFERENCES journal (id);
ALTER TABLE journal ADD COLUMN spared TEXT NOT NULL DEFAULT '';
CREATE INDEX journal_replay ON journal (replay_of) WHERE replay_of IS NOT NULL;
CREATE INDEX journal_repeats ON journal (repeats) WHERE repeats IS NOT NULL;

-- The message that met the hold's condition; NULL where a person ended it.
ALTER TABLE hold ADD COLUMN closed_by_message INTEGER;
