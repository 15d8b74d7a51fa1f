"""The database for people: one read-only connection beside the engine's, every read short.

A reader that stays in the database keeps the WAL from being folded back, so a statement is broken off after a time, and nothing
is read across two statements of one transaction. The engine's own connections never wait for this one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import aiosqlite

from ophl7.domain.appointment import Appointment
from ophl7.domain.charge import Charge
from ophl7.domain.identifiers import Identifier
from ophl7.domain.merge import Merge
from ophl7.domain.patient import Patient, Side
from ophl7.engine.alarm_rows import AlarmRow
from ophl7.engine.chain import Link
from ophl7.engine.storage import DriftRow
from ophl7.errors import StoreAway
from ophl7.store.rows import appointment_from, charge_from, patient_from
from ophl7.store.statements import statements

# How many steps of SQLite's machine pass between two looks at the clock: some 0.1 ms.
_STEPS = 2000
_HEAD = 16384  # as in reads.sql
# Word for word the indexes' own conditions: else SQLite does not use them.
_UNSETTLED = "state IN ('queued', 'sending', 'held', 'unknown', 'parked')"
_STOPPED = "state IN ('held', 'unknown', 'parked', 'rejected', 'skipped')"


Where = list[tuple[str, tuple[Any, ...]]]
"""Conditions, all of which must hold, each with its values."""

Row = Mapping[str, Any]


class SqliteReader:
    """Implements what the API and the console read (`admin.ports.Reads`). Raises StoreAway, TimeoutError."""

    def __init__(self, path: Path, *, limit: float = 5.0) -> None:
        """limit: seconds that one statement may take. The connection is made by the first read."""
        self._path = path
        self._uri = f"file:{quote(str(path.absolute()))}?mode=ro"
        self._limit = limit
        self._deadline = 0.0
        self._connection: aiosqlite.Connection | None = None
        self._lock = asyncio.Lock()
        self._closed = False
        self._sql = statements("sqlite", "reads")

    async def close(self) -> None:
        """Closes the connection, after the read that runs. Idempotent."""
        self._closed = True
        async with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                await connection.close()

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Nothing is read while it is held; it waits for the read that runs, which is bounded."""
        async with self._lock:
            yield

    # -- messages -----------------------------------------------------------------------------------------------------

    async def messages(
        self,
        *,
        peer: str | None = None,
        event: str | None = None,
        control_id: str | None = None,
        state: str | None = None,
        subjects: Collection[int] | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Row]:
        """The journal, newest first. event: with its trigger, or a type alone."""
        where = _where(before, peer=peer, state=state)
        if event is not None and "^" in event:
            where.append(("event = ?", (event,)))
        elif event is not None:
            where.append(("(event = ? OR substr(event, 1, ?) = ?)", (event, len(event) + 1, f"{event}^")))
        if control_id is not None:
            where.append((self._sql["with_control_id"], (control_id,) * 3))
        where += [*_among("subject", subjects), *_between("received_at", since, until)]
        return [_with_head(row) for row in await self._list("messages", where, limit)]

    async def message(self, number: int) -> Row | None:
        """One of them, whole, or without its bytes when their time was over."""
        rows = await self._read(self._sql["message"], (number,))
        return rows[0] if rows else None

    async def again(self, number: int, limit: int = 100) -> Sequence[Row]:
        """Its copies and its replays, oldest first."""
        return await self._read(self._sql["again"], (number, number, limit))

    async def heads(self, numbers: Collection[int]) -> Mapping[int, tuple[Side, bytes | None]]:
        """Sender and first bytes of these."""
        sql = self._sql["heads"].replace("{keys}", _places(len(numbers)))
        rows = [_with_head(row) for row in await self._read(sql, tuple(numbers))]
        return {row["id"]: (row["peer"], row["head"]) for row in rows}

    async def states(self, last: int) -> Mapping[str, int]:
        """State -> how many of the last messages are in it."""
        return {row["state"]: row["messages"] for row in await self._read(self._sql["states"], (last,))}

    # -- patients, schedule, ledger -----------------------------------------------------------------------------------

    async def patients(
        self, *, numbers: Collection[int] = (), subjects: Collection[int] = (), lane: int | None = None
    ) -> Sequence[Patient]:
        """Those with one of these ids or one of these subjects, and everybody in that lane."""
        if not numbers and not subjects and lane is None:
            return []
        condition = f"id IN ({_places(len(numbers))}) OR subject IN ({_places(len(subjects))}) OR lane = ?"
        values = (*numbers, *subjects, lane)
        rows = await self._read(self._sql["patients"].replace("{where}", f"WHERE {condition}"), values)
        return [patient_from(tuple(row.values())) for row in rows]

    async def named(self, value: str, authority: str | None) -> Sequence[tuple[Identifier, Patient]]:
        """Who has this id."""
        condition, values = (
            ("value = ?", (value,)) if authority is None else ("value = ? AND authority = ?", (value, authority))
        )
        sql = self._sql["named"].replace("{where}", f"WHERE {condition}")
        rows = [tuple(row) for row in await self._rows(sql, values)]
        return [(Identifier(*row[:3]), patient_from(row[3:])) for row in rows]

    async def appointments(
        self,
        *,
        subjects: Collection[int] | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Appointment]:
        """The schedule, newest first."""
        where = [*_where(before), *_among("subject", subjects), *_between("starts_at", since, until)]
        return [appointment_from(tuple(row.values())) for row in await self._list("appointments", where, limit)]

    async def charges(
        self,
        *,
        subjects: Collection[int] | None = None,
        state: str | None = None,
        day: str | None = None,
        message: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[tuple[Charge, str, int | None]]:
        """The ledger, newest first: the charge, where it stands, its delivery."""
        where = [*_where(before, shown=state, message=message), *_among("subject", subjects)]
        if day is not None:
            where.append(("date >= ? AND date < ?", (day, f"{day}~")))  # with a time or without one
        rows = await self._list("charges", where, limit)
        return [(charge_from(tuple(row.values())), row["shown"], row["delivery"]) for row in rows]

    async def merges(
        self,
        *,
        patients: Collection[int] | None = None,
        state: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Merge]:
        """Both halves of each merge, newest first."""
        where = _where(before, state=state)
        if patients is not None:
            places = _places(len(patients))
            where.append((f"(retired IN ({places}) OR survivor IN ({places}))", (*patients, *patients)))
        return [Merge(*row.values()) for row in await self._list("merges", where, limit)]

    async def merge(self, number: int) -> Merge | None:
        """One of them."""
        found = await self._list("merges", [("id = ?", (number,))], 1)
        return Merge(*found[0].values()) if found else None

    async def open_merges(self, noted_before: float) -> int:
        """How many pairs one side has merged and the other has not, or otherwise, that we know of since before then."""
        (row,) = await self._read(self._sql["open_merges"], (noted_before,))
        return int(row["found"])

    async def held_messages(self, kind: str, since_before: float) -> int:
        """How many messages of this type have been in custody since before then."""
        (row,) = await self._read(self._sql["held_messages"], (since_before, f"{kind}^%"))
        return int(row["found"])

    async def held_long(self, since_before: float) -> int:
        """How many messages have been in custody since before then; 1000 stands for more."""
        (row,) = await self._read(self._sql["held_long"], (since_before,))
        return int(row["found"])

    async def held_for(self, key: str) -> int:
        """How many holds wait for this key; 1000 stands for more."""
        (row,) = await self._read(self._sql["held_for"], (key,))
        return int(row["found"])

    async def alarms(
        self, *, open_only: bool | None = None, kind: str | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[AlarmRow]:
        """What has rung, newest first. open_only: True = what rings, False = what is over."""
        where = _where(before, kind=kind)
        if open_only is not None:
            where.append(("resolved_at IS NULL" if open_only else "resolved_at IS NOT NULL", ()))
        return [AlarmRow(*row.values()) for row in await self._list("alarms", where, limit)]

    async def unmerges(self, merges: Collection[int]) -> Sequence[Row]:
        """Who took these merges apart, oldest first."""
        sql = self._sql["unmerges"].replace("{keys}", _places(len(merges)))
        return await self._read(sql, tuple(merges)) if merges else []

    # -- what waits, what was not taken, who did what -----------------------------------------------------------------

    async def holds(
        self, *, peer: str | None = None, message: int | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[Row]:
        """The open ones, newest first."""
        return await self._list("holds", [("closed_at IS NULL", ()), *_where(before, peer=peer, message=message)], limit)

    async def hold(self, number: int) -> Row | None:
        """One of them, open or closed."""
        rows = await self._read(self._sql["hold"], (number,))
        return rows[0] if rows else None

    async def custody(self, message: int) -> Sequence[Row]:
        """All that a message had, oldest first."""
        return await self._read(self._sql["custody"], (message,))

    async def drift(
        self,
        *,
        patients: Collection[int] | None = None,
        peer: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[DriftRow]:
        """Values that were not taken, newest first."""
        where = [*_where(before, peer=peer), *_among("patient", patients)]
        return [DriftRow(*row.values()) for row in await self._list("drift", where, limit)]

    async def deliveries(
        self,
        *,
        destination: str | None = None,
        state: str | None = None,
        message: int | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Row]:
        """The outbox, newest first."""
        where = _where(before, destination=destination, state=None if state == "open" else state, message=message)
        if state in {"held", "unknown", "parked", "rejected", "skipped"}:
            where.append((_STOPPED, ()))
        elif state in {"open", "queued", "sending"}:
            where.append((_UNSETTLED, ()))
            if destination is None:
                where.append(("destination IN ('pm', 'emr')", ()))  # the index begins with it
        return await self._list("deliveries", where, limit)

    async def code_entries(self, *, peer: str | None = None, table: str | None = None) -> Sequence[Row]:
        """What people have entered into code tables, in order."""
        where = _where(None, peer=peer, name=table)
        conditions = " AND ".join(condition for condition, _ in where)
        sql = self._sql["code_entries"].replace("{where}", f"WHERE {conditions}" if conditions else "")
        return await self._read(sql, [value for _, values in where for value in values])

    async def code_tasks(
        self, *, peer: str | None = None, table: str | None = None, before: int | None = None, limit: int = 50
    ) -> Sequence[Row]:
        """Codes that came without an entry, newest first."""
        return await self._list("code_tasks", _where(before, peer=peer, name=table), limit)

    async def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        since: float | None = None,
        until: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> Sequence[Row]:
        """Who did what, newest first."""
        where = [*_where(before, actor=actor, action=action), *_between("at", since, until)]
        return await self._list("audit", where, limit)

    async def audit_links(self, *, after: int, limit: int) -> Sequence[Link]:
        """The audit as a chain, oldest first."""
        return [Link(*row.values()) for row in await self._read(self._sql["audit_links"], (after, limit))]

    async def audit_head(self) -> str | None:
        """The last link as it is kept apart."""
        rows = await self._read(self._sql["audit_head"], ())
        return rows[0]["value"] if rows else None

    async def audit_anchor(self) -> str | None:
        """The last link that retention has removed, as it is kept apart."""
        rows = await self._read(self._sql["audit_anchor"], ())
        return rows[0]["value"] if rows else None

    async def read(self, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        """One statement for a reader beside this one, within the same limits. Raises StoreAway, TimeoutError."""
        return await self._read(sql, values)

    # -- one statement at a time --------------------------------------------------------------------------------------

    async def _list(self, name: str, where: Where, limit: int) -> list[dict[str, Any]]:
        conditions = " AND ".join(condition for condition, _ in where)
        sql = self._sql[name].replace("{where}", f"WHERE {conditions}" if conditions else "")
        return await self._read(sql, (*(value for _, values in where for value in values), limit))

    async def _read(self, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._rows(sql, values)]

    async def _rows(self, sql: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        """One statement, read to its end. Raises StoreAway, TimeoutError."""
        async with self._lock:
            try:
                connection = self._connection or await self._open()
                self._deadline = monotonic() + self._limit
                try:
                    return list(await connection.execute_fetchall(sql, values))
                except asyncio.CancelledError:
                    await connection.interrupt()  # nobody waits for it any more
                    raise
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
                    raise TimeoutError(f"a report was broken off after {self._limit:g} s") from None
                raise StoreAway(f"the database cannot be read: {error}") from error

    async def _open(self) -> aiosqlite.Connection:
        if self._closed:
            raise StoreAway("the database is closed")
        if not self._exists():  # asked first: a connection that fails leaves aiosqlite's thread running for a moment
            raise StoreAway("the database file is not there")
        connection = await aiosqlite.connect(self._uri, uri=True, isolation_level=None, timeout=self._limit)
        try:
            connection.row_factory = sqlite3.Row
            for setting in ("query_only = ON", "cache_size = -8192", "temp_store = MEMORY"):
                await connection.execute_fetchall(f"PRAGMA {setting}")
            await connection.set_progress_handler(self._overdue, _STEPS)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        return connection

    def _exists(self) -> bool:
        return self._path.is_file()

    def _overdue(self) -> int:
        """Asked by SQLite in its thread while a statement runs; not 0 breaks it off."""
        return int(monotonic() > self._deadline)


def _where(before: int | None, **equal: object) -> Where:
    """Conditions on columns; None asks for nothing. The names come from this module, never from a caller."""
    where: Where = [(f"{column} = ?", (value,)) for column, value in equal.items() if value is not None]
    if before is not None:
        where.append(("id < ?", (before,)))
    return where


def _among(column: str, values: Collection[int] | None) -> Where:
    return [] if values is None else [(f"{column} IN ({_places(len(values))})", tuple(values))]


def _between(column: str, since: float | None, until: float | None) -> Where:
    where: Where = []
    if since is not None:
        where.append((f"{column} >= ?", (since,)))
    if until is not None:
        where.append((f"{column} < ?", (until,)))
    return where


def _places(count: int) -> str:
    return ", ".join("?" * count)


def _with_head(row: dict[str, Any]) -> dict[str, Any]:
    """A head that was cut off ends with its last whole segment: half an identifier would be another patient's."""
    head: bytes | None = row["head"]
    if head is not None and len(head) == _HEAD:
        row["head"] = head[: max(head.rfind(b"\r"), head.rfind(b"\n"), 0)]
    return row
