"""The books out of the database: a day's messages and charges, what is current, what is missing, superbills, roll-ups.

Each read is one statement on the reader's connection, which sees one moment; long ones come in pages.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from ophl7.domain.appointment import Appointment
from ophl7.domain.charge import Charge
from ophl7.domain.current import AcceptedCharge
from ophl7.domain.reconciliation import DftRow, LedgerLine
from ophl7.engine.roll_ups import RollUp
from ophl7.store.reader import SqliteReader
from ophl7.store.rows import SHOWN, appointment_from, charge_from, roll_up_from
from ophl7.store.statements import statements

Row = Mapping[str, Any]

_PAGE = 50  # DFTs in one statement: each may be a megabyte


class SqliteBooks:
    """Implements `admin.books_ports.BookReads`. Raises StoreAway, TimeoutError."""

    def __init__(self, reader: SqliteReader) -> None:
        self._reader = reader
        self._sql = statements("sqlite", "books")

    # -- a day ----------------------------------------------------------------------------------------------------------

    async def day_messages(self, since: float, until: float) -> Sequence[tuple[str, bool, int]]:
        """State, whether it came again later (#84b), how many."""
        rows = await self._reader.read(self._sql["day_messages"], (since, until))
        return [(row["state"], bool(row["again"]), row["messages"]) for row in rows]

    async def day_dfts(self, since: float, until: float) -> AsyncIterator[DftRow]:
        """Every DFT of that time but copies, in the order in which they came."""
        last: tuple[float, int] = (since, 0)
        while True:
            rows = await self._reader.read(self._sql["day_dfts"], (since, until, *last, _PAGE))
            for row in rows:
                yield _dft(row)
            if len(rows) < _PAGE:
                return
            last = (rows[-1]["received_at"], rows[-1]["id"])

    async def day_numbers(self, since: float, until: float) -> tuple[int, int] | None:
        """The ids that the day's messages have, the last exclusive; None when nothing came."""
        first = await self._reader.read(self._sql["day_begin"], (since, until))
        if not first:
            return None
        after = await self._reader.read(self._sql["next_day_begin"], (until,))
        return first[0]["id"], after[0]["id"] if after else 2**63 - 1

    async def strays(self, first: int, end: int, limit: int) -> Sequence[tuple[int, LedgerLine]]:
        """Ledger rows of messages with these ids that the journal does not have, or has as something else than a DFT."""
        rows = await self._reader.read(self._sql["strays"], (first, end, limit))
        return [
            (
                row["message"],
                LedgerLine(
                    row["id"], row["line"], row["state"], row["amount"], row["delivery"], row["delivery_state"], None, False
                ),
            )
            for row in rows
        ]

    async def sent_twice(self, first: int, end: int, limit: int) -> Sequence[Row]:
        """Charges of messages with these ids whose equal had left in another message before: id message other other_message."""
        return await self._reader.read(self._sql["sent_twice"], (first, end, limit))

    async def missing(
        self, since: float, until: float, today: float, day: tuple[str, str], before: int | None, limit: int
    ) -> Sequence[Appointment]:
        """Appointments of that time that came to an end without a charge, newest first.

        today: when today began; day: the service dates that count, YYYYMMDD, the last exclusive.
        """
        values = (since, until, before if before is not None else 2**63 - 1, today, *day, since, until, limit)
        return [appointment_from(tuple(row.values())) for row in await self._reader.read(self._sql["missing"], values)]

    # -- what is current, what waits --------------------------------------------------------------------------------------

    async def lanes(self, after: int, limit: int) -> Sequence[int]:
        """Patients, merged charts together: so many lanes after that one."""
        return [row["lane"] for row in await self._reader.read(self._sql["lanes"], (after, limit))]

    async def accepted_charges(self, lanes: Collection[int]) -> Sequence[AcceptedCharge]:
        """All that the PM has accepted of these, ordered by lane, message and line."""
        rows = await self._reader.read(_with(self._sql["accepted_charges"], len(lanes)), tuple(lanes))
        return [_accepted(row) for row in rows]

    async def open_charges(
        self, *, since: float | None, until: float | None, standings: Collection[str], after: int, limit: int
    ) -> Sequence[tuple[Charge, str, float]]:
        """Charges that the PM does not have, oldest first: the charge, `pending` `held` or `parked`, when its message came."""
        where: list[tuple[str, tuple[Any, ...]]] = [
            ("id > ?", (after,)),
            (f"standing IN ({_places(len(standings))})", tuple(standings)),
        ]
        where += [("received_at >= ?", (since,))] if since is not None else []
        where += [("received_at < ?", (until,))] if until is not None else []
        sql = self._sql["open_charges"].replace("{where}", "WHERE " + " AND ".join(text for text, _ in where))
        rows = await self._reader.read(sql, (*(value for _, values in where for value in values), limit))
        return [(_charge(row), row["standing"], row["received_at"]) for row in rows]

    # -- superbills, roll-ups -------------------------------------------------------------------------------------------------

    async def superbills(self, after: int, limit: int) -> Sequence[Row]:
        """Refused claims and superbills, oldest first. Columns: id peer received_at event raw."""
        return await self._reader.read(self._sql["superbills"], (after, limit))

    async def roll_ups(
        self,
        *,
        subjects: Collection[int] | None = None,
        claim: str | None = None,
        number: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[RollUp]:
        """Notes, newest first, also those that were taken back."""
        where: list[tuple[str, tuple[Any, ...]]] = []
        where += [("id = ?", (number,))] if number is not None else []
        where += [("id < ?", (before,))] if before is not None else []
        where += [("claim = ?", (claim,))] if claim is not None else []
        if subjects is not None:
            where.append((_with(self._sql["with_charges_of"], len(subjects)), tuple(subjects)))
        conditions = " AND ".join(text for text, _ in where)
        sql = self._sql["roll_ups"].replace("{where}", f"WHERE {conditions}" if conditions else "")
        rows = await self._reader.read(sql, (*(value for _, values in where for value in values), limit))
        return [roll_up_from(tuple(row.values())) for row in rows]


def _with(sql: str, count: int) -> str:
    return sql.replace("{keys}", _places(count))


def _places(count: int) -> str:
    return ", ".join("?" * count)


def _dft(row: Row) -> DftRow:
    lines = [LedgerLine._make([*one[:7], bool(one[7])]) for one in json.loads(row["ledger"])]
    return DftRow(
        row["id"],
        row["peer"],
        row["state"],
        row["decision_row"],
        bytes(row["raw"]) if row["raw"] is not None else None,
        row["detail"],
        bool(row["again"]),
        bool(row["waited"]),
        bool(row["discarded"]),
        tuple(sorted(lines, key=lambda line: line.line)),
    )


def _accepted(row: Row) -> AcceptedCharge:
    values = dict(row)
    values["modifiers"], values["diagnoses"] = tuple(json.loads(row["modifiers"])), tuple(json.loads(row["diagnoses"]))
    return AcceptedCharge(**values)


def _charge(row: Row) -> Charge:
    state = "held" if row["standing"] == "held" else "sent"
    return charge_from([b"" if name == "content" else state if name == "state" else row[name] for name in SHOWN])
