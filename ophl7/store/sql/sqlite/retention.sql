-- Named statements of retention (engine/retention.py). {keys} becomes as many places as there are keys.

-- name: bound
-- The newest message that is old enough: ids ascend with the times of receipt, but for steps of the clock.
SELECT id FROM journal WHERE received_at < ? ORDER BY received_at DESC, id DESC LIMIT 1;

-- name: cursor
SELECT value FROM meta WHERE name = 'retention ' || ?;

-- name: keep_cursor
INSERT INTO meta (name, value) VALUES ('retention ' || ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: next_messages
SELECT id, coalesce(length(raw), 0) FROM journal WHERE id > ? AND id <= ? ORDER BY id LIMIT ?;

-- name: left_messages
SELECT l.message, coalesce(length(j.raw), 0) FROM retention_left l LEFT JOIN journal j ON j.id = l.message
WHERE l.stage = ? AND l.message > ? ORDER BY l.message LIMIT ?;

-- name: judged
-- origins: lines that begin with the number of a message (domain/provenance.py).
-- Why something is open about a message, and why its row stays although nothing is: NULL, '' where nothing says so.
SELECT j.id, j.received_at, j.raw IS NOT NULL OR EXISTS (SELECT 1 FROM delivery d WHERE d.message = j.id AND d.body IS NOT NULL),
    CASE
        WHEN j.state = 'held' OR EXISTS (SELECT 1 FROM hold h WHERE h.message = j.id AND h.closed_at IS NULL) THEN 'held'
        WHEN EXISTS (SELECT 1 FROM delivery d WHERE d.message = j.id AND d.state NOT IN ('accepted', 'rejected', 'skipped'))
            THEN 'undelivered'
        -- A run that is open comes to it yet; a copy that waits is a delivery of the same message.
        WHEN EXISTS (SELECT 1 FROM delivery d JOIN resend r ON r.state IN ('running', 'stopped') AND r.destination = d.destination
                WHERE d.message = j.id AND d.id > r.place AND d.id <= r.last AND d.resend_of IS NULL
                AND instr(r.streams, d.stream) > 0)
            THEN 'resend'
        WHEN EXISTS (SELECT 1 FROM delivery d JOIN taken_back t ON t.lost = d.id JOIN delivery w ON w.id = t.delivery
                WHERE d.message = j.id AND w.state NOT IN ('accepted', 'rejected', 'skipped'))
            THEN 'taken_back'
        WHEN EXISTS (SELECT 1 FROM charge c LEFT JOIN delivery d ON d.id = c.delivery WHERE c.message = j.id
                AND (c.state = 'held'
                    OR (c.state = 'sent' AND coalesce(d.state, 'queued') NOT IN ('accepted', 'rejected', 'skipped'))))
            THEN 'charge'
        WHEN EXISTS (SELECT 1 FROM journal r WHERE r.replay_of = j.id AND (r.state = 'held'
                OR EXISTS (SELECT 1 FROM hold h WHERE h.message = r.id AND h.closed_at IS NULL)
                OR EXISTS (SELECT 1 FROM delivery d WHERE d.message = r.id
                    AND d.state NOT IN ('accepted', 'rejected', 'skipped'))))
            THEN 'replay'
        WHEN j.id IN (SELECT message FROM merge WHERE state IN ('one_sided', 'conflict')
                UNION SELECT pm_message FROM merge WHERE state IN ('one_sided', 'conflict') AND pm_message IS NOT NULL
                UNION SELECT emr_message FROM merge WHERE state IN ('one_sided', 'conflict') AND emr_message IS NOT NULL)
            THEN 'merge'
        WHEN EXISTS (SELECT 1 FROM drift f JOIN patient p ON p.id = f.patient
                WHERE f.message = j.id AND coalesce(f.restored, '') <> 'sent'
                AND coalesce(json_extract(p.fields, '$."' || f.field || '"'), '') <> f.offered
                AND NOT EXISTS (SELECT 1 FROM drift n WHERE n.patient = f.patient AND n.peer = f.peer AND n.field = f.field
                    AND n.id > f.id))
            THEN 'drift'
    END,
    CASE
        WHEN EXISTS (SELECT 1 FROM charge c WHERE c.message = j.id)
            OR EXISTS (SELECT 1 FROM delivery d WHERE d.message = j.id AND d.stream = 'charges') THEN 'ledger'
        WHEN j.id = (SELECT max(id) FROM journal)
            OR EXISTS (SELECT 1 FROM delivery d WHERE d.message = j.id AND d.id = (SELECT max(id) FROM delivery))
            OR EXISTS (SELECT 1 FROM hold h WHERE h.message = j.id AND h.id = (SELECT max(id) FROM hold))
            OR EXISTS (SELECT 1 FROM drift f WHERE f.message = j.id AND f.id = (SELECT max(id) FROM drift)) THEN 'newest'
        WHEN EXISTS (SELECT 1 FROM journal r WHERE r.replay_of = j.id) THEN 'replayed'
        WHEN j.replay_of IS NULL AND j.state <> 'duplicate' AND j.subject IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM journal n WHERE n.subject = j.subject AND n.id > j.id AND n.peer = j.peer
                AND n.state <> 'duplicate' AND n.replay_of IS NULL) THEN 'last'
        WHEN EXISTS (SELECT 1 FROM patient p WHERE p.subject = j.subject AND (p.message = j.id
                OR instr(char(10) || p.origins, char(10) || j.id || char(9)) > 0)) THEN 'chart'
        WHEN EXISTS (SELECT 1 FROM drift f WHERE f.message = j.id
            AND NOT EXISTS (SELECT 1 FROM drift n WHERE n.patient = f.patient AND n.peer = f.peer AND n.field = f.field
                AND n.id > f.id)) THEN 'drift'
    END
FROM journal j WHERE j.id IN ({keys}) ORDER BY j.id;

-- name: leave
INSERT INTO retention_left (stage, message) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: leave_no_more
DELETE FROM retention_left WHERE stage = ? AND message = ?;

-- name: remove_copies
UPDATE delivery SET body = NULL WHERE message = ? AND body IS NOT NULL;

-- name: remove_body
UPDATE journal SET raw = NULL, body_removed_at = ? WHERE id = ? AND body_removed_at IS NULL;

-- name: remove_drift
DELETE FROM drift WHERE message = ?;

-- name: remove_holds
DELETE FROM hold WHERE message = ?;

-- name: remove_deliveries
DELETE FROM delivery WHERE message = ?;

-- name: remove_message
DELETE FROM journal WHERE id = ?;

-- name: remove_deeds
DELETE FROM deed WHERE key IN (SELECT key FROM deed WHERE at < ? ORDER BY at LIMIT ?);

-- name: old_audit
SELECT id, at, actor, action, target, reason, digest FROM audit ORDER BY id LIMIT ?;

-- name: remove_audit
DELETE FROM audit WHERE id <= ?;

-- name: audit_anchor
SELECT value FROM meta WHERE name = 'audit anchor';

-- name: keep_audit_anchor
INSERT INTO meta (name, value) VALUES ('audit anchor', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: next_alarms
SELECT id, opened_at, resolved_at FROM alarm WHERE id > ? AND id < (SELECT max(id) FROM alarm) ORDER BY id LIMIT ?;

-- name: remove_alarm
DELETE FROM alarm WHERE id = ?;

-- name: count_old_alarms
SELECT count(*) FROM alarm WHERE resolved_at < ? AND id < (SELECT max(id) FROM alarm);

-- name: count_old_audit
-- Without the last, which stays.
SELECT count(*) FROM audit WHERE at < ? AND id < (SELECT max(id) FROM audit);
