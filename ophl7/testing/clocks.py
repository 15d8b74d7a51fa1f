"""Clocks that a test owns; they have the shape of `engine.ports.Clock`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

_START: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class ManualClock:
    """Time that only the test moves."""

    def __init__(self, start: datetime = _START) -> None:
        """start: aware."""
        self._start = start
        self._seconds = 0.0
        self._stepped = 0.0

    def now(self) -> datetime:
        """The wall clock."""
        return self._start + timedelta(seconds=self._seconds + self._stepped)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._seconds

    def advance(self, seconds: float) -> None:
        """Time goes by. Raises ValueError for a negative time."""
        if seconds < 0:
            raise ValueError("time does not go back; `jump` sets the wall clock")
        self._seconds += seconds

    def jump(self, seconds: float) -> None:
        """The wall clock is set, forward or back; no time goes by."""
        self._stepped += seconds


class JumpingClock:
    """The machine's time, with a wall clock that can be set: for whole brokers, whose waits are real."""

    def __init__(self) -> None:
        self._stepped = timedelta()

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC) + self._stepped

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def jump(self, seconds: float) -> None:
        """The wall clock is set, forward or back; no time goes by."""
        self._stepped += timedelta(seconds=seconds)
