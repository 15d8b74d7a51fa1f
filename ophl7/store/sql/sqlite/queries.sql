-- Named statements. {keys} becomes as many rows or places as there are keys.

-- name: seen
-- The last message with a control id and digest that is not itself a duplicate, and whether the control id was used at all.
-- A replay counts where it was taken, and what it replays was not: else a copy meets the first answer (#84).
WITH wanted (peer, control_id, digest) AS (VALUES {keys})
SELECT w.peer, w.control_id, w.digest,
    (SELECT max(j.id) FROM journal j
     WHERE j.control_id = w.control_id AND j.digest = w.digest AND j.peer = w.peer
         AND j.state <> 'duplicate' AND j.control_id <> ''
         AND (j.replay_of IS NULL
             OR (j.state NOT IN ('rejected', 'error')
                 AND EXISTS (SELECT 1 FROM journal o WHERE o.id = j.replay_of AND o.state IN ('rejected', 'error'))))),
    EXISTS (SELECT 1 FROM journal j
            WHERE j.control_id = w.control_id AND j.peer = w.peer AND j.state <> 'duplicate' AND j.control_id <> '')
FROM wanted w;

-- name: answered
SELECT id, digest, received_at, ack_code, state, answer FROM journal WHERE id IN ({keys});

-- name: aliases
SELECT authority, value, patient FROM alias WHERE value IN ({keys});

-- name: lane_mates
-- The patients themselves and everybody in their lanes.
SELECT id, subject, lane, identifiers, fields, created_at, message, provisional, merged_pm, merged_emr, inactive_pm, inactive_emr,
    origins, mark_pm, mark_emr
FROM patient WHERE lane IN (SELECT lane FROM patient WHERE id IN ({keys}));

-- name: appointments
WITH wanted (reference, origin) AS (VALUES {keys})
SELECT a.id, a.origin, a.filler, a.placer, a.subject, a.patient, a.start, a.starts_at, a.duration, a.status, a.status_raw,
    a.resources, a.progress, a.message, a.mark_pm, a.mark_emr
FROM wanted w JOIN appointment a ON a.filler = w.reference AND a.origin = w.origin AND a.filler <> ''
UNION
SELECT a.id, a.origin, a.filler, a.placer, a.subject, a.patient, a.start, a.starts_at, a.duration, a.status, a.status_raw,
    a.resources, a.progress, a.message, a.mark_pm, a.mark_emr
FROM wanted w JOIN appointment a ON a.placer = w.reference AND a.origin = w.origin AND a.placer <> '';

-- name: charges
-- What the receiver refused for good was never billed: it is as if it had not come.
WITH wanted (subject, transaction_id) AS (VALUES {keys})
SELECT c.id, c.message, c.line, c.subject, c.transaction_id, c.kind, c.date, c.procedure, c.modifiers, c.units, c.diagnoses,
    c.amount, c.visit, c.content, c.state, c.verb, c.same_set, c.delivery, coalesce(d.state, '') = 'skipped'
FROM wanted w JOIN charge c ON c.subject = w.subject AND c.transaction_id = w.transaction_id
    LEFT JOIN delivery d ON d.id = c.delivery
WHERE c.state IN ('held', 'sent') AND coalesce(d.state, '') <> 'rejected';

-- name: charge_sets
WITH wanted (subject, same_set) AS (VALUES {keys})
SELECT c.id, c.message, c.line, c.subject, c.transaction_id, c.kind, c.date, c.procedure, c.modifiers, c.units, c.diagnoses,
    c.amount, c.visit, c.content, c.state, c.verb, c.same_set, c.delivery, coalesce(d.state, '') = 'skipped'
FROM wanted w JOIN charge c ON c.subject = w.subject AND c.same_set = w.same_set AND c.same_set IS NOT NULL
    LEFT JOIN delivery d ON d.id = c.delivery
WHERE c.state IN ('held', 'sent') AND coalesce(d.state, '') <> 'rejected'
ORDER BY c.message, c.line;

-- name: taken_back
SELECT t.lost, t.delivery FROM taken_back t JOIN delivery d ON d.id = t.delivery
WHERE t.lost IN ({keys}) AND d.state = 'queued' ORDER BY t.lost, t.delivery;

-- name: last_of_lane
-- The last message of that peer about that subject (#86).
WITH wanted (peer, subject) AS (VALUES {keys})
SELECT w.peer, w.subject,
    (SELECT max(j.id) FROM journal j WHERE j.subject = w.subject AND j.peer = w.peer AND j.state <> 'duplicate'
         AND j.replay_of IS NULL)
FROM wanted w;

-- name: open_holds_by_key
SELECT id, message, key, blocks, reason, since, peer FROM hold WHERE closed_at IS NULL AND key IN ({keys});

-- name: open_holds_by_block
SELECT id, message, key, blocks, reason, since, peer FROM hold WHERE closed_at IS NULL AND blocks <> '' AND blocks IN ({keys});

-- name: open_holds_by_message
SELECT id, message, key, blocks, reason, since, peer FROM hold WHERE closed_at IS NULL AND message IN ({keys});

-- name: accepted_of_message
SELECT message, key, reason FROM hold WHERE closed_how = 'accepted' AND message IN ({keys}) ORDER BY id;

-- name: open_appointment_holds
SELECT h.id, h.message, h.key, h.blocks, h.reason, h.since, h.peer FROM hold h JOIN journal j ON j.id = h.message
WHERE h.closed_at IS NULL AND h.key >= 'appointment:' AND h.key < 'appointment;' AND j.subject IN ({keys});

-- name: held
SELECT id, peer, raw, start, "end", received_at, spared FROM journal WHERE id IN ({keys});

-- name: originals
SELECT a.id, o.id, o.peer, o.event, o.decision_row, o.raw, o.start, o."end"
FROM journal a JOIN journal o ON o.id = coalesce(a.replay_of, a.id) WHERE a.id IN ({keys});

-- name: runs
-- Every time that these messages were judged, and where copies went.
SELECT j.id, j.id, j.state, (SELECT group_concat(DISTINCT d.destination) FROM delivery d WHERE d.message = j.id) FROM journal j
WHERE j.id IN ({keys})
UNION
SELECT j.replay_of, j.id, j.state, (SELECT group_concat(DISTINCT d.destination) FROM delivery d WHERE d.message = j.id)
FROM journal j WHERE j.replay_of IN ({keys}) ORDER BY 2;

-- name: merges
SELECT id, retired, survivor, pm_at, emr_at, state, message, pm_message, emr_message, noted_at FROM merge WHERE retired IN ({keys})
UNION
SELECT id, retired, survivor, pm_at, emr_at, state, message, pm_message, emr_message, noted_at FROM merge
WHERE survivor IN ({keys});

-- name: account_holders
-- Accounts are merged seldom: no index is kept for that.
SELECT id, subject, lane, identifiers, fields, created_at, message, provisional, merged_pm, merged_emr, inactive_pm, inactive_emr
FROM patient WHERE instr(fields, ?) > 0 AND json_extract(fields, '$."PID-18"') IS NOT NULL ORDER BY id;

-- name: merge_pairs
SELECT id, retired, survivor, pm_at, emr_at, state, message, pm_message, emr_message, noted_at FROM merge WHERE id IN ({keys});

-- name: origins
SELECT d.id, j.id, j.subject, j.peer, j.raw, j.start, j."end", d.body
FROM delivery d JOIN journal j ON j.id = d.message WHERE d.id IN ({keys});

-- name: processed_since
-- What came about these subjects behind a message, and what became of its copies.
SELECT j.id, j.peer, j.received_at, j.event, j.state, j.decision_row, j.subject, d.destination, d.state
FROM journal j LEFT JOIN delivery d ON d.message = j.id
WHERE j.subject IN ({keys}) AND j.id > ? AND j.state <> 'duplicate' ORDER BY j.id, d.id LIMIT ?;

-- name: schedule_of
SELECT id, origin, filler, placer, subject, patient, start, starts_at, duration, status, status_raw, resources, progress, message
FROM appointment WHERE subject IN ({keys}) ORDER BY id LIMIT ?;

-- name: messages_of
SELECT id FROM journal WHERE subject IN ({keys}) AND substr(event, 1, 3) = 'SIU' ORDER BY id DESC LIMIT ?;

-- name: queued_bytes
SELECT d.id, j.peer, d.destination, d.body, j.raw, j.start, j."end"
FROM delivery d JOIN journal j ON j.id = d.message WHERE d.id IN ({keys});

-- name: code_entries
WITH wanted (peer, name, code) AS (VALUES {keys})
SELECT c.peer, c.name, c.code, c.target FROM wanted w JOIN code_entry c ON c.peer = w.peer AND c.name = w.name AND c.code = w.code;

-- name: restored
-- Values of these patients that were answered with the owner's.
SELECT patient, peer, field, offered, at FROM drift WHERE restored = 'sent' AND patient IN ({keys}) ORDER BY id;

-- name: coming_appointments
WITH wanted (subject, now) AS (VALUES {keys})
SELECT a.id, a.origin, a.filler, a.placer, a.subject, a.patient, a.start, a.starts_at, a.duration, a.status, a.status_raw,
    a.resources, a.progress, a.message, a.mark_pm, a.mark_emr
FROM wanted w JOIN appointment a ON a.subject = w.subject WHERE a.starts_at > w.now;

-- name: unanswered
SELECT c.subject, count(*) FROM charge c LEFT JOIN delivery d ON d.id = c.delivery
WHERE c.subject IN ({keys})
    AND (c.state = 'held' OR (c.state = 'sent' AND coalesce(d.state, 'queued') NOT IN ('accepted', 'rejected', 'skipped')))
GROUP BY c.subject;

-- name: open_deliveries
-- By the index of what is open: left to itself, SQLite reads the whole history in the order of ids at every start.
SELECT id, destination, lane, stream, control_id, state, attempts, next_at, created_at, coalesce(resend_of, 0), coalesce(resend, 0)
FROM delivery INDEXED BY delivery_open
WHERE destination IN ('pm', 'emr') AND state IN ('queued', 'sending', 'held', 'unknown', 'parked')
ORDER BY coalesce(resend_of, id), id;

-- name: body_of
SELECT d.body, j.raw, j.start, j."end" FROM delivery d JOIN journal j ON j.id = d.message WHERE d.id = ?;

-- name: insert_journal
INSERT INTO journal (id, peer, connection, received_at, event, control_id, digest, state, ack_code, answer, decision_row, reason,
    subject, repeats, raw, start, "end", detail, replay_of, spared)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_journal
-- NULL leaves a column as it is.
UPDATE journal SET state = ?, subject = coalesce(?, subject), decision_row = coalesce(?, decision_row), reason = ?,
    detail = coalesce(?, detail)
WHERE id = ?;

-- name: upsert_patient
INSERT INTO patient (id, subject, lane, identifiers, fields, created_at, message, provisional, merged_pm, merged_emr, inactive_pm,
    inactive_emr, origins, mark_pm, mark_emr)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET lane = excluded.lane, identifiers = excluded.identifiers, fields = excluded.fields,
    message = excluded.message, provisional = excluded.provisional, merged_pm = excluded.merged_pm,
    merged_emr = excluded.merged_emr, inactive_pm = excluded.inactive_pm, inactive_emr = excluded.inactive_emr,
    origins = excluded.origins, mark_pm = excluded.mark_pm, mark_emr = excluded.mark_emr;

-- name: upsert_alias
INSERT INTO alias (value, authority, type, patient) VALUES (?, ?, ?, ?)
ON CONFLICT (value, authority) DO UPDATE SET patient = excluded.patient, type = excluded.type;

-- name: upsert_appointment
INSERT INTO appointment (id, origin, filler, placer, subject, patient, start, starts_at, duration, status, status_raw, resources,
    progress, message, mark_pm, mark_emr)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET filler = excluded.filler, placer = excluded.placer, subject = excluded.subject,
    patient = excluded.patient, start = excluded.start, starts_at = excluded.starts_at, duration = excluded.duration,
    status = excluded.status, status_raw = excluded.status_raw, resources = excluded.resources, progress = excluded.progress,
    message = excluded.message, mark_pm = excluded.mark_pm, mark_emr = excluded.mark_emr;

-- name: insert_charge
INSERT INTO charge (id, message, line, subject, transaction_id, kind, date, procedure, modifiers, units, diagnoses, amount, visit,
    content, state, delivery, verb, same_set)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (message, line) DO UPDATE SET subject = excluded.subject, state = excluded.state, delivery = excluded.delivery;

-- name: update_charge
UPDATE charge SET state = ?, subject = ?, delivery = ? WHERE message = ? AND line = ?;

-- name: cancel_charges
UPDATE charge SET state = 'cancelled', delivery = NULL WHERE message = ? AND state = 'held';

-- name: insert_hold
INSERT INTO hold (id, message, key, blocks, reason, since, peer) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: close_hold
UPDATE hold SET closed_at = ?, closed_how = ?, closed_by = ?, closed_reason = ?, closed_by_message = ?,
    redirected_authority = ?, redirected_value = ?
WHERE id = ?;

-- name: redirected_messages
SELECT message, redirected_authority, redirected_value FROM hold WHERE redirected_value IS NOT NULL AND message IN ({keys}) ORDER BY id;

-- name: insert_delivery
INSERT INTO delivery (id, destination, lane, stream, message, control_id, state, body, created_at, resend_of, resend)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_taken_back
INSERT INTO taken_back (lost, delivery) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: mark_delivery
-- What waits for somebody's desk (206) waits since the first such answer, whatever goes wrong in between.
UPDATE delivery SET state = ?1, attempts = ?2, next_at = ?3, last_answer = ?4, changed_at = ?5,
    refused_since = CASE WHEN ?6 THEN coalesce(refused_since, ?5) WHEN ?1 IN ('queued', 'sending') THEN refused_since END
WHERE id = ?7;

-- name: move_delivery
UPDATE delivery SET lane = ? WHERE id = ?;

-- name: sending_delivery
UPDATE delivery SET state = 'sending' WHERE id = ? AND state = 'queued';

-- name: render_delivery
UPDATE delivery SET body = ? WHERE id = ?;

-- name: renew_delivery
-- Refused under an id that a merge explains (204): the same place in its lane, other bytes, another control id.
UPDATE delivery SET body = ?, former_control_id = control_id, control_id = ?, state = 'queued', attempts = 0, next_at = NULL
WHERE id = ?;

-- name: keep_renewed
-- Its number has no row of its own: without this the next start would give it to another message.
INSERT INTO meta (name, value) VALUES ('renewed', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: last_renewed
SELECT value FROM meta WHERE name = 'renewed';

-- name: upsert_merge
INSERT INTO merge (id, retired, survivor, pm_at, emr_at, state, message, pm_message, emr_message, noted_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET pm_at = excluded.pm_at, emr_at = excluded.emr_at, state = excluded.state,
    pm_message = excluded.pm_message, emr_message = excluded.emr_message;

-- name: insert_unmerge
INSERT INTO unmerge (merge, side, at, actor, reason) VALUES (?, ?, ?, ?, ?);

-- name: insert_drift
INSERT INTO drift (id, message, patient, peer, field, offered, kept, rule, at, restored) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_audit
INSERT INTO audit (id, at, actor, action, target, reason, digest) VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: audit_head
SELECT value FROM meta WHERE name = 'audit head';

-- name: keep_audit_head
INSERT INTO meta (name, value) VALUES ('audit head', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: audit_rows
SELECT id, at, actor, action, target, reason, digest FROM audit ORDER BY id;

-- name: chain_audit
UPDATE audit SET id = ?, digest = ? WHERE id = ?;

-- name: upsert_list
INSERT INTO patient_list (id, peer, digest, started_at, finished_at, done_bytes, place, created, linked, changed, unchanged, refused,
    held, differences, released)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET finished_at = excluded.finished_at, done_bytes = excluded.done_bytes, place = excluded.place,
    created = excluded.created, linked = excluded.linked, changed = excluded.changed, unchanged = excluded.unchanged,
    refused = excluded.refused, held = excluded.held, differences = excluded.differences, released = excluded.released;

-- name: insert_list_refusal
INSERT INTO patient_list_refusal (list, place, fate, decision_row, code, reason) VALUES (?, ?, ?, ?, ?, ?);

-- name: see_code
-- A message counts once, however often it is judged: one that is judged again came before the last.
INSERT INTO code_task (peer, name, code, first_message, last_message, first_at, last_at, messages) VALUES (?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (peer, name, code) DO UPDATE SET messages = messages + (excluded.last_message > last_message),
    last_message = max(last_message, excluded.last_message), last_at = max(last_at, excluded.last_at);

-- name: enter_code
INSERT INTO code_entry (peer, name, code, target, made_by, made_at, reason) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (peer, name, code) DO UPDATE SET target = excluded.target, made_by = excluded.made_by, made_at = excluded.made_at,
    reason = excluded.reason;

-- name: take_code_back
DELETE FROM code_entry WHERE peer = ? AND name = ? AND code = ?;

-- name: end_code_task
DELETE FROM code_task WHERE peer = ? AND name = ? AND code = ?;

-- name: last_ids
SELECT
    (SELECT coalesce(max(id), 0) FROM journal),
    (SELECT coalesce(max(id), 0) FROM patient),
    (SELECT coalesce(max(id), 0) FROM appointment),
    (SELECT coalesce(max(id), 0) FROM charge),
    (SELECT coalesce(max(id), 0) FROM hold),
    (SELECT coalesce(max(id), 0) FROM delivery),
    (SELECT coalesce(max(id), 0) FROM drift),
    (SELECT coalesce(max(id), 0) FROM merge);

-- name: count_open_holds
SELECT count(*) FROM hold WHERE closed_at IS NULL;

-- name: mark_link
INSERT INTO meta (name, value) VALUES ('link ' || ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: unreachable
SELECT substr(name, 6) FROM meta WHERE name IN ('link pm', 'link emr') AND value = 'down';

-- name: mark_pause
INSERT INTO meta (name, value) VALUES (? || ' ' || ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: mark_who_paused
INSERT INTO meta (name, value) VALUES ('paused by itself ' || ?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: paused
SELECT substr(p.name, 7), p.value, coalesce(b.value, '') <> ''
FROM meta p LEFT JOIN meta b ON b.name = 'paused by itself ' || substr(p.name, 7)
WHERE p.name IN ('pause pm', 'pause emr') AND p.value <> '';

-- name: drained
SELECT substr(name, 7), value FROM meta WHERE name IN ('drain pm', 'drain emr') AND value <> '';

-- name: prefix
SELECT value FROM meta WHERE name = 'prefix';

-- name: probe
INSERT INTO meta (name, value) VALUES ('probe', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: upsert_roll_up
INSERT INTO roll_up (id, at, actor, claim, note, taken_back_at, taken_back_by, taken_back_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET taken_back_at = excluded.taken_back_at, taken_back_by = excluded.taken_back_by,
    taken_back_reason = excluded.taken_back_reason;

-- name: upsert_rolled_up
INSERT INTO rolled_up (roll_up, charge, current) VALUES (?, ?, ?)
ON CONFLICT (roll_up, charge) DO UPDATE SET current = excluded.current;

-- name: upsert_alarm
INSERT INTO alarm (
    id, kind, about, reason, opened_at, times, acknowledged_at, acknowledged_by, acknowledged_reason, resolved_at, how
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    reason = excluded.reason, times = excluded.times, acknowledged_at = excluded.acknowledged_at,
    acknowledged_by = excluded.acknowledged_by, acknowledged_reason = excluded.acknowledged_reason,
    resolved_at = excluded.resolved_at, how = excluded.how;

-- name: trim_alarms
DELETE FROM alarm WHERE id <= ? AND resolved_at IS NOT NULL;

-- name: mark_heard
INSERT INTO feed (peer, heard_at) VALUES (?, ?) ON CONFLICT (peer) DO UPDATE SET heard_at = excluded.heard_at;

-- name: open_alarms
SELECT id, kind, about, reason, opened_at, times, acknowledged_at, acknowledged_by, acknowledged_reason, resolved_at, how
FROM alarm WHERE resolved_at IS NULL ORDER BY id;

-- name: last_alarm
SELECT coalesce(max(id), 0) FROM alarm;

-- name: heard
SELECT peer, heard_at FROM feed;

-- name: upsert_resend
INSERT INTO resend (id, destination, since, until, streams, stop_after, key, started_at, last, state, place, made, gone, forgiven)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, place = excluded.place, made = excluded.made, gone = excluded.gone,
    forgiven = excluded.forgiven;

-- name: insert_deed
INSERT INTO deed (key, what, at, state, control_id) VALUES (?, ?, ?, ?, ?);
