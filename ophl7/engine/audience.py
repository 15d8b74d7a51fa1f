"""Who hears of a commit: whoever logs and counts, and the outbox."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from ophl7.engine.deciding import Decision
from ophl7.engine.storage import DeliveryMark, DeliveryRow, LinkMark, OpenDelivery, Parting, PauseMark, Rendering

Mark = DeliveryMark | LinkMark | PauseMark


class Observer(Protocol):
    """Told afterwards what happened, for logs and metrics. It cannot change the outcome."""

    def decided(self, decision: Decision) -> None:
        """One message was committed; its answer leaves now."""

    def committed(self, frames: int, seconds: float) -> None:
        """One batch went to disk. seconds: load, judging and commit."""

    def store_away(self, reason: str) -> None:
        """The database cannot be written: nothing is accepted until it can."""

    def store_back(self) -> None:
        """The database can be written again."""

    def failed_alone(self, peer: str, reason: str) -> None:
        """A message could not be written although the database works; it is in custody."""


class Outlet(Protocol):
    """The outbox, as the batch loop sees it."""

    def feed(self, rows: Sequence[tuple[DeliveryRow, bytes | None]]) -> None:
        """New deliveries, committed; with each its bytes where they are at hand."""

    def marked(self, marks: Sequence[Mark]) -> None:
        """These marks are on disk: their lanes and links may go on."""

    def freeze(self, lanes: Collection[int]) -> Sequence[tuple[OpenDelivery, bool]]:
        """These lanes send nothing until `thaw`. What waits in them, each with whether its bytes may have been tried."""

    def merged(self, united: Sequence[tuple[int, int] | Parting], rendered: Sequence[Rendering]) -> None:
        """Merges are on disk: lanes that are one, or two, from now on, and what waits in them with other bytes."""

    def thaw(self) -> None:
        """The batch is over: frozen lanes go on."""
