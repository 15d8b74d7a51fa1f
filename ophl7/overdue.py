"""What has waited too long for somebody: merges that one side has done only, and messages in custody (decisions 6 and 11).

Nothing is ever dropped by its age: time only rings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal, NamedTuple, Protocol

from ophl7.engine.ports import Clock
from ophl7.errors import StoreAway
from ophl7.observe.alarms import Alarms

# Asking costs a look into an index of what is open; what rings a minute later is no worse.
_CHECK_SECONDS = 60.0

Held = Literal["SIU", "DFT"]


class Reads(Protocol):
    """What it takes of the database."""

    async def open_merges(self, noted_before: float) -> int:
        """How many pairs have been one-sided, or in conflict, since before then."""

    async def held_messages(self, kind: Held, since_before: float) -> int:
        """How many messages of this type have been in custody since before then."""


class Watch(NamedTuple):
    """An alarm of this kind rings when something has waited so many seconds. held: messages of which type, None for merges."""

    kind: str
    seconds: float
    held: Held | None
    reason: str


WATCHES: Final = (
    Watch("merges", 24 * 3600.0, None, "charts are merged in one system only, for more than 24 hours"),
    Watch("held_bookings", 15 * 60.0, "SIU", "bookings or arrivals are held, for more than 15 minutes"),
    Watch("held_charges", 3600.0, "DFT", "charges are held, for more than an hour"),
)


class Overdue:
    """Rings when the first of a kind is overdue and when there are more of them; silent again when none is."""

    def __init__(
        self, reads: Reads, clock: Clock, alarms: Alarms, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """sleep: until the next look, for tests."""
        self._reads = reads
        self._clock = clock
        self._alarms = alarms
        self._sleep = sleep
        self._known: dict[str, int] = {}

    async def run(self) -> None:
        """Runs until cancelled. The first look is a minute after the start: nothing reads the database before somebody asks."""
        while True:
            await self._sleep(_CHECK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once. A database that cannot be read just now has an alarm of its own, and is asked again."""
        now = self._clock.now().timestamp()
        for watch in WATCHES:
            before = now - watch.seconds
            try:
                if watch.held is None:
                    count = await self._reads.open_merges(before)
                else:
                    count = await self._reads.held_messages(watch.held, before)
            except (StoreAway, TimeoutError):
                return
            if count > self._known.get(watch.kind, 0):
                self._alarms.ring(watch.kind, waiting=count, reason=watch.reason)
            elif count == 0:
                self._alarms.clear(watch.kind)
            self._known[watch.kind] = count
