"""Both simulated systems at one table: a broker that hands over at once, or in any order that keeps each patient's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from ophl7.simulate.reading import Chart, read
from ophl7.simulate.role import Role, SetUp
from ophl7.simulate.steps import Side, Step, other_side

DAY = date(2026, 1, 5)
NOBODY = Chart({}, {})
Deliveries = list[tuple[str, bytes]]  # lane, message


@dataclass(frozen=True, slots=True)
class Said:
    side: Side
    step: Step
    payload: bytes


@dataclass(slots=True)
class Table:
    """roles: both systems. said: everything, in the order in which it was said."""

    roles: dict[Side, Role]
    said: list[Said] = field(default_factory=list)

    def by(self, side: Side) -> list[Said]:
        return [one for one in self.said if one.side == side]

    def events(self, side: Side) -> set[str]:
        return {one.step.event for one in self.by(side)}


def owner_in(set_up: SetUp) -> Side:
    return "pm" if set_up == "pm/pm" else "emr"


def sit_down(set_up: SetUp = "pm/pm", *, seed: int = 1, version: str = "2.5.1", patients: int = 12) -> Table:
    sides: Sequence[Side] = ("pm", "emr")
    return Table({side: Role(side, set_up, seed=seed, version=version, patients=patients) for side in sides})


def play(table: Table, set_up: SetUp, order: Callable[[Deliveries], Deliveries] = list, day: date = DAY) -> Table:
    """The owner says all of its day; what passes on is delivered in an `order` of the test's; the other side reacts."""
    owner = owner_in(set_up)
    own = table.roles[owner]
    waiting = own.opens(day)
    deliveries: Deliveries = []
    while waiting:
        step = waiting.pop(0)
        payload = own.hand.write(step)
        table.said.append(Said(owner, step, payload))
        waiting += own.said(step, payload)
        if step.code == "AA" and step.event not in {"ADT^A40", "DFT^P03"}:
            deliveries.append((lane_of(payload), payload))
    other = table.roles[other_side(owner)]
    for _, payload in order(deliveries):
        for step in other.hears(read(payload)):
            table.said.append(Said(other.side, step, other.hand.write(step)))
    return table


def lane_of(payload: bytes) -> str:
    """The child: both its charts are in one lane once they are merged."""
    chart = (read(payload).chart or NOBODY).ids.get("PM") or (read(payload).chart or NOBODY).ids.get("EMR")
    return str(int(chart[-3:]) % 500) if chart else payload.decode().split("\r")[1]
