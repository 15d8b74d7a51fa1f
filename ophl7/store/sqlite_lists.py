"""The reads around a patient list, on the store's own connection. See engine.lists.ListBook."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from typing import Any

from ophl7.domain.patient import Side
from ophl7.engine.lists import Difference, ListProgress, ListRefusal, Tally
from ophl7.store.sqlite import SqliteStore
from ophl7.store.statements import padded, statements, with_keys

_CHUNK = 1024  # keys in one statement


class SqliteLists:
    """Implements `engine.lists.ListBook` beside an open store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._sql = statements("sqlite", "lists")

    async def last_list(self) -> int:
        """The highest id of a run."""
        return int((await self._rows("last_list"))[0][0])

    async def list_of(self, peer: Side, digest: str) -> ListProgress | None:
        """The newest run through this list."""
        rows = await self._rows("list_of", peer, digest)
        if not rows:
            return None
        number, side, known, started_at, finished_at, offset, place, *tally = rows[0]
        return ListProgress(number, side, known, started_at, finished_at, offset, place, Tally(*tally))

    async def refusals(self, number: int, *, after: int, limit: int) -> Sequence[ListRefusal]:
        """What a run did not take."""
        return [ListRefusal(*row) for row in await self._rows("refusals", number, after, limit)]

    async def differences(self, peer: Side, patients: Collection[int]) -> set[Difference]:
        """What this peer offered in vain before."""
        ordered = sorted(patients)
        chunks = [padded(ordered[begin : begin + _CHUNK]) for begin in range(0, len(ordered), _CHUNK)]

        def read(connection: sqlite3.Connection) -> set[Difference]:
            found: set[Difference] = set()
            for chunk in chunks:
                sql = with_keys("sqlite", "differences", len(chunk), 1, "lists")
                found.update(connection.execute(sql, (*chunk, peer)))
            return found

        return await self._store.read(read) if chunks else set()

    async def _rows(self, name: str, *values: object) -> list[tuple[Any, ...]]:
        return await self._store.read(lambda connection: connection.execute(self._sql[name], values).fetchall())
