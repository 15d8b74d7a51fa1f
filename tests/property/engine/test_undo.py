"""Undoing is exact: whatever a message did and read, taking it back leaves the batch as if it had only read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ophl7.domain.identifiers import subject_of
from ophl7.engine import unit_of_work
from ophl7.engine.code_rows import CodeEntry, CodeSeen
from ophl7.engine.ids import Ids
from ophl7.engine.storage import Counters, DriftRow, HeldMessage, Keys, Rows, Seen
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.store.memory import MemoryStore
from tests.unit.store.records import appointment, charge, drift, hold, ident, journal, patient, registered

NUMBERS = st.integers(1, 6)
LANES = st.integers(1, 4).map(lambda number: subject_of(ident(f"P{number}")))
REFERENCES = st.sampled_from(["", "A", "B", "C"])

Operation = tuple[str, tuple[Any, ...]]


def operations() -> st.SearchStrategy[Operation]:
    writes = {
        "save_patient": st.tuples(NUMBERS, LANES),
        "link": st.tuples(NUMBERS, NUMBERS),
        "save_appointment": st.tuples(NUMBERS, REFERENCES, REFERENCES),
        "add_charge": st.tuples(NUMBERS, st.sampled_from(["held", "sent", "rejected"]), st.sampled_from(["", "T1", "T2"])),
        "add_hold": st.tuples(NUMBERS, st.sampled_from(["", "charges:1"])),
        "close_hold": st.tuples(st.integers(0, 9)),
        "accept": st.tuples(st.integers(0, 9)),
        "cancel": st.tuples(NUMBERS),
        "remember": st.tuples(st.sampled_from(["C1", "C2"])),
        "remember_last": st.tuples(NUMBERS),
        "drift": st.tuples(NUMBERS),
        "code": st.tuples(NUMBERS, st.none() | st.sampled_from(["10", "20"])),
    }
    reads = {
        "fetch": st.tuples(st.sets(NUMBERS, min_size=1), st.sets(REFERENCES.filter(bool)), st.sets(st.integers(1, 3))),
    }
    return st.one_of([st.tuples(st.just(name), values) for name, values in (writes | reads).items()])


def stored() -> MemoryStore:
    """Patients 1 to 4 (2 and 3 in one lane), appointments, charges, and three messages in custody."""
    store = MemoryStore()
    people = [patient(1), patient(2), patient(3, lane=subject_of(ident("P2"))), patient(4, merged_pm=1)]
    rows = registered(*people)
    rows.journal = [journal(number, state="held", control_id=f"C{number}", digest=b"d") for number in (1, 2, 3)]
    rows.holds = [hold(number, number, f"patient:PM:P{number}", "charges:1") for number in (1, 2, 3)]
    rows.appointments = {1: appointment(1, "A", "B", patient=1), 2: appointment(2, "C", "A", patient=2)}
    rows.codes = [CodeEntry("emr", "provider", "D2", "102", "somebody", 1.0, "why")]
    rows.charges = [(charge(1, people[0].subject), None), (charge(2, people[1].subject, "T2", state="held"), None)]
    asyncio.run(store.commit(rows))
    return store


class Batch:
    """A unit of work with short names for what a message does in it."""

    def __init__(self, store: MemoryStore) -> None:
        self.uow = UnitOfWork(store, Ids(Counters(3, 6, 6, 2, 20, 0, 0, 0, "T")))
        self.serial = 100

    async def begin(self) -> None:
        await self.uow.load(Keys(identifiers={("PM", "P1"), ("PM", "P5")}, appointments={("pm", "A")}), small=True)

    async def do(self, operation: Operation, *, really: bool = True) -> None:
        """Numbers are given once and never back: what is not done uses one up too."""
        self.serial += 1
        name, values = operation
        if really or name == "fetch":
            await getattr(self, name)(*values)

    async def save_patient(self, number: int, lane: int) -> None:
        if number <= 4 and number not in self.uow.state.patients:
            return  # nobody writes what he has not read
        self.uow.save_patient(patient(number, lane=lane, message=self.serial))

    async def link(self, number: int, other: int) -> None:
        if other in self.uow.state.patients:
            self.uow.link(ident(f"P{number}"), self.uow.state.patients[other])

    async def save_appointment(self, number: int, filler: str, placer: str) -> None:
        if number <= 2 and number not in self.uow.state.appointment_rows:
            return
        self.uow.save_appointment(appointment(number, filler, placer))

    async def add_charge(self, number: int, state: str, transaction: str) -> None:
        made = charge(self.serial, subject_of(ident(f"P{number}")), transaction, state=state, message=9)
        self.uow.add_charge(made)

    async def add_hold(self, message: int, blocks: str) -> None:
        """Under a number of its own: ids are never given twice."""
        self.uow.add_hold(hold(self.serial, message, blocks=blocks), HeldMessage(message, "pm", b"", 0, 0, 1.0))

    async def close_hold(self, place: int) -> None:
        holds = sorted(self.uow.state.holds)
        if holds:
            self.uow.close_hold(self.uow.state.holds[holds[place % len(holds)]], 1.0, "released")

    async def accept(self, place: int) -> None:
        holds = sorted(self.uow.state.holds)
        if holds:
            self.uow.accept(self.uow.state.holds[holds[place % len(holds)]])

    async def cancel(self, message: int) -> None:
        self.uow.cancel_charges(message)

    async def remember(self, control: str) -> None:
        self.uow.remember("pm", control, b"d", Seen(self.serial, b"d", 1.0, True, "AA", b""))

    async def remember_last(self, number: int) -> None:
        self.uow.remember_last("pm", number, Seen(self.serial, b"d", 1.0, True, "AA", b""))

    async def drift(self, number: int) -> None:
        row: DriftRow = drift(number)
        self.uow.rows.drift.append(row)

    async def code(self, number: int, to: str | None) -> None:
        self.uow.enter_code(CodeEntry("emr", "provider", f"D{number}", to, "somebody", 1.0, "why"))
        self.uow.rows.codes_seen.append(CodeSeen("emr", "provider", f"D{number}", self.serial, 1.0))

    async def fetch(self, people: set[int], references: set[str], held: set[int]) -> None:
        keys = Keys(identifiers={("PM", f"P{number}") for number in people}, held=held)
        keys.appointments = {("pm", reference) for reference in references}
        keys.last = {("pm", number, "", "") for number in people}
        keys.controls = {("pm", f"C{number}", b"d") for number in people}
        keys.maps = {("emr", "provider", f"D{number}") for number in people}
        await self.uow.fetch(keys)

    def look(self) -> dict[str, Any]:
        """Everything that can be seen of it, and every row that would be committed."""
        uow, state = self.uow, self.uow.state
        seen: dict[str, Any] = {name: deepcopy(getattr(state, name)) for name in state.__slots__ if name != "reused"}
        everybody = {lane: {one.id for one in uow.members_of(lane)} for lane in state.lanes}
        seen["lanes"] = {lane: members for lane, members in everybody.items() if members}
        seen |= {f"rows.{name}": deepcopy(getattr(uow.rows, name)) for name in Rows.__slots__}
        seen["cancelled"] = dict(uow._cancelled)
        seen["by key"] = {row.key: uow.waiting_for(row.key) for row in state.holds.values()}
        seen["by block"] = uow.blocking("charges:1")
        seen["by message"] = {row.message: uow.holds_of(row.message) for row in state.holds.values()}
        return seen


OPERATIONS = st.lists(operations(), max_size=12)


@settings(max_examples=300, deadline=None)
@given(before=OPERATIONS, undone=OPERATIONS)
def test_an_undone_message_leaves_nothing_but_what_it_read(before: list[Operation], undone: list[Operation]) -> None:
    store = stored()

    async def played(*, with_writes: bool) -> dict[str, Any]:
        batch = Batch(store)
        await batch.begin()
        for operation in before:
            await batch.do(operation)
        mark = batch.uow.mark()
        for operation in undone:
            await batch.do(operation, really=with_writes)
        batch.uow.undo(mark)
        return batch.look()

    assert asyncio.run(played(with_writes=True)) == asyncio.run(played(with_writes=False))


@settings(max_examples=150, deadline=None)
@given(messages=st.lists(st.tuples(OPERATIONS, st.booleans()), max_size=5))
def test_a_batch_is_the_batch_of_those_messages_that_were_not_undone(messages: list[tuple[list[Operation], bool]]) -> None:
    store = stored()

    async def played(keep: Callable[[bool], bool]) -> dict[str, Any]:
        batch = Batch(store)
        await batch.begin()
        for body, failed in messages:
            mark = batch.uow.mark()
            for operation in body:
                await batch.do(operation, really=keep(failed))
            if failed:
                batch.uow.undo(mark)
        return batch.look()

    assert asyncio.run(played(lambda _failed: True)) == asyncio.run(played(lambda failed: not failed))


@settings(max_examples=150, deadline=None)
@given(written=OPERATIONS, people=st.sets(NUMBERS, min_size=1))
def test_a_read_never_overwrites_what_the_batch_has_written(written: list[Operation], people: set[int]) -> None:
    store = stored()

    async def check() -> None:
        batch = Batch(store)
        await batch.begin()
        for operation in written:
            await batch.do(operation)
        before = batch.look()
        await batch.fetch(people, {"A", "B", "C"}, {1, 2, 3})
        after = batch.look()
        for table in unit_of_work._TABLES:
            assert before[table].items() <= after[table].items()
        closed = {closed.id for closed in batch.uow.rows.closed_holds}
        assert closed.isdisjoint(after["holds"])
        for lane, members in after["lanes"].items():
            assert {batch.uow.state.patients[number].lane for number in members} == {lane}

    asyncio.run(check())


def test_a_hold_that_was_undone_is_not_found_under_what_it_waited_for() -> None:
    uow = Batch(stored()).uow
    mark = uow.mark()
    uow.add_hold(hold(30, 1, blocks="charges:1"), HeldMessage(1, "pm", b"", 0, 0, 1.0))
    uow.undo(mark)
    uow.add_hold(hold(30, 2), HeldMessage(2, "pm", b"", 0, 0, 1.0))
    assert uow.holds_of(1) == []
    assert uow.blocking("charges:1") == []
    assert [row.message for row in uow.holds_of(2)] == [2]
