"""Deliveries that a peer has put off, which, and since when, as far as this process remembers (decisions 8)."""

from __future__ import annotations

from ophl7.domain.patient import Side


class PutOff:
    """One entry for each such delivery; there are never more than lanes."""

    def __init__(self) -> None:
        self._since: dict[int, tuple[Side, float]] = {}

    def noted(self, destination: Side, delivery: int, at: float) -> None:
        """It was put off once more; the first time counts."""
        self._since.setdefault(delivery, (destination, at))

    def over(self, delivery: int) -> None:
        """It was settled, or waits for something else."""
        self._since.pop(delivery, None)

    def since(self, destination: Side) -> float | None:
        """When the one that this peer has put off longest was put off first; None when it has put off none."""
        return min((at for side, at in self._since.values() if side == destination), default=None)

    def older(self, than: float, limit: int) -> list[int]:
        """Some that were put off first before then."""
        return [delivery for delivery, (_, at) in self._since.items() if at < than][:limit]
