"""Retention in a running broker: a run an hour, in small steps between the messages, and one when room is short.

It depends on nobody's office hours: a steady trickle is never late and never much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ophl7.engine.intake import Engine
from ophl7.engine.ports import Clock
from ophl7.engine.retention import Keep, Removed, retire_all
from ophl7.engine.storage import Store
from ophl7.errors import Ophl7Error, StoreAway
from ophl7.observe.logs import Log
from ophl7.observe.metrics import Counters

_FIRST_SECONDS = 60.0
_BETWEEN_SECONDS = 3600.0


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until somebody asks for a run, or for so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()


class Retention:
    """`run` belongs to the broker; `hurry` and `purge` are for others."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        keep: Keep,
        clock: Clock,
        log: Log,
        counters: Counters,
        *,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] = _wait,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """wait: until the next run is due, or asked for; sleep: between two steps; both for tests."""
        self._store = store
        self._engine = engine
        self._keep = keep
        self._clock = clock
        self._log = log
        self._counters = counters
        self._wait = wait
        self._sleep = sleep
        self._wanted = asyncio.Event()
        self._turn = asyncio.Lock()
        self._last: dict[str, Any] = {"at": None, "bodies": 0, "rows": 0, "audit": 0, "alarms": 0, "kept": {}}

    def hurry(self) -> None:
        """Room is short: the next run begins now."""
        self._wanted.set()

    async def run(self) -> None:
        """Runs until cancelled. What fails is told, and tried again in the next run."""
        await self._wait(self._wanted, _FIRST_SECONDS)
        while True:
            try:
                await self.purge()
            except StoreAway:
                pass  # it has an alarm of its own
            except Ophl7Error as error:
                self._log.error("retention_failed", code=error.code, reason=str(error))
            await self._wait(self._wanted, _BETWEEN_SECONDS)

    async def purge(self) -> Removed:
        """One run; one at a time. Raises StoreAway, StoreRefused."""
        async with self._turn:
            ages = self._keep.ages(self._clock)
            removed = await retire_all(self._store, ages, self._engine.tidy, self._sleep)
            self._last = {"at": ages.now, **told(removed)}
            counts = {"bodies": removed.bodies, "rows": removed.rows, "audit": removed.audit, "alarms": removed.alarms}
            for kind, count in counts.items():
                self._counters.retention_removed.add(kind, by=count)
            if any(counts.values()):
                self._log.info("retention", **counts, kept=sum(removed.kept.values()))
            return removed

    def status(self) -> dict[str, Any]:
        """The last run since the start.

        at: in seconds since the epoch, None for none; what it removed; kept: by why; running: whether one is under way.
        """
        return {**self._last, "running": self._turn.locked()}


def told(removed: Removed) -> dict[str, Any]:
    """As the API and the command line say it."""
    kept = dict(sorted(removed.kept.items()))
    counts = {"bodies": removed.bodies, "rows": removed.rows, "audit": removed.audit, "alarms": removed.alarms}
    return {**counts, "kept": kept}
