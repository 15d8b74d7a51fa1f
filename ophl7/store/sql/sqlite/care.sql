-- Named statements of `ophl7 db verify`: each counts what must not be.

-- name: held_otherwise
SELECT count(*) FROM hold h LEFT JOIN journal j ON j.id = h.message WHERE h.closed_at IS NULL AND coalesce(j.state, '') <> 'held';

-- name: held_by_nothing
SELECT count(*) FROM journal j WHERE j.state = 'held'
    AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.message = j.id AND h.closed_at IS NULL);

-- name: without_bytes
SELECT count(*) FROM delivery d LEFT JOIN journal j ON j.id = d.message
WHERE d.state IN ('queued', 'sending', 'held', 'unknown', 'parked') AND d.body IS NULL AND j.raw IS NULL;

-- name: charges_without_copy
SELECT count(*) FROM charge c LEFT JOIN delivery d ON d.id = c.delivery
WHERE c.state = 'sent' AND c.delivery IS NOT NULL AND d.id IS NULL;

-- name: charges_without_message
SELECT count(*) FROM charge c LEFT JOIN journal j ON j.id = c.message WHERE j.id IS NULL;
