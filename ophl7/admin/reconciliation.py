"""The day report: what came, what became of it, what does not add up, and what somebody must look at (decisions 11)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

from ophl7.admin.calls import Asked, Page, page
from ophl7.admin.holds import item as hold_item
from ophl7.admin.instants import bounds, iso
from ophl7.admin.naming import names_by_number
from ophl7.admin.parameters import Query
from ophl7.admin.ports import Document, Face
from ophl7.domain.appointment import Appointment
from ophl7.domain.money import Sum, total
from ophl7.domain.reconciliation import STANDINGS, Books, Standing, enter, without_message

MESSAGE_STATES: Final = ("accepted", "held", "rejected", "ignored", "stale", "error")
_MOST = 500  # lines of a list that should be empty
_RESTS = 20  # so many messages are read anew before others have their turn

BELONGS: Final = (
    "a message and its charges belong to the day on which it came, in the practice's zone, whatever the service date is; "
    "one that was refused and sent again counts once, on the day when it came last"
)


async def reconciliation(face: Face, asked: Asked) -> Document:
    """`GET /reconciliation`."""
    return await day_report(face, asked.query.day("date") or today(face))


def today(face: Face) -> date:
    """Which day it is in the practice."""
    return face.books.now().astimezone(face.zone).date()


async def day_report(face: Face, day: date) -> Document:
    """The whole report of one day."""
    since, until = bounds(day, face.zone)
    books = await _books(face, since, until)
    numbers = await face.books.reads.day_numbers(since, until)
    twice: list[Document] = []
    if numbers is not None:
        for message, line in await face.books.reads.strays(*numbers, _MOST):
            without_message(books, message, line)
        twice = [
            {
                "charge": row["id"],
                "message": row["message"],
                "other_charge": row["other"],
                "other_message": row["other_message"],
                "how": "the same charge left in two messages",
            }
            for row in await face.books.reads.sent_twice(*numbers, _MOST)
        ]
    twice += [
        {
            "charge": charge,
            "message": message,
            "other_charge": charge,
            "other_message": message,
            "how": "it was refused or got no answer, and left once more as another message, under another control id",
        }
        for message, charge in books.renewed
    ]
    return {
        "date": day.isoformat(),
        "begins": iso(since, face.zone),
        "ends": iso(until, face.zone),
        "hours": (until - since) / 3600,
        "over": until <= face.books.now().timestamp(),
        "belongs": BELONGS,
        "messages": await _messages(face, since, until),
        "received": sum_document(books.received),
        **_standings(books.standing),
        "adds_up": books.adds_up,
        "does_not_add_up": [odd._asdict() for odd in books.odd],
        "sent_more_than_once": twice,
        "not_compared": books.unread,
        "from_pm": books.from_pm,
        "providers": [
            {"provider": name or None, "received": sum_document(total(sums.values())), **_standings(sums)}
            for name, sums in sorted(books.providers.items())
        ],
        "holds": await _holds(face),
        "missing_charges": await _all_missing(face, day),
    }


async def _books(face: Face, since: float, until: float) -> Books:
    books = Books()
    encoding, rules = face.books.encodings["emr"], face.profiles["emr"].charges
    read = 0
    async for row in face.books.reads.day_dfts(since, until):
        enter(books, row, encoding, rules)
        read += 1
        if read % _RESTS == 0:
            await asyncio.sleep(0)  # a day of thousands of messages must not keep the answers to peers waiting
    return books


async def _messages(face: Face, since: float, until: float) -> Document:
    """Received (without duplicates) = accepted + held + rejected + ignored + stale + error (decisions 11)."""
    counts: Counter[str] = Counter()
    received = duplicates = again = 0
    for state, came_again, number in await face.books.reads.day_messages(since, until):
        if state == "duplicate":
            duplicates += number
        elif came_again:
            again += number
        else:
            received += number
            counts[state] += number
    by_state = {state: counts[state] for state in MESSAGE_STATES}
    return {
        "received": received,
        **by_state,
        "duplicates": duplicates,
        "sent_again": again,
        "adds_up": received == sum(by_state.values()),
    }


def sum_document(one: Sum) -> Document:
    """Counts and amounts; an amount is a text, for a JSON number would round it."""
    return {"count": one.count, "amount": format(one.amount, "f"), "without_amount": one.without_amount}


def _standings(sums: Mapping[Standing, Sum]) -> Document:
    return {name: sum_document(sums[name]) for name in STANDINGS}


async def _holds(face: Face) -> list[Document]:
    """Every open hold, whenever it began."""
    found: list[Document] = []
    before: int | None = None
    while True:
        rows = await face.reads.holds(before=before, limit=_MOST)
        found += [hold_item(face, row) for row in rows]
        if len(rows) < _MOST:
            return found
        before = rows[-1]["id"]


# -- completed without a charge -------------------------------------------------------------------------------------------


async def missing(face: Face, query: Query) -> Page:
    """`GET /charges/missing`: appointments of a day that came to an end, and no charge has come for them."""
    found = await _missing(face, query.day("date") or today(face), query.before, query.limit + 1)
    return page(await _appointments(face, found), query.limit)


async def _all_missing(face: Face, day: date) -> list[Document]:
    found: list[Appointment] = []
    while True:
        rows = await _missing(face, day, found[-1].id if found else None, _MOST)
        found += rows
        if len(rows) < _MOST:
            return await _appointments(face, found)


async def _missing(face: Face, day: date, before: int | None, limit: int) -> list[Appointment]:
    since, until = bounds(day, face.zone)
    begun, _ = bounds(today(face), face.zone)
    dates = day.strftime("%Y%m%d"), datetime.fromtimestamp(until, face.zone).strftime("%Y%m%d")
    return list(await face.books.reads.missing(since, until, begun, dates, before, limit))


async def _appointments(face: Face, found: list[Appointment]) -> list[Document]:
    names = await names_by_number(face, {row.patient for row in found if row.patient is not None})
    return [
        {
            "id": row.id,
            "patient": names.get(row.patient) if row.patient is not None else None,
            "start": iso(row.starts_at, face.zone),
            "status": row.status,
            "filler_id": row.filler or None,
            "placer_id": row.placer or None,
            "resources": [{"kind": one.kind, "id": one.id, "text": one.text} for one in row.resources],
        }
        for row in found
    ]
