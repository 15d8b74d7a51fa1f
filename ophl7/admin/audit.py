"""The audit: who did what, and whether it is still what was written."""

from __future__ import annotations

from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.instants import iso
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.engine.chain import BEGIN, Walk, read_head

_STEP = 2000  # rows of one read


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
    try:
        head = read_head(await face.reads.audit_head())
    except ValueError:
        head = BEGIN  # whatever stands there was not written by us: nothing can end there
    walk = Walk()
    while walk.fault is None and walk.last < head.id:
        links = await face.reads.audit_links(after=walk.last, limit=min(_STEP, head.id - walk.last))
        if not links or not all(walk.pass_by(link) for link in links):
            break
    walk.end(head)
    if walk.fault is None and head == BEGIN and await face.reads.audit_links(after=0, limit=1):
        return {"ok": False, "rows": 0, "first_bad": 1, "fault": "the end of the chain is not known any more"}
    return {"ok": walk.fault is None, "rows": walk.rows, "first_bad": walk.first_bad, "fault": walk.fault}
