"""The day of the side that owns patients and schedule: one story a child. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

from ophl7.simulate.chance import Chance
from ophl7.simulate.hand import DOCTORS, Hand, Visit, stamp
from ophl7.simulate.people import MOST_PEOPLE, Child, Households
from ophl7.simulate.steps import Merged, PatientIs, Record, Side, Step, VisitIs, numbered

Story = Literal[
    "well",
    "moved",
    "cancelled",
    "no_show",
    "newborn",
    "twin",
    "sibling",
    "returning",
    "booked_first",
    "double",
    "mistake",
    "move",
]

# The first child of the day has the first story, and so on: a day of twelve children has them all.
STORIES: Final[tuple[Story, ...]] = (
    *("well", "moved", "cancelled", "no_show", "newborn", "twin"),
    *("sibling", "returning", "booked_first", "double", "mistake", "move"),
)
# What every further child may have: these need nobody else.
_ORDINARY: Final[tuple[Story, ...]] = (
    "well",
    "moved",
    "well",
    "move",
    "cancelled",
    "returning",
    "well",
    "no_show",
    "booked_first",
)

_SECOND_CHART: Final = 500  # numbers from here on are second charts of somebody
_SLOTS: Final = 28  # quarters of an hour from half past eight on: all is over before five

# SCH-25 as it is written -> the status that the broker must show (contract 3 and 6).
STATUSES: Final = {
    "Booked": "booked",
    "Arrived": "arrived",
    "Checked In": "checked_in",
    "Roomed": "roomed",
    "Seen": "seen",
    "Checked Out": "checked_out",
}
# Minutes from the start of the visit.
_PROGRESS: Final = (("Arrived", -9), ("Checked In", -4), ("Roomed", 2), ("Seen", 11), ("Checked Out", 21))


class Desk:
    """The front desk. The same seed, date, version and number of patients make the same bytes."""

    def __init__(self, side: Side, seed: int, version: str, patients: int) -> None:
        """patients: children a day, 1 to MOST_PEOPLE; each has one story. Raises ValueError."""
        if not 1 <= patients <= MOST_PEOPLE:
            raise ValueError(f"a day has 1 to {MOST_PEOPLE} patients")
        self.side = side
        self._seed = seed
        self._hand = Hand(side, version)
        self._patients = patients

    def day(self, day: date) -> list[Step]:
        """Everything that the desk says on that day, in order, with its MSH-10. Raises ValueError as Households does."""
        today = _Today(self.side, self._hand, Households(self._seed, day), Chance(self._seed, day.isoformat(), "desk"), day)
        steps = list(today.blocks())
        for number in range(1, self._patients + 1):
            story = STORIES[number - 1] if number <= len(STORIES) else _ORDINARY[number % len(_ORDINARY)]
            steps += today.story(story, number)
        return numbered(steps, f"{self.side[0].upper()}{today.prefix}D")


class _Today:
    """One day's stories, in any order; `numbered` puts them into the order of the clock."""

    def __init__(self, side: Side, hand: Hand, households: Households, chance: Chance, day: date) -> None:
        self._side: Side = side
        self._hand = hand
        self._people = households
        self._chance = chance
        self._opens = datetime.combine(day, time(7))

    @property
    def prefix(self) -> str:
        return self._people.prefix

    def blocks(self) -> Iterator[Step]:
        """Time that is not about a patient. The last one closes the day for whoever listens."""
        for hour, kind, minutes in ((12, "LUNCH", 45), (17, "CLOSED", 840)):
            start = self._opens.replace(hour=hour, minute=0)
            visit = Visit(f"B{self.prefix}{hour}", start, minutes, kind, "Booked", "PRACTICE", "")
            at = start if kind == "CLOSED" else self._opens
            words = "closes the practice for today" if kind == "CLOSED" else "blocks the lunch hour"
            record = VisitIs(visit.filler, None, stamp(start), "booked")
            yield Step(at, "SIU^S23", self._hand.visit(visit), words, records=(record,))

    def story(self, story: Story, number: int) -> Iterator[Step]:
        match story:
            case "newborn" | "twin":
                yield from self._newborn(self._people.newborn(number - 1 if story == "twin" else number), number)
            case "sibling":
                yield from self._un_arrives(self._people.sibling(self._people.child(1), number))
            case "double":
                yield from self._double(self._people.child(number))
            case "mistake":
                yield from self._mistake(self._people.child(number))
            case "returning":
                yield from self._returning(self._people.child(number))
            case "booked_first":
                yield from self._booked_first(self._people.child(number))
            case _:
                yield from self._visitor(story, self._people.child(number))

    # -- stories ------------------------------------------------------------------------------------------------------

    def _visitor(self, story: Story, child: Child) -> Iterator[Step]:
        """well, moved, cancelled, no_show, move: registered, booked, and then what the story says."""
        at = self._morning(child)
        yield self._registered(child, at, "A04" if child.number % 2 else "A28")
        visit = self._visit(child, "SICK" if story == "move" else "WELL")
        yield self._said(child, visit, "S12", at + _minutes(2), "books {}", again=story == "moved")
        if story == "moved":
            later = replace(visit, start=visit.start + _minutes(30))
            yield self._said(child, later, "S13", at + _minutes(20), "moves {} to another time")
            visit = replace(later, minutes=30, room="ROOM4")
            yield self._said(child, visit, "S14", at + _minutes(25), "gives {} more time and another room")
        if story == "cancelled":
            yield self._ended(child, visit, "S15", visit.start - _minutes(40), "cancelled", "cancels {}")
            return
        if story == "no_show":
            yield self._ended(child, visit, "S26", visit.start + _minutes(30), "no_show", "notes {} as a no-show")
            return
        if story == "move":
            child = self._people.moved(child)
            yield self._updated(child, visit.start - _minutes(6), f"notes a new address and telephone of {child.name}")
        yield from self._progress(child, visit)

    def _newborn(self, first: Child, number: int) -> Iterator[Step]:
        """Twins, some days old: same family, birthday, home and telephone, and no names of their own yet."""
        twin = number != first.number
        child = self._people.twin(first, number) if twin else replace(first, given=f"{first.given} A")
        at = self._morning(first) + _minutes(1 if twin else 0)
        yield self._registered(child, at, "A28")
        visit = self._visit(child, "NEWBORN")
        yield self._said(child, visit, "S12", at + _minutes(2), "books {}")
        child = self._people.named(child)
        yield self._updated(child, visit.start - _minutes(12), f"learns the newborn's name: {child.name}")
        yield from self._progress(child, visit)

    def _un_arrives(self, child: Child) -> Iterator[Step]:
        """A sibling is ticked off as arrived by mistake, and then comes after all."""
        at = self._morning(child)
        yield self._registered(child, at, "A28")
        visit = self._visit(child, "SICK")
        yield self._said(child, visit, "S12", at + _minutes(2), "books {}")
        early = visit.start - _minutes(15)
        yield self._said(child, replace(visit, status="Arrived"), "S14", early, "marks {} as arrived")
        yield self._said(child, visit, "S14", early + _minutes(1), "takes that back for {}")
        yield from self._progress(child, visit)

    def _returning(self, child: Child) -> Iterator[Step]:
        """Registered long ago: an update that says everything; a visit next week."""
        at = self._morning(child)
        yield self._registered(child, at, "A31")
        visit = self._visit(child, "FOLLOWUP")
        yield self._said(child, replace(visit, start=visit.start + timedelta(days=7)), "S12", at + _minutes(3), "books {}")

    def _booked_first(self, child: Child) -> Iterator[Step]:
        """The booking is entered before the chart: it waits, or the chart is made for the time being (#30)."""
        at = self._morning(child)
        visit = self._visit(child, "SICK")
        yield self._said(child, visit, "S12", at, "books {}, before there is a chart")
        yield self._registered(child, at + _minutes(4), "A28")
        yield from self._progress(child, visit)

    def _double(self, child: Child) -> Iterator[Step]:
        """A second chart for the same child, by mistake; the visit is on it; then both are merged."""
        at = self._morning(child)
        yield self._registered(child, at, "A28")
        double = self._people.double(child, _SECOND_CHART + child.number)
        yield self._registered(double, at + _minutes(12), "A04")
        visit = self._visit(double, "SICK")
        yield self._said(double, visit, "S12", at + _minutes(14), "books {}")
        yield from self._progress(double, visit)
        after = visit.start + _minutes(40)
        yield self._merged(double, child, after)
        child = self._people.moved(child)
        yield self._updated(child, after + _minutes(3), f"puts the chart of {child.name} in order after the merge")
        follow_up = self._visit(child, "WELL")
        week = replace(follow_up, start=follow_up.start + timedelta(days=7))
        yield self._said(child, week, "S12", after + _minutes(5), "books {}")

    def _mistake(self, child: Child) -> Iterator[Step]:
        """A chart that nobody needs: registered, and inactivated while nothing is open."""
        at = self._morning(child)
        yield self._registered(child, at, "A28")
        lines = (self._pid(child), "PV1|1|O")
        words = f"inactivates the chart of {child.name}, which nobody needs"
        yield Step(at + _minutes(45), "ADT^A29", lines, words, records=(self._is(child, active=False),))

    # -- messages -----------------------------------------------------------------------------------------------------

    def _registered(self, child: Child, at: datetime, trigger: str) -> Step:
        words = f"registers {child.name}, chart {child.id}"
        return Step(at, f"ADT^{trigger}", self._record_of(child), words, records=(self._is(child),))

    def _updated(self, child: Child, at: datetime, words: str) -> Step:
        return Step(at, "ADT^A08", self._record_of(child), words, records=(self._is(child),))

    def _merged(self, retired: Child, survivor: Child, at: datetime) -> Step:
        lines = (self._pid(survivor), f"MRG|{self._cx(retired)}")
        words = f"merges chart {retired.id} into {survivor.id}: both are {survivor.name}"
        records = (Merged(self._side, self._key(retired), self._key(survivor)),)
        return Step(at, "ADT^A40", lines, words, records=records)

    def _said(self, child: Child, visit: Visit, trigger: str, at: datetime, words: str, *, again: bool = False) -> Step:
        lines = self._hand.visit(visit, (self._pid(child),))
        text = words.format(f"visit {visit.filler} of {child.name}")
        return Step(
            at, f"SIU^{trigger}", lines, text, records=(self._visit_is(child, visit, STATUSES[visit.status]),), again=again
        )

    def _ended(self, child: Child, visit: Visit, trigger: str, at: datetime, status: str, words: str) -> Step:
        said = "Cancelled" if status == "cancelled" else "Noshow"
        lines = self._hand.visit(replace(visit, status=said), (self._pid(child),))
        text = words.format(f"visit {visit.filler} of {child.name}")
        return Step(at, f"SIU^{trigger}", lines, text, records=(self._visit_is(child, visit, status),), fresh=True)

    def _progress(self, child: Child, visit: Visit) -> Iterator[Step]:
        for status, minutes in _PROGRESS:
            at = visit.start + _minutes(minutes)
            yield self._said(child, replace(visit, status=status), "S14", at, f"{{}}: {status.lower()}")

    # -- parts --------------------------------------------------------------------------------------------------------

    def _morning(self, child: Child) -> datetime:
        """When the desk gets to this child; all before the first visit."""
        return self._opens + _minutes(child.number * 3 % 40)

    def _visit(self, child: Child, kind: str) -> Visit:
        slot = child.number * 5 % _SLOTS  # neighbours are far apart
        start = self._opens + _minutes(90 + 15 * slot)
        room, doctor = f"ROOM{1 + child.number % 3}", self._chance.one(sorted(DOCTORS), child.number, "doctor")
        return Visit(f"V{child.id}", start, 20, kind, "Booked", room, doctor)

    def _key(self, child: Child) -> str:
        return f"{self._side.upper()}:{child.id}"

    def _cx(self, child: Child) -> str:
        return f"{child.id}^^^{self._side.upper()}^MR"

    def _pid(self, child: Child) -> str:
        return self._hand.pid(child, self._cx(child))

    def _own_segments(self, child: Child) -> Sequence[str]:
        """What else belongs to the chart: insurance at the PM, allergies at the EMR (decisions 9)."""
        if self._side == "pm":
            return ("IN1|1|DEMOPLAN^HMO|DEMO1|DEMO HEALTH PLAN" + "|" * 12 + child.xpn,)
        allergen = self._chance.one(("PCN^PENICILLIN", "NUT^PEANUT", "NKA^NONE KNOWN"), child.number, "allergy")
        return (f"AL1|1|DA|{allergen}",)

    def _record_of(self, child: Child) -> tuple[str, ...]:
        return (self._pid(child), "PV1|1|O", *self._own_segments(child))

    def _is(self, child: Child, *, active: bool = True) -> PatientIs:
        fields = {"PID-11": child.address, "PID-13": child.phone}
        fields |= {line.partition("|")[0]: line for line in self._own_segments(child)}
        return PatientIs(self._key(child), child.family, child.given, child.birth, child.sex, fields, active)

    def _visit_is(self, child: Child, visit: Visit, status: str) -> Record:
        return VisitIs(visit.filler, self._key(child), stamp(visit.start), status)


def _minutes(minutes: int) -> timedelta:
    return timedelta(minutes=minutes)
