"""Who may be sent next: lanes in order, each independent of the others (decisions 8). Pure: the clock is handed in."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile

from ophl7.domain.changes import Stream
from ophl7.engine.storage import OpenDelivery

LaneKey = tuple[int, Stream]
_STREAMS: tuple[Stream, Stream] = ("record", "charges")
_NOBODY: frozenset[int] = frozenset()  # one for all lanes: a set of its own would be half of what a lane takes
_SPARE = 64  # entries of the heap that may be untrue beside as many as are true


# A head in one of these states waits for a person or an event; its lane stops, the others go on.
STOPPED = frozenset({"parked", "held", "unknown"})


@dataclass(slots=True)
class _Lane:
    waiting: OrderedDict[int, OpenDelivery] = field(default_factory=OrderedDict)  # in the order of _order
    out: frozenset[int] = _NOBODY  # being sent, or waiting for the commit of their mark
    frozen: bool = False  # a merge is being committed: nothing is given out, what waits may be about to change
    not_before: float | None = None

    def back(self, delivery: int) -> None:
        """It is out no more."""
        self.out = (self.out - {delivery}) or _NOBODY

    @property
    def head(self) -> OpenDelivery:
        """What may be sent next of it; a lane with nothing in it is none."""
        return self.waiting[next(iter(self.waiting))]


class Lanes:
    """The queue of one destination. A lane gives its head out once, and the next only when that one is settled.

    Nothing here grows with the rows already settled. Whatever waits, each of these takes the same time: a new one, giving one
    out, settling it wherever it stands in its lane, the depth, the oldest. Only merges look at all that waits in their lanes,
    and `hurry` at the lanes that it wakes.
    """

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, _Lane] = {}
        self._ready: OrderedDict[LaneKey, None] = OrderedDict()  # in the order of their turns, each once
        self._delayed: list[tuple[float, int, LaneKey]] = []  # a heap; what is no longer true in it is passed over
        self._asleep: set[LaneKey] = set()  # lanes with a `not_before`
        self._link_asleep: dict[LaneKey, None] = {}  # those of them that wait because the link failed
        # Delivery -> its lane, which a merge may have changed; oldest first. Not a dict: its first key is found by passing over
        # all that were taken out before it.
        self._where: OrderedDict[int, LaneKey] = OrderedDict()
        self._recovered: set[int] = set()  # heads that may have been on their way when the process before ended
        self._for_link: set[int] = set()  # delayed because the link failed, not because the peer asked for it
        self._frozen: set[int] = set()
        self._ticket = 0
        # A heap of heads that do not stop their lane, by id; what is no longer true in it is passed over.
        self._unblocked: list[tuple[int, LaneKey]] = []

    @property
    def depth(self) -> int:
        """How many deliveries wait."""
        return len(self._where)

    @property
    def recovered(self) -> bool:
        """Whether anything waits that may have been on its way when the process before ended."""
        return bool(self._recovered)

    def add(self, delivery: OpenDelivery, now: float, *, recovered: bool = False) -> None:
        """A new delivery at its place in its lane, nearly always the end. One that is parked or held stops its lane from here.

        recovered: it waited before this process began; as its lane's head it may have been tried.
        """
        key = (delivery.lane, delivery.stream)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(frozen=key[0] in self._frozen)
        _insert(lane.waiting, delivery)
        self._where[delivery.id] = key
        if lane.head is delivery:
            self._note_head(key, lane)
            if recovered:
                self._recovered.add(delivery.id)
            self._go_on(key, lane, now)

    def waiting(self, delivery: int) -> tuple[OpenDelivery, bool] | None:
        """A delivery that waits here, and whether it is out: being sent, or waiting for the commit of its mark."""
        key = self._where.get(delivery)
        if key is None:
            return None
        lane = self._lanes[key]
        return lane.waiting[delivery], delivery in lane.out

    def lane_of(self, delivery: int) -> int | None:
        """The lane in which it waits; None when it does not wait here."""
        key = self._where.get(delivery)
        return None if key is None else key[0]

    def take(self, now: float) -> OpenDelivery | None:
        """The head of the lane that has waited longest; None when no lane may send."""
        while self._delayed and self._delayed[0][0] <= now:
            _, _, key = heapq.heappop(self._delayed)
            lane = self._lanes.get(key)
            if lane is not None and lane.not_before is not None and lane.not_before <= now and not lane.out:
                self._awake(key, lane)
                self._queue(key)
        while self._ready:
            key, _ = self._ready.popitem(last=False)
            lane = self._lanes.get(key)
            if lane is None or lane.out or lane.frozen or lane.not_before is not None:
                continue
            head = lane.head
            if head.state in STOPPED:
                continue
            lane.out |= {head.id}
            return head
        return None

    def give_back(self, delivery: OpenDelivery, now: float) -> None:
        """It was not tried after all (nobody answers the connection): its lane is the next again.

        A person may have let it go meanwhile: then its lane has gone on.
        """
        key = self._where.get(delivery.id)
        if key is None:
            return
        lane = self._lanes[key]
        lane.back(delivery.id)
        if lane.head.id != delivery.id:  # a merge has put another one before it, which may have a time of its own
            self._go_on(key, lane, now)
        elif not lane.out:
            self._queue(key)
            self._ready.move_to_end(key, last=False)

    def done(self, delivery: OpenDelivery, now: float) -> None:
        """It is settled for good: the next of its lane may go."""
        key = self._where.pop(delivery.id)
        self._recovered.discard(delivery.id)
        self._for_link.discard(delivery.id)
        lane = self._lanes[key]
        lane.back(delivery.id)
        del lane.waiting[delivery.id]  # not always its head: a person skips it, or a merge has put an older one before it
        if not lane.waiting:
            self._drop(key, lane)
        else:
            self._note_head(key, lane)
            self._go_on(key, lane, now)

    def later(self, delivery: OpenDelivery, changed: OpenDelivery, now: float, *, for_link: bool) -> None:
        """It is tried again at `changed.next_at`; nothing of its lane goes before.

        for_link: the delay is over as soon as the peer is seen alive; otherwise the peer asked for it.
        """
        key, lane = self._put(delivery, changed)
        (self._for_link.add if for_link else self._for_link.discard)(delivery.id)
        self._go_on(key, lane, now)

    def stop(self, delivery: OpenDelivery, changed: OpenDelivery, now: float) -> None:
        """It is parked or held: its lane waits there for a person or an event, the others go on."""
        key, lane = self._put(delivery, changed)
        self._go_on(key, lane, now)

    def hurry(self) -> None:
        """The peer was seen alive: what waits because the link had failed is due now."""
        for key in tuple(self._link_asleep):
            lane = self._lanes[key]
            head = lane.head
            self._awake(key, lane)
            lane.waiting[head.id] = replace(head, next_at=None)
            self._queue(key)

    # -- merges -------------------------------------------------------------------------------------------------------

    def freeze(self, lanes: Collection[int], unsent: Collection[int] = ()) -> list[tuple[OpenDelivery, bool]]:
        """From now on these lanes give nothing out. What waits in them, each with whether its bytes may have been tried.

        unsent: given out, but not a byte has left since then; it may have been tried before that.
        """
        self.halt(lanes)
        keys = ((number, stream) for number in lanes for stream in _STREAMS)
        found = [lane for key in keys if (lane := self._lanes.get(key)) is not None]
        return [(one, self._tried(one, lane, unsent)) for lane in found for one in lane.waiting.values()]

    def halt(self, lanes: Collection[int]) -> None:
        """The same without looking at what waits in them."""
        self._frozen.update(lanes)
        for number in lanes:
            for stream in _STREAMS:
                lane = self._lanes.get((number, stream))
                if lane is not None:
                    lane.frozen = True

    def frozen(self, delivery: int) -> bool:
        """Whether the lane in which it waits stands still for a merge."""
        return self._lanes[self._where[delivery]].frozen

    def thaw(self, now: float) -> None:
        """Whatever became of the merge, its lanes go on."""
        frozen, self._frozen = self._frozen, set()
        for number in frozen:
            for stream in _STREAMS:
                key = (number, stream)
                lane = self._lanes.get(key)
                if lane is not None:
                    lane.frozen = False
                    self._go_on(key, lane, now)

    def unite(self, number: int, into: int) -> None:
        """Lane `number` goes on in `into`, in the order of ids. Nothing is sent until what is out in both has settled."""
        for stream in _STREAMS:
            lane = self._lanes.get((number, stream))
            if lane is None:
                continue
            self._drop((number, stream), lane)
            key = (into, stream)
            home = self._lanes.setdefault(key, _Lane(frozen=into in self._frozen))
            self._where.update(dict.fromkeys(lane.waiting, key))
            home.waiting = _in_order(home.waiting.values(), (replace(one, lane=into) for one in lane.waiting.values()))
            home.out |= lane.out
            self._note_head(key, home)
            self._awake(key, home)

    def part(self, number: int, deliveries: Collection[int], into: int) -> None:
        """These deliveries of lane `number`, what is out among them too, go on in `into`, in the order of ids (#73)."""
        for stream in _STREAMS:
            key, lane = (into, stream), self._lanes.get((number, stream))
            moved = [] if lane is None else [replace(one, lane=into) for one in lane.waiting.values() if one.id in deliveries]
            if lane is None or not moved:
                continue
            ids = {one.id for one in moved}
            if lane.frozen:  # the new one stands still as long: `thaw` sets both going
                self._frozen.add(into)
            home = self._lanes.setdefault(key, _Lane(frozen=lane.frozen))
            home.frozen = home.frozen or lane.frozen
            home.waiting = _in_order(home.waiting.values(), moved)
            home.out |= lane.out & ids
            self._note_head(key, home)
            self._awake(key, home)
            lane.out -= ids
            for one in moved:
                del lane.waiting[one.id]
            self._awake((number, stream), lane)
            self._where.update(dict.fromkeys(ids, key))
            if lane.waiting:
                self._note_head((number, stream), lane)
            else:
                self._drop((number, stream), lane)

    def renewed(self, number: int, control_id: str, now: float) -> OpenDelivery:
        """A delivery that the receiver had refused is new again: another control id, no try so far. As it was before."""
        key = self._where[number]
        lane = self._lanes[key]
        before = lane.waiting[number]
        lane.waiting[number] = replace(before, control_id=control_id, state="queued", attempts=0, next_at=None)
        self._recovered.discard(number)
        if before.state in STOPPED:
            self._note_head(key, lane)
        self._go_on(key, lane, now)
        return before

    # -- inside -------------------------------------------------------------------------------------------------------

    def _tried(self, delivery: OpenDelivery, lane: _Lane, unsent: Collection[int]) -> bool:
        out = delivery.id in lane.out and delivery.id not in unsent
        return out or delivery.id in self._recovered or delivery.attempts > 0 or delivery.state == "sending"

    def _put(self, delivery: OpenDelivery, changed: OpenDelivery) -> tuple[LaneKey, _Lane]:
        key = self._where[delivery.id]
        lane = self._lanes[key]
        lane.back(delivery.id)
        before = lane.waiting[delivery.id]
        lane.waiting[delivery.id] = replace(changed, lane=key[0])
        if before.state in STOPPED:
            self._note_head(key, lane)
        return key, lane

    def _go_on(self, key: LaneKey, lane: _Lane, now: float) -> None:
        if not lane.out and not lane.frozen:
            self._arm(key, lane, now)

    def next_time(self) -> float | None:
        """When the next delayed lane is due; None when none is."""
        return self._delayed[0][0] if self._delayed else None

    def heads(self) -> Iterator[OpenDelivery]:
        """The oldest delivery of each lane: as many as there are lanes."""
        return (lane.head for lane in self._lanes.values())

    def oldest(self) -> OpenDelivery | None:
        """What has waited longest; None when nothing waits."""
        if not self._where:
            return None
        number = next(iter(self._where))
        return self._lanes[self._where[number]].waiting[number]

    def by_age(self) -> None:
        """What was added in the order of places is told by its age again: what is sent again is younger than its place."""
        self._where = OrderedDict(sorted(self._where.items()))

    def oldest_unblocked(self) -> OpenDelivery | None:
        """What has waited longest of the heads that may be sent, now or later; None when each lane waits for something else."""
        while self._unblocked:
            head = self._head_of(*self._unblocked[0])
            if head is not None:
                return head
            heapq.heappop(self._unblocked)
        return None

    def _head_of(self, number: int, key: LaneKey) -> OpenDelivery | None:
        """The head of this lane, if it is this delivery and does not stop its lane."""
        lane = self._lanes.get(key)
        return lane.head if lane is not None and lane.head.id == number and lane.head.state not in STOPPED else None

    def _note_head(self, key: LaneKey, lane: _Lane) -> None:
        if lane.head.state in STOPPED:
            return
        heapq.heappush(self._unblocked, (lane.head.id, key))
        if len(self._unblocked) > _SPARE + 2 * len(self._lanes):
            found = ((one.head.id, name) for name, one in self._lanes.items() if one.head.state not in STOPPED)
            self._unblocked = sorted(found)

    def _arm(self, key: LaneKey, lane: _Lane, now: float) -> None:
        head = lane.head
        self._awake(key, lane)
        if head.state in STOPPED:
            return
        if head.next_at is not None and head.next_at > now:
            self._sleep(key, lane, head.id, head.next_at)
        else:
            self._queue(key)

    def _queue(self, key: LaneKey) -> None:
        self._ready[key] = None  # one that is in the queue keeps its turn

    def _sleep(self, key: LaneKey, lane: _Lane, head: int, until: float) -> None:
        self._ticket += 1
        lane.not_before = until
        self._asleep.add(key)
        if head in self._for_link:
            self._link_asleep[key] = None
        heapq.heappush(self._delayed, (until, self._ticket, key))
        if len(self._delayed) > _SPARE + 2 * len(self._asleep):  # a link that comes and goes wakes lanes before their time
            self._delayed = [(self._lanes[one].not_before or 0.0, place, one) for place, one in enumerate(self._asleep)]
            self._ticket = max(self._ticket, len(self._delayed))
            heapq.heapify(self._delayed)

    def _awake(self, key: LaneKey, lane: _Lane) -> None:
        lane.not_before = None
        self._asleep.discard(key)
        self._link_asleep.pop(key, None)

    def _drop(self, key: LaneKey, lane: _Lane) -> None:
        """Nothing waits in it any more."""
        self._awake(key, lane)
        self._ready.pop(key, None)
        del self._lanes[key]


def _order(delivery: OpenDelivery) -> tuple[int, int]:
    """Its place in its lane, among those of all others: what is sent again stands where the first of it stood."""
    return delivery.order


def _insert(waiting: OrderedDict[int, OpenDelivery], delivery: OpenDelivery) -> None:
    """As many steps as there are of them that belong behind it."""
    behind = list(takewhile(lambda one: _order(waiting[one]) > _order(delivery), reversed(waiting)))
    waiting[delivery.id] = delivery
    for one in reversed(behind):
        waiting.move_to_end(one)


def _in_order(*runs: Iterable[OpenDelivery]) -> OrderedDict[int, OpenDelivery]:
    return OrderedDict((one.id, one) for one in heapq.merge(*runs, key=_order))
