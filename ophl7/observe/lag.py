"""How late the event loop runs: the one number that shows a handler, a query or a plugin that blocks it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ophl7.observe.metrics import Labels


class LoopLag:
    """Measures the lag again and again; `worst` is the largest one since it was last read, in seconds."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        interval: float = 0.5,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._monotonic = monotonic
        self._interval = interval
        self._sleep = sleep
        self.worst = 0.0

    async def run(self) -> None:
        """Runs until cancelled; its owner is whoever made the task."""
        while True:
            asked = self._monotonic()
            await self._sleep(self._interval)
            self.worst = max(self.worst, self._monotonic() - asked - self._interval)

    def reading(self) -> dict[Labels, float]:
        """For the gauge `ophl7_event_loop_lag_seconds`; reading starts a new period."""
        worst, self.worst = self.worst, 0.0
        return {(): worst}
