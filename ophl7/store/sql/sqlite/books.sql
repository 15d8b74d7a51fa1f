-- Named statements of the books (charges of a day, what is current, who sends superbills). {keys} becomes as many places as keys.

-- name: day_messages
-- What came: by state, and whether it came again later, or was judged again without having had an effect, and is counted there
-- (#84b). Copies have their own state. A run of what had an effect before is no message that came.
SELECT state, again, count(*) AS messages FROM (
    SELECT j.state, (EXISTS (SELECT 1 FROM journal r WHERE r.repeats = j.id AND r.state <> 'duplicate')
        OR (j.state IN ('rejected', 'ignored', 'error')
            AND EXISTS (SELECT 1 FROM journal r WHERE r.replay_of = coalesce(j.replay_of, j.id) AND r.id > j.id))) AS again
    FROM journal j WHERE j.received_at >= ? AND j.received_at < ?
    AND (j.replay_of IS NULL OR NOT EXISTS (
        SELECT 1 FROM journal o WHERE (o.id = j.replay_of OR o.replay_of = j.replay_of) AND o.id < j.id
        AND o.state NOT IN ('rejected', 'ignored', 'error')))
) GROUP BY state, again;

-- name: day_dfts
-- One statement, one look: a message and its charges as they stand at the same moment.
SELECT j.id, j.peer, j.received_at, j.state, j.decision_row, substr(j.raw, j.start + 1, j."end" - j.start) AS raw, j.detail,
    (EXISTS (SELECT 1 FROM journal r WHERE r.repeats = j.id AND r.state <> 'duplicate')
        OR (j.state IN ('rejected', 'ignored', 'error')
            AND EXISTS (SELECT 1 FROM journal r WHERE r.replay_of = coalesce(j.replay_of, j.id) AND r.id > j.id))) AS again,
    EXISTS (SELECT 1 FROM hold h WHERE h.message = j.id) AS waited,
    EXISTS (SELECT 1 FROM hold h WHERE h.message = j.id AND h.closed_how = 'discarded') AS discarded,
    (SELECT json_group_array(json_array(c.id, c.line, c.state, c.amount, c.delivery, d.state, d.message,
            coalesce(d.former_control_id, '') <> ''))
     FROM charge c LEFT JOIN delivery d ON d.id = c.delivery WHERE c.message = j.id) AS ledger
FROM journal j
WHERE j.received_at >= ? AND j.received_at < ? AND (j.received_at, j.id) > (?, ?)
    AND j.state <> 'duplicate' AND substr(j.event, 1, 4) = 'DFT^'
ORDER BY j.received_at, j.id LIMIT ?;

-- name: day_begin
SELECT id FROM journal WHERE received_at >= ? AND received_at < ? ORDER BY received_at, id LIMIT 1;

-- name: next_day_begin
SELECT id FROM journal WHERE received_at >= ? ORDER BY received_at, id LIMIT 1;

-- name: strays
-- Charges whose message the journal does not have, or has as something else.
SELECT c.message, c.id, c.line, c.state, c.amount, c.delivery, d.state AS delivery_state
FROM charge c LEFT JOIN journal j ON j.id = c.message LEFT JOIN delivery d ON d.id = c.delivery
WHERE c.message >= ? AND c.message < ? AND (j.id IS NULL OR substr(j.event, 1, 4) <> 'DFT^')
ORDER BY c.message, c.line LIMIT ?;

-- name: sent_twice
-- The same charge of the same patient (or of one that either side has merged with him) in copies of several messages that left.
SELECT c.id, c.message, o.id AS other, o.message AS other_message
FROM charge c
JOIN delivery d ON d.id = c.delivery
JOIN patient p ON p.subject = c.subject
JOIN patient m ON m.lane = p.lane
JOIN charge o ON o.subject = m.subject AND o.transaction_id = c.transaction_id
JOIN delivery e ON e.id = o.delivery
WHERE c.message >= ? AND c.message < ? AND c.state = 'sent' AND o.state = 'sent'
    AND o.message < c.message AND o.kind = c.kind AND o.content = c.content AND o.visit = c.visit
    AND e.id <> d.id AND (d.attempts > 0 OR d.state = 'sending') AND (e.attempts > 0 OR e.state = 'sending')
ORDER BY c.id, o.id LIMIT ?;

-- name: lanes
SELECT lane FROM patient WHERE lane > ? GROUP BY lane ORDER BY lane LIMIT ?;

-- name: accepted_charges
-- What the PM has accepted, with the roll-up that stands for it.
SELECT p.lane, p.subject, c.id, c.message, c.line, c.transaction_id, c.kind, c.date, c.procedure, c.modifiers, c.units,
    c.diagnoses, c.amount, c.visit, c.verb, r.roll_up, n.claim
FROM patient p
JOIN charge c ON c.subject = p.subject
JOIN delivery d ON d.id = c.delivery
LEFT JOIN rolled_up r ON r.charge = c.id AND r.current = 1
LEFT JOIN roll_up n ON n.id = r.roll_up
WHERE p.lane IN ({keys}) AND c.state = 'sent' AND d.state = 'accepted'
ORDER BY p.lane, c.message, c.line;

-- name: open_charges
-- What the PM does not have: from the queue and from custody, so the history does not count.
SELECT * FROM (
    SELECT c.id, c.message, c.line, c.subject, c.transaction_id, c.kind, c.date, c.procedure, c.modifiers, c.units, c.diagnoses,
        c.amount, c.visit, j.received_at,
        CASE WHEN d.state IN ('held', 'parked') THEN d.state ELSE 'pending' END AS standing
    FROM delivery d JOIN charge c ON c.message = d.message AND c.delivery = d.id JOIN journal j ON j.id = c.message
    WHERE d.destination = 'pm' AND d.state IN ('queued', 'sending', 'held', 'unknown', 'parked') AND d.stream = 'charges'
        AND c.state = 'sent'
    UNION
    SELECT c.id, c.message, c.line, c.subject, c.transaction_id, c.kind, c.date, c.procedure, c.modifiers, c.units, c.diagnoses,
        c.amount, c.visit, j.received_at, 'held' AS standing
    FROM hold h INDEXED BY hold_open_message CROSS JOIN charge c ON c.message = h.message JOIN journal j ON j.id = c.message
    WHERE h.closed_at IS NULL AND c.state = 'held'
) {where} ORDER BY id LIMIT ?;

-- name: missing
-- Appointments of a day that came to an end, and no charge of that patient for that day or under that visit. Cancelled ones and
-- those of which nothing came do not count; a refused charge does: it stands in the day's books.
SELECT a.id, a.origin, a.filler, a.placer, a.subject, a.patient, a.start, a.starts_at, a.duration, a.status, a.status_raw,
    a.resources, a.progress, a.message
FROM appointment a JOIN patient p ON p.id = a.patient
WHERE a.starts_at >= ? AND a.starts_at < ? AND a.id < ?
    AND (a.status = 'checked_out' OR (a.status = 'seen' AND a.starts_at < ?))
    AND NOT EXISTS (
        SELECT 1 FROM patient m JOIN charge c ON c.subject = m.subject
        WHERE m.lane = p.lane AND c.state NOT IN ('cancelled', 'superseded')
            AND ((c.date >= ? AND c.date < ?)
                OR (c.visit <> '' AND c.visit IN (a.filler, a.placer))
                OR (c.date = '' AND EXISTS (SELECT 1 FROM journal j WHERE j.id = c.message AND j.received_at >= ?
                    AND j.received_at < ?))))
ORDER BY a.id DESC LIMIT ?;

-- name: superbills
-- Claims and superbills that were refused. What was sent again counts once (#84b).
SELECT j.id, j.peer, j.received_at, j.event, substr(j.raw, j.start + 1, j."end" - j.start) AS raw
FROM journal j
WHERE j.decision_row = '#56' AND j.id > ?
    AND NOT (EXISTS (SELECT 1 FROM journal r WHERE r.repeats = j.id AND r.state <> 'duplicate')
        OR (j.state IN ('rejected', 'ignored', 'error')
            AND EXISTS (SELECT 1 FROM journal r WHERE r.replay_of = coalesce(j.replay_of, j.id) AND r.id > j.id)))
ORDER BY j.id LIMIT ?;

-- name: roll_ups
SELECT id, at, actor, claim, note, taken_back_at, taken_back_by, taken_back_reason,
    (SELECT json_group_array(charge) FROM rolled_up WHERE roll_up = id) AS charges
FROM roll_up {where} ORDER BY id DESC LIMIT ?;

-- name: with_charges_of
id IN (SELECT r.roll_up FROM charge c JOIN rolled_up r ON r.charge = c.id WHERE c.subject IN ({keys}))

-- name: entries
-- What a roll-up is decided on, read inside the batch.
SELECT c.id, c.message, CASE WHEN c.state = 'sent' THEN coalesce(d.state, 'queued') ELSE c.state END,
    (SELECT r.roll_up FROM rolled_up r WHERE r.charge = c.id AND r.current = 1)
FROM charge c LEFT JOIN delivery d ON d.id = c.delivery WHERE c.id IN ({keys});

-- name: noted
SELECT id, at, actor, claim, note, taken_back_at, taken_back_by, taken_back_reason,
    (SELECT json_group_array(charge) FROM rolled_up WHERE roll_up = roll_up.id)
FROM roll_up WHERE id IN ({keys});

-- name: last_roll_up
SELECT coalesce(max(id), 0) FROM roll_up;
