"""Merges of both sides, and merges taken apart, in any order against a small model.

Two maps, the charts that they join, and what waits for either side: no copy goes to a chart that its receiver has retired,
charges stay with their patient, both ids always find their chart, and lanes are who is joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Literal, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ophl7.engine.aftermath import CannotUnmerge, UnmergePlan
from ophl7.hl7v2.message import Message
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid

T = TypeVar("T")
Side = Literal["pm", "emr"]
SIDES: tuple[Side, Side] = ("pm", "emr")
CHARTS = 5
CHART = st.integers(0, CHARTS - 1)
SIDE = st.sampled_from(SIDES)


def id_of(side: Side, chart: int) -> str:
    return f"P{chart}^^^PM^MR" if side == "pm" else f"E{chart}^^^EMR^MR"


def merging(control_id: str, side: Side, pairs: list[tuple[int, int]]) -> bytes:
    lines = [line for retired, stays in pairs for line in (pid(id_of(side, stays)), f"MRG|{id_of(side, retired)}")]
    return message(msh("ADT^A40", control_id), "EVN||20240301100000", *lines)


class Maps:
    """The model: for each side who was merged into whom."""

    def __init__(self) -> None:
        self.of: dict[Side, dict[int, int]] = {"pm": {}, "emr": {}}
        self.pairs: list[tuple[int, int]] = []

    def path(self, side: Side, chart: int) -> list[int]:
        found = [chart]
        while found[-1] in self.of[side]:
            found.append(self.of[side][found[-1]])
        return found

    def end(self, side: Side, chart: int) -> int:
        return self.path(side, chart)[-1]

    def judge(self, side: Side, retired: int, stays: int) -> str:
        """`same`, `again`, `held` or `merged`."""
        if retired == stays:
            return "same"
        if retired in self.path(side, stays):
            return "held"
        if self.end(side, retired) == self.end(side, stays):
            return "again"
        return "held" if retired in self.of[side] else "merged"

    def merge(self, side: Side, retired: int, stays: int) -> None:
        self.of[side][retired] = stays
        if (retired, stays) not in self.pairs:
            self.pairs.append((retired, stays))

    def state(self, retired: int, stays: int) -> str:
        if all(stays not in self.path(side, retired) for side in SIDES):
            return "unmerged"
        if any(retired in self.path(side, stays)[1:] for side in SIDES):
            return "conflict"
        joined = [side for side in SIDES if self.end(side, retired) == self.end(side, stays)]
        return "two_sided" if len(joined) == 2 else "one_sided"

    def lanes(self) -> set[frozenset[int]]:
        """Charts joined by either map."""
        groups = {chart: {chart} for chart in range(CHARTS)}
        for side in SIDES:
            for one, other in self.of[side].items():
                together = groups[one] | groups[other]
                for chart in together:
                    groups[chart] = together
        return {frozenset(group) for group in groups.values()}


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.desk = Desk()
        self.maps = Maps()
        self.number = 0
        self.named: dict[str, int] = {}  # control id of a DFT -> the chart that it names
        self.updates: dict[str, int] = {}  # the same of the PM's registrations and updates, for the EMR
        self.run(self.desk.__aenter__())
        registrations = [adt(f"R{n}", ids=f"{id_of('pm', n)}~{id_of('emr', n)}") for n in range(CHARTS)]
        self.run(self.desk.send("pm", *registrations))

    def run(self, call: Awaitable[T]) -> T:
        return self.loop.run_until_complete(call)

    def teardown(self) -> None:
        self.run(self.desk.__aexit__())
        self.loop.close()

    def next_id(self, kind: str) -> str:
        self.number += 1
        return f"{kind}{self.number}"

    @rule(side=SIDE, retired=CHART, stays=CHART)
    def merge(self, side: Side, retired: int, stays: int) -> None:
        control_id = self.next_id("M")
        expected = self.maps.judge(side, retired, stays)
        codes = self.run(self.desk.send(side, merging(control_id, side, [(retired, stays)])))
        assert codes == ["AE" if expected == "same" else "AA"]
        states = {"same": "rejected", "again": "ignored", "held": "held", "merged": "accepted"}
        assert self.desk.journal(control_id).state == states[expected]
        if expected == "merged":
            self.maps.merge(side, retired, stays)

    @rule(side=SIDE, chain=st.permutations(range(CHARTS)), charged=CHART)
    def merge_two_and_charge_in_one_batch(self, side: Side, chain: list[int], charged: int) -> None:
        """Charges made in the same batch before, between and after are part of what waits."""
        one, two, three = chain[:3]
        ids = [self.next_id("C") for _ in range(3)]
        merges = [self.next_id("M") for _ in range(2)]
        charges = [dft(control_id, ft1(control_id), ids=id_of("pm", charged)) for control_id in ids]
        steps: list[tuple[str, bytes]] = [
            ("emr", charges[0]),
            (side, merging(merges[0], side, [(one, two)])),
            ("emr", charges[1]),
            (side, merging(merges[1], side, [(two, three)])),
            ("emr", charges[2]),
        ]
        for retired, stays in ((one, two), (two, three)):
            if self.maps.judge(side, retired, stays) == "merged":
                self.maps.merge(side, retired, stays)
        self.run(self.desk.one_batch(*steps))
        self.named |= dict.fromkeys(ids, charged)

    @rule(chart=CHART, way=st.sampled_from(("pm", "emr", "both")))
    def charge(self, chart: int, way: str) -> None:
        control_id = self.next_id("C")
        ids = f"{id_of('pm', chart)}~{id_of('emr', chart)}" if way == "both" else id_of("pm" if way == "pm" else "emr", chart)
        assert self.run(self.desk.send("emr", dft(control_id, ft1(control_id), ids=ids))) == ["AA"]
        assert self.desk.journal(control_id).state == "accepted"
        self.named[control_id] = chart

    @precondition(lambda self: self.maps.pairs)
    @rule(side=SIDE, data=st.data(), by_plan=st.booleans())
    def take_apart(self, side: Side, data: st.DataObject, by_plan: bool) -> None:
        """One edge of one map, or nothing where there is none. What waits about these charts follows, but what was tried."""
        pair = data.draw(st.sampled_from(self.maps.pairs))
        charts = tuple(self.chart(number) for number in pair)
        (merge,) = [one.id for one in self.desk.memory.merges.values() if (one.retired, one.survivor) == charts]
        plan = self.run(self.desk.unmerge(merge, side, look=True))
        retired, stays = pair
        if self.maps.of[side].get(retired) != stays:
            assert isinstance(plan, CannotUnmerge)
            return
        before = {number: row.lane for number, row in self.desk.memory.deliveries.items()}
        done = self.run(self.desk.unmerge(merge, side, plan.token if by_plan else None))
        assert isinstance(done, UnmergePlan)
        assert done.token == plan.token
        del self.maps.of[side][retired]
        apart = all(retired not in group or stays not in group for group in self.maps.lanes())
        assert done.lane_parts == apart
        moved = {number for number, lane in before.items() if self.desk.memory.deliveries[number].lane != lane}
        assert apart or not moved

    def chart(self, number: int) -> int:
        return self.desk.memory.aliases["PM", f"P{number}"]

    @rule(side=SIDE, chart=CHART, event=st.sampled_from(("A08", "A28")))
    def say_again(self, side: Side, chart: int, event: str) -> None:
        """A registration or update under one side's id; the PM's leave for the EMR, unless the PM has retired the chart."""
        control_id = self.next_id("U")
        update = adt(control_id, event, ids=id_of(side, chart), rest=f"|||{self.number} Elm St")
        assert self.run(self.desk.send(side, update)) == ["AA"]
        state = self.desk.journal(control_id).state
        held = event == "A28" and chart in self.maps.of[side]  # #8
        assert state == "held" if held else state in {"accepted", "ignored"}
        if side == "pm" and not held and chart not in self.maps.of["pm"]:
            self.updates[control_id] = chart

    @precondition(lambda self: self.named)
    @rule(data=st.data())
    def try_one(self, data: st.DataObject) -> None:
        """From now on the bytes of this delivery are frozen; the model does not look at it any more."""
        control_id = data.draw(st.sampled_from(sorted(self.named)))
        (row,) = [row for row, _ in self.desk.seen.fed if self.desk.memory.journal[row.message].control_id == control_id]
        self.desk.seen.tried.add(row.id)
        del self.named[control_id]

    @invariant()
    def no_update_goes_to_a_chart_that_the_emr_has_retired(self) -> None:
        memory = self.desk.memory
        copies = [row for row in memory.deliveries.values() if row.destination == "emr"]
        waiting = {memory.journal[row.message].control_id: row for row in copies}
        for control_id, chart in self.updates.items():
            sent = Message.parse(self.run(memory.body_of(waiting[control_id].id)))
            survivor = self.maps.end("emr", chart)
            assert sent.text("PID-3.1") == f"P{survivor}", control_id
            assert waiting[control_id].lane == memory.patients[self.chart(chart)].lane

    @invariant()
    def both_ids_always_find_their_chart(self) -> None:
        for chart in range(CHARTS):
            found = self.desk.memory.patients[self.chart(chart)]
            assert self.desk.memory.aliases["EMR", f"E{chart}"] == found.id
            assert [one.value for one in found.identifiers] == [f"P{chart}", f"E{chart}"]

    @invariant()
    def both_maps_are_the_models(self) -> None:
        memory = self.desk.memory
        for side in SIDES:
            for chart in range(CHARTS):
                patient = memory.patients[memory.aliases["PM", f"P{chart}"]]
                into = patient.merged_into(side)
                expected = self.maps.of[side].get(chart)
                assert into == (None if expected is None else memory.aliases["PM", f"P{expected}"])

    @invariant()
    def lanes_are_the_charts_that_either_map_joins(self) -> None:
        memory = self.desk.memory
        lanes: dict[int, set[int]] = {}
        for chart in range(CHARTS):
            lanes.setdefault(memory.patients[memory.aliases["PM", f"P{chart}"]].lane, set()).add(chart)
        assert {frozenset(group) for group in lanes.values()} == self.maps.lanes()

    @invariant()
    def every_pair_says_where_it_stands(self) -> None:
        memory = self.desk.memory
        charts = {memory.aliases["PM", f"P{chart}"]: chart for chart in range(CHARTS)}
        found = {(charts[one.retired], charts[one.survivor]): one.state for one in memory.merges.values()}
        assert found == {pair: self.maps.state(*pair) for pair in self.maps.pairs}

    @invariant()
    def what_waits_names_the_pms_survivor_and_lies_in_his_lane(self) -> None:
        memory = self.desk.memory
        waiting = {memory.journal[row.message].control_id: row for row in memory.deliveries.values() if row.stream == "charges"}
        for control_id, chart in self.named.items():
            row = waiting[control_id]
            sent = Message.parse(self.run(memory.body_of(row.id)))
            survivor = self.maps.end("pm", chart)
            assert f"P{survivor}^^^PM" in sent.text("PID-3") or sent.text("PID-3.1") == f"P{survivor}", control_id
            for other in range(CHARTS):
                if other != survivor:
                    assert f"P{other}^" not in sent.first("PID").field(3), control_id  # type: ignore[union-attr]
            assert row.lane == memory.patients[memory.aliases["PM", f"P{chart}"]].lane


TestMerges = Machine.TestCase
TestMerges.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
