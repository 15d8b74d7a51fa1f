"""Charges in any order and disguise against a small ledger: the PM gets what the model bills, once each (decisions 5).

The model knows nothing of events: after each step it looks at everything that waits, oldest first, until nothing moves.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ophl7.domain.policy import PeerPolicy
from ophl7.domain.profile import ChargeRules, Profile
from ophl7.engine.acts import Act
from ophl7.hl7v2.message import Message
from tests.unit.engine.desk import Desk, adt, dft, ft1, message, msh, pid

T = TypeVar("T")

RUTH, TWIN, LATE = CHARTS = (0, 1, 2)  # the twin can turn out to be Ruth; the late one is not registered at first
NUMBERS = {RUTH: ("T0", "T1"), TWIN: ("T2", "T3"), LATE: ("T0", "T1")}  # one FT1-2 on two patients is two charges
AMOUNTS = st.sampled_from(("10", "20"))
CHART = st.sampled_from(CHARTS)


@dataclass(frozen=True)
class Line:
    number: str  # "" for none
    kind: str
    amount: str


@dataclass
class Sent:
    """A DFT that came. state: held, accepted, ignored or discarded. left: the lines that it billed."""

    place: int
    chart: int
    lines: tuple[Line, ...]
    state: str = "held"
    left: tuple[Line, ...] = ()
    voided: tuple[Line, ...] = ()


Judged = tuple[set[str], set[str], tuple[Line, ...]]


@dataclass
class Model:
    replaces: bool = False  # the PM's profile: corrections
    known: set[int] = field(default_factory=lambda: {RUTH, TWIN})
    one: bool = False  # whether Ruth and the twin are
    came: list[Sent] = field(default_factory=list)

    def lane(self, chart: int) -> int:
        return RUTH if chart == TWIN and self.one else chart

    def same_lane(self, one: Sent, other: Sent) -> bool:
        return self.lane(one.chart) == self.lane(other.chart)

    def counts(self, of: Sent, line: Line) -> tuple[str, Line] | None:
        """State and content of what this line is compared with."""
        waits: list[Line] = []
        sent: list[Line] = []
        for other in self.came:
            if other is of or not self.same_lane(of, other):
                continue
            if other.state == "held" and other.place < of.place:
                waits += [one for one in other.lines if one.number == line.number]
            sent += [one for one in other.left if one.number == line.number]
        credit = next((one for one in sent if one.kind == "CD"), None)
        if sent:
            return "sent", credit or sent[-1]
        return ("held", waits[0]) if waits else None

    def judge(self, of: Sent, known: dict[int, Judged] | None = None) -> Judged:
        """Why it waits, which FT1-2 it waits for so that others wait behind it, and the lines that would leave.

        known: what was judged of those before it while nothing moved: each of them would be judged again for each behind it.
        """
        known = {} if known is None else known
        if of.place not in known:
            known[of.place] = self._judged(of, known)
        return known[of.place]

    def _judged(self, of: Sent, known: dict[int, Judged]) -> Judged:
        reasons: set[str] = set() if of.chart in self.known else {"patient"}
        awaits: set[str] = set()
        leaving: list[Line] = []
        for line in of.lines:
            found = self.counts(of, line) if line.number else None
            if found is not None and found[1] == line:
                if found[0] == "held":
                    reasons.add("behind")
                continue
            if line.kind == "CD" and (found is None or found[0] == "held"):
                reasons.add("charge")
                awaits.add(line.number)
            elif line.kind == "CD" and found is not None and found[1].kind == "CD":
                reasons.add("credited")
            elif line.kind == "CG" and found is not None and not self.passes(*found):
                reasons.add("changed")
            leaving.append(line)
        nameless = Counter(line for line in of.lines if not line.number)
        if nameless and any(
            other.place < of.place
            and other.state in {"held", "accepted"}
            and self.same_lane(of, other)
            and Counter(line for line in other.lines if not line.number) == nameless
            for other in self.came
        ):
            reasons.add("repeat")
        if of.chart in self.known:
            brings = {line.number for line in leaving if line.kind == "CG"} if not reasons else set()
            before = [one for one in self.came if one.place < of.place and one.state == "held" and one.chart in self.known]
            if any(self.same_lane(of, one) and self.judge(one, known)[1] - brings for one in before):
                reasons.add("lane")
        return reasons, awaits, tuple(leaving)

    def passes(self, state: str, known: Line) -> bool:
        """Whether another content may follow what is known: a credit that waits for it, or a charge that it replaces."""
        return (state, known.kind) == ("held", "CD") or (self.replaces and (state, known.kind) == ("sent", "CG"))

    def voids(self, of: Sent, leaving: tuple[Line, ...]) -> tuple[Line, ...]:
        """What is taken back before these lines leave."""
        found = [self.counts(of, line) for line in leaving if line.number and line.kind == "CG"]
        return tuple(Line(one[1].number, "CD", one[1].amount) for one in found if one is not None and one[0] == "sent")

    def settle(self) -> None:
        moved = True
        while moved:
            moved = False
            known: dict[int, Judged] = {}
            for one in self.came:
                if one.state != "held":
                    continue
                reasons, _, leaving = self.judge(one, known)
                if not reasons:
                    one.voided = self.voids(one, leaving)
                    one.state, one.left = ("accepted", leaving) if leaving else ("ignored", ())
                    moved = True
                    break


class Machine(RuleBasedStateMachine):
    corrections: Literal["hold", "replace"] = "hold"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        profile = Profile(charges=ChargeRules(corrections=self.corrections))
        self.desk = Desk(peers={"pm": PeerPolicy("PM", profile=profile), "emr": PeerPolicy("EMR")})
        self.model = Model(self.corrections == "replace")
        self.run(self.desk.__aenter__())
        self.run(self.desk.send("pm", *(adt(f"R{chart}", ids=f"P{chart}^^^PM^MR") for chart in (RUTH, TWIN))))

    def run(self, call: Awaitable[T]) -> T:
        return self.loop.run_until_complete(call)

    def teardown(self) -> None:
        self.run(self.desk.__aexit__())
        self.loop.close()

    def numbers(self, chart: int) -> tuple[str, ...]:
        return (*NUMBERS[RUTH], *NUMBERS[TWIN]) if chart != LATE and self.model.one else NUMBERS[chart]

    def payload(self, place: int, chart: int, lines: tuple[Line, ...]) -> bytes:
        said = [ft1(line.number, n, kind=line.kind, amount=line.amount) for n, line in enumerate(lines, 1)]
        return dft(f"C{place}", *said, ids=f"P{chart}^^^PM^MR")

    def take(self, *dfts: tuple[int, tuple[Line, ...]]) -> None:
        """They come in one batch."""
        payloads = []
        for chart, lines in dfts:
            one = Sent(len(self.model.came), chart, lines)
            self.model.came.append(one)
            payloads.append(self.payload(one.place, chart, lines))
            self.model.settle()
        assert self.run(self.desk.send("emr", *payloads)) == ["AA"] * len(payloads)

    @rule(chart=CHART, data=st.data())
    def bill(self, chart: int, data: st.DataObject) -> None:
        numbers = data.draw(st.lists(st.sampled_from(self.numbers(chart)), min_size=1, max_size=2, unique=True))
        self.take((chart, tuple(Line(number, "CG", data.draw(AMOUNTS)) for number in numbers)))

    @rule(chart=CHART, data=st.data())
    def credit(self, chart: int, data: st.DataObject) -> None:
        self.take((chart, (Line(data.draw(st.sampled_from(self.numbers(chart))), "CD", data.draw(AMOUNTS)),)))

    @rule(chart=CHART, amounts=st.lists(AMOUNTS, min_size=1, max_size=2), named=st.booleans())
    def bill_without_numbers(self, chart: int, amounts: list[str], named: bool) -> None:
        more = (Line(self.numbers(chart)[0], "CG", "10"),) if named else ()
        self.take((chart, (*more, *(Line("", "CG", amount) for amount in amounts))))

    @precondition(lambda self: self.model.came)
    @rule(data=st.data())
    def again_in_disguise(self, data: st.DataObject) -> None:
        """Other MSH-10, other order, under whichever chart of the same patient, twice in one batch."""
        one = data.draw(st.sampled_from(self.model.came))
        charts = (RUTH, TWIN) if self.model.one and one.chart != LATE else (one.chart,)
        again = [
            (data.draw(st.sampled_from(charts)), tuple(data.draw(st.permutations(one.lines))))
            for _ in range(data.draw(st.integers(1, 2)))
        ]
        self.take(*again)

    @precondition(lambda self: self.model.came)
    @rule(data=st.data())
    def the_very_same(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.model.came))
        assert self.run(self.desk.send("emr", self.payload(one.place, one.chart, one.lines))) == ["AA"]

    @precondition(lambda self: LATE not in self.model.known)
    @rule()
    def register(self) -> None:
        self.model.known.add(LATE)
        self.model.settle()
        self.run(self.desk.send("pm", adt("RL", ids=f"P{LATE}^^^PM^MR")))

    @precondition(lambda self: not self.model.one)
    @rule()
    def merge(self) -> None:
        self.model.one = True
        self.model.settle()
        said = message(msh("ADT^A40", "M"), "EVN||20240301100000", pid("P0^^^PM^MR"), "MRG|P1^^^PM^MR")
        assert self.run(self.desk.send("pm", said)) == ["AA"]

    @precondition(lambda self: any(one.state == "held" for one in self.model.came))
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from([one for one in self.model.came if one.state == "held"]))
        row = self.journal(one)
        hold = min(hold.id for hold in self.desk.memory.holds.values() if hold.message == row.id)
        act = Act("discard", hold, row.id, "somebody", "it was looked at")
        self.run(self.desk.engine.perform(partial(self.desk.people.carry_out, act=act)))
        one.state = "discarded"
        self.model.settle()

    def journal(self, one: Sent):  # type: ignore[no-untyped-def]  # noqa: ANN201 - a JournalRow
        rows = [row for row in self.desk.memory.journal.values() if row.control_id == f"C{one.place}"]
        return min(rows, key=lambda row: row.id)

    @invariant()
    def every_dft_stands_where_the_model_has_it(self) -> None:
        for one in self.model.came:
            expected = "ignored" if one.state == "discarded" else one.state
            assert self.journal(one).state == expected, (one, self.model.judge(one)[0])

    @invariant()
    def the_pm_gets_what_the_model_bills_once_each_and_credits_after_their_charges(self) -> None:
        memory = self.desk.memory
        bodies: list[tuple[str, int, tuple[Line, ...]]] = []
        for row, body in self.desk.seen.fed:
            if row.stream != "charges":
                continue
            sent = Message.parse(body if body is not None else self.run(memory.body_of(row.id)))
            lines = tuple(Line(f.lead(2), f.lead(6), f.lead(11)) for f in sent.all("FT1"))
            bodies.append((memory.journal[row.message].control_id, row.id, lines))
        accepted = [one for one in self.model.came if one.state == "accepted"]
        news = {(control_id, lines) for control_id, _, lines in bodies if (control_id, lines) in self.billed(accepted)}
        assert news == self.billed(accepted)
        voids = Counter(
            (control_id, line) for control_id, _, lines in bodies if (control_id, lines) not in news for line in lines
        )
        assert voids == Counter((f"C{one.place}", line) for one in accepted for line in one.voided)
        assert len(bodies) - len(news) <= sum(voids.values())
        charts = {f"C{one.place}": one.chart for one in self.model.came}
        stands: dict[tuple[int, str], Line] = {}
        for control_id, _, lines in bodies:  # never two at once, and nothing is taken back that is not there
            for line in lines:
                place = (self.model.lane(charts[control_id]), line.number)
                if line.kind == "CD":
                    assert place in stands
                    assert not self.model.replaces or control_id in {c for c, _ in news} or stands[place].amount == line.amount
                    del stands[place]
                elif line.number:
                    assert place not in stands
                    stands[place] = line

    @staticmethod
    def billed(accepted: list[Sent]) -> set[tuple[str, tuple[Line, ...]]]:
        return {(f"C{one.place}", one.left) for one in accepted}

    @invariant()
    def nothing_is_dropped_and_what_waits_is_listed(self) -> None:
        memory = self.desk.memory
        waiting = {hold.message for hold in memory.holds.values()}
        for one in self.model.came:
            row = self.journal(one)
            states = [memory.charges[row.id, n][0].state for n in range(len(one.lines)) if (row.id, n) in memory.charges]
            assert (row.id in waiting) == (one.state == "held")
            if one.state == "held":
                assert states == ["held"] * len(one.lines)
            elif one.state == "discarded":
                assert states == ["cancelled"] * len(one.lines)
            elif one.state == "accepted":
                assert states.count("sent") == len(one.left)


class Replacing(Machine):
    corrections = "replace"


TestCharges = Machine.TestCase
TestReplacedCharges = Replacing.TestCase
TestCharges.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestReplacedCharges.settings = TestCharges.settings
