-- What people decide about a message in custody. closed_how: 'released' by its condition, 'accepted' or 'discarded' by a person,
-- who is closed_by, for closed_reason.
ALTER TABLE hold ADD COLUMN closed_by TEXT;
ALTER TABLE hold ADD COLUMN closed_reason TEXT;

-- What a person accepted for a message stays accepted whenever it is judged again.
CREATE INDEX hold_accepted ON hold (message) WHERE closed_how = 'accepted';
