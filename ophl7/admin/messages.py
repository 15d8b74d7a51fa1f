"""Messages: the list, one of them opened, its bytes, its way."""

from __future__ import annotations

from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.instants import iso
from ophl7.admin.naming import named_in, names_by_subject, side, subjects_of
from ophl7.admin.parameters import Query, path_number
from ophl7.admin.ports import Document, Face, Row
from ophl7.admin.problems import Problem, not_found
from ophl7.admin.provenance import provenance
from ophl7.admin.timeline import Story, timeline
from ophl7.engine.storage import MessageState
from ophl7.errors import Unreadable
from ophl7.hl7v2.charset import choose, readable
from ophl7.hl7v2.message import Message

STATES: tuple[str, ...] = get_args(MessageState)
PEERS = ("pm", "emr")


async def messages(face: Face, query: Query) -> Page:
    """`GET /messages`."""
    found = await face.reads.messages(
        peer=query.one_of("peer", PEERS),
        event=query.event("type"),
        control_id=query.text("control_id"),
        state=query.one_of("state", STATES),
        subjects=await subjects_of(face, query.text("patient")),
        since=query.instant("since", end=False),
        until=query.instant("until", end=True),
        before=query.before,
        limit=query.limit + 1,
    )
    known = await names_by_subject(face, [row["subject"] for row in found])
    items = [_item(face, row, known.get(row["subject"]) or _named(face, row)) for row in found]
    return page(items, query.limit)


async def message(face: Face, asked: Asked) -> Document:
    """`GET /messages/{id}`: opened, so it is audited before it is shown."""
    row = await _row(face, asked.request)
    await face.audit(asked.actor, "view-message", f"message {row['id']}", "")
    body = row["raw"][row["start"] : row["end"]] if row["raw"] is not None else None
    known = await names_by_subject(face, [row["subject"]])
    patient = known.get(row["subject"]) or named_in(body, face.namings[side(row["peer"])])
    return {
        **_item(face, row, patient),
        "connection": row["connection"],
        "segments": _segments(body),
        "body_removed_at": iso(row["body_removed_at"], face.zone) if row["body_removed_at"] is not None else None,
        **provenance(row["detail"]),
        "waits_for": [one["key"] for one in await face.reads.custody(row["id"]) if one["closed_at"] is None],
        "answer": _text(row["answer"]) if row["answer"] is not None else None,
    }


async def raw(face: Face, asked: Asked) -> Response:
    """`GET /messages/{id}/raw`: the bytes of the frame as they came, audited first."""
    row = await _row(face, asked.request)
    if row["raw"] is None:
        at = row["body_removed_at"]
        when = f"on {str(iso(at, face.zone))[:10]} " if at is not None else ""
        raise Problem(410, f"the body of this message was removed {when}by retention")
    await face.audit(asked.actor, "view-raw", f"message {row['id']}", "")
    headers = {"Content-Disposition": f'attachment; filename="message-{row["id"]}.hl7"'}
    return Response(row["raw"], 200, headers, "application/hl7-v2")


async def steps(face: Face, asked: Asked) -> Document:
    """`GET /messages/{id}/timeline`."""
    row = await _row(face, asked.request)
    number = row["id"]
    custody = await face.reads.custody(number)
    deliveries = await face.reads.deliveries(message=number)
    charges = [(charge.line, state) for charge, state, _ in await face.reads.charges(message=number, limit=500)]
    again = await face.reads.again(number)
    items = timeline(Story(row, custody, list(reversed(deliveries)), sorted(charges), again), face.zone)
    return {"message": number, "items": items, "next": None}


async def _row(face: Face, request: Request) -> Row:
    number = path_number(request)
    row = await face.reads.message(number) if number is not None else None
    if row is None:
        raise not_found("no message has this number")
    return row


def _item(face: Face, row: Row, patient: str | None) -> Document:
    return {
        "id": row["id"],
        "peer": row["peer"],
        "received_at": iso(row["received_at"], face.zone),
        "type": row["event"] or None,
        "control_id": row["control_id"] or None,
        "state": row["state"],
        "ack": row["ack_code"] or None,
        "reason": row["reason"] or None,
        "patient": patient,
        "row": row["decision_row"] or None,
        "repeats": row["repeats"],
        "replay_of": row["replay_of"],
    }


def _named(face: Face, row: Row) -> str | None:
    return named_in(row["head"], face.namings[side(row["peer"])])


def _segments(body: bytes | None) -> list[Document]:
    """Name and fields as sent; fields[0] is field 1. Empty for what is no readable message; /raw has its bytes."""
    if body is None:
        return []
    try:
        read = Message.parse_lenient(body)
    except Unreadable:
        return []
    return [
        {"name": readable(one.name), "fields": [readable(one.field(number)) for number in range(1, len(one) + 1)]}
        for one in read.segments
    ]


def _text(answer: bytes) -> str:
    return readable(choose(answer).text)
