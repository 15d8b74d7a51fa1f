"""What was not taken and what leaves: drift, the outbox; and how the house is put together."""

from __future__ import annotations

from typing import get_args

from ophl7.admin.calls import Page, page
from ophl7.admin.instants import iso
from ophl7.admin.messages import PEERS
from ophl7.admin.naming import find, names_by_number
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face, Row
from ophl7.engine.storage import DeliveryState

DELIVERY_STATES: tuple[str, ...] = get_args(DeliveryState)
OPEN = "open"  # asks for all that are not settled


async def drift(face: Face, query: Query) -> Page:
    """`GET /drift`."""
    wanted: set[int] | None = None
    text = query.text("patient")
    if text is not None:
        patient = (await find(face, text)).patient
        wanted = {patient.id} if patient is not None else set()
    found = await face.reads.drift(
        patients=wanted, peer=query.one_of("peer", PEERS), before=query.before, limit=query.limit + 1
    )
    names = await names_by_number(face, {row.patient for row in found})
    items: list[Document] = [
        {
            "id": row.id,
            "patient": names.get(row.patient),
            "field": row.field,
            "peer": row.peer,
            "offered": row.offered,
            "kept": row.kept,
            "rule": row.rule,
            "message": row.message,
            "at": iso(row.at, face.zone),
            "restored": True if row.restored == "sent" else row.restored,
        }
        for row in found
    ]
    return page(items, query.limit)


async def deliveries(face: Face, query: Query) -> Page:
    """`GET /deliveries`."""
    found = await face.reads.deliveries(
        destination=query.one_of("destination", PEERS),
        state=query.one_of("state", (*DELIVERY_STATES, OPEN)),
        message=query.number("message"),
        before=query.before,
        limit=query.limit + 1,
    )
    return page([delivery_item(face, row) for row in found], query.limit)


def delivery_item(face: Face, row: Row) -> Document:
    """One delivery as contract 6 has it."""
    return {
        "id": row["id"],
        "destination": row["destination"],
        "lane": str(row["lane"]),  # 63 bits: a JavaScript number would round it
        "stream": row["stream"],
        "control_id": row["control_id"],
        "state": row["state"],
        "attempts": row["attempts"],
        "next_at": iso(row["next_at"], face.zone),
        "last_answer": row["last_answer"] or None,
        "message": row["message"],
        "created_at": iso(row["created_at"], face.zone),
        "changed_at": iso(row["changed_at"], face.zone),
    }


async def links(face: Face, _query: Query) -> Page:
    """`GET /links`."""
    return Page(list(face.links()))


async def plugins(face: Face, _query: Query) -> Page:
    """`GET /plugins`."""
    return Page(face.plugins())


async def routes(face: Face, _query: Query) -> Page:
    """`GET /routes`."""
    return Page(face.routes())
