"""The side that does not own patients and schedule: it learns them from deliveries, and says what is its own. Pure.

What it says about somebody depends on that one and on the seed, never on the order in which deliveries come.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from ophl7.simulate.chance import Chance, turn
from ophl7.simulate.hand import Hand, segment
from ophl7.simulate.reading import Chart, Heard
from ophl7.simulate.steps import FieldIs, Merged, Side, Step, other_side
from ophl7.simulate.tries import Tries

_DAYS_REMEMBERED: Final = 2  # a simulator that plays for ever must forget
_CONTACTS: Final = {"text message": "^PRN^CP", "call at home": "^PRN^PH", "call at work": "^WPN^PH"}


@dataclass(slots=True)
class _Day:
    """What was learned on one day. charts: the owner's number -> the chart as it was first heard of."""

    charts: dict[str, Chart] = field(default_factory=dict)


class Follower:
    """Learns, adds its own fields, merges what the owner has put in order, and tries what it may not."""

    def __init__(self, side: Side, seed: int, version: str) -> None:
        self.side: Side = side
        self._owner = other_side(side).upper()
        self._hand = Hand(side, version)
        self._chance = Chance(seed, side, "follower")
        self._tries = Tries(self._hand, seed)
        self._days: dict[date, _Day] = {}

    def hears(self, heard: Heard) -> list[Step]:
        """What this delivery makes it say."""
        steps: list[Step] = []
        today = self._days.get(heard.at.date())
        if today is None:
            today = self._opens(heard.at.date())
            steps += self._tries.of_the_other_side(heard.at.date())
            if self.side == "pm":
                steps += self._tries.of_the_pm(heard.at.date())
        chart = heard.chart
        if chart is None or self._owner not in chart.ids:
            return steps
        number = chart.ids[self._owner]
        if number not in today.charts:
            steps.append(self._own_fields(heard, number, chart))
            today.charts[number] = chart
        elif heard.event == "ADT^A08" and (double := self._double_of(today, number, chart)) is not None:
            steps.append(self._merges(heard, number, chart, double))
        booking = heard.booking
        if booking is not None and heard.event == "SIU^S12" and booking.kind == "FOLLOWUP":
            steps.append(self._tries.books(booking.filler, heard.at + timedelta(minutes=2), self._pid(chart)))
        return steps

    def _opens(self, day: date) -> _Day:
        self._days[day] = today = _Day()
        while len(self._days) > _DAYS_REMEMBERED:
            del self._days[min(self._days)]
        return today

    def _double_of(self, today: _Day, number: str, chart: Chart) -> str | None:
        """Another chart of the same child, if there is exactly one."""
        same = [other for other, known in today.charts.items() if other != number and known.same_child == chart.same_child]
        return same[0] if len(same) == 1 else None

    def _own_fields(self, heard: Heard, number: str, chart: Chart) -> Step:
        """An update with its own chart number, what it owns, and now and then an address, which it does not own (#5)."""
        own, words = self._owned(number)
        more = {int(path.removeprefix("PID-")): value for path, value in own.items() if path.startswith("PID-")}
        if turn(number, 3) == 0:
            more[11] = "1 WRONG WAY^^ELSEWHERE^NY^12345"
            words += ", and an address that it does not own"
        lines = (self._pid(chart, more), "PV1|1|O", *(line for path, line in own.items() if not path.startswith("PID-")))
        patient = f"{self._owner}:{number}"
        return Step(
            heard.at + timedelta(minutes=1),
            "ADT^A08",
            lines,
            f"learns chart {number}: {words}",
            records=tuple(FieldIs(patient, path, value) for path, value in own.items()),
            again=turn(number, 7) == 5,
            control_id=f"{self.side[0].upper()}L{number}",
        )

    def _owned(self, number: str) -> tuple[Mapping[str, str], str]:
        """Path or segment -> value (decisions 9), and the same in words."""
        if self.side == "emr":
            contact = self._chance.one(sorted(_CONTACTS), number, "contact")
            # XTN-18 is HL7's own order of preference; docs/decisions/0006 says why PID-40 stands for it.
            preferred = f"{_CONTACTS[contact]}^^1^555^01{self._chance.number(100, number, 'contact'):02d}" + "^" * 11 + "1"
            return {"PID-40": preferred, "AL1": "AL1|1|DA|LTX^LATEX"}, f"prefers {contact}, allergies"
        insurance = segment("IN1", {1: "1", 2: "DEMOPLAN^PPO", 3: f"DEMO{self._chance.number(9, number, 'plan')}"})
        return {"PID-18": f"A{number}", "IN1": insurance}, "account and insurance"

    def _merges(self, heard: Heard, survivor: str, chart: Chart, retired: str) -> Step:
        """The owner has put one of two charts of a child in order; so does this side, with numbers of its own (#61)."""
        lines = (self._hand_pid(chart, self._own_id(survivor)), f"MRG|{self._own_id(retired)}")
        records = (Merged(self.side, f"{self._owner}:{retired}", f"{self._owner}:{survivor}"),)
        return Step(
            heard.at + timedelta(minutes=9),
            "ADT^A40",
            lines,
            f"merges its charts of {retired} and {survivor}, as the other side did",
            records=records,
            control_id=f"{self.side[0].upper()}M{retired}",
        )

    def _own_id(self, number: str) -> str:
        return f"{self.side[0].upper()}{number}^^^{self.side.upper()}^MR"

    def _pid(self, chart: Chart, more: Mapping[int, str] | None = None) -> str:
        """PID with both numbers: this is how the broker learns ours (decisions 2)."""
        number = chart.ids[self._owner]
        return self._hand_pid(chart, f"{self._own_id(number)}~{number}^^^{self._owner}^MR", more)

    @staticmethod
    def _hand_pid(chart: Chart, ids: str, more: Mapping[int, str] | None = None) -> str:
        return segment("PID", {1: "1", 3: ids, **chart.fields, **(more or {})})
