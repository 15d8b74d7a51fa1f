"""The lanes of a destination against a model that is too slow to be wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ophl7.domain.changes import Stream
from ophl7.engine.lanes import Lanes
from ophl7.engine.storage import DeliveryState, OpenDelivery

Lane = tuple[int, Stream]
STREAMS: tuple[Stream, Stream] = ("record", "charges")
LANES = st.tuples(st.integers(1, 4), st.sampled_from(STREAMS))
NEW: st.SearchStrategy[Literal["queued", "parked", "held", "unknown", "sending"]] = st.sampled_from(
    ("queued", "queued", "queued", "sending", "parked", "held", "unknown")
)
STOPPED = {"parked", "held", "unknown"}


class Machine(RuleBasedStateMachine):
    """Model: a list per lane in the order of ids; what of it is out; and which lanes were united or became two."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.model: dict[Lane, list[OpenDelivery]] = {}
        self.out: dict[int, OpenDelivery] = {}
        self.by_link: set[int] = set()
        self.united: dict[int, int] = {}
        self.partings = 0
        self.apart: dict[int, int] = {}  # delivery -> the lane into which it was parted
        self.turns: dict[Lane, int] = {}
        self.now = 1000.0
        self.number = 0

    def home(self, number: int) -> int:
        while number in self.united:
            number = self.united[number]
        return number

    def place(self, delivery: OpenDelivery) -> Lane:
        return (self.home(self.apart.get(delivery.id, delivery.lane)), delivery.stream)

    def delivery(self, lane: Lane, state: DeliveryState, next_at: float | None = None) -> OpenDelivery:
        self.number += 1
        return OpenDelivery(self.number, "emr", self.home(lane[0]), lane[1], f"D{self.number}", state, 0, next_at, self.now)

    def enter(self, made: OpenDelivery) -> None:
        assert self.lanes.lane_of(made.id) is None
        self.lanes.add(made, self.now)
        self.model.setdefault(self.place(made), []).append(made)

    def ready(self, lane: Lane) -> bool:
        """Whether the model would let this lane send."""
        waiting = self.model[lane]
        if any(one.id in self.out for one in waiting):
            return False
        head = waiting[0]
        return head.state not in STOPPED and (head.next_at is None or head.next_at <= self.now)

    def put(self, changed: OpenDelivery) -> None:
        waiting = self.model[self.place(changed)]
        waiting[[one.id for one in waiting].index(changed.id)] = changed
        self.turns.clear()

    def draw_out(self, data: st.DataObject) -> OpenDelivery:
        return self.out.pop(data.draw(st.sampled_from(sorted(self.out))))

    @initialize(lanes=st.lists(st.tuples(LANES, NEW, st.none() | st.floats(990, 1100)), max_size=8))
    def take_up(self, lanes: list[tuple[Lane, DeliveryState, float | None]]) -> None:
        for lane, state, next_at in lanes:
            self.enter(self.delivery(lane, state, next_at))

    @rule(lane=LANES, state=NEW)
    def add(self, lane: Lane, state: DeliveryState) -> None:
        self.enter(self.delivery(lane, state))

    @rule()
    def take(self) -> None:
        ready = [lane for lane in self.model if self.ready(lane)]
        taken = self.lanes.take(self.now)
        if taken is None:
            assert not ready
            return
        lane = self.place(taken)
        assert lane in ready
        assert taken.id == self.model[lane][0].id, "the head of its lane, and nothing else"
        self.out[taken.id] = taken
        # Fair: nobody gets a second turn while another lane has been ready all the time.
        for other in ready:
            if other != lane:
                self.turns[other] = self.turns.get(other, 0) + 1
                assert self.turns[other] < 2 * 8, "a ready lane waits behind others' second turns"
        self.turns[lane] = 0

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        settled = self.draw_out(data)
        self.lanes.done(settled, self.now)
        lane = self.place(settled)
        self.model[lane] = [one for one in self.model[lane] if one.id != settled.id]
        if not self.model[lane]:
            del self.model[lane]
        self.turns.pop(lane, None)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), seconds=st.floats(-5, 50), for_link=st.booleans())
    def later(self, data: st.DataObject, seconds: float, for_link: bool) -> None:
        tried = self.draw_out(data)
        changed = replace(tried, attempts=tried.attempts + 1, next_at=self.now + seconds)
        self.lanes.later(tried, changed, self.now, for_link=for_link)
        (self.by_link.add if for_link else self.by_link.discard)(tried.id)
        self.put(changed)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), state=st.sampled_from(("parked", "held")))
    def stop(self, data: st.DataObject, state: Literal["parked", "held"]) -> None:
        tried = self.draw_out(data)
        changed = replace(tried, state=state)
        self.lanes.stop(tried, changed, self.now)
        self.put(changed)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        given = self.draw_out(data)
        self.lanes.give_back(given, self.now)
        self.turns = {other: turns - 1 for other, turns in self.turns.items() if other != self.place(given)}  # it was no turn

    @rule(data=st.data(), verb=st.sampled_from(("skip", "retry", "renew")))
    def decide(self, data: st.DataObject, verb: str) -> None:
        """A person decides about one that is not being sent, wherever it stands in its lane; first its lane is halted."""
        idle = [one for waiting in self.model.values() for one in waiting if one.id not in self.out]
        if not idle:
            return
        chosen = data.draw(st.sampled_from(sorted(idle, key=lambda one: one.id)))
        lane = self.place(chosen)
        found = self.lanes.waiting(chosen.id)
        assert found is not None
        assert (found[0].id, found[0].lane, found[1]) == (chosen.id, lane[0], False)
        self.lanes.halt({lane[0]})
        if verb == "skip":
            self.lanes.done(found[0], self.now)
            self.model[lane] = [one for one in self.model[lane] if one.id != chosen.id]
            if not self.model[lane]:
                del self.model[lane]
        elif verb == "retry":
            again = replace(chosen, state="queued", next_at=None)
            self.lanes.later(found[0], again, self.now, for_link=False)
            self.by_link.discard(chosen.id)
            self.put(again)
        else:
            self.lanes.renewed(chosen.id, f"N{chosen.id}", self.now)
            self.put(replace(chosen, control_id=f"N{chosen.id}", state="queued", attempts=0, next_at=None))
        self.lanes.thaw(self.now)
        self.turns.clear()

    @rule()
    def restart(self) -> None:
        """What is not settled is taken up, oldest first; the head of each lane counts as tried."""
        self.lanes = Lanes()
        self.out.clear()
        self.by_link.clear()
        self.turns.clear()
        heads = {waiting[0].id for waiting in self.model.values()}
        for one in sorted((one for waiting in self.model.values() for one in waiting), key=lambda one: one.id):
            self.lanes.add(replace(one, lane=self.place(one)[0]), self.now, recovered=True)
        frozen = self.lanes.freeze({lane for lane, _ in self.model})
        assert {one.id for one, tried in frozen if tried} >= heads
        self.lanes.thaw(self.now)

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def hurry(self) -> None:
        """What a broken link delays is due; what the peer asked to have later is not."""
        self.lanes.hurry()
        for waiting in self.model.values():
            head = waiting[0]
            delayed = head.next_at is not None and head.next_at > self.now and head.state not in STOPPED
            if delayed and head.id in self.by_link and not any(one.id in self.out for one in waiting):
                waiting[0] = replace(head, next_at=self.now)

    @rule(pair=st.permutations((1, 2, 3, 4)), late=st.none() | LANES)
    def merge(self, pair: list[int], late: Lane | None) -> None:
        """Frozen while it is committed, then one lane in the order of ids; what came meanwhile is fed before the thaw."""
        number, into = self.home(pair[0]), self.home(pair[1])
        frozen = self.lanes.freeze({number, into})
        expected = [one for lane, waiting in self.model.items() if lane[0] in {number, into} for one in waiting]
        assert sorted(one.id for one, _ in frozen) == sorted(one.id for one in expected)
        assert all(tried for one, tried in frozen if one.id in self.out or one.attempts)
        taken = self.lanes.take(self.now)
        if taken is not None:
            assert self.home(taken.lane) not in {number, into}
            self.lanes.give_back(taken, self.now)
        if number != into:
            self.lanes.unite(number, into)
            self.united[number] = into
            for stream in STREAMS:
                waiting = self.model.pop((number, stream), []) + self.model.pop((into, stream), [])
                if waiting:
                    self.model[into, stream] = sorted(waiting, key=lambda one: one.id)
        if late is not None:
            self.enter(self.delivery(late, "queued"))
        self.lanes.thaw(self.now)
        self.turns.clear()

    @rule(data=st.data(), back=st.booleans())
    def part(self, data: st.DataObject, back: bool) -> None:
        """A lane becomes two while both stand still: what moves, moves with what is out of it; and perhaps they unite again."""
        numbers = sorted({number for (number, _), waiting in self.model.items() if waiting})
        if not numbers:
            return
        self.partings += 1
        number, into = data.draw(st.sampled_from(numbers)), 1000 + self.partings
        waiting = [one for stream in STREAMS for one in self.model.get((number, stream), [])]
        chosen = data.draw(st.sets(st.sampled_from([one.id for one in waiting]), min_size=1))
        self.lanes.freeze({number})
        self.lanes.part(number, chosen, into)
        for stream in STREAMS:
            both = self.model.pop((number, stream), [])
            for lane, some in (
                (number, [one for one in both if one.id not in chosen]),
                (into, [one for one in both if one.id in chosen]),
            ):
                if some:
                    self.model[lane, stream] = some
        self.apart |= dict.fromkeys(chosen, into)
        if back:
            self.lanes.unite(into, number)
            self.united[into] = number
            for stream in STREAMS:
                both = self.model.pop((number, stream), []) + self.model.pop((into, stream), [])
                if both:
                    self.model[number, stream] = sorted(both, key=lambda one: one.id)
        self.lanes.thaw(self.now)
        self.turns.clear()

    @rule()
    def take_up_twice(self) -> None:
        """What is known is not taken up again."""
        for waiting in self.model.values():
            assert all(self.lanes.lane_of(one.id) == self.place(one)[0] for one in waiting)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.lanes.depth == sum(len(waiting) for waiting in self.model.values())
        oldest = self.lanes.oldest()
        everything = [one.id for waiting in self.model.values() for one in waiting]
        assert (oldest.id if oldest is not None else None) == min(everything, default=None)
        assert sorted(head.id for head in self.lanes.heads()) == sorted(waiting[0].id for waiting in self.model.values())

    @invariant()
    def the_next_time_is_not_after_the_first_that_is_due(self) -> None:
        due = [
            waiting[0].next_at
            for waiting in self.model.values()
            if not any(one.id in self.out for one in waiting)
            and waiting[0].state not in STOPPED
            and waiting[0].next_at is not None
            and waiting[0].next_at > self.now
        ]
        said = self.lanes.next_time()
        if due:
            assert said is not None
            assert said <= min(due)

    def teardown(self) -> None:
        """In the end everything that may go goes, in order, one of a lane at a time."""
        for number in list(self.out):
            self.lanes.give_back(self.out.pop(number), self.now)
        self.now += 10_000
        while (taken := self.lanes.take(self.now)) is not None:
            assert taken.id == self.model[self.place(taken)].pop(0).id
            self.lanes.done(taken, self.now)
        assert all(not waiting or waiting[0].state in STOPPED for waiting in self.model.values())


TestLanes = Machine.TestCase
TestLanes.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
