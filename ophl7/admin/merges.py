"""Merges: what each side has done with its own charts, and who has not done it yet (decisions 6)."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from ophl7.admin.calls import Page, page
from ophl7.admin.instants import iso
from ophl7.admin.naming import find, name_of
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.domain.merge import Merge, MergeState
from ophl7.domain.patient import BIRTH_DATE, SEX, Patient, Side, other_side

MERGE_STATES: tuple[str, ...] = get_args(MergeState)
WAITING_FOR = ("pm", "emr", "person")

_NAMES: dict[Side, str] = {"pm": "PM", "emr": "EMR"}
_SIDES: tuple[Side, Side] = ("pm", "emr")


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
    return page(await items(face, found), query.limit)


async def items(face: Face, found: Collection[Merge]) -> list[Document]:
    """Merges as the API lists them, each with what somebody must do yet."""
    rows = await face.reads.patients(numbers={number for one in found for number in (one.retired, one.survivor)})
    people = {row.id: row for row in rows}
    undone = await face.reads.unmerges({one.id for one in found})
    return [
        {
            "id": one.id,
            "retired": _name(people, one.retired),
            "survivor": _name(people, one.survivor),
            "pm": iso(one.pm_at, face.zone),
            "emr": iso(one.emr_at, face.zone),
            "state": one.state,
            "waiting_for": waiting_for(one, {row["side"] for row in undone if row["merge"] == one.id}),
            "task": task(face, one, people, {row["side"] for row in undone if row["merge"] == one.id}),
            "message": one.message,
            "unmerged": [
                {"side": row["side"], "at": iso(row["at"], face.zone), "by": row["actor"], "reason": row["reason"]}
                for row in undone
                if row["merge"] == one.id
            ],
        }
        for one in found
    ]


def waiting_for(merge: Merge, undone: Collection[str] = ()) -> str | None:
    """The side that must act yet; a person where the two contradict each other; None when nothing is left to do.

    undone: sides on which a person has taken it apart. Where one has, the other must follow, not that one again.
    """
    if merge.state in {"two_sided", "unmerged"}:
        return None
    if merge.state == "conflict":
        return "person"
    missing = [side for side in _SIDES if merge.at(side) is None]
    if len(missing) != 1:
        return "person"
    return other_side(missing[0]) if missing[0] in undone else missing[0]


def task(face: Face, merge: Merge, people: dict[int, Patient], undone: Collection[str] = ()) -> str | None:
    """The sentence for the staff who must act: charts by the ids that their system knows. None when nothing is left to do."""
    waits, retired, survivor = waiting_for(merge, undone), people.get(merge.retired), people.get(merge.survivor)
    if waits is None or retired is None or survivor is None:
        return None
    if waits == "person":
        return (
            f"The PM and the EMR have merged {_known(face, retired, 'pm')} and {_known(face, survivor, 'pm')} in different "
            "directions: agree which chart stays, and take the other merge apart in its system and here"
        )
    side: Side = "pm" if waits == "pm" else "emr"
    one, other = _known(face, retired, side), _known(face, survivor, side)
    if merge.at(side) is not None:
        text = f"In the {_NAMES[side]}: separate chart {one} from {other}, as it was done in the {_NAMES[other_side(side)]}"
    elif retired.identifier_of(face.authorities[side]) is None:
        text = f"In the {_NAMES[side]}: look for a chart of {one}; if there is one, merge it into {other}"
    else:
        text = f"In the {_NAMES[side]}: merge chart {one} into {other}"
    differ = [path for path in (BIRTH_DATE, SEX) if _differs(retired, survivor, path)]
    return f"{text}. First make sure that they are one child: birth date or sex differ (#74)" if differ else text


def _differs(one: Patient, other: Patient, path: str) -> bool:
    return path in one.fields and path in other.fields and one.fields[path] != other.fields[path]


def _known(face: Face, patient: Patient, side: Side) -> str:
    """As that side knows the chart; by another id where it has none of its own."""
    return str(patient.identifier_of(face.authorities[side]) or patient.key)


def _name(people: dict[int, Patient], number: int) -> str | None:
    return name_of(people[number]) if number in people else None
