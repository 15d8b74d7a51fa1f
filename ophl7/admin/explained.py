"""A dry run of messages (engine.explaining), as a document. It shows patient data to whoever asks, and is never logged."""

from __future__ import annotations

from collections.abc import Sequence

from ophl7.admin.naming import name_of, side
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem
from ophl7.domain.changes import AddCharge, Change, Deliver, LinkIdentifier, SetAppointment, SetField
from ophl7.engine.explaining import Explained, Proposed, Said
from ophl7.engine.ruling import Judged
from ophl7.errors import Unreadable
from ophl7.hl7v2.charset import choose, readable
from ophl7.hl7v2.differences import differences

PEERS = ("pm", "emr")


async def explain(face: Face, query: Query, raw: bytes) -> Sequence[Document]:
    """`POST /explain?peer=`."""
    peer = query.one_of("peer", PEERS)
    if peer is None:
        raise Problem(400, "peer: say who would send it: pm or emr", parameter="peer")
    return [document(one) for one in await face.explain(side(peer), raw)]


def document(one: Explained) -> Document:
    """One message: what would be decided, by whom, stored, sent, held, released and answered."""
    decision, ruling = one.decision, one.ruling
    match = ruling.match if ruling is not None else None
    named = None
    if match is not None:
        named = name_of(match.patient) if match.patient is not None else str(match.key) if match.key is not None else None
    return {
        "type": decision.event or None,
        "control_id": decision.control_id or None,
        "state": decision.state,
        "row": one.row or None,
        "reason": one.reason or None,
        "code": decision.code or None,
        "patient": named,
        "repeats": one.repeats,
        "handlers": [{"name": name, "segment": segment} for name, segment in one.planned],
        "changes": _changes(one),
        "warnings": [
            {"row": verdict.row, "code": verdict.code, "text": verdict.text}
            for verdict in (ruling.warnings if ruling is not None else ())
        ],
        "holds": [{"key": row.key, "reason": row.reason, "blocks": row.blocks} for row in one.holds],
        "stored": _stored(one),
        "deliveries": [
            {
                "destination": row.destination,
                "lane": str(row.lane),
                "stream": row.stream,
                "control_id": row.control_id,
                "differences": _differences(one, row.message == decision.message, sent),
                "own": row.message == decision.message,
            }
            for row, sent in one.deliveries
        ],
        "released": [{"message": row.id, "state": row.state, "reason": row.reason or None} for row in one.released],
        "answer": None if decision.answer is None else {"code": decision.ack_code, "text": _text(decision.answer)},
    }


def _changes(one: Explained) -> list[Document]:
    ruling = one.ruling
    if ruling is None:
        return []
    state = ruling.state
    return [_change(judged, one.said, one.proposed, effective=state == "accepted") for judged in ruling.judged]


def _change(judged: Judged, said: Sequence[Said], proposed: Sequence[Proposed], *, effective: bool) -> Document:
    change = judged.change
    field = change if isinstance(change, SetField) else None
    verdicts = [
        {
            "rule": one.rule,
            "outcome": one.verdict.outcome.name.lower(),
            "row": one.verdict.row,
            "code": one.verdict.code,
            "text": one.verdict.text,
        }
        for one in said
        if one.change is change
    ]
    verdict = judged.verdict
    if verdict is not None and not verdicts:  # the engine's own: a note, or a copy that was made before
        verdicts = [
            {
                "rule": "engine",
                "outcome": verdict.outcome.name.lower(),
                "row": verdict.row,
                "code": verdict.code,
                "text": verdict.text,
            }
        ]
    return {
        "change": change.kind,
        "path": field.path if field is not None else None,
        "offered": _offered(change),
        "current": field.current if field is not None else None,
        "handler": _handler(change, proposed),
        "taken": judged.applies and effective,
        "verdicts": verdicts,
    }


def _handler(change: Change, proposed: Sequence[Proposed]) -> str | None:
    """Who proposed it. An update is taken apart, field by field: then it is the one who proposed the update."""
    exact = next((one.handler for one in proposed if any(each is change for each in one.changes)), None)
    if exact is not None or not isinstance(change, SetField):
        return exact
    return next((one.handler for one in proposed if any(each.kind == "patient.update" for each in one.changes)), None)


def _offered(change: Change) -> str | None:
    if isinstance(change, SetField):
        return change.value if isinstance(change.value, str) else '""'
    if isinstance(change, LinkIdentifier):
        return str(change.identifier)
    if isinstance(change, SetAppointment):
        return " ".join(part for part in (change.booking.reference, change.booking.start, change.booking.status) if part)
    if isinstance(change, AddCharge):
        return " ".join(part for part in (change.line.transaction_id, change.line.procedure) if part)
    if isinstance(change, Deliver):
        return change.to
    return None


def _stored(one: Explained) -> Document:
    return {
        "patients": [{"patient": name_of(patient), "new": new} for patient, new in one.patients],
        "appointments": [
            {"reference": row.filler or row.placer or None, "status": row.status, "start": row.start or None, "new": new}
            for row, new in one.appointments
        ],
        "charges": [
            {
                "transaction_id": charge.transaction_id or None,
                "procedure": charge.procedure or None,
                "amount": charge.amount or None,
                "state": charge.state,
            }
            for charge in one.charges
        ],
        "drift": [{"field": row.field, "offered": row.offered, "kept": row.kept} for row in one.drift],
    }


def _differences(one: Explained, own: bool, sent: bytes) -> list[Document]:
    """What of the message's own copy differs from what came, but for MSH-10; a released message's came earlier."""
    if not own:
        return []
    try:
        found = differences(one.body, sent, one.encoding)
    except Unreadable:
        return []
    return [{"path": each.path, "before": each.before, "after": each.after} for each in found]


def _text(answer: bytes) -> str:
    return readable(choose(answer).text)
