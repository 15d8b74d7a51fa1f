"""The schedule against a tiny model: its owner books, moves, goes back and forth, cancels, revives; the other side tries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ophl7.domain.patient import Side, other_side
from ophl7.domain.policy import PeerPolicy
from ophl7.domain.profile import Profile, ScheduleRules
from tests.unit.engine.desk import START, Desk, adt, message, msh, pid

T = TypeVar("T")
NUMBERS = ("A1", "A2", "A3")
CHILDREN = ("7050", "7051")
STARTS = ("20240305090000", "20240306100000", "20240307110000")
DOCTORS = ("D1", "D2")
WORDS = {
    "Booked": "booked",
    "CONFIRMED": "confirmed",
    "arrived": "arrived",
    "Checked In": "checked_in",
    "Roomed": "roomed",
    "SEEN": "seen",
    "check-out": "checked_out",
    "Noshow": "no_show",
}
ENDINGS = {"S15": "cancelled", "S16": "discontinued", "S26": "no_show"}
VISITS = {"A10": "arrived", "A11": "booked", "A03": "checked_out"}
NUMBER = st.sampled_from(NUMBERS)
WORD = st.sampled_from(sorted(WORDS))
OWN = Profile(
    name="owner",
    schedule=ScheduleRules(
        status_codes={"check-out": "checked_out"},
        progress_events={"ADT^A10": "arrived", "ADT^A11": "booked", "ADT^A03": "checked_out"},
        writeback=frozenset({"roomed"}),
    ),
)


@dataclass(frozen=True)
class Expected:
    """What the registry must hold of one appointment."""

    child: str
    start: str
    doctor: str
    status: str
    steps: tuple[str, ...]

    def becomes(self, status: str) -> Expected:
        return self if status == self.status else replace(self, status=status, steps=(*self.steps, status))


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.model: dict[str, Expected] = {}
        self.number = 0
        self.desk: Desk
        self.owner: Side

    @initialize(owner=st.sampled_from(("pm", "emr")), patients=st.sampled_from(("pm", "emr")))
    def open(self, owner: Side, patients: Side) -> None:
        self.owner = owner
        # Patients of the EMR with a schedule of the PM is no set-up (decisions 1).
        peers = {side: PeerPolicy(side.upper(), profile=OWN if side == owner else Profile()) for side in ("pm", "emr")}
        patients = "pm" if owner == "pm" else patients
        self.desk = Desk(patient_authority=patients, schedule_authority=owner, peers=peers)
        self.run(self.desk.__aenter__())
        people = [adt(f"R{child}", "A28", ids=f"{child}^^^PM^MR", name=f"Rivers^A{child}") for child in CHILDREN]
        assert self.run(self.desk.send(patients, *people)) == ["AA", "AA"]

    def run(self, call: Awaitable[T]) -> T:
        return self.loop.run_until_complete(call)

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.run(self.desk.__aexit__())
        self.loop.close()

    # -- messages -----------------------------------------------------------------------------------------------------

    def at(self) -> str:
        """Each message is a minute after the one before, on both sides."""
        self.number += 1
        self.desk.clock.moment = START.timestamp() + 60 * self.number  # nobody's clock is ahead (#89)
        return f"20240301{10 + self.number // 60:02}{self.number % 60:02}00"

    def siu(self, event: str, number: str, said: Expected, word: str) -> tuple[str, bytes]:
        at = self.at()
        control_id = f"C{self.number}"
        sch = f"SCH||{number}|||||||30|min|^^30^{said.start}{'|' * 14}{word}"
        lines = (sch, self.pid(said.child), "RGS|1", f"AIP|1||{said.doctor}")
        return control_id, message(msh(f"SIU^{event}", control_id, at=at), *lines)

    @staticmethod
    def pid(child: str) -> str:
        return pid(f"{child}^^^PM^MR", name=f"Rivers^A{child}")

    def say(self, side: Side, control_id: str, raw: bytes) -> tuple[str, str, list[str]]:
        """State and row of the message, and where copies of it go."""
        before = len(self.desk.seen.fed)
        (code,) = self.run(self.desk.send(side, raw))
        row = self.desk.journal(control_id)
        assert code == ("AE" if row.state == "rejected" else "AA")
        return row.state, row.row, [copy.destination for copy, _ in self.desk.seen.fed[before:]]

    def taken(self, control_id: str, raw: bytes) -> None:
        state, _, copies = self.say(self.owner, control_id, raw)
        assert (state, copies) == ("accepted", [other_side(self.owner)])

    # -- the owner ----------------------------------------------------------------------------------------------------

    @rule(
        event=st.sampled_from(("S12", "S13", "S14", "S27")),
        number=NUMBER,
        child=st.sampled_from(CHILDREN),
        start=st.sampled_from(STARTS),
        doctor=st.sampled_from(DOCTORS),
        word=WORD | st.just("") | st.just("XYZZY"),
    )
    def book(self, event: str, number: str, child: str, start: str, doctor: str, word: str) -> None:
        known = self.model.get(number)
        child = known.child if known is not None else child  # #33 is another story
        status = WORDS.get(word)
        control_id, raw = self.siu(event, number, Expected(child, start, doctor, "", ()), word)
        self.taken(control_id, raw)
        if known is None:
            self.model[number] = Expected(child, start, doctor, status or "booked", (status or "booked",))
            return
        over = known.status in ("cancelled", "discontinued", "no_show")
        if status is None:
            status = "booked" if over and not word and event in ("S12", "S13") else known.status
        self.model[number] = replace(known, start=start, doctor=doctor).becomes(status)

    @rule(event=st.sampled_from(sorted(ENDINGS)), number=NUMBER, child=st.sampled_from(CHILDREN))
    def end(self, event: str, number: str, child: str) -> None:
        """Also of an appointment that nobody has booked: a tombstone."""
        status = ENDINGS[event]
        known = self.model.get(number) or Expected(child, STARTS[0], DOCTORS[0], "", ())
        control_id, raw = self.siu(event, number, known, "Booked")
        self.taken(control_id, raw)
        self.model[number] = known.becomes(status)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), event=st.sampled_from(sorted(VISITS)), right=st.booleans())
    def visit(self, data: st.DataObject, event: str, right: bool) -> None:
        """An ADT of the owner about a visit, of the right child or of another."""
        number = data.draw(st.sampled_from(sorted(self.model)))
        known = self.model[number]
        child = known.child if right else next(one for one in CHILDREN if one != known.child)
        at = self.at()
        control_id = f"C{self.number}"
        raw = message(msh(f"ADT^{event}", control_id, at=at), f"EVN||{at}", self.pid(child), f"PV1|1|O|{'|' * 15}|{number}")
        state, row, copies = self.say(self.owner, control_id, raw)
        if right:
            assert (state, row, copies) == ("accepted", "#23", [other_side(self.owner)])
            self.model[number] = known.becomes(VISITS[event])
        else:
            assert row != "#23"

    # -- the other side -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model)
    @rule(data=st.data(), event=st.sampled_from(("S12", "S13", "S14", "S27")))
    def echo(self, data: st.DataObject, event: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.model)))
        known = self.model[number]
        word = next((word for word, status in WORDS.items() if status == known.status and word != "check-out"), "")
        control_id, raw = self.siu(event, number, known, data.draw(st.sampled_from(("", word))))
        assert self.say(other_side(self.owner), control_id, raw) == ("ignored", "#37", [])

    @precondition(lambda self: self.model)
    @rule(
        data=st.data(),
        event=st.sampled_from(("S12", "S13", "S14", "S15", "S26", "S27")),
        start=st.sampled_from((*STARTS, "")),
        doctor=st.sampled_from((*DOCTORS, "")),
        stranger=st.booleans(),
        word=st.sampled_from(sorted({*WORDS} - {"check-out"})) | st.just(""),
    )
    def attempt(self, data: st.DataObject, event: str, start: str, doctor: str, stranger: bool, word: str) -> None:
        """Anything at all: an echo, progress that is written back, or a refusal."""
        number = data.draw(st.sampled_from(sorted(self.model)))
        known = self.model[number]
        child = next(one for one in CHILDREN if one != known.child) if stranger else known.child
        control_id, raw = self.siu(event, number, Expected(child, start, doctor, "", ()), word)
        said = ENDINGS.get(event) or WORDS.get(word) or known.status
        elsewhere = (start or known.start, doctor or known.doctor, child) != (known.start, known.doctor, known.child)
        outcome = self.say(other_side(self.owner), control_id, raw)
        if elsewhere:
            assert outcome == ("rejected", "#26", [])
        elif said == known.status:
            assert outcome == ("ignored", "#37", [])
        elif said == "roomed":
            assert outcome == ("accepted", "#28", [self.owner])
            self.model[number] = known.becomes("roomed")
        else:
            assert outcome == ("rejected", "#28" if said == "seen" else "#26", [])

    @rule(number=st.just("A9"), word=WORD)
    def attempt_of_nothing(self, number: str, word: str) -> None:
        control_id, raw = self.siu("S14", number, Expected(CHILDREN[0], STARTS[0], DOCTORS[0], "", ()), word)
        assert self.say(other_side(self.owner), control_id, raw) == ("rejected", "#26", [])

    # -- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def the_registry_is_the_model(self) -> None:
        if not hasattr(self, "desk"):
            return
        memory = self.desk.memory
        children = {memory.aliases["PM", child]: child for child in CHILDREN}
        found = {
            one.filler: Expected(
                children[one.patient or 0],
                one.start,
                "/".join(resource.id for resource in one.resources),
                one.status,
                tuple(step.status for step in one.progress),
            )
            for one in memory.appointments.values()
        }
        assert found == self.model

    @invariant()
    def nothing_waits(self) -> None:
        assert not hasattr(self, "desk") or not self.desk.memory.holds


TestSchedule = Machine.TestCase
TestSchedule.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
