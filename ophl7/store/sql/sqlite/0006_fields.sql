-- Where each current value of a patient came from: JSON groups [message, rule, time, paths] (domain.provenance), '' for none.
ALTER TABLE patient ADD COLUMN origins TEXT NOT NULL DEFAULT '';

-- What became of a value that was not taken, where the profile of its sender asks for it: 'sent' = the owner's value was sent
-- back, 'task' = it was not, for a person. NULL: it is only reported.
ALTER TABLE drift ADD COLUMN restored TEXT;
