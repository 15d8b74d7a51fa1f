"""The write-ahead log of the database stays bounded, also while reports run one after another and messages never pause.

SQLite folds it back into the database as it goes, but begins it anew only at a moment when no reader is inside. Where that
moment does not come by itself, it is made: readers wait between two statements, and the log is cut off between two batches.

Where the database's file cannot be written, but its log can, SQLite says nothing: commits go through and are safe in the log,
which grows until the disk is full. So an alarm rings: at once when the disk says no, else when the log stays past its bound.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, Protocol

from ophl7.engine.intake import Engine
from ophl7.errors import StoreAway
from ophl7.observe.alarms import Alarms

CHECK_SECONDS: Final = 1.0
LOOKS_BEFORE_ALARM: Final = 30  # a backup or somebody's shell may sit in the database for a while
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
        alarms: Alarms,
        *,
        most: int = MOST_BYTES,
    ) -> None:
        """quiet: no reader is inside while it is held. most: bytes."""
        self._database = database
        self._store = store
        self._engine = engine
        self._quiet = quiet
        self._alarms = alarms
        self._most = most
        self._late = 0  # looks in a row that found the log past its bound and could not cut it

    @property
    def size(self) -> int:
        """Bytes of the log, now."""
        return size_of(self._database)

    async def look(self) -> bool:
        """Once. Whether the log is within its bounds now."""
        if self.size <= self._most or await self._cut():
            self._late = 0
            self._alarms.clear("log_grows")
            return True
        self._late += 1
        if self._late == LOOKS_BEFORE_ALARM:
            self._ring("somebody has been reading in the database all the while")
        return False

    async def _cut(self) -> bool:
        if "store" in self._engine.closed_for:
            return False  # it has an alarm of its own, and nothing is written that could grow
        try:
            await self._store.fold_back()
        except StoreAway as away:
            self._ring(str(away))
            return False
        try:
            async with self._quiet():
                return await self._engine.tidy(self._store.cut_log, soon=True)
        except StoreAway:
            return False  # the engine looks whether the store is away, and tells it

    def _ring(self, why: str) -> None:
        size = self.size // 2**20
        self._alarms.ring("log_grows", reason=f"the database's log has {size} MiB and cannot be moved into the database: {why}")

    async def run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Looks until cancelled."""
        while True:
            await sleep(CHECK_SECONDS)
            await self.look()
