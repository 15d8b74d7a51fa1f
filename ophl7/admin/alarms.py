"""Alarms: what is open, what was, and a person who has seen one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophl7.admin.bodies import reason_in
from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.instants import iso
from ophl7.admin.parameters import Query, path_number
from ophl7.admin.ports import Document, Face
from ophl7.admin.problems import Problem, not_found
from ophl7.domain.alarm_kinds import KINDS, todo
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.errors import StoreRefused

STATES = ("open", "resolved")
ALARM_KINDS = tuple(KINDS)


async def alarms(face: Face, query: Query) -> Page:
    """`GET /alarms`: open ones and those that are over, newest first."""
    state = query.one_of("state", STATES)
    found = await face.reads.alarms(
        open_only=None if state is None else state == "open",
        kind=query.one_of("kind", ALARM_KINDS),
        before=query.before,
        limit=query.limit + 1,
    )
    return page([alarm_item(face, row) for row in found], query.limit)


def alarm_item(face: Face, row: AlarmRow) -> Document:
    """One alarm."""
    return {
        "id": row.id,
        "kind": row.kind,
        "about": row.about or None,
        "reason": row.reason,
        "todo": todo(row.kind, row.about),
        "count": row.times,
        "opened_at": iso(row.opened_at, face.zone),
        "acknowledged_at": iso(row.acknowledged_at, face.zone),
        "acknowledged_by": row.acknowledged_by,
        "resolved_at": iso(row.resolved_at, face.zone),
        "how": row.how,
    }


async def acknowledge(face: Face, asked: Asked, body: Mapping[str, Any]) -> Document:
    """`POST /alarms/{id}/acknowledge`; again is no fault. Raises Problem 404, 409 for one that is over, 500, 503."""
    number, reason = path_number(asked.request), reason_in(body)
    known = await face.reads.alarms(before=number + 1, limit=1) if number is not None else ()
    if number is None or not known or known[0].id != number:
        raise not_found("no alarm has this number")
    try:
        done = await face.acknowledge(number, asked.actor, reason)
    except TimeoutError:
        raise Problem(503, "it was not on disk in time; look again before you try once more") from None
    except StoreRefused as failed:
        detail = "the database refused to write it; nothing was changed: a fault of ophl7, please report it"
        raise Problem(500, detail, code=failed.code) from failed
    if done is None:
        now = (await face.reads.alarms(before=number + 1, limit=1))[0]
        if now.acknowledged_at is None:
            raise Problem(409, "this alarm is over already; there is nothing to acknowledge")
        done = now
    return alarm_item(face, done)
