"""The outbox of a broker that does not run: what waits in its lanes, for a merge that had waited for a patient of a list.

A list itself makes no delivery. What had waited for its patients does, and one of those messages may be a merge (#65): then it
must know what of the united lanes may have been tried (engine.merging). Nothing is sent here, so nothing ever moves by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ophl7.domain.patient import Side
from ophl7.engine.handover import fresh, made_anew
from ophl7.engine.lanes import Lanes
from ophl7.engine.storage import OpenDelivery, Rows, as_open


class StandingOutbox:
    """Everything that is not settled, in its lanes, as it will be found by the broker that starts afterwards."""

    def __init__(self, waiting: Iterable[OpenDelivery], unreachable: Collection[Side], now: float) -> None:
        """waiting: oldest first. unreachable: destinations to which nothing can have been on its way (outbox.Outbox.start)."""
        self._now = now
        self._lanes: dict[Side, Lanes] = {"pm": Lanes(), "emr": Lanes()}
        for delivery in waiting:
            side = delivery.destination
            self._lanes[side].add(delivery, now, recovered=side not in unreachable)

    def freeze(self, lanes: Collection[int]) -> list[tuple[OpenDelivery, bool]]:
        """What waits in these lanes, each with whether its bytes may have been tried."""
        return [found for queue in self._lanes.values() for found in queue.freeze(lanes)]

    def committed(self, rows: Rows) -> None:
        """These rows are on disk."""
        for queue in self._lanes.values():
            for lane, into in (step for step in rows.united if isinstance(step, tuple)):  # a list takes nothing apart
                queue.unite(lane, into)
            for one in made_anew(rows):
                if one.renewed and queue.lane_of(one.id) is not None:
                    queue.renewed(one.id, one.renewed, self._now)
        for row, _ in fresh(rows):
            made = as_open(row)
            self._lanes[row.destination].add(made, self._now)

    def thaw(self) -> None:
        """The batch is over, whatever became of it."""
        for queue in self._lanes.values():
            queue.thaw(self._now)
