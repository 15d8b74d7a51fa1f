"""Merges: what each side has done with its own charts, and who has not done it yet (decisions 6)."""

from __future__ import annotations

from typing import get_args

from ophl7.admin.calls import Page, page
from ophl7.admin.instants import iso
from ophl7.admin.naming import find, names_by_number
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.domain.merge import Merge, MergeState

MERGE_STATES: tuple[str, ...] = get_args(MergeState)
WAITING_FOR = ("pm", "emr", "person")


async def merges(face: Face, query: Query) -> Page:
    """`GET /merges`."""
    wanted: set[int] | None = None
    text = query.text("patient")
    if text is not None:
        patient = (await find(face, text)).patient
        wanted = {patient.id} if patient is not None else set()
    found = await face.reads.merges(
        patients=wanted, state=query.one_of("state", MERGE_STATES), before=query.before, limit=query.limit + 1
    )
    names = await names_by_number(face, {number for one in found for number in (one.retired, one.survivor)})
    items: list[Document] = [
        {
            "id": one.id,
            "retired": names.get(one.retired),
            "survivor": names.get(one.survivor),
            "pm": iso(one.pm_at, face.zone),
            "emr": iso(one.emr_at, face.zone),
            "state": one.state,
            "waiting_for": waiting_for(one),
            "message": one.message,
        }
        for one in found
    ]
    return page(items, query.limit)


def waiting_for(merge: Merge) -> str | None:
    """The side that must merge yet; a person where the two contradict each other; None when both have done it."""
    if merge.state == "two_sided":
        return None
    if merge.state == "conflict":
        return "person"
    return "pm" if merge.pm_at is None else "emr" if merge.emr_at is None else "person"
