-- Deliveries that stopped their lane, or that a person has ended, by state, newest first: rare ones, found among millions that were
-- accepted. A delivery that goes through never touches this index.
CREATE INDEX delivery_stopped ON delivery (state, id)
    WHERE state IN ('held', 'unknown', 'parked', 'rejected', 'skipped');
