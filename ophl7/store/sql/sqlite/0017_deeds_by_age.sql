-- What was done under an Idempotency-Key goes with the audit of its time (engine/retention.py).
CREATE INDEX deed_at ON deed (at);
