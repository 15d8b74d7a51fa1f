"""From measurements to tables: medians, spreads, ratios of paired rounds, Markdown. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the least and the greatest value beside it."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 0) -> str:
        """`1234 (1200-1300)`, or the bare number when there is only one value."""
        middle = f"{self.median:,.{digits}f}"
        if self.low == self.high:
            return middle
        return f"{middle} ({self.low:,.{digits}f}-{self.high:,.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value. Raises ValueError for none."""
    if not values:
        raise ValueError("no measurement to take a median of")
    return Spread(statistics.median(values), min(values), max(values))


def percentile(ascending: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of `ascending` does not exceed (nearest rank).

    Raises ValueError when there is no value.
    """
    if not ascending:
        raise ValueError("no measurement to take a percentile of")
    rank = -(-len(ascending) * share // 1)
    return ascending[max(0, min(len(ascending), int(rank)) - 1)]


def ratios(upper: Mapping[int, float], lower: Mapping[int, float]) -> Spread | None:
    """`upper` divided by `lower`, round by round; None when they share no round.

    Paired by round because absolute rates drift with the neighbours of a shared machine, and do so for both alike.
    """
    paired = [upper[number] / lower[number] for number in sorted(upper) if lower.get(number)]
    return spread(paired) if paired else None


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers and stand to the right."""
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, rule, *rows))
