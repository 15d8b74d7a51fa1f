"""Who still uses the superbill form, by what was refused (#56)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from ophl7.admin.calls import Page
from ophl7.admin.instants import iso
from ophl7.admin.naming import side
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face, Row
from ophl7.domain.superbill import UNKNOWN, User, user_of
from ophl7.errors import Unreadable
from ophl7.hl7v2.message import Message

_PAGE = 100
_SHOWN = 100  # message ids of one user, the newest


@dataclass(slots=True)
class _Habit:
    """What one user sent. names: as he was written, the last one counts."""

    user: User
    peer: str
    first: float
    last: float = 0.0
    count: int = 0
    events: dict[str, None] = field(default_factory=dict)
    messages: list[int] = field(default_factory=list)


async def superbills(face: Face, _query: Query) -> Page:
    """`GET /superbills`: who sends most stands first."""
    habits: dict[tuple[str, str], _Habit] = {}
    after = 0
    while True:
        rows = await face.books.reads.superbills(after, _PAGE)
        for row in rows:
            _enter(face, habits, row)
        if len(rows) < _PAGE:
            break
        after = rows[-1]["id"]
        await asyncio.sleep(0)
    ordered = sorted(habits.values(), key=lambda one: (-one.count, one.peer, one.user))
    return Page([_document(face, one) for one in ordered])


def _enter(face: Face, habits: dict[tuple[str, str], _Habit], row: Row) -> None:
    user = _user(face, row)
    habit = habits.setdefault((row["peer"], (user.id or user.name).casefold()), _Habit(user, row["peer"], row["received_at"]))
    habit.user = user
    habit.last = row["received_at"]
    habit.count += 1
    habit.events[row["event"]] = None
    habit.messages.append(row["id"])


def _user(face: Face, row: Row) -> User:
    """Out of the message itself; nobody can tell when retention has removed it."""
    if row["raw"] is None:
        return UNKNOWN
    peer = side(row["peer"])
    try:
        return user_of(Message.parse(row["raw"], face.books.encodings[peer]), face.books.user_fields[peer])
    except Unreadable:
        return UNKNOWN


def _document(face: Face, one: _Habit) -> Document:
    return {
        "user": one.user.id or one.user.name,
        "name": one.user.name or None,
        "place": one.user.place or None,
        "peer": one.peer,
        "count": one.count,
        "first": iso(one.first, face.zone),
        "last": iso(one.last, face.zone),
        "events": list(one.events),
        "messages": one.messages[: -_SHOWN - 1 : -1],
    }
