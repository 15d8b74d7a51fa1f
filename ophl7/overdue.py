"""Merges that one side has done and the other has not for a day: somebody must look (decisions 6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from ophl7.engine.ports import Clock
from ophl7.errors import StoreAway
from ophl7.observe.alarms import Alarms

OVERDUE_SECONDS = 24 * 3600.0

# Asking costs a look into an index of what is open; a day that is a minute longer is no worse.
_CHECK_SECONDS = 60.0

KIND = "merges"


class Reads(Protocol):
    """What it takes of the database."""

    async def open_merges(self, noted_before: float) -> int:
        """How many pairs have been one-sided, or in conflict, since before then."""


class OverdueMerges:
    """Rings when the first merge is overdue and when there are more of them; silent again when none is."""

    def __init__(
        self, reads: Reads, clock: Clock, alarms: Alarms, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """sleep: until the next look, for tests."""
        self._reads = reads
        self._clock = clock
        self._alarms = alarms
        self._sleep = sleep
        self._known = 0

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._sleep(_CHECK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once. A database that cannot be read just now has an alarm of its own, and is asked again."""
        try:
            count = await self._reads.open_merges(self._clock.now().timestamp() - OVERDUE_SECONDS)
        except (StoreAway, TimeoutError):
            return
        if count > self._known:
            self._alarms.ring("merges", waiting=count, reason="charts are merged in one system only, for more than 24 hours")
        elif count == 0:
            self._alarms.clear(KIND)
        self._known = count
