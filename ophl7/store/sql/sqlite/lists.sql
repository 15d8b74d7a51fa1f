-- Named statements of the reads around a patient list (engine/lists.py).

-- name: last_list
SELECT coalesce(max(id), 0) FROM patient_list;

-- name: list_of
SELECT id, peer, digest, started_at, finished_at, done_bytes, place,
    created, linked, changed, unchanged, refused, held, differences, released
FROM patient_list WHERE peer = ? AND digest = ? AND digest <> '' ORDER BY id DESC LIMIT 1;

-- name: refusals
SELECT list, place, fate, decision_row, code, reason FROM patient_list_refusal
WHERE list = ? AND place > ? ORDER BY place LIMIT ?;

-- name: differences
SELECT patient, field, offered, kept FROM drift WHERE patient IN ({keys}) AND peer = ?;
