"""The room on the disk of the database: nothing is taken any more while there is still room to deliver what was taken (#94)."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from ophl7.engine.intake import Engine
from ophl7.observe.alarms import Alarms

CHECK_SECONDS: Final = 5.0

# Opened again only with so much more room than it was closed at: on the edge it would open and close all day.
_MORE: Final = 0.25


def free_bytes(folder: Path) -> int:
    """What is free on the disk of this folder; 0 when it is away, for so is its room."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


class DiskWatch:
    """Closes the intake below the mark, opens it well above; a closed intake is a closed connection, never a refusal."""

    def __init__(
        self,
        database: Path,
        reserve: int,
        engine: Engine,
        alarms: Alarms,
        *,
        on_closed: Callable[[], None],
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        """reserve: bytes. on_closed: connections are to be closed, and room is to be made. free: for tests."""
        self._folder = database.absolute().parent
        self._reserve = reserve
        self._engine = engine
        self._alarms = alarms
        self._on_closed = on_closed
        self._free = free

    @property
    def free(self) -> int:
        """Bytes, now."""
        return self._free(self._folder)

    def look(self) -> None:
        """Once."""
        free, closed = self.free, "disk" in self._engine.closed_for
        if free < self._reserve and not closed:
            self._engine.close_for("disk")
            self._alarms.ring("disk", reason=f"only {free // 2**20} MiB are free where the database is")
            self._on_closed()
        elif closed and free >= self._reserve * (1 + _MORE):
            self._engine.open_for("disk")
            self._alarms.clear("disk")
        elif not closed and free >= self._reserve:
            self._alarms.clear("disk")  # one of before a restart

    async def run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Looks until cancelled."""
        while True:
            self.look()
            await sleep(CHECK_SECONDS)
