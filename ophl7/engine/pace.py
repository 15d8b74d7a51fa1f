"""How many frames a batch takes, by how long they take to judge: whoever arrives meanwhile waits for all of them. Pure."""

from __future__ import annotations

from typing import Final

MOST_FRAMES: Final = 128
"""A batch is what waits, but never more frames than this."""

FEWEST: Final = 8
"""However long they take: a commit must be shared by some."""

JUDGING_SECONDS: Final = 0.015
"""What a batch may take before its commit."""

_WEIGHT: Final = 0.25  # of the newest batch: one that was interrupted says little


class Pace:
    """Remembers what a frame took lately."""

    def __init__(self) -> None:
        self._each = 0.0  # seconds

    @property
    def most(self) -> int:
        """How many frames the next batch takes at most."""
        if self._each * MOST_FRAMES <= JUDGING_SECONDS:
            return MOST_FRAMES
        return max(FEWEST, int(JUDGING_SECONDS / self._each))

    def judged(self, frames: int, seconds: float) -> None:
        """So many frames took so long."""
        if frames:
            self._each += _WEIGHT * (max(0.0, seconds) / frames - self._each)
