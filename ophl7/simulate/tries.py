"""What a system may not do and tries all the same, for the refusals to be seen; and a block of its own, which it may. Pure.

All of it is decided by who sends it (decisions #1, #6, #26, #27, #55, #56).
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from ophl7.simulate.hand import Fee, Hand, Visit, stamp
from ophl7.simulate.people import Child, Households
from ophl7.simulate.steps import Code, NoPatient, NoVisit, Side, Step, VisitIs

_STRANGER = 999  # the number of somebody whom nobody but this system knows


class Tries:
    """One system's attempts."""

    def __init__(self, hand: Hand, seed: int) -> None:
        self._hand = hand
        self._seed = seed

    @property
    def _side(self) -> Side:
        return self._hand.side

    @property
    def _letter(self) -> str:
        return self._side[0].upper()

    def of_the_pm(self, day: date) -> list[Step]:
        """A charge and a superbill from the PM: charges come from the EMR, and claims never pass (C02, C03)."""
        people = Households(self._seed, day)
        pid, at = self._pid(people.child(_STRANGER), self._id(people)), datetime.combine(day, time(7, 5))
        fee = Fee(f"X{people.prefix}", "99213", "OFFICE VISIT", "125.00")
        lines = self._hand.charges(pid, "", at, [fee])
        return [
            self._step(people, "X", at, "DFT^P03", lines, "sends a charge, which is the EMR's to do", "AR", "C02"),
            self._superbill(f"{self._letter}Y{people.prefix}", at + timedelta(minutes=1), pid, "sends a superbill"),
        ]

    def of_the_other_side(self, day: date) -> list[Step]:
        """A registration where the other side owns patients (P01), and a visitor who is no patient (taken and kept, #27)."""
        people = Households(self._seed, day)
        at, stranger = datetime.combine(day, time(7, 10)), people.child(_STRANGER)
        own = f"{self._side.upper()}:{self._id(people)}"
        lines = (self._pid(stranger, self._id(people)), "PV1|1|O")
        words = f"registers {stranger.name}, which is the other side's to do"
        registers = self._step(people, "N", at, "ADT^A28", lines, words, "AE", "P01", records=(NoPatient(own),))
        rep = Visit(f"R{people.prefix}", at.replace(hour=13, minute=0), 20, "REP", "Booked", "BREAKROOM", "")
        kept = VisitIs(rep.filler, None, stamp(rep.start), "booked")
        words = "notes the visit of a drug rep, which is about no patient"
        visits = self._hand.visit(rep)
        return [registers, self._step(people, "R", at, "SIU^S12", visits, words, "AA", "", records=(kept,))]

    def books(self, reference: str, at: datetime, pid: str) -> Step:
        """A booking where the other side owns the schedule (S01)."""
        own = Visit(f"{self._letter}{reference}", at + timedelta(days=14), 15, "FOLLOWUP", "Booked", "ROOM9", "D2")
        words = f"books a visit of its own, {own.filler}, which is the other side's to do"
        lines = self._hand.visit(own, (pid,))
        control_id = f"{self._letter}B{reference}"
        return Step(at, "SIU^S12", lines, words, "AE", "S01", (NoVisit(own.filler),), control_id=control_id)

    def superbill(self, reference: str, at: datetime, pid: str) -> Step:
        """The superbill form is off for everybody (C03)."""
        return self._superbill(f"{self._letter}S{reference}", at, pid, f"sends a superbill for visit {reference}")

    def _superbill(self, control_id: str, at: datetime, pid: str, words: str) -> Step:
        text = f"{words}, which nobody may"
        return Step(at, "BAR^P01", (pid, "PV1|1|O"), text, "AR", "C03", control_id=control_id)

    def _step(  # one line for each column of the table
        self,
        people: Households,
        kind: str,
        at: datetime,
        event: str,
        lines: tuple[str, ...],
        words: str,
        code: Code,
        reason: str,
        records: tuple[NoPatient | VisitIs, ...] = (),
    ) -> Step:
        control_id = f"{self._letter}{kind}{people.prefix}"
        return Step(at, event, lines, words, code, reason, records, control_id=control_id)

    def _id(self, people: Households) -> str:
        return f"{self._letter}{people.chart(_STRANGER)}"

    def _pid(self, child: Child, own_id: str) -> str:
        return self._hand.pid(child, f"{own_id}^^^{self._side.upper()}^MR")
