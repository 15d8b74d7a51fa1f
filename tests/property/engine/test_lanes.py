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
LANES = st.tuples(st.integers(1, 4), st.sampled_from(("record", "charges")))
NEW: st.SearchStrategy[Literal["queued", "parked", "held", "unknown", "sending"]] = st.sampled_from(
    ("queued", "queued", "queued", "sending", "parked", "held", "unknown")
)


class Machine(RuleBasedStateMachine):
    """Model: a list per lane; whether its head is out, stopped, or due at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes()
        self.model: dict[Lane, list[OpenDelivery]] = {}
        self.out: dict[Lane, OpenDelivery] = {}
        self.turns: dict[Lane, int] = {}
        self.now = 1000.0
        self.number = 0

    def delivery(self, lane: Lane, state: DeliveryState, next_at: float | None = None) -> OpenDelivery:
        self.number += 1
        return OpenDelivery(self.number, "emr", lane[0], lane[1], f"D{self.number}", state, 0, next_at, self.now)

    def ready(self, lane: Lane) -> bool:
        """Whether the model would let this lane send."""
        if lane in self.out or not self.model.get(lane):
            return False
        head = self.model[lane][0]
        return head.state not in {"parked", "held", "unknown"} and (head.next_at is None or head.next_at <= self.now)

    @initialize(lanes=st.lists(st.tuples(LANES, NEW, st.none() | st.floats(990, 1100)), max_size=8))
    def take_up(self, lanes: list[tuple[Lane, DeliveryState, float | None]]) -> None:
        for lane, state, next_at in lanes:
            made = self.delivery(lane, state, next_at)
            assert not self.lanes.has(made)
            self.lanes.add(made, self.now)
            self.model.setdefault(lane, []).append(made)

    @rule(lane=LANES, state=NEW)
    def add(self, lane: Lane, state: DeliveryState) -> None:
        made = self.delivery(lane, state)
        assert not self.lanes.has(made)
        self.lanes.add(made, self.now)
        self.model.setdefault(lane, []).append(made)

    @rule()
    def take(self) -> None:
        ready = [lane for lane in self.model if self.ready(lane)]
        taken = self.lanes.take(self.now)
        if taken is None:
            assert not ready
            return
        lane: Lane = (taken.lane, taken.stream)
        assert lane in ready
        assert taken.id == self.model[lane][0].id, "the head of its lane, and nothing else"
        self.out[lane] = taken
        # Fair: nobody gets a second turn while another lane has been ready all the time.
        for other in ready:
            if other != lane:
                self.turns[other] = self.turns.get(other, 0) + 1
                assert self.turns[other] < 2 * 8, "a ready lane waits behind others' second turns"
        self.turns[lane] = 0

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(sorted(self.out)))
        self.lanes.done(self.out.pop(lane), self.now)
        self.model[lane].pop(0)
        if not self.model[lane]:
            del self.model[lane]
        self.turns.pop(lane, None)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), seconds=st.floats(-5, 50))
    def later(self, data: st.DataObject, seconds: float) -> None:
        lane = data.draw(st.sampled_from(sorted(self.out)))
        head = self.out.pop(lane)
        changed = replace(head, attempts=head.attempts + 1, next_at=self.now + seconds)
        self.lanes.later(head, changed, self.now + seconds)
        self.model[lane][0] = changed
        self.turns.pop(lane, None)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), state=st.sampled_from(("parked", "held")))
    def stop(self, data: st.DataObject, state: Literal["parked", "held"]) -> None:
        lane = data.draw(st.sampled_from(sorted(self.out)))
        head = self.out.pop(lane)
        changed = replace(head, state=state)
        self.lanes.stop(head, changed)
        self.model[lane][0] = changed
        self.turns.pop(lane, None)

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        lane = data.draw(st.sampled_from(sorted(self.out)))
        self.lanes.give_back(self.out.pop(lane))
        self.turns = {other: turns - 1 for other, turns in self.turns.items() if other != lane}  # it was no turn

    @rule(seconds=st.floats(0, 60))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def hurry(self) -> None:
        self.lanes.hurry()
        for lane, waiting in self.model.items():
            head = waiting[0]
            if head.next_at is not None and head.next_at > self.now and lane not in self.out:
                waiting[0] = replace(head, next_at=self.now)

    @rule()
    def take_up_twice(self) -> None:
        """What is known is not taken up again."""
        for waiting in self.model.values():
            assert all(self.lanes.has(one) for one in waiting)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.lanes.depth == sum(len(waiting) for waiting in self.model.values())
        assert sorted(head.id for head in self.lanes.heads()) == sorted(waiting[0].id for waiting in self.model.values())

    @invariant()
    def the_next_time_is_not_after_the_first_that_is_due(self) -> None:
        due = [
            head.next_at
            for lane, (head, *_) in self.model.items()
            if lane not in self.out
            and head.state not in {"parked", "held", "unknown"}
            and head.next_at is not None
            and head.next_at > self.now
        ]
        said = self.lanes.next_time()
        if due:
            assert said is not None
            assert said <= min(due)

    def teardown(self) -> None:
        """In the end everything that may go goes, in order, one of a lane at a time."""
        for lane in list(self.out):
            self.lanes.give_back(self.out.pop(lane))
        self.now += 10_000
        while (taken := self.lanes.take(self.now)) is not None:
            lane = (taken.lane, taken.stream)
            assert taken.id == self.model[lane].pop(0).id
            self.lanes.done(taken, self.now)
        assert all(not waiting or waiting[0].state in {"parked", "held", "unknown"} for waiting in self.model.values())


TestLanes = Machine.TestCase
TestLanes.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
