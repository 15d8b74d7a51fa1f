"""Order, independence and cost of lanes; the rest is in the property tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FrameType

import pytest

from ophl7.domain.changes import Stream
from ophl7.engine.lanes import Lanes
from ophl7.engine.storage import DeliveryState, OpenDelivery


def delivery(
    number: int, lane: int = 1, stream: Stream = "record", next_at: float | None = None, state: DeliveryState = "queued"
) -> OpenDelivery:
    return OpenDelivery(number, "emr", lane, stream, f"D{number}", state, 0, next_at, 0.0)


def filled(*deliveries: OpenDelivery) -> Lanes:
    lanes = Lanes()
    for one in deliveries:
        lanes.add(one, 0.0)
    return lanes


def ids(lanes: Lanes, now: float = 0.0) -> list[int]:
    found = []
    while (taken := lanes.take(now)) is not None:
        found.append(taken.id)
    return found


def test_one_of_a_lane_is_out_at_a_time_and_streams_do_not_wait_for_each_other() -> None:
    lanes = filled(delivery(1), delivery(2), delivery(3, stream="charges"), delivery(4, lane=2))
    assert ids(lanes) == [1, 3, 4]
    lanes.done(delivery(1), 0.0)
    assert ids(lanes) == [2]


def test_a_stuck_lane_stops_itself_only() -> None:
    lanes = filled(delivery(1), delivery(2), delivery(3, lane=2))
    head = lanes.take(0.0)
    assert head is not None
    lanes.stop(head, replace(head, state="parked"), 0.0)
    assert ids(lanes) == [3]
    lanes.hurry()
    assert ids(lanes, 1e9) == []


def test_a_busy_lane_does_not_get_a_second_turn_before_the_others_had_their_first() -> None:
    lanes = filled(*(delivery(number, lane=1) for number in range(1, 5)), *(delivery(10 + n, lane=2 + n) for n in range(3)))
    order = []
    while (taken := lanes.take(0.0)) is not None:
        order.append(taken.id)
        lanes.done(taken, 0.0)
    assert order == [1, 10, 11, 12, 2, 3, 4]


def test_a_lane_that_a_broken_link_delays_waits_for_its_time_or_for_the_peer() -> None:
    lanes = filled(delivery(1), delivery(2), delivery(3, lane=2))
    head = lanes.take(0.0)
    assert head is not None
    lanes.later(head, replace(head, next_at=50.0), 0.0, for_link=True)
    assert ids(lanes, 10.0) == [3]
    assert lanes.next_time() == 50.0
    lanes.hurry()
    assert ids(lanes, 10.0) == [1]


def test_what_the_peer_asked_to_have_later_keeps_its_time_also_when_the_peer_is_seen_alive() -> None:
    lanes = filled(delivery(1), delivery(2, next_at=40.0, lane=2))
    head = lanes.take(0.0)
    assert head is not None
    lanes.later(head, replace(head, next_at=50.0), 0.0, for_link=False)
    lanes.hurry()
    assert ids(lanes, 10.0) == []
    assert ids(lanes, 45.0) == [2]
    assert ids(lanes, 50.0) == [1]


def test_united_lanes_send_nothing_until_what_is_out_in_both_has_settled() -> None:
    lanes = filled(delivery(1), delivery(2, lane=2), delivery(3), delivery(4, lane=2))
    first, second = lanes.take(0.0), lanes.take(0.0)
    assert first is not None
    assert second is not None
    assert {one.id: tried for one, tried in lanes.freeze({1, 2})} == {1: True, 2: True, 3: False, 4: False}
    lanes.unite(1, 2)
    lanes.thaw(0.0)
    assert ids(lanes) == []
    lanes.done(second, 0.0)
    assert ids(lanes) == []
    lanes.later(first, replace(first, attempts=1, next_at=5.0), 0.0, for_link=False)
    assert ids(lanes) == []
    assert [(one.id, one.lane) for one in lanes.heads()] == [(1, 2)]
    again = lanes.take(5.0)
    assert again is not None
    assert (again.id, again.lane, again.attempts) == (1, 2, 1)
    lanes.done(again, 5.0)
    third = lanes.take(5.0)
    assert third is not None
    lanes.done(third, 5.0)
    assert (third.id, ids(lanes, 5.0)) == (3, [4])
    assert lanes.depth == 1


def test_a_parked_delivery_of_a_united_lane_stops_what_came_after_it_and_not_what_came_before() -> None:
    lanes = filled(delivery(1), delivery(2, lane=2, state="parked"), delivery(3), delivery(4, lane=2))
    lanes.freeze({1, 2})
    assert ids(lanes) == []
    lanes.unite(2, 1)
    lanes.thaw(0.0)
    head = lanes.take(0.0)
    assert head is not None
    assert head.id == 1
    lanes.done(head, 0.0)
    assert ids(lanes) == []


def test_a_frozen_lane_that_fills_meanwhile_goes_on_when_it_thaws() -> None:
    lanes = filled()
    assert lanes.freeze({1}) == []
    lanes.add(delivery(1), 0.0)
    assert ids(lanes) == []
    lanes.thaw(0.0)
    assert ids(lanes) == [1]


def test_what_was_not_tried_after_all_goes_first_again() -> None:
    lanes = filled(delivery(1), delivery(2, lane=2))
    head = lanes.take(0.0)
    assert head is not None
    lanes.give_back(head, 0.0)
    assert ids(lanes) == [1, 2]


@pytest.mark.parametrize("stopped", [False, True])
def test_giving_one_out_takes_as_many_steps_with_many_waiting_as_with_few(stopped: bool) -> None:
    def steps(depth: int) -> int:
        lanes = filled(*(delivery(number, lane=number % (depth // 2)) for number in range(depth)))
        if stopped:
            for _ in range(depth // 4):
                head = lanes.take(0.0)
                assert head is not None
                lanes.stop(head, replace(head, state="parked"), 0.0)
        return count(lambda: lanes.done(lanes.take(0.0) or delivery(0), 0.0))

    assert steps(4000) == steps(40)


@pytest.mark.parametrize("verb", ["done", "stop", "later", "renewed", "waiting", "halt"])
def test_what_a_person_decides_in_the_middle_of_a_hot_lane_takes_as_many_steps_as_in_a_short_one(verb: str) -> None:
    def steps(depth: int) -> int:
        lanes = filled(*(delivery(number) for number in range(depth)))
        one = delivery(depth // 2)
        acts: dict[str, Callable[[], object]] = {
            "done": lambda: lanes.done(one, 0.0),
            "stop": lambda: lanes.stop(one, replace(one, state="parked"), 0.0),
            "later": lambda: lanes.later(one, replace(one, next_at=5.0), 0.0, for_link=False),
            "renewed": lambda: lanes.renewed(one.id, "N1", 0.0),
            "waiting": lambda: lanes.waiting(one.id),
            "halt": partial(lanes.halt, {1}),
        }
        return count(acts[verb])

    assert steps(4000) == steps(40)


def test_the_oldest_is_known_without_a_look_at_the_lanes() -> None:
    def steps(depth: int) -> int:
        lanes = filled(*(delivery(number, lane=number) for number in range(1, depth)))
        for number in range(1, depth - 1):
            lanes.done(delivery(number), 0.0)
        oldest = lanes.oldest()
        assert oldest is not None
        assert oldest.id == depth - 1
        return count(lanes.oldest)

    assert steps(4000) == steps(40)
    assert filled().oldest() is None


def test_a_peer_that_is_seen_alive_wakes_what_waits_for_it_and_no_look_is_taken_at_the_rest() -> None:
    def steps(depth: int) -> int:
        lanes = filled(*(delivery(number, lane=number, next_at=50.0) for number in range(1, depth)))
        lanes.add(delivery(depth, lane=depth), 0.0)
        head = lanes.take(0.0)
        assert head is not None
        lanes.later(head, replace(head, next_at=50.0), 0.0, for_link=True)
        found = count(lanes.hurry)
        assert ids(lanes) == [depth]
        return found

    assert steps(4000) == steps(40)


def test_a_link_that_comes_and_goes_leaves_nothing_behind() -> None:
    lanes = filled(*(delivery(number, lane=number) for number in range(10)))
    for turn in range(1000):
        while (head := lanes.take(float(turn))) is not None:
            lanes.later(head, replace(head, next_at=turn + 1e6), float(turn), for_link=True)
        lanes.halt({3})
        lanes.thaw(float(turn))
        lanes.hurry()
    assert len(lanes._delayed) < 100
    assert len(lanes._ready) == 10
    assert len(ids(lanes, 1e9)) == 10


def test_a_lane_with_very_many_waiting_has_one_turn_in_each_round() -> None:
    """50,000 of one patient do not starve the others: between two of its sends every other ready lane has one."""
    lanes = filled(*(delivery(number) for number in range(50_000)))
    for number in range(3):
        for lane in range(2, 10):
            lanes.add(delivery(50_000 + number * 10 + lane, lane=lane), 0.0)
    turns = []
    for _ in range(27):
        head = lanes.take(0.0)
        assert head is not None
        turns.append(head.lane)
        lanes.done(head, 0.0)
    assert [turns.count(lane) for lane in range(1, 10)] == [3] * 9


def count(call: Callable[[], object]) -> int:
    """Lines that are executed: steps, not time."""
    executed = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> object:
        nonlocal executed
        executed += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        call()
    finally:
        sys.settrace(before)
    return executed


def test_what_is_given_back_behind_a_delayed_one_of_a_united_lane_waits_for_that_ones_time() -> None:
    lanes = filled(delivery(1, next_at=50.0), delivery(2, lane=2))
    head = lanes.take(0.0)
    assert head is not None
    lanes.freeze({1, 2})
    lanes.unite(1, 2)
    lanes.thaw(0.0)
    lanes.give_back(head, 0.0)
    assert ids(lanes) == []
    assert ids(lanes, 50.0) == [1]


def test_a_delay_that_the_peer_has_ended_does_not_come_back_with_a_merge() -> None:
    lanes = filled(delivery(1))
    head = lanes.take(0.0)
    assert head is not None
    lanes.later(head, replace(head, next_at=50.0), 0.0, for_link=True)
    lanes.hurry()
    lanes.freeze({1, 2})
    lanes.unite(1, 2)
    lanes.thaw(0.0)
    assert ids(lanes) == [1]


def test_the_oldest_that_may_be_sent_is_in_no_lane_that_waits_for_a_person() -> None:
    lanes = filled(delivery(1), delivery(2), delivery(5, lane=2), delivery(6, lane=3, next_at=60.0))

    def unblocked() -> int | None:
        found = lanes.oldest_unblocked()
        return found.id if found is not None else None

    assert unblocked() == 1
    lanes.stop(delivery(1), delivery(1, state="parked"), 0.0)
    assert unblocked() == 5, "what waits behind the parked one waits for the same person"
    lanes.done(delivery(5, lane=2), 0.0)
    assert unblocked() == 6, "one that is tried later waits too"
    lanes.stop(delivery(6, lane=3), delivery(6, lane=3, state="held"), 0.0)
    assert unblocked() is None
    lanes.later(delivery(1, state="parked"), delivery(1), 0.0, for_link=False)
    assert unblocked() == 1
    lanes.unite(1, 3)
    lanes.done(delivery(1), 0.0)
    assert unblocked() == 2
    lanes.done(delivery(2), 0.0)
    assert unblocked() is None
    lanes.renewed(6, "D66", 0.0)
    assert unblocked() == 6


def test_what_is_sent_again_is_as_young_as_it_is_though_it_stands_before_older_ones() -> None:
    copy = replace(delivery(12), resend_of=3, resend=1)
    lanes = filled(delivery(4), delivery(7, lane=2), copy)
    lanes.by_age()
    order = []
    while (found := lanes.oldest_unblocked()) is not None:
        order.append(found.id)
        lanes.done(found, 0.0)
    assert order == [7, 12, 4]


def test_it_is_known_in_as_many_steps_and_from_as_many_notes_whatever_has_gone() -> None:
    lanes = filled(*(delivery(number, lane=number) for number in range(1, 4001)))
    for number in range(1, 4001):
        lanes.done(delivery(number, lane=number), 0.0)
        lanes.add(delivery(4000 + number, lane=1), 0.0)
    assert len(lanes._unblocked) <= 64 + 2 * 4001
    found = lanes.oldest_unblocked()
    assert found is not None
    assert found.id == 4001
