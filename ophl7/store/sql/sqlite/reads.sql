-- Named statements of the readers (console, API). {where} becomes the conditions asked for, or nothing; {keys} as many places as keys.

-- name: messages
-- head: the first bytes of the member, enough to see whom it names; `raw` itself may be a megabyte.
SELECT id, peer, received_at, event, control_id, state, ack_code, decision_row, reason, subject, repeats, replay_of,
    substr(raw, start + 1, min("end" - start, 16384)) AS head
FROM journal {where} ORDER BY id DESC LIMIT ?;

-- name: with_control_id
-- Copies are not in the index of control ids; they name the message that they repeat, which came before them.
(id IN (SELECT id FROM journal WHERE control_id = ? AND control_id <> '' AND state <> 'duplicate')
    OR (state = 'duplicate' AND control_id = ?))
AND id >= (SELECT min(id) FROM journal WHERE control_id = ? AND control_id <> '' AND state <> 'duplicate')

-- name: message
SELECT id, peer, received_at, event, control_id, state, ack_code, decision_row, reason, subject, repeats, replay_of,
    connection, raw, start, "end", answer, detail, body_removed_at
FROM journal WHERE id = ?;

-- name: again
SELECT id, received_at, state, replay_of FROM journal WHERE repeats = ?
UNION ALL
SELECT id, received_at, state, replay_of FROM journal WHERE replay_of = ? ORDER BY id LIMIT ?;

-- name: heads
SELECT id, peer, substr(raw, start + 1, min("end" - start, 16384)) AS head FROM journal WHERE id IN ({keys});

-- name: states
SELECT state, count(*) AS messages FROM (SELECT state FROM journal ORDER BY id DESC LIMIT ?) GROUP BY state;

-- name: patients
SELECT id, subject, lane, identifiers, fields, created_at, message, provisional, merged_pm, merged_emr, inactive_pm, inactive_emr,
    origins
FROM patient {where} ORDER BY id;

-- name: named
SELECT a.authority, a.value, a.type, p.id, p.subject, p.lane, p.identifiers, p.fields, p.created_at, p.message, p.provisional,
    p.merged_pm, p.merged_emr, p.inactive_pm, p.inactive_emr, p.origins
FROM alias a JOIN patient p ON p.id = a.patient {where} ORDER BY a.authority;

-- name: appointments
SELECT id, origin, filler, placer, subject, patient, start, starts_at, duration, status, status_raw, resources, progress, message
FROM appointment {where} ORDER BY id DESC LIMIT ?;

-- name: charges
-- shown: where a charge stands for people (contract 6): our own decision, or for one that was sent what its delivery says.
SELECT * FROM (
    SELECT c.id, c.message, c.line, c.subject, c.transaction_id, c.kind, c.date, c.procedure, c.modifiers, c.units, c.diagnoses,
        c.amount, c.visit, c.content, c.state, c.delivery,
        CASE
            WHEN c.state <> 'sent' THEN c.state
            WHEN d.state IN ('accepted', 'held', 'parked', 'rejected', 'skipped') THEN d.state
            ELSE 'queued'
        END AS shown
    FROM charge c LEFT JOIN delivery d ON d.id = c.delivery
    WHERE c.state <> 'superseded'
) {where} ORDER BY id DESC LIMIT ?;

-- name: merges
SELECT id, retired, survivor, pm_at, emr_at, state, message, pm_message, emr_message, noted_at
FROM merge {where} ORDER BY id DESC LIMIT ?;

-- name: open_merges
SELECT count(*) AS found FROM merge WHERE state IN ('one_sided', 'conflict') AND noted_at < ?;

-- name: held_messages
-- By the index of what is open: its size is that of the custody, not of the history.
SELECT count(DISTINCT h.message) AS found FROM hold h INDEXED BY hold_open_message CROSS JOIN journal j ON j.id = h.message
WHERE h.closed_at IS NULL AND h.since < ? AND j.event LIKE ?;

-- name: unmerges
SELECT id, merge, side, at, actor, reason FROM unmerge WHERE merge IN ({keys}) ORDER BY id;

-- name: holds
SELECT id, message, key, blocks, reason, since, peer FROM hold {where} ORDER BY id DESC LIMIT ?;

-- name: hold
SELECT id, message, key, blocks, reason, since, peer, closed_at, closed_how, closed_by, closed_reason, closed_by_message,
    redirected_authority || ':' || redirected_value AS redirected_to
FROM hold WHERE id = ?;

-- name: custody
SELECT id, message, key, blocks, reason, since, peer, closed_at, closed_how, closed_by, closed_reason, closed_by_message,
    redirected_authority || ':' || redirected_value AS redirected_to
FROM hold
WHERE message = ? ORDER BY id;

-- name: drift
SELECT id, message, patient, peer, field, offered, kept, rule, at, restored FROM drift {where} ORDER BY id DESC LIMIT ?;

-- name: deliveries
SELECT id, destination, lane, stream, message, control_id, state, created_at, attempts, next_at, last_answer, changed_at
FROM delivery {where} ORDER BY id DESC LIMIT ?;

-- name: code_entries
SELECT peer, name, code, target, made_by, made_at, reason FROM code_entry {where} ORDER BY peer, name, code;

-- name: code_tasks
SELECT id, peer, name, code, first_message, last_message, first_at, last_at, messages FROM code_task {where} ORDER BY id DESC LIMIT ?;

-- name: audit
SELECT id, at, actor, action, target, reason FROM audit {where} ORDER BY id DESC LIMIT ?;

-- name: audit_links
SELECT id, at, actor, action, target, reason, digest FROM audit WHERE id > ? ORDER BY id LIMIT ?;

-- name: audit_head
SELECT value FROM meta WHERE name = 'audit head';

-- name: alarms
SELECT id, kind, about, reason, opened_at, times, acknowledged_at, acknowledged_by, acknowledged_reason, resolved_at, how
FROM alarm {where} ORDER BY id DESC LIMIT ?;

-- name: held_long
-- Bounded: that there are so many is enough to know.
SELECT count(*) AS found FROM (
    SELECT DISTINCT message FROM hold INDEXED BY hold_open_message WHERE closed_at IS NULL AND since < ? LIMIT 1000
);

-- name: held_for
SELECT count(*) AS found FROM (SELECT 1 FROM hold INDEXED BY hold_open_key WHERE closed_at IS NULL AND key = ? LIMIT 1000);

-- name: audit_anchor
SELECT value FROM meta WHERE name = 'audit anchor';
