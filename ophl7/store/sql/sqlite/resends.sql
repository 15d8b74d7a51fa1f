-- Named statements around what is sent again (engine/resending.py).

-- name: open_resends
SELECT id, destination, since, until, streams, stop_after, key, started_at, last, state, place, made, gone, forgiven FROM resend
WHERE state IN ('running', 'stopped') ORDER BY id;

-- name: resend_with_key
SELECT id, destination, since, until, streams, stop_after, key, started_at, last, state, place, made, gone, forgiven FROM resend
WHERE key = ? AND key <> '';

-- name: last_resend
SELECT coalesce(max(id), 0) FROM resend;

-- name: tally
SELECT
    CASE
        WHEN state IN ('queued', 'sending') THEN 'waiting'
        WHEN state IN ('accepted', 'skipped') THEN state
        WHEN last_answer = 'withheld: its run was stopped' THEN 'withheld'
        ELSE 'refused'
    END AS became, count(*) AS copies
FROM delivery WHERE resend = ? GROUP BY 1;

-- name: copies
SELECT id, state, attempts, last_answer = 'withheld: its run was stopped' FROM delivery
WHERE resend = ? AND state IN ('queued', 'sending', 'held', 'unknown', 'parked') ORDER BY id;

-- name: window
-- Deliveries of a stretch that the destination had accepted since then, or a copy of them later; and not in this run yet.
-- The lane is the one that their patient has by now.
SELECT d.id, d.stream, coalesce(p.lane, q.lane, d.lane) AS lane, p.lane IS NOT NULL AS known
FROM delivery d JOIN journal j ON j.id = d.message
LEFT JOIN patient p ON p.subject = j.subject
LEFT JOIN patient q ON q.subject = d.lane
WHERE d.id > :after AND d.id <= :upto AND d.destination = :destination AND d.resend_of IS NULL AND instr(:streams, d.stream) > 0
    AND ((d.state = 'accepted' AND d.changed_at >= :since AND d.changed_at < :until)
        OR EXISTS (SELECT 1 FROM delivery c WHERE c.resend_of = d.id AND c.state = 'accepted'
            AND c.changed_at >= :since AND c.changed_at < :until))
    AND NOT EXISTS (SELECT 1 FROM delivery c WHERE c.resend_of = d.id AND c.resend = :run)
ORDER BY d.id LIMIT :most;

-- name: of_lane
-- All of a patient's, his merged charts' too.
SELECT d.id
FROM patient p JOIN journal j ON j.subject = p.subject JOIN delivery d ON d.message = j.id
WHERE p.lane = :lane AND d.destination = :destination AND d.stream = :stream AND d.resend_of IS NULL
    AND ((d.state = 'accepted' AND d.changed_at >= :since AND d.changed_at < :until)
        OR EXISTS (SELECT 1 FROM delivery c WHERE c.resend_of = d.id AND c.state = 'accepted'
            AND c.changed_at >= :since AND c.changed_at < :until))
    AND NOT EXISTS (SELECT 1 FROM delivery c WHERE c.resend_of = d.id AND c.resend = :run)
ORDER BY d.id;

-- name: without_bytes
SELECT d.id FROM delivery d JOIN journal j ON j.id = d.message WHERE d.body IS NULL AND j.raw IS NULL AND d.id IN ({keys});

-- name: lane_faces
-- Of each lane whether a side has merged somebody, and an id of one patient.
SELECT p.lane, max(p.merged_pm IS NOT NULL), max(p.merged_emr IS NOT NULL), json_extract(p.identifiers, '$[0][0]'),
    json_extract(p.identifiers, '$[0][1]')
FROM patient p WHERE p.lane IN ({keys}) GROUP BY p.lane;

-- name: deeds
SELECT key, what, at, state, control_id FROM deed WHERE key IN ({keys});

-- name: preview
-- What would be sent again, and how many of them have no bytes any more.
SELECT d.stream AS stream, count(*) AS deliveries, count(DISTINCT d.lane) AS lanes, min(d.created_at) AS oldest,
    max(d.created_at) AS newest, sum(d.body IS NULL AND j.raw IS NULL) AS gone
FROM delivery d JOIN journal j ON j.id = d.message
WHERE d.destination = ? AND d.resend_of IS NULL
    AND ((d.state = 'accepted' AND d.changed_at >= ? AND d.changed_at < ?)
        OR EXISTS (SELECT 1 FROM delivery c WHERE c.resend_of = d.id AND c.state = 'accepted'
            AND c.changed_at >= ? AND c.changed_at < ?))
GROUP BY d.stream ORDER BY d.stream DESC;

-- name: merged_since
SELECT count(*) AS merges FROM merge WHERE (? = 'pm' AND pm_at >= ?) OR (? = 'emr' AND emr_at >= ?);

-- name: runs
SELECT id, destination, since, until, streams, stop_after, key, started_at, last, state, place, made, gone, forgiven
FROM resend {where} ORDER BY id DESC LIMIT ?;

-- name: locked
-- What a peer cannot take just now, without end (206, severity F), since before then.
SELECT destination, count(*) AS deliveries, min(refused_since) AS since FROM delivery
WHERE refused_since IS NOT NULL AND refused_since < ? GROUP BY destination;
