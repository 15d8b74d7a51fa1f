"""SQLite against the store in memory: whatever is committed to both, both refuse it or both load the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ophl7.domain.identifiers import Identifier, subject_of
from ophl7.domain.merge import Merge, MergeState
from ophl7.domain.patient import Patient, Side
from ophl7.engine.roll_ups import RollUp
from ophl7.engine.storage import (
    ChargeUpdate,
    ClosedHold,
    ClosedHow,
    JournalUpdate,
    Keys,
    Rendering,
    Rows,
    Store,
)
from ophl7.errors import StoreRefused
from ophl7.store.memory import MemoryStore
from ophl7.store.sqlite import SqliteStore
from tests.unit.store.records import appointment, charge, delivery, hold, ident, journal, mark

T = TypeVar("T")

PEOPLE = st.integers(1, 6)
VALUES = st.sampled_from([f"P{number}" for number in range(1, 7)])
AUTHORITIES = st.sampled_from(["PM", "EMR"])
REFERENCES = st.sampled_from(["", "A", "B", "C"])
TRANSACTIONS = st.sampled_from(["", "T1", "T2"])
PEERS: st.SearchStrategy[Side] = st.sampled_from(("pm", "emr"))
CONTROLS = st.sampled_from(["", "C1", "C2"])
DIGESTS = st.sampled_from([b"x", b"y"])
STATES = st.sampled_from(["accepted", "rejected", "held", "ignored", "duplicate"])


def lane_of(number: int) -> int:
    return subject_of(ident(f"P{number}"))


def subjects() -> st.SearchStrategy[int]:
    return st.builds(lambda authority, value: subject_of(Identifier(authority, value)), AUTHORITIES, VALUES)


@st.composite
def patients(draw: st.DrawFn) -> Patient:
    number = draw(PEOPLE)
    return Patient(
        id=number,
        subject=lane_of(number),
        lane=lane_of(draw(PEOPLE)),
        identifiers=(ident(f"P{number}"),),
        fields=draw(st.dictionaries(st.sampled_from(["PID-5", "IN1"]), st.text(st.characters(codec="utf-8"), max_size=5))),
        created_at=1.0,
        message=draw(st.integers(1, 9)),
        merged_pm=draw(st.none() | PEOPLE),
        merged_emr=draw(st.none() | PEOPLE),
        inactive_pm=draw(st.none() | st.floats(0, 10)),
    )


@st.composite
def keys(draw: st.DrawFn) -> Keys:
    return Keys(
        controls=draw(st.sets(st.tuples(PEERS, CONTROLS, DIGESTS), max_size=4)),
        identifiers=draw(st.sets(st.tuples(AUTHORITIES, VALUES), max_size=4)),
        appointments=draw(st.sets(st.tuples(PEERS, st.sampled_from(["A", "B", "C"])), max_size=4)),
        charges=draw(st.sets(st.tuples(AUTHORITIES, VALUES, st.sampled_from(["T1", "T2"])), max_size=4)),
        sets=draw(st.sets(st.tuples(AUTHORITIES, VALUES, st.sampled_from([b"S1", b"S2"])), max_size=3)),
        lost=draw(st.sets(st.integers(1, 30), max_size=3)),
        last={
            (peer, subject_of(Identifier(authority, value)), authority, value)
            for peer, authority, value in draw(st.sets(st.tuples(PEERS, AUTHORITIES, VALUES), max_size=3))
        },
    )


class Stores(RuleBasedStateMachine):
    """Every id is new, so that refusals come from rules of the schema, not from the generator's carelessness."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.memory = MemoryStore()
        self.sqlite = SqliteStore(Path(self.folder.name) / "ophl7.db")
        self.run(self.sqlite.open())
        self.number = 0
        self.holds: list[int] = []
        self.patients: set[int] = set()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(call)

    def teardown(self) -> None:
        self.run(self.sqlite.close())
        self.runner.close()
        self.folder.cleanup()

    def next(self) -> int:
        self.number += 1
        return self.number

    def commit(self, rows: Rows) -> None:
        async def outcome(store: Store) -> str:
            try:
                await store.commit(rows)
            except StoreRefused:
                return "refused"
            return "written"

        assert self.run(outcome(self.memory)) == self.run(outcome(self.sqlite))

    @rule(people=st.lists(patients(), max_size=4), given=st.lists(st.tuples(AUTHORITIES, VALUES, PEOPLE), max_size=4))
    def register(self, people: list[Patient], given: list[tuple[str, str, int]]) -> None:
        rows = Rows(patients={one.id: one for one in people})
        self.patients |= set(rows.patients)
        rows.aliases = [(Identifier(authority, value, "MR"), n) for authority, value, n in given if n in self.patients]
        self.commit(rows)

    @rule(
        said=st.lists(st.tuples(PEERS, CONTROLS, DIGESTS, STATES, st.none() | subjects()), min_size=1, max_size=4),
        twice=st.booleans(),
    )
    def receive(self, said: list[tuple[Side, str, bytes, str, int | None]], twice: bool) -> None:
        rows = Rows()
        for peer, control, digest, state, subject in said:
            number = self.next()
            rows.journal.append(journal(number, peer=peer, control_id=control, digest=digest, state=state, subject=subject))
            rows.deliveries.append(delivery(number, number, lane=number % 3))
        if twice:
            rows.journal.append(rows.journal[0])
        self.commit(rows)

    @rule(data=st.data(), state=STATES, spared=st.sampled_from(["", "emr", "emr pm"]), sends=st.booleans())
    def replay(self, data: st.DataObject, state: str, spared: str, sends: bool) -> None:
        originals = [row for row in self.memory.journal.values() if row.replay_of is None]
        if not originals:
            return
        first = data.draw(st.sampled_from(originals))
        number = self.next()
        kept = {"control_id": first.control_id, "digest": first.digest, "peer": first.peer, "subject": first.subject}
        row = journal(number, state=state, replay_of=first.id, spared=spared, ack_code="", answer=None, **kept)
        self.commit(Rows(journal=[row], deliveries=[delivery(number, number, lane=1)] if sends else []))

    @rule(place=st.tuples(PEERS, REFERENCES, REFERENCES), about=st.none() | PEOPLE, number=st.integers(1, 5))
    def book(self, place: tuple[Side, str, str], about: int | None, number: int) -> None:
        patient = about if about in self.patients else None
        origin, filler, placer = place
        known = self.memory.appointments.get(number)
        if known is not None:
            origin = known.origin  # an appointment never changes sides
        self.commit(Rows(appointments={number: appointment(number, filler, placer, origin=origin, patient=patient)}))

    @rule(
        lines=st.lists(
            st.tuples(
                subjects(),
                TRANSACTIONS,
                st.sampled_from(["held", "sent", "rejected"]),
                st.sampled_from(["new", "void", "payment"]),
                st.sampled_from([b"", b"S1", b"S2"]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    def charge(self, lines: list[tuple[int, str, str, str, bytes]]) -> None:
        message = self.next()
        rows = Rows()
        for line, (subject, transaction, state, verb, same_set) in enumerate(lines):
            more = {"message": message, "line": line, "state": state, "verb": verb, "same_set": same_set}
            made = charge(self.next(), subject, transaction, **more)
            rows.charges.append((made, None))
        self.commit(rows)
        again = [(one._replace(id=self.next(), state="sent"), 1) for one, _ in rows.charges[:1]]
        self.commit(Rows(charges=[*again]))
        self.commit(Rows(charge_updates=[ChargeUpdate(message, len(lines) - 1, "superseded", lines[0][0], None)]))

    @rule(who=st.tuples(AUTHORITIES, VALUES), what=st.sampled_from(["patient", "record", "charges", "appointment"]))
    def take_custody(self, who: tuple[str, str], what: str) -> None:
        number, message = self.next(), self.next()
        subject = subject_of(Identifier(*who))
        key = f"patient:{who[0]}:{who[1]}" if what == "patient" else "handler:x"
        blocks = {"record": f"record:{subject}", "charges": f"charges:{subject}", "appointment": "appointment:A"}.get(what, "")
        self.commit(Rows(journal=[journal(message, state="held")], holds=[hold(number, message, key, blocks)]))
        self.holds.append(number)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if not self.holds:
            return
        number = data.draw(st.sampled_from(self.holds))
        self.holds.remove(number)
        message = self.memory.holds[number].message
        said = data.draw(st.none() | st.just("#40")), "released", data.draw(st.none() | st.just("{}"))
        update = JournalUpdate(message, "accepted", data.draw(st.none() | subjects()), *said)
        how: ClosedHow = data.draw(st.sampled_from(["released", "accepted"]))
        closed = ClosedHold(number, 5.0, how, data.draw(st.none() | st.just("somebody")), "so")
        self.commit(Rows(closed_holds=[closed], updates=[update]))
        state = self.run(self.memory.load(Keys(held={message}), small=True))
        assert state == self.run(self.sqlite.load(Keys(held={message}), small=True))
        assert (message in state.accepted) == (how == "accepted")

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Of a message some of whose charges are held, sent or refused."""
        if self.memory.charges:
            message, _ = data.draw(st.sampled_from(sorted(self.memory.charges)))
            self.commit(Rows(cancelled=[message]))

    @rule(data=st.data(), state=st.sampled_from(["accepted", "queued", "parked", "held", "skipped"]))
    def settle(self, data: st.DataObject, state: str) -> None:
        if self.memory.deliveries:
            number = data.draw(st.sampled_from(sorted(self.memory.deliveries)))
            self.commit(Rows(marks=[mark(number, state, data.draw(st.integers(1, 9)), data.draw(st.none() | st.floats(0, 9)))]))

    @rule(data=st.data(), back=st.booleans())
    def roll_up(self, data: st.DataObject, back: bool) -> None:
        """A note, and perhaps its end; a charge is in one that stands at most."""
        if self.memory.charges:
            known = sorted(charge.id for charge, _ in self.memory.charges.values())
            charges = tuple(sorted(data.draw(st.sets(st.sampled_from(known), min_size=1, max_size=3))))
            number = max(self.memory.roll_ups, default=0) + 1
            taken = {one for row in self.memory.roll_ups.values() if row.taken_back_at is None for one in row.charges}
            if taken.isdisjoint(charges):
                made = RollUp(number, 1.5, "somebody", "C-1", "", charges)
                self.commit(Rows(roll_ups={number: made}))
                if back:
                    ended = replace(made, taken_back_at=2.5, taken_back_by="somebody", taken_back_reason="so")
                    self.commit(Rows(roll_ups={number: ended}))

    @rule(pair=st.permutations(range(1, 5)), state=st.sampled_from(["one_sided", "two_sided", "conflict"]), again=st.booleans())
    def merge(self, pair: list[int], state: MergeState, again: bool) -> None:
        known = {(one.retired, one.survivor): one.id for one in self.memory.merges.values()}
        place = (pair[0], pair[1])
        if again or place not in known:
            number = known.get(place) or self.next()
            self.commit(Rows(merges={number: Merge(number, *place, None, 2.5, state, 1)}))

    @rule(data=st.data(), lane=st.integers(10, 12), renewed=st.booleans(), body=st.binary(max_size=4))
    def make_anew(self, data: st.DataObject, lane: int, renewed: bool, body: bytes) -> None:
        if self.memory.deliveries:
            number = data.draw(st.sampled_from(sorted(self.memory.deliveries)))
            name = f"R{self.next()}" if renewed else ""
            self.commit(Rows(moved=[(number, lane)], rendered=[Rendering(number, body, name)]))
            assert self.run(self.memory.body_of(number)) == self.run(self.sqlite.body_of(number)) == body

    @rule(data=st.data(), state=st.sampled_from(["rejected", "skipped", "parked"]))
    def carry(self, data: st.DataObject, state: str) -> None:
        """A charge leaves with a copy that something of it becomes, and another copy takes it back."""
        if len(self.memory.deliveries) > 1 and self.memory.charges:
            first, second = sorted(data.draw(st.sets(st.sampled_from(sorted(self.memory.deliveries)), min_size=2, max_size=2)))
            message, line = data.draw(st.sampled_from(sorted(self.memory.charges)))
            subject = self.memory.charges[message, line][0].subject
            rows = Rows(charge_updates=[ChargeUpdate(message, line, "sent", subject, first)])
            rows.marks, rows.taken_back = [mark(first, state)], [(first, second)]
            self.commit(rows)

    @rule(asked=keys(), small=st.booleans(), custody=st.booleans(), around=st.booleans())
    def load(self, asked: Keys, small: bool, custody: bool, around: bool) -> None:
        if around:
            asked.merges |= {1, 3}
            asked.queued |= set(list(self.memory.deliveries)[-3:])
            asked.open_for |= {(lane_of(1), 500.0), (lane_of(2), 2e9)}
            asked.entries |= {charge.id for charge, _ in list(self.memory.charges.values())[-5:]} | {10**6}
            asked.roll_ups |= {1, 2, 3}
        if around:
            asked.originals |= set(list(self.memory.journal)[-4:]) | {99_999}
        if custody:
            asked.held |= {self.memory.holds[number].message for number in self.holds}
        assert self.run(self.memory.load(asked, small=small)) == self.run(self.sqlite.load(asked, small=small))

    @rule()
    def take_up(self) -> None:
        assert self.run(self.memory.open_deliveries()) == self.run(self.sqlite.open_deliveries())

    @rule()
    def start_again(self) -> None:
        self.run(self.sqlite.close())
        self.sqlite = SqliteStore(Path(self.folder.name) / "ophl7.db")
        counters = self.run(self.sqlite.open())
        assert replace(counters, prefix="TEST") == self.run(self.memory.open())


TestStores = Stores.TestCase
TestStores.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
