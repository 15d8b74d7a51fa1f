"""What the calls of the API answer, field by field: JSON schemas for `/openapi.json`, and what they share in their queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophl7.admin import holds, maps, merges, messages, people, queues
from ophl7.admin.bodies import LONGEST_REASON
from ophl7.admin.calls import Parameter
from ophl7.admin.json_types import MAYBE, MAYBE_NUMBER, MAYBE_TIME, NUMBER, TEXT, TEXTS, TIME, one_of, record, records
from ophl7.domain.appointment import STATUS_CODES

PEER = {"type": "string", "enum": list(messages.PEERS)}
PATIENT = Parameter("patient", "an identifier: a bare id or AUTHORITY:id")

MESSAGE: Mapping[str, Any] = {
    "id": NUMBER,
    "peer": PEER,
    "received_at": TIME,
    "type": MAYBE,
    "control_id": MAYBE,
    "state": one_of(*messages.STATES),
    "ack": MAYBE,
    "reason": MAYBE,
    "patient": MAYBE,
    "row": MAYBE,
    "repeats": MAYBE_NUMBER,
    "replay_of": MAYBE_NUMBER,
}

MESSAGE_DETAIL: Mapping[str, Any] = {
    **MESSAGE,
    "connection": NUMBER,
    "segments": records(name=TEXT, fields=TEXTS),
    "body_removed_at": MAYBE,
    "verdicts": records(change=TEXT, path=TEXT, outcome=TEXT, row=TEXT, code=TEXT, text=TEXT),
    "warnings": records(row=TEXT, code=TEXT, text=TEXT),
    "waits_for": TEXTS,
    "answer": MAYBE,
}

REPLAYED: Mapping[str, Any] = {
    "id": NUMBER,
    "replay_of": NUMBER,
    "at": TIME,
    "state": one_of(*messages.STATES),
    "row": MAYBE,
    "reason": MAYBE,
    "waits_for": TEXTS,
    "deliveries": records(id=NUMBER, destination=PEER),
    "spared": {"type": "array", "items": PEER},
    "released": NUMBER,
}

EXPLAINED: Mapping[str, Any] = {
    "type": MAYBE,
    "control_id": MAYBE,
    "state": one_of(*messages.STATES),
    "row": MAYBE,
    "reason": MAYBE,
    "code": MAYBE,
    "patient": MAYBE,
    "repeats": MAYBE_NUMBER,
    "handlers": records(name=TEXT, segment=TEXT),
    "changes": records(
        change=TEXT,
        path=MAYBE,
        offered=MAYBE,
        current=MAYBE,
        handler=MAYBE,
        taken={"type": "boolean"},
        verdicts=records(rule=TEXT, outcome=TEXT, row=TEXT, code=TEXT, text=TEXT),
    ),
    "warnings": records(row=TEXT, code=TEXT, text=TEXT),
    "holds": records(key=TEXT, reason=TEXT, blocks=TEXT),
    "stored": record(
        patients=records(patient=MAYBE, new={"type": "boolean"}),
        appointments=records(reference=MAYBE, status=TEXT, start=MAYBE, new={"type": "boolean"}),
        charges=records(transaction_id=MAYBE, procedure=MAYBE, amount=MAYBE, state=TEXT),
        drift=records(field=TEXT, offered=TEXT, kept=MAYBE),
    ),
    "deliveries": records(
        destination=PEER,
        lane=TEXT,
        stream=TEXT,
        control_id=TEXT,
        differences=records(path=TEXT, before=TEXT, after=TEXT),
        own={"type": "boolean"},
    ),
    "released": records(message=NUMBER, state=TEXT, reason=MAYBE),
    "answer": {
        "type": ["object", "null"],
        "required": ["code", "text"],
        "properties": {"code": TEXT, "text": TEXT},
    },
}

TIMELINE: Mapping[str, Any] = {
    "message": NUMBER,
    "items": records(at=MAYBE_TIME, step=TEXT, text=TEXT),
    "next": {"type": "null"},
}

BOTH_TRUE = record(pm={"type": "boolean"}, emr={"type": "boolean"})

PATIENT_FIELDS: Mapping[str, Any] = {
    "id": NUMBER,
    "identifiers": records(id=TEXT, authority=TEXT, type=TEXT),
    "name": record(family=MAYBE, given=MAYBE, middle=MAYBE, suffix=MAYBE, prefix=MAYBE),
    "birth_date": {"type": ["string", "null"], "format": "date"},
    "sex": MAYBE,
    "active": BOTH_TRUE,
    "merged_into": record(pm=MAYBE, emr=MAYBE),
    "provisional": {"type": "boolean"},
    "fields": {"type": "object", "additionalProperties": TEXT},
    "origins": {"type": "object", "additionalProperties": record(message=NUMBER, rule=MAYBE, at=TIME)},
    "created_at": TIME,
    "message": NUMBER,
}

APPOINTMENT: Mapping[str, Any] = {
    "id": NUMBER,
    "placer_id": MAYBE,
    "filler_id": MAYBE,
    "patient": MAYBE,
    "start": MAYBE_TIME,
    "duration": MAYBE,
    "status": one_of(*dict.fromkeys(STATUS_CODES.values())),
    "status_raw": MAYBE,
    "progress": records(status=TEXT, at=TIME, message=NUMBER),
    "resources": records(kind=TEXT, id=TEXT, text=TEXT),
    "origin": PEER,
    "message": NUMBER,
}

CHARGE: Mapping[str, Any] = {
    "id": NUMBER,
    "transaction_id": MAYBE,
    "patient": MAYBE,
    "visit": MAYBE,
    "date": MAYBE,
    "procedure": MAYBE,
    "modifiers": TEXTS,
    "units": MAYBE,
    "diagnoses": TEXTS,
    "amount": MAYBE,
    "kind": MAYBE,
    "state": one_of(*people.CHARGE_STATES),
    "message": NUMBER,
    "line": NUMBER,
    "delivery": MAYBE_NUMBER,
}

MERGE: Mapping[str, Any] = {
    "id": NUMBER,
    "retired": MAYBE,
    "survivor": MAYBE,
    "pm": MAYBE_TIME,
    "emr": MAYBE_TIME,
    "state": one_of(*merges.MERGE_STATES),
    "waiting_for": {"type": ["string", "null"], "enum": [*merges.WAITING_FOR, None]},
    "task": MAYBE,
    "message": NUMBER,
    "unmerged": records(side=PEER, at=TIME, by=TEXT, reason=TEXT),
}

UNMERGE: Mapping[str, Any] = {
    "merge": NUMBER,
    "side": PEER,
    "retired": MAYBE,
    "survivor": MAYBE,
    "charts": {"type": "array", "items": MAYBE},
    "lane_parts": {"type": "boolean"},
    "messages": records(id=NUMBER, at=TIME, type=MAYBE, what=TEXT),
    "moves": records(delivery=NUMBER, message=NUMBER, destination=PEER, charges={"type": "boolean"}),
    "stays": records(delivery=NUMBER, message=NUMBER, destination=PEER, charges={"type": "boolean"}, state=TEXT, why=TEXT),
    "holds": {"type": "array", "items": NUMBER},
    "appointments": records(id=NUMBER, reference=MAYBE, stays_with=MAYBE),
    "by_hand": TEXTS,
    "plan": TEXT,
    "done_at": MAYBE_TIME,
    "released": NUMBER,
}

HOLD: Mapping[str, Any] = {
    "id": NUMBER,
    "reason": TEXT,
    "key": TEXT,
    "message": NUMBER,
    "since": TIME,
    "peer": PEER,
}

HOLD_DETAIL: Mapping[str, Any] = {
    **HOLD,
    "closed_at": MAYBE_TIME,
    "closed_how": {"type": ["string", "null"], "enum": [*holds.ENDS, None]},
    "closed_by": MAYBE,
    "closed_reason": MAYBE,
    "redirected_to": MAYBE,
}

DECIDED: Mapping[str, Any] = {
    **HOLD_DETAIL,
    "state": one_of(*messages.STATES),
    "waits_for": TEXTS,
    "released": NUMBER,
}

CODE: Mapping[str, Any] = {"type": "string", "minLength": 1, "maxLength": maps.LONGEST_CODE}

ENTRY: Mapping[str, Any] = {"peer": PEER, "table": TEXT, "code": TEXT, "to": MAYBE}

MAP: Mapping[str, Any] = {
    **ENTRY,
    "origin": one_of(*maps.ORIGINS),
    "of_profile": MAYBE,
    "used": {"type": "boolean"},
    "by": MAYBE,
    "at": MAYBE_TIME,
    "reason": MAYBE,
}

MAP_TASK: Mapping[str, Any] = {
    "id": NUMBER,
    "peer": PEER,
    "table": TEXT,
    "code": TEXT,
    "first_message": NUMBER,
    "last_message": NUMBER,
    "first_at": TIME,
    "last_at": TIME,
    "count": NUMBER,
}

WHOSE_CODES = (Parameter("peer", "whose codes", messages.PEERS), Parameter("table", "the name of a table"))

WHY: Mapping[str, Any] = {"reason": {"type": "string", "minLength": 1, "maxLength": LONGEST_REASON}}

DRIFT: Mapping[str, Any] = {
    "id": NUMBER,
    "patient": MAYBE,
    "field": TEXT,
    "peer": PEER,
    "offered": TEXT,
    "kept": MAYBE,
    "rule": TEXT,
    "message": NUMBER,
    "at": TIME,
    "restored": {"enum": [True, "task", None]},
}

DELIVERY: Mapping[str, Any] = {
    "id": NUMBER,
    "destination": PEER,
    "lane": TEXT,
    "stream": TEXT,
    "control_id": TEXT,
    "state": one_of(*queues.DELIVERY_STATES),
    "attempts": NUMBER,
    "next_at": MAYBE_TIME,
    "last_answer": MAYBE,
    "message": NUMBER,
    "created_at": TIME,
    "changed_at": MAYBE_TIME,
}

LINK: Mapping[str, Any] = {
    "peer": PEER,
    "profile": record(name=TEXT, product=MAYBE, source=MAYBE, verified={"type": "boolean"}),
    "listener": record(
        address=MAYBE,
        connections=NUMBER,
        tls={"type": "boolean"},
        state=one_of("open", "draining", "drained", "closed"),
        drained_because=MAYBE,
    ),
    "destination": record(
        url=MAYBE,
        state=TEXT,
        queued=NUMBER,
        oldest_seconds={"type": ["number", "null"]},
        parked=NUMBER,
        last_error=MAYBE,
        paused_because=MAYBE,
    ),
}

RESEND: Mapping[str, Any] = {
    "id": NUMBER,
    "peer": PEER,
    "state": one_of("running", "stopped", "done", "dropped"),
    "since": TIME,
    "until": TIME,
    "streams": {"type": "array", "items": TEXT},
    "stop_after": NUMBER,
    "started_at": TIME,
    "looked_through": {"type": "number"},
    "made": NUMBER,
    "gone": NUMBER,
    "waiting": NUMBER,
    "accepted": NUMBER,
    "refused": NUMBER,
    "withheld": NUMBER,
    "skipped": NUMBER,
}

RESEND_PLAN: Mapping[str, Any] = {
    "peer": PEER,
    "since": TIME,
    "until": TIME,
    "streams": {
        "type": "array",
        "items": record(
            stream=TEXT,
            chosen={"type": "boolean"},
            deliveries=NUMBER,
            lanes=NUMBER,
            oldest=TIME,
            newest=TIME,
            gone=NUMBER,
        ),
    },
    "merges": NUMBER,
    "warnings": {"type": "array", "items": TEXT},
    "run": {"type": ["object", "null"]},
}

BY_A_PERSON: Mapping[str, Any] = {"decided_at": TIME, "decided_by": TEXT}


ALARM: Mapping[str, Any] = {
    "id": NUMBER,
    "kind": TEXT,
    "about": MAYBE,
    "reason": TEXT,
    "todo": TEXT,
    "count": NUMBER,
    "opened_at": TIME,
    "acknowledged_at": MAYBE_TIME,
    "acknowledged_by": MAYBE,
    "resolved_at": MAYBE_TIME,
    "how": {"type": ["string", "null"], "enum": ["cause_gone", "acknowledged", None]},
}

AUDIT: Mapping[str, Any] = {
    "id": NUMBER,
    "at": TIME,
    "actor": TEXT,
    "action": TEXT,
    "target": TEXT,
    "reason": MAYBE,
}

CHAIN: Mapping[str, Any] = {
    "ok": {"type": "boolean"},
    "rows": NUMBER,
    "first_bad": MAYBE_NUMBER,
    "fault": MAYBE,
    "removed": NUMBER,
}

RETENTION: Mapping[str, Any] = {
    "at": MAYBE,
    "bodies": NUMBER,
    "rows": NUMBER,
    "audit": NUMBER,
    "alarms": NUMBER,
    "kept": {"type": "object", "additionalProperties": NUMBER},
    "running": {"type": "boolean"},
}
