"""When to try again: a pure function of the attempt, so that it survives a restart and can be shown to people."""

from __future__ import annotations

# No two peers restart in step: each delay is spread by this share of itself, up and down.
JITTER = 0.2


def delay(attempt: int, first: float, longest: float, chance: float) -> float:
    """Seconds to wait after the `attempt`-th try (from 1): doubling from `first` up to `longest`.

    chance: 0 to 1, for the jitter.
    """
    doubled = first * 2.0 ** min(max(attempt, 1) - 1, 60)
    return min(doubled, longest) * (1 - JITTER + 2 * JITTER * chance)
