"""What the two systems of a family say to each other, and what each message must come to.

A story is told by one family alone: its patients are nobody else's. Its messages are sent in their order, and the other side
speaks only when everything before was answered; so what must become of each message is known when it is written down here,
from decisions.md and nothing else.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from tests.acceptance.messages import RUTH, Fee, Person, Side, Visit, adt, dft, merged, message, siu

_BEGIN = datetime(2026, 1, 5, 8)  # noqa: DTZ001 - HL7's own time, of the practice


@dataclass(frozen=True, slots=True)
class Said:
    """One message and what it must come to.

    answer: MSA-1. state: of the message at the end. copy: where its one copy goes; None: nowhere. names: the ids one of which
    stands in the copy's PID-3. lane: whose order it keeps there; place: in that order.
    """

    control_id: str
    side: Side
    payload: bytes
    answer: str
    state: str
    copy: Side | None
    names: tuple[str, ...]
    lane: str
    place: int


@dataclass(slots=True)
class Truth:
    """What the registry, the schedule and the ledger of one family must hold when everything was answered."""

    streets: dict[str, str] = field(default_factory=dict)
    visits: dict[str, tuple[str, str]] = field(default_factory=dict)  # filler -> start, status
    charges: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # FT1-2, FT1-6, state
    merges: dict[tuple[str, str], frozenset[Side]] = field(default_factory=dict)  # retired, survivor -> who has merged
    joined: list[tuple[str, str, str]] = field(default_factory=list)  # two lanes that became the third


class Family:
    """Tells one story after another. name: begins every id and control id; chance: its own."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self.truth = Truth()
        self._chance = chance
        self._turns = 0
        self._people = 0
        self._lanes: dict[str, str] = {}

    def tell(self) -> Iterator[Said | None]:
        """Without end; None between two stories: only then is every promise of a story due."""
        tales: tuple[Callable[[], Iterator[Said]], ...] = (
            self._day, self._day, self._day, self._merged_by_the_pm, self._merged_by_the_emr, self._strangers,
            self._corrections, self._refusals, self._target_to_come,
        )  # fmt: skip
        while True:
            yield from self._chance.choice(tales)()
            yield None

    # -- stories ------------------------------------------------------------------------------------------------------

    def _day(self) -> Iterator[Said]:
        """Rows 1, 4, 5, 20-22, 34, 37, 40: registered, booked, moved, arrived, seen, billed."""
        who = self._somebody()
        yield self._registration(who)
        visit = self._visit(who)
        yield self._booking(who, "S12", visit)
        for number in range(self._chance.randint(1, 4)):
            who = replace(who, street=f"{number} {self._chance.choice(('ELM', 'OAK', 'ASH'))} ST")
            yield self._update(who, self._chance.choice(("A08", "A31", "A28", "A04")))
            visit = replace(visit, start=f"2026020{self._chance.randint(1, 9)}{self._chance.randint(8, 17):02}{number:02}00")
            yield self._booking(who, "S13", visit)
        yield self._echo(who)
        for status in ("Arrived", "Checked In", "Seen"):
            visit = replace(visit, status=status)
            yield self._booking(who, "S14", visit)
            if status == "Checked In":
                yield self._charge(who, self._fee())
        for _ in range(self._chance.randint(1, 4)):
            yield self._charge(who, self._fee())
        other = self._visit(who)
        yield self._booking(who, "S12", other)
        trigger, status = self._chance.choice(
            (("S15", "Cancelled"), ("S16", "Discontinued"), ("S17", "Deleted"), ("S26", "Noshow"))
        )
        yield self._booking(who, trigger, replace(other, status=status))
        yield self._booking(who, "S14", replace(visit, status="Checked Out"))

    def _merged_by_the_pm(self) -> Iterator[Said]:
        """Rows 44, 60, 61: charges under the old number go on as the survivor's; what waited may still bear the old one."""
        old, new = self._somebody(), self._somebody()
        yield self._registration(old, names=(old.id, new.id))  # it may wait for the EMR until that merges, too
        yield self._registration(new)
        for who in (old, new, old):
            yield self._charge(who, self._fee(), names=(old.id, new.id) if who is old else (new.id,))
        yield self._merge(old, new, "pm")
        for who in (old, new, old):
            yield self._charge(who, self._fee(), names=(new.id,))
        yield self._booking(new, "S12", self._visit(new))
        yield self._merge(old, new, "emr")
        yield self._charge(new, self._fee())

    def _merged_by_the_emr(self) -> Iterator[Said]:
        """Rows 32, 60, 61: what the PM says of the old chart reaches the EMR as the survivor's; charges keep their number."""
        old, new = self._somebody(), self._somebody()
        yield self._registration(old, names=(old.id, new.id))
        yield self._registration(new)
        visit = self._visit(old)
        yield self._booking(old, "S12", visit, names=(old.id, new.id))
        yield self._merge(old, new, "emr")
        yield self._charge(old, self._fee(), names=(old.id, new.id))
        yield self._booking(old, "S13", replace(visit, start="20260210090000"), names=(new.id,))
        yield self._booking(old, "S15", replace(visit, start="20260210090000", status="Cancelled"), names=(new.id,))
        yield self._merge(old, new, "pm")
        yield self._charge(old, self._fee(), names=(new.id,))

    def _strangers(self) -> Iterator[Said]:
        """Rows 1 and 43: charges of somebody unknown wait for the registration, and go on in their order."""
        who = self._somebody()
        for _ in range(self._chance.randint(1, 3)):
            yield self._charge(who, self._fee())
        yield self._registration(who)
        yield self._charge(who, self._fee())

    def _corrections(self) -> Iterator[Said]:
        """Rows 48 to 51: the same again, other content under one number, a void, a void before its charge."""
        who = self._somebody()
        yield self._registration(who)
        fee = self._fee()
        yield self._charge(who, fee)
        yield self._say("emr", "DFT", lambda i, s: dft(i, [fee], who, _mark(i), sent=s), state="ignored")
        yield self._charge(who, replace(fee, kind="CD"))
        early = self._fee()
        behind = (self._turns + 2) * 2 + 1  # its place: right behind the charge, which is told next
        yield self._charge(who, replace(early, kind="CD"), place=behind)
        yield self._charge(who, early)
        disputed = self._fee()
        yield self._charge(who, disputed)
        self.truth.charges[disputed.id, "CG", "held"] += 1
        changed = replace(disputed, amount=f"1{disputed.amount}")  # never its own: fees are the turn's number
        yield self._say("emr", "DFT", lambda i, s: dft(i, [changed], who, _mark(i), sent=s), state="held")
        yield self._update(replace(who, street="99 FIR ST"), "A08")

    def _refusals(self) -> Iterator[Said]:
        """Rows 6, 26, 41, 55, 67: refused, and nothing becomes of them."""
        who, stranger = self._somebody(), self._somebody()
        yield self._registration(who)
        visit = self._visit(who)
        yield self._booking(who, "S12", visit)
        moved = replace(visit, start="20260301100000")
        yield self._say("emr", "ADT", lambda i, s: adt(i, "A28", stranger, _mark(i), sender="emr", sent=s), answer="AE")
        yield self._say("emr", "SIU", lambda i, s: siu(i, "S13", moved, who, _mark(i), sender="emr", sent=s), answer="AE")
        incomplete = self._fee()
        self.truth.charges[incomplete.id, "", "rejected"] += 1
        broken = replace(incomplete, kind="")
        yield self._say("emr", "DFT", lambda i, s: dft(i, [broken], who, _mark(i), sent=s), answer="AE")
        yield self._say("pm", "ADT", lambda i, s: merged(i, (who, who), sent=s), answer="AE")
        yield self._say(
            "pm", "DFT", lambda i, s: message("DFT^P03", i, f"EVN|P03|{s}", _mark(i), sender="pm", sent=s), answer="AR"
        )
        yield self._booking(who, "S15", replace(visit, status="Cancelled"))

    def _target_to_come(self) -> Iterator[Said]:
        """Row 65: a merge into somebody unknown waits for him, and charges of the source with it."""
        old, new = self._somebody(), self._somebody()
        yield self._registration(old)
        yield self._charge(old, self._fee(), names=(old.id, new.id))
        yield self._merge(old, new, "pm")
        yield self._charge(old, self._fee(), names=(new.id,))
        yield self._registration(new)
        yield self._charge(old, self._fee(), names=(new.id,))

    # -- messages -----------------------------------------------------------------------------------------------------

    def _registration(self, who: Person, names: tuple[str, ...] = ()) -> Said:
        return self._update(who, "A28", names)

    def _update(self, who: Person, trigger: str, names: tuple[str, ...] = ()) -> Said:
        self.truth.streets[who.id] = who.street
        return self._say(
            "pm", "ADT", lambda i, s: adt(i, trigger, who, _mark(i), sent=s), copy="emr", names=names or (who.id,), about=who
        )

    def _echo(self, who: Person) -> Said:
        """Row 5: the EMR repeats what it was told."""
        return self._say("emr", "ADT", lambda i, s: adt(i, "A08", who, _mark(i), sender="emr", sent=s), state="ignored")

    def _booking(self, who: Person, trigger: str, visit: Visit, names: tuple[str, ...] = ()) -> Said:
        self.truth.visits[visit.filler] = (visit.start, _STATUS[visit.status])
        return self._say(
            "pm",
            "SIU",
            lambda i, s: siu(i, trigger, visit, who, _mark(i), sent=s),
            copy="emr",
            names=names or (who.id,),
            about=who,
        )

    def _charge(self, who: Person, fee: Fee, names: tuple[str, ...] = (), place: int | None = None) -> Said:
        self.truth.charges[fee.id, fee.kind, "sent"] += 1
        return self._say(
            "emr",
            "DFT",
            lambda i, s: dft(i, [fee], who, _mark(i), sent=s),
            copy="pm",
            names=names or (who.id,),
            about=who,
            place=place,
        )

    def _merge(self, old: Person, new: Person, side: Side) -> Said:
        pair = old.id, new.id
        before = self.truth.merges.get(pair, frozenset())
        self.truth.merges[pair] = before | {side}
        if not before:
            united = f"{self._lane(old)}+{self._lane(new)}"
            self.truth.joined.append((self._lane(old), self._lane(new), united))
            self._lanes[old.id] = self._lanes[new.id] = united
        return self._say(side, "ADT", lambda i, s: merged(i, (old, new), sender=side, sent=s))

    def _say(
        self,
        side: Side,
        kind: str,
        make: Callable[[str, str], bytes],
        *,
        answer: str = "AA",
        state: str = "",
        copy: Side | None = None,
        names: tuple[str, ...] = (),
        about: Person | None = None,
        place: int | None = None,
    ) -> Said:
        self._turns += 1
        control_id = f"{self.name}-{self._turns}-{kind}"
        sent = (_BEGIN + timedelta(seconds=self._turns)).strftime("%Y%m%d%H%M%S")
        lane = f"{copy} {self._lane(about)}" if about is not None else ""
        own = self._turns * 2 if place is None else place
        became = state or ("accepted" if answer == "AA" else "rejected")
        return Said(control_id, side, make(control_id, sent), answer, became, copy, names, lane, own)

    # -- people and things --------------------------------------------------------------------------------------------

    def _somebody(self) -> Person:
        self._people += 1
        return replace(RUTH, id=f"{self.name}{self._people}", family=f"FAMILY{self.name}", given=f"CHILD{self._people}")

    def _lane(self, who: Person) -> str:
        return self._lanes.setdefault(who.id, who.id)

    def _visit(self, who: Person) -> Visit:
        return Visit(f"S-{who.id}-{self._turns}", start=f"2026020{self._chance.randint(1, 9)}093000")

    def _fee(self) -> Fee:
        return Fee(f"T-{self.name}-{self._turns}-{self._chance.randrange(1000)}", amount=f"{self._turns}.00")


_STATUS = {
    "Booked": "booked",
    "Arrived": "arrived",
    "Checked In": "checked_in",
    "Seen": "seen",
    "Checked Out": "checked_out",
    "Noshow": "no_show",
    "Cancelled": "cancelled",
    "Discontinued": "discontinued",
    "Deleted": "entered_in_error",
}


_ENDINGS = (("S15", "Cancelled"), ("S16", "Discontinued"), ("S17", "Deleted"), ("S26", "Noshow"))


def _mark(control_id: str) -> str:
    """MSH-10 will be ours where it arrives: this segment stays (#92)."""
    return f"ZID|{control_id}"
