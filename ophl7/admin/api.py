"""The calls under `/api/v1`, in one table: the routes and `/openapi.json` are both made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ophl7.admin import audit, dispatching, explained, holds, maps, merges, messages, people, queues, replays, unmerges
from ophl7.admin.api_books import BOOK_CALLS
from ophl7.admin.bodies import LONGEST_REASON
from ophl7.admin.calls import Asked, Call, Deed, Inquiry, Listing, Parameter, Single
from ophl7.admin.ports import Document, Face
from ophl7.domain.appointment import STATUS_CODES

PREFIX = "/api/v1"

_NUMBER = {"type": "integer", "format": "int64"}
_TEXT = {"type": "string"}
_MAYBE = {"type": ["string", "null"]}
_MAYBE_NUMBER = {"type": ["integer", "null"], "format": "int64"}
_TIME = {"type": "string", "format": "date-time"}
_MAYBE_TIME = {"type": ["string", "null"], "format": "date-time"}
_TEXTS = {"type": "array", "items": _TEXT}
_PEER = {"type": "string", "enum": list(messages.PEERS)}


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _array(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _object(**properties)}


def _enum(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


_PATIENT = Parameter("patient", "an identifier: a bare id or AUTHORITY:id")

_MESSAGE: Mapping[str, Any] = {
    "id": _NUMBER,
    "peer": _PEER,
    "received_at": _TIME,
    "type": _MAYBE,
    "control_id": _MAYBE,
    "state": _enum(*messages.STATES),
    "ack": _MAYBE,
    "reason": _MAYBE,
    "patient": _MAYBE,
    "row": _MAYBE,
    "repeats": _MAYBE_NUMBER,
    "replay_of": _MAYBE_NUMBER,
}

_MESSAGE_DETAIL: Mapping[str, Any] = {
    **_MESSAGE,
    "connection": _NUMBER,
    "segments": _array(name=_TEXT, fields=_TEXTS),
    "verdicts": _array(change=_TEXT, path=_TEXT, outcome=_TEXT, row=_TEXT, code=_TEXT, text=_TEXT),
    "warnings": _array(row=_TEXT, code=_TEXT, text=_TEXT),
    "waits_for": _TEXTS,
    "answer": _MAYBE,
}

_REPLAYED: Mapping[str, Any] = {
    "id": _NUMBER,
    "replay_of": _NUMBER,
    "at": _TIME,
    "state": _enum(*messages.STATES),
    "row": _MAYBE,
    "reason": _MAYBE,
    "waits_for": _TEXTS,
    "deliveries": _array(id=_NUMBER, destination=_PEER),
    "spared": {"type": "array", "items": _PEER},
    "released": _NUMBER,
}

_EXPLAINED: Mapping[str, Any] = {
    "type": _MAYBE,
    "control_id": _MAYBE,
    "state": _enum(*messages.STATES),
    "row": _MAYBE,
    "reason": _MAYBE,
    "code": _MAYBE,
    "patient": _MAYBE,
    "repeats": _MAYBE_NUMBER,
    "handlers": _array(name=_TEXT, segment=_TEXT),
    "changes": _array(
        change=_TEXT,
        path=_MAYBE,
        offered=_MAYBE,
        current=_MAYBE,
        handler=_MAYBE,
        taken={"type": "boolean"},
        verdicts=_array(rule=_TEXT, outcome=_TEXT, row=_TEXT, code=_TEXT, text=_TEXT),
    ),
    "warnings": _array(row=_TEXT, code=_TEXT, text=_TEXT),
    "holds": _array(key=_TEXT, reason=_TEXT, blocks=_TEXT),
    "stored": _object(
        patients=_array(patient=_MAYBE, new={"type": "boolean"}),
        appointments=_array(reference=_MAYBE, status=_TEXT, start=_MAYBE, new={"type": "boolean"}),
        charges=_array(transaction_id=_MAYBE, procedure=_MAYBE, amount=_MAYBE, state=_TEXT),
        drift=_array(field=_TEXT, offered=_TEXT, kept=_MAYBE),
    ),
    "deliveries": _array(
        destination=_PEER,
        lane=_TEXT,
        stream=_TEXT,
        control_id=_TEXT,
        differences=_array(path=_TEXT, before=_TEXT, after=_TEXT),
        own={"type": "boolean"},
    ),
    "released": _array(message=_NUMBER, state=_TEXT, reason=_MAYBE),
    "answer": {
        "type": ["object", "null"],
        "required": ["code", "text"],
        "properties": {"code": _TEXT, "text": _TEXT},
    },
}

_TIMELINE: Mapping[str, Any] = {
    "message": _NUMBER,
    "items": _array(at=_MAYBE_TIME, step=_TEXT, text=_TEXT),
    "next": {"type": "null"},
}

_BOTH_TRUE = _object(pm={"type": "boolean"}, emr={"type": "boolean"})

_PATIENT_FIELDS: Mapping[str, Any] = {
    "id": _NUMBER,
    "identifiers": _array(id=_TEXT, authority=_TEXT, type=_TEXT),
    "name": _object(family=_MAYBE, given=_MAYBE, middle=_MAYBE, suffix=_MAYBE, prefix=_MAYBE),
    "birth_date": {"type": ["string", "null"], "format": "date"},
    "sex": _MAYBE,
    "active": _BOTH_TRUE,
    "merged_into": _object(pm=_MAYBE, emr=_MAYBE),
    "provisional": {"type": "boolean"},
    "fields": {"type": "object", "additionalProperties": _TEXT},
    "origins": {"type": "object", "additionalProperties": _object(message=_NUMBER, rule=_MAYBE, at=_TIME)},
    "created_at": _TIME,
    "message": _NUMBER,
}

_APPOINTMENT: Mapping[str, Any] = {
    "id": _NUMBER,
    "placer_id": _MAYBE,
    "filler_id": _MAYBE,
    "patient": _MAYBE,
    "start": _MAYBE_TIME,
    "duration": _MAYBE,
    "status": _enum(*dict.fromkeys(STATUS_CODES.values())),
    "status_raw": _MAYBE,
    "progress": _array(status=_TEXT, at=_TIME, message=_NUMBER),
    "resources": _array(kind=_TEXT, id=_TEXT, text=_TEXT),
    "origin": _PEER,
    "message": _NUMBER,
}

_CHARGE: Mapping[str, Any] = {
    "id": _NUMBER,
    "transaction_id": _MAYBE,
    "patient": _MAYBE,
    "visit": _MAYBE,
    "date": _MAYBE,
    "procedure": _MAYBE,
    "modifiers": _TEXTS,
    "units": _MAYBE,
    "diagnoses": _TEXTS,
    "amount": _MAYBE,
    "kind": _MAYBE,
    "state": _enum(*people.CHARGE_STATES),
    "message": _NUMBER,
    "line": _NUMBER,
    "delivery": _MAYBE_NUMBER,
}

_MERGE: Mapping[str, Any] = {
    "id": _NUMBER,
    "retired": _MAYBE,
    "survivor": _MAYBE,
    "pm": _MAYBE_TIME,
    "emr": _MAYBE_TIME,
    "state": _enum(*merges.MERGE_STATES),
    "waiting_for": {"type": ["string", "null"], "enum": [*merges.WAITING_FOR, None]},
    "task": _MAYBE,
    "message": _NUMBER,
    "unmerged": _array(side=_PEER, at=_TIME, by=_TEXT, reason=_TEXT),
}

_UNMERGE: Mapping[str, Any] = {
    "merge": _NUMBER,
    "side": _PEER,
    "retired": _MAYBE,
    "survivor": _MAYBE,
    "charts": {"type": "array", "items": _MAYBE},
    "lane_parts": {"type": "boolean"},
    "messages": _array(id=_NUMBER, at=_TIME, type=_MAYBE, what=_TEXT),
    "moves": _array(delivery=_NUMBER, message=_NUMBER, destination=_PEER, charges={"type": "boolean"}),
    "stays": _array(delivery=_NUMBER, message=_NUMBER, destination=_PEER, charges={"type": "boolean"}, state=_TEXT, why=_TEXT),
    "holds": {"type": "array", "items": _NUMBER},
    "appointments": _array(id=_NUMBER, reference=_MAYBE, stays_with=_MAYBE),
    "by_hand": _TEXTS,
    "plan": _TEXT,
    "done_at": _MAYBE_TIME,
    "released": _NUMBER,
}

_HOLD: Mapping[str, Any] = {
    "id": _NUMBER,
    "reason": _TEXT,
    "key": _TEXT,
    "message": _NUMBER,
    "since": _TIME,
    "peer": _PEER,
}

_HOLD_DETAIL: Mapping[str, Any] = {
    **_HOLD,
    "closed_at": _MAYBE_TIME,
    "closed_how": {"type": ["string", "null"], "enum": [*holds.ENDS, None]},
    "closed_by": _MAYBE,
    "closed_reason": _MAYBE,
    "redirected_to": _MAYBE,
}

_DECIDED: Mapping[str, Any] = {
    **_HOLD_DETAIL,
    "state": _enum(*messages.STATES),
    "waits_for": _TEXTS,
    "released": _NUMBER,
}

_CODE: Mapping[str, Any] = {"type": "string", "minLength": 1, "maxLength": maps.LONGEST_CODE}

_ENTRY: Mapping[str, Any] = {"peer": _PEER, "table": _TEXT, "code": _TEXT, "to": _MAYBE}

_MAP: Mapping[str, Any] = {
    **_ENTRY,
    "origin": _enum(*maps.ORIGINS),
    "of_profile": _MAYBE,
    "used": {"type": "boolean"},
    "by": _MAYBE,
    "at": _MAYBE_TIME,
    "reason": _MAYBE,
}

_MAP_TASK: Mapping[str, Any] = {
    "id": _NUMBER,
    "peer": _PEER,
    "table": _TEXT,
    "code": _TEXT,
    "first_message": _NUMBER,
    "last_message": _NUMBER,
    "first_at": _TIME,
    "last_at": _TIME,
    "count": _NUMBER,
}

_WHOSE_CODES = (Parameter("peer", "whose codes", messages.PEERS), Parameter("table", "the name of a table"))

_WHY: Mapping[str, Any] = {"reason": {"type": "string", "minLength": 1, "maxLength": LONGEST_REASON}}

_DRIFT: Mapping[str, Any] = {
    "id": _NUMBER,
    "patient": _MAYBE,
    "field": _TEXT,
    "peer": _PEER,
    "offered": _TEXT,
    "kept": _MAYBE,
    "rule": _TEXT,
    "message": _NUMBER,
    "at": _TIME,
    "restored": {"enum": [True, "task", None]},
}

_DELIVERY: Mapping[str, Any] = {
    "id": _NUMBER,
    "destination": _PEER,
    "lane": _TEXT,
    "stream": _TEXT,
    "control_id": _TEXT,
    "state": _enum(*queues.DELIVERY_STATES),
    "attempts": _NUMBER,
    "next_at": _MAYBE_TIME,
    "last_answer": _MAYBE,
    "message": _NUMBER,
    "created_at": _TIME,
    "changed_at": _MAYBE_TIME,
}

_LINK: Mapping[str, Any] = {
    "peer": _PEER,
    "profile": _object(name=_TEXT, product=_MAYBE, source=_MAYBE, verified={"type": "boolean"}),
    "listener": _object(address=_MAYBE, connections=_NUMBER, tls={"type": "boolean"}),
    "destination": _object(
        url=_MAYBE,
        state=_TEXT,
        queued=_NUMBER,
        oldest_seconds={"type": ["number", "null"]},
        parked=_NUMBER,
        last_error=_MAYBE,
        paused_because=_MAYBE,
    ),
}

_BY_A_PERSON: Mapping[str, Any] = {"decided_at": _TIME, "decided_by": _TEXT}


def _on_delivery(verb: str, answer: Callable[[Face, Asked, Mapping[str, Any]], Awaitable[Document]], summary: str) -> Deed:
    return Deed(
        f"/deliveries/{{id}}/{verb}", answer, f"{summary}; audited with the reason", _WHY, {**_DELIVERY, **_BY_A_PERSON}
    )


_AUDIT: Mapping[str, Any] = {
    "id": _NUMBER,
    "at": _TIME,
    "actor": _TEXT,
    "action": _TEXT,
    "target": _TEXT,
    "reason": _MAYBE,
}

_CHAIN: Mapping[str, Any] = {"ok": {"type": "boolean"}, "rows": _NUMBER, "first_bad": _MAYBE_NUMBER, "fault": _MAYBE}

CALLS: tuple[Call, ...] = (
    Listing(
        "/messages",
        messages.messages,
        "Messages received, and what became of them",
        _MESSAGE,
        (
            Parameter("peer", "who sent it", messages.PEERS),
            Parameter("type", "message type and event, ADT^A08, or a type alone"),
            Parameter("control_id", "MSH-10 as sent"),
            Parameter("state", "what became of it", messages.STATES),
            _PATIENT,
            Parameter("since", "received at or after this time; a date is its begin"),
            Parameter("until", "received before this time; a date is its end"),
        ),
    ),
    Single("/messages/{id}", messages.message, "One message, parsed, with its verdicts; audited", _MESSAGE_DETAIL),
    Single("/messages/{id}/raw", messages.raw, "The bytes of the frame as they came; audited", content="application/hl7-v2"),
    Single("/messages/{id}/timeline", messages.steps, "What became of a message, step by step", _TIMELINE),
    Inquiry(
        "/explain",
        explained.explain,
        "What would become of the messages of a frame, by the real path; changes nothing",
        _EXPLAINED,
        (Parameter("peer", "who would send it", messages.PEERS),),
        "application/hl7-v2",
    ),
    Deed(
        "/messages/{id}/replay",
        replays.replay,
        "Judges a stored message by today's rules, as a message of its own; nobody is answered; audited with the reason",
        _WHY,
        _REPLAYED,
        {"apply_stale": {"type": "boolean", "default": False}, "resend": {"type": "boolean", "default": False}},
    ),
    Single(
        "/patients/{identifier}",
        people.patient,
        "One patient; 409 with the list where a bare id is that of several",
        _PATIENT_FIELDS,
    ),
    Listing(
        "/appointments",
        people.appointments,
        "The schedule",
        _APPOINTMENT,
        (_PATIENT, Parameter("date", "the day of the start, in the practice's zone")),
    ),
    Listing(
        "/charges",
        people.charges,
        "Charges, also held and refused ones",
        _CHARGE,
        (_PATIENT, Parameter("state", "where it stands", people.CHARGE_STATES), Parameter("date", "the service date")),
    ),
    *BOOK_CALLS,
    Listing(
        "/merges",
        merges.merges,
        "Charts that a side has merged, and who must do it yet",
        _MERGE,
        (_PATIENT, Parameter("state", "where it stands", merges.MERGE_STATES)),
    ),
    Single(
        "/merges/{id}/unmerge",
        unmerges.plan,
        "What would follow from taking a merge apart on one side; changes nothing",
        _UNMERGE,
        parameters=(Parameter("side", "on whose side; may be left out where only one has merged them", messages.PEERS),),
    ),
    Deed(
        "/merges/{id}/unmerge",
        unmerges.unmerge,
        "Takes a merge apart on one side, as the plan says; 409 with the new plan if it has changed; audited with the reason",
        _WHY,
        _UNMERGE,
        optional={"side": _PEER, "plan": {"type": "string", "maxLength": 64}},
    ),
    Listing(
        "/holds",
        holds.holds,
        "Messages that wait for a condition",
        _HOLD,
        (Parameter("peer", "who sent it", messages.PEERS), Parameter("message", "the id of a message")),
    ),
    Single("/holds/{id}", holds.hold, "One hold, open or closed, and how it ended", _HOLD_DETAIL),
    Deed(
        "/holds/{id}/release",
        holds.release,
        "Sets the hold's condition aside for this message and judges the message again; audited with the reason",
        _WHY,
        _DECIDED,
    ),
    Deed(
        "/holds/{id}/discard",
        holds.discard,
        "Lets the message of this hold go without effect, its charges cancelled; audited with the reason",
        _WHY,
        _DECIDED,
    ),
    Deed(
        "/holds/{id}/redirect",
        holds.redirect,
        "Takes a held charge or booking for another patient than it names, and judges it again; audited with the reason",
        {"patient": {"type": "string", "minLength": 1, "maxLength": 300}, **_WHY},
        _DECIDED,
    ),
    Deed(
        "/holds/{id}/map",
        maps.map_hold,
        "Says what the code is called that this hold waits for; all that waited for just it goes on, in the same commit; "
        "audited with the reason",
        {"to": _CODE, **_WHY},
        {**_DECIDED, **_ENTRY},
    ),
    Listing(
        "/maps",
        maps.maps,
        "What codes are called in the other system: the profile's tables, and people's entries over them",
        _MAP,
        _WHOSE_CODES,
        paged=False,
    ),
    Deed(
        "/maps",
        maps.enter,
        "Makes or changes an entry, which lets go on what waited for it; null for `to` takes a person's entry back; audited",
        {"peer": _PEER, "table": _CODE, "code": _CODE, "to": {**_CODE, "type": ["string", "null"]}, **_WHY},
        {**_ENTRY, "at": _TIME, "released": _NUMBER},
    ),
    Listing("/maps/tasks", maps.tasks, "Codes that came and have no entry yet", _MAP_TASK, _WHOSE_CODES),
    Single(
        "/maps/export",
        maps.export,
        "The tables of one peer, people's entries included, to be pasted into its profile",
        content="application/toml",
        parameters=_WHOSE_CODES[:1],
    ),
    Listing(
        "/drift",
        queues.drift,
        "Values that were not taken",
        _DRIFT,
        (_PATIENT, Parameter("peer", "who offered it", messages.PEERS)),
    ),
    Listing(
        "/deliveries",
        queues.deliveries,
        "The outbox",
        _DELIVERY,
        (
            Parameter("destination", "where it goes", messages.PEERS),
            Parameter("state", "where it stands; open: whatever is not settled", (*queues.DELIVERY_STATES, queues.OPEN)),
            Parameter("message", "the id of a message"),
        ),
    ),
    Listing("/links", queues.links, "The links to both peers", _LINK, paged=False),
    _on_delivery("retry", dispatching.retry, "Sends a delivery again: the same bytes under the same control id"),
    _on_delivery("renew", dispatching.renew, "Sends a delivery that was refused or lost as a new message: another control id"),
    _on_delivery("skip", dispatching.skip, "Lets a delivery go: it never leaves, and what waits behind it goes on"),
    _on_delivery("close", dispatching.close, "Closes a delivery that was refused for good; what waits behind it goes on"),
    _on_delivery("arrived", dispatching.arrived, "Says that a delivery without an answer has arrived, as was seen there"),
    Deed(
        "/links/{peer}/pause",
        dispatching.pause,
        "Sends nothing to this peer until it is resumed, also after a restart; audited with the reason",
        _WHY,
        {**_LINK, **_BY_A_PERSON},
    ),
    Deed(
        "/links/{peer}/resume",
        dispatching.resume,
        "Sends to this peer again; audited with the reason",
        _WHY,
        {**_LINK, **_BY_A_PERSON},
    ),
    Listing(
        "/audit",
        audit.audit,
        "Who did what",
        _AUDIT,
        (
            Parameter("actor", "who did it"),
            Parameter("action", "what was done, e.g. release-hold"),
            Parameter("since", "at or after this time; a date is its begin"),
            Parameter("until", "before this time; a date is its end"),
        ),
    ),
    Single("/audit/verify", audit.verify, "Whether every audit row is still what was written", _CHAIN),
    Listing("/plugins", queues.plugins, "Handlers and rules that are loaded", {}, paged=False),
    Listing("/routes", queues.routes, "Which handlers see which event", {}, paged=False),
)
