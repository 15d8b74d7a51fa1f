"""The audit: who did what, and whether it is still what was written."""

from __future__ import annotations

from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.instants import iso
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.engine.chain_walk import verify_chain


async def audit(face: Face, query: Query) -> Page:
    """`GET /audit`."""
    found = await face.reads.audit(
        actor=query.text("actor"),
        action=query.text("action"),
        since=query.instant("since", end=False),
        until=query.instant("until", end=True),
        before=query.before,
        limit=query.limit + 1,
    )
    items: list[Document] = [
        {
            "id": row["id"],
            "at": iso(row["at"], face.zone),
            "actor": row["actor"],
            "action": row["action"],
            "target": row["target"],
            "reason": row["reason"] or None,
        }
        for row in found
    ]
    return page(items, query.limit)


async def verify(face: Face, _asked: Asked) -> Document:
    """`GET /audit/verify`: goes along the whole chain. What is written meanwhile is left out."""
    return (await verify_chain(face.reads)).document()
