"""The write-ahead log of the database stays bounded, also while reports run one after another and messages never pause.

SQLite folds it back into the database as it goes, but begins it anew only at a moment when no reader is inside. Where that
moment does not come by itself, it is made: readers wait between two statements, and the log is cut off between two batches.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, Protocol

from ophl7.engine.intake import Engine
from ophl7.errors import StoreAway

CHECK_SECONDS: Final = 1.0
MOST_BYTES: Final = 64 * 1024 * 1024


class Folds(Protocol):
    """What it takes of the store."""

    async def fold_back(self) -> None:
        """Copies what is in the log into the database, beside the batches."""

    async def cut_log(self) -> bool:
        """Cuts the log off, if nobody is inside: short behind a `fold_back`. Never beside a batch."""


def size_of(database: Path) -> int:
    """Bytes of the log; 0 when there is none."""
    try:
        return database.with_name(database.name + "-wal").stat().st_size
    except OSError:
        return 0


class WalWatch:
    """Looks once a second, which costs one call of the file system."""

    def __init__(
        self,
        database: Path,
        store: Folds,
        engine: Engine,
        quiet: Callable[[], AbstractAsyncContextManager[None]],
        *,
        most: int = MOST_BYTES,
    ) -> None:
        """quiet: no reader is inside while it is held. most: bytes."""
        self._database = database
        self._store = store
        self._engine = engine
        self._quiet = quiet
        self._most = most

    @property
    def size(self) -> int:
        """Bytes of the log, now."""
        return size_of(self._database)

    async def look(self) -> bool:
        """Once. Whether the log is within its bounds now."""
        if self.size <= self._most:
            return True
        try:
            await self._store.fold_back()
            async with self._quiet():
                return await self._engine.tidy(self._store.cut_log, soon=True)
        except StoreAway:
            return False  # it has an alarm of its own

    async def run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Looks until cancelled."""
        while True:
            await sleep(CHECK_SECONDS)
            await self.look()
