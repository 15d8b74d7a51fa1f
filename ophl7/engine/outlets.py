"""Both outboxes behind the batch loop's one outlet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ophl7.domain.patient import Side
from ophl7.engine.audience import Mark
from ophl7.engine.outbox import Outbox
from ophl7.engine.storage import DeliveryRow, OpenDelivery, Parting, PauseMark, Rendering


class Outlets:
    """Implements `engine.audience.Outlet`."""

    def __init__(self) -> None:
        self._outboxes: dict[Side, Outbox] = {}
        self._frozen = False
        self.on_drain: Callable[[Side, str], None] = lambda _side, _reason: None
        """Told when it is on disk that nothing is taken from a peer, with why; "": it is again."""

    def add(self, outbox: Outbox) -> None:
        """Before anything is fed."""
        self._outboxes[outbox.destination] = outbox

    def feed(self, rows: Sequence[tuple[DeliveryRow, bytes | None]]) -> None:
        """Each to its destination."""
        for row, body in rows:
            self._outboxes[row.destination].feed(row, body)

    def marked(self, marks: Sequence[Mark]) -> None:
        """Each to the outbox that tried it; the others do not know the id."""
        for mark in marks:
            if isinstance(mark, PauseMark) and mark.way == "drain":
                self.on_drain(mark.destination, mark.reason)
                continue
            for outbox in self._outboxes.values():
                outbox.marked(mark)

    def freeze(self, lanes: Collection[int]) -> list[tuple[OpenDelivery, bool]]:
        """In both."""
        self._frozen = True
        return [found for outbox in self._outboxes.values() for found in outbox.freeze(lanes)]

    def stop(self, delivery: int, *, let_go: bool = False) -> tuple[OpenDelivery, bool] | None:
        """Its lane sends nothing until `thaw`. The delivery, and whether it is being sent now; None when it does not wait."""
        self._frozen = True
        for outbox in self._outboxes.values():
            found = outbox.hold_back(delivery, let_go=let_go)
            if found is not None:
                return found
        return None

    def paused(self, destination: Side) -> str | None:
        """Why nothing is sent there; None when it is."""
        return self._outboxes[destination].paused_because

    def merged(self, united: Sequence[tuple[int, int] | Parting], rendered: Sequence[Rendering]) -> None:
        """In both; each knows its own deliveries."""
        for outbox in self._outboxes.values():
            outbox.merged(united, rendered)

    def thaw(self) -> None:
        """In both; after nearly every batch there is nothing to do."""
        if self._frozen:
            self._frozen = False
            for outbox in self._outboxes.values():
                outbox.thaw()
