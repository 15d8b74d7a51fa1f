"""Who may be sent next: lanes in order, each independent of the others (decisions 8). Pure: the clock is handed in."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ophl7.domain.changes import Stream
from ophl7.engine.storage import OpenDelivery

LaneKey = tuple[int, Stream]


@dataclass(slots=True)
class _Lane:
    waiting: deque[OpenDelivery] = field(default_factory=deque)
    busy: bool = False  # its head is being sent, or waits for the commit of its mark
    stopped: bool = False  # its head is parked or held: a person or an event moves it
    not_before: float | None = None


class Lanes:
    """The queue of one destination. A lane gives its head out once, and the next only when that one is settled.

    Nothing here grows with the rows already settled, and giving one out takes the same time whatever waits.
    """

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, _Lane] = {}
        self._ready: deque[LaneKey] = deque()
        self._delayed: list[tuple[float, int, LaneKey]] = []
        self._ticket = 0
        self.depth = 0

    def add(self, delivery: OpenDelivery, now: float) -> None:
        """A new delivery at the end of its lane. One that is parked or held stops its lane from here."""
        key = (delivery.lane, delivery.stream)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        lane.waiting.append(delivery)
        self.depth += 1
        if len(lane.waiting) == 1:
            self._arm(key, lane, now)

    def has(self, delivery: OpenDelivery) -> bool:
        """Whether it waits here already."""
        lane = self._lanes.get((delivery.lane, delivery.stream))
        if lane is None or lane.waiting[-1].id < delivery.id:  # ids ascend in a lane
            return False
        return any(waiting.id == delivery.id for waiting in lane.waiting)

    def take(self, now: float) -> OpenDelivery | None:
        """The head of the lane that has waited longest; None when no lane may send."""
        while self._delayed and self._delayed[0][0] <= now:
            _, _, key = heapq.heappop(self._delayed)
            lane = self._lanes.get(key)
            if lane is not None and lane.not_before is not None and lane.not_before <= now and not lane.busy:
                lane.not_before = None
                self._ready.append(key)
        while self._ready:
            key = self._ready.popleft()
            lane = self._lanes.get(key)
            if lane is None or lane.busy or lane.stopped or lane.not_before is not None or not lane.waiting:
                continue
            lane.busy = True
            return lane.waiting[0]
        return None

    def give_back(self, delivery: OpenDelivery) -> None:
        """It was not tried after all (nobody answers the connection): its lane is the next again."""
        key = (delivery.lane, delivery.stream)
        self._lanes[key].busy = False
        self._ready.appendleft(key)

    def done(self, delivery: OpenDelivery, now: float) -> None:
        """The head is settled for good: the next of its lane may go."""
        key = (delivery.lane, delivery.stream)
        lane = self._lanes[key]
        lane.waiting.popleft()
        lane.busy = False
        self.depth -= 1
        if lane.waiting:
            self._arm(key, lane, now)
        else:
            del self._lanes[key]

    def later(self, delivery: OpenDelivery, changed: OpenDelivery, when: float) -> None:
        """The head is tried again at `when`; nothing of its lane goes before."""
        key = (delivery.lane, delivery.stream)
        lane = self._lanes[key]
        lane.waiting[0] = changed
        lane.busy = False
        self._delay(key, lane, when)

    def stop(self, delivery: OpenDelivery, changed: OpenDelivery) -> None:
        """The head is parked or held: its lane waits for a person or an event, the others go on."""
        lane = self._lanes[delivery.lane, delivery.stream]
        lane.waiting[0] = changed
        lane.busy = False
        lane.stopped = True

    def hurry(self) -> None:
        """Everything that waits for its time is due now: the peer was seen alive."""
        for _, _, key in self._delayed:
            lane = self._lanes.get(key)
            if lane is not None and lane.not_before is not None:
                lane.not_before = None
                self._ready.append(key)
        self._delayed.clear()

    def next_time(self) -> float | None:
        """When the next delayed lane is due; None when none is."""
        return self._delayed[0][0] if self._delayed else None

    def heads(self) -> Iterator[OpenDelivery]:
        """The oldest delivery of each lane."""
        return (lane.waiting[0] for lane in self._lanes.values() if lane.waiting)

    def _arm(self, key: LaneKey, lane: _Lane, now: float) -> None:
        head = lane.waiting[0]
        if head.state in {"parked", "held", "unknown"}:
            lane.stopped = True
        elif head.next_at is not None and head.next_at > now:
            self._delay(key, lane, head.next_at)
        else:
            self._ready.append(key)

    def _delay(self, key: LaneKey, lane: _Lane, when: float) -> None:
        self._ticket += 1
        lane.not_before = when
        heapq.heappush(self._delayed, (when, self._ticket, key))
