"""Charges, which are the EMR's in every set-up: made from what becomes of the visits. Pure.

Each visit gets its charges once, when it is checked out. Which peculiarity it has goes in turn by its number, so that a day of
a dozen visits has them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final

from ophl7.simulate.chance import turn
from ophl7.simulate.hand import Fee, Hand, segment
from ophl7.simulate.reading import Chart, Heard
from ophl7.simulate.steps import ChargeIs, Record, Side, Step
from ophl7.simulate.tries import Tries

_DAYS_REMEMBERED: Final = 2
_OVER: Final = frozenset({"CHECKEDOUT", "COMPLETE", "COMPLETED"})

# Per kind of visit: code, text, amount. Vaccines of the VFC programme are free, so product lines cost nothing (domain 1.4).
_OFFICE: Final = {
    "WELL": ("99393", "PREVENTIVE VISIT", "160.00"),
    "NEWBORN": ("99381", "NEWBORN VISIT", "150.00"),
    "SICK": ("99213", "OFFICE VISIT", "125.00"),
}
_VACCINES: Final = {
    "WELL": (("90707", "MMR VACCINE", "00006-4681-00"), ("90716", "VARICELLA VACCINE", "00006-4827-00")),
    "NEWBORN": (("90744", "HEPATITIS B VACCINE", "58160-0820-11"),),
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """A visit that is over."""

    filler: str
    kind: str
    at: datetime
    chart: Chart
    patient: str


@dataclass(slots=True)
class _Day:
    """One day's memory, by the owner's numbers.

    over: visits that are checked out. late: those that are signed later. updated: when a chart was last put in order.
    """

    over: set[str] = field(default_factory=set)
    charts: dict[str, Chart] = field(default_factory=dict)
    late: list[_Seen] = field(default_factory=list)
    updated: dict[str, datetime] = field(default_factory=dict)
    closed: bool = False


class Clinic:
    """Makes charges. owner: who owns patients; where it is the PM, the clinic names most patients by the PM's number."""

    def __init__(self, seed: int, version: str, owner: Side) -> None:
        self._hand = Hand("emr", version)
        self._tries = Tries(self._hand, seed)
        self._owner = owner
        self._days: dict[date, _Day] = {}

    def hears(self, heard: Heard) -> list[Step]:
        """The charges that follow from one message, whoever sent it."""
        today = self._day(heard.at.date())
        chart, booking, authority = heard.chart, heard.booking, self._owner.upper()
        if booking is not None and booking.kind == "CLOSED":
            today.closed = True
        if chart is not None and authority in chart.ids:
            number = chart.ids[authority]
            today.charts.setdefault(number, chart)
            if heard.event == "ADT^A08":
                today.updated[number] = heard.at
            if booking is not None and booking.status in _OVER and booking.filler not in today.over:
                today.over.add(booking.filler)
                today.late.append(_Seen(booking.filler, booking.kind, heard.at, chart, number))
        return self._sign(today)

    def _day(self, day: date) -> _Day:
        today = self._days.setdefault(day, _Day())
        while len(self._days) > _DAYS_REMEMBERED:
            del self._days[min(self._days)]
        return today

    def _sign(self, today: _Day) -> list[Step]:
        """Signs what is over. Where a child has two charts the note stays open until the desk has put the other one in order.

        Then it is charged under the number of the chart in which it was written, which the desk has merged meanwhile (#44).
        """
        steps: list[Step] = []
        for seen in tuple(today.late):
            twice = [other for other in today.charts if self._owner == "pm" and self._same_child(today, other, seen)]
            in_order = any(today.updated[other] > seen.at for other in twice if other in today.updated)
            if not twice or in_order or today.closed:
                today.late.remove(seen)
                steps += self._charges(seen, minutes=28 if twice else 5)
        return steps

    @staticmethod
    def _same_child(today: _Day, other: str, seen: _Seen) -> bool:
        return other != seen.patient and today.charts[other].same_child == seen.chart.same_child

    def _charges(self, seen: _Seen, minutes: int) -> list[Step]:
        """All that one visit makes the clinic send."""
        at = seen.at + timedelta(minutes=minutes)
        fees = self._fees(seen)
        steps = [self._dft(seen, "C", at, fees, f"charges visit {seen.filler}", again=turn(seen.filler, 5) == 2)]
        match turn(seen.filler, 6):
            case 0:
                steps.append(
                    self._dft(seen, "D", at + timedelta(minutes=2), fees, f"signs visit {seen.filler} again", known=True)
                )
            case 1:
                steps.append(self._credit(seen, at + timedelta(minutes=3), fees[0]))
            case 3:
                steps.append(self._incomplete(seen, at + timedelta(minutes=1)))
            case 5:
                steps.append(self._payment(seen, at + timedelta(minutes=1)))
        if seen.kind == "NEWBORN":
            steps.append(self._tries.superbill(seen.filler, at + timedelta(minutes=4), self._pid(seen)))
        return steps

    @staticmethod
    def _fees(seen: _Seen) -> list[Fee]:
        """An office visit; for each vaccine a product line without a price and a line for giving it. Two of those are equal."""
        code, text, amount = _OFFICE.get(seen.kind, _OFFICE["SICK"])
        vaccines = _VACCINES.get(seen.kind, ())
        diagnosis = "J06.9" if seen.kind == "SICK" else "Z00.129"
        fees = [Fee("", code, text, amount, ("25",) if vaccines else (), diagnosis=diagnosis)]
        for code, text, ndc in vaccines:
            fees.append(Fee("", code, text, "0.00", ("SL",), ndc=ndc, diagnosis="Z23"))
            fees.append(Fee("", "90460", "IMMUNIZATION ADMINISTRATION", "30.00", diagnosis="Z23"))
        return [replace(fee, transaction=f"T{seen.filler[1:]}-{number}") for number, fee in enumerate(fees, 1)]

    def _credit(self, seen: _Seen, at: datetime, wrong: Fee) -> Step:
        """Takes the first line back and charges another code in its place (#50)."""
        credit = replace(wrong, kind="CD")
        right = replace(wrong, transaction=f"T{seen.filler[1:]}-9", code="99214", text="LONG OFFICE VISIT", amount="175.00")
        return self._dft(seen, "V", at, [credit, right], f"takes back a charge of visit {seen.filler} and sends another")

    def _incomplete(self, seen: _Seen, at: datetime) -> Step:
        """An amount that is no number: refused, kept and reported (#41)."""
        fee = Fee(f"T{seen.filler[1:]}-8", "99070", "SUPPLIES", "twelve")
        step = self._dft(seen, "I", at, [fee], f"charges supplies of visit {seen.filler} with an amount in words")
        records = (replace(self._record(seen, fee), amount="", state="rejected"),)
        return replace(step, code="AE", reason="C01", records=records)

    def _payment(self, seen: _Seen, at: datetime) -> Step:
        """Money that was taken in the clinic: a biller looks at it (#52)."""
        fee = Fee(f"T{seen.filler[1:]}-7", "COPAY", "COPAYMENT", "20.00", kind="PY")
        step = self._dft(seen, "P", at, [fee], f"reports a copayment of visit {seen.filler}, which waits for a biller")
        return replace(step, records=(replace(self._record(seen, fee), state="held"),))

    def _dft(
        self,
        seen: _Seen,
        letter: str,
        at: datetime,
        fees: Sequence[Fee],
        words: str,
        *,
        again: bool = False,
        known: bool = False,
    ) -> Step:
        """known: the broker has these charges already, and counts none of them a second time (#48)."""
        records: tuple[Record, ...] = () if known else tuple(self._record(seen, fee) for fee in fees)
        lines = self._hand.charges(self._pid(seen), seen.filler, seen.at, fees)
        return Step(at, "DFT^P03", lines, words, records=records, again=again, control_id=f"E{letter}{seen.filler}")

    def _record(self, seen: _Seen, fee: Fee) -> ChargeIs:
        patient = f"{self._owner.upper()}:{seen.patient}"
        return ChargeIs(fee.transaction, fee.kind, patient, fee.code, fee.modifiers, fee.units, fee.amount)

    def _pid(self, seen: _Seen) -> str:
        """Every third patient by the clinic's own number alone, which the broker has learned (decisions 2)."""
        own = self._owner == "pm" and turn(seen.patient, 3) == 1
        ids = f"E{seen.patient}^^^EMR^MR" if own else f"{seen.patient}^^^{self._owner.upper()}^MR"
        return segment("PID", {1: "1", 3: ids, **{number: seen.chart.fields[number] for number in (5, 7, 8)}})
