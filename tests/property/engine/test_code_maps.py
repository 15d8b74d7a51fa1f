"""Entries made, changed and taken back in any order, with charges of any codes between them: what the PM gets is always what a
code was called when it was committed, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from ophl7.domain.policy import PeerPolicy
from ophl7.domain.profile import CodeTable, Profile
from ophl7.engine.acts import NotDone
from ophl7.engine.code_entries import Entered
from ophl7.errors import StoreRefused
from tests.unit.engine.desk import Desk, ScriptedStore, adt, dft, ft1

OF_PROFILE = {"A": "1"}
CODES = st.sampled_from(["A", "B", "C"])
PROFILE = Profile(maps={"provider": CodeTable(("FT1-20",), OF_PROFILE)})

Charge = list[str]  # the codes of its FT1
Saying = tuple[str, str | None]  # a code, and what it is called from now on; None takes it back


@dataclass
class Batch:
    """What waits at one moment: the engine takes messages first, then what people ask for. refused: its commit fails."""

    charges: list[Charge]
    sayings: list[Saying]
    refused: bool


batches = st.builds(
    Batch,
    st.lists(st.lists(CODES, min_size=1, max_size=3), max_size=3),
    st.lists(st.tuples(CODES, st.none() | st.sampled_from(["10", "20", "30"])), max_size=3),
    st.booleans(),
)


@dataclass
class Model:
    entered: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, set[str]] = field(default_factory=dict)  # control id -> the codes that it waits for
    codes: dict[str, Charge] = field(default_factory=dict)
    sent: dict[str, list[str]] = field(default_factory=dict)

    def judge(self, control_id: str) -> None:
        known = OF_PROFILE | self.entered
        missing = set(self.codes[control_id]) - set(known)
        if missing:
            self.waiting[control_id] = missing
        else:
            self.waiting.pop(control_id, None)
            self.sent[control_id] = [known[code] for code in self.codes[control_id]]

    def say(self, code: str, to: str | None) -> bool:
        """Whether it is done."""
        if to is None:
            return self.entered.pop(code, None) is not None
        self.entered[code] = to
        for control_id in [name for name, missing in self.waiting.items() if code in missing]:
            self.judge(control_id)
        return True


def charged(control_id: str, codes: Charge) -> bytes:
    lines = [ft1(f"{control_id}-{number}", number) + "|" * 9 + code for number, code in enumerate(codes, 1)]
    return dft(control_id, *lines)


async def play(days: Sequence[Batch]) -> None:
    store, model = ScriptedStore(), Model()
    peers = {"pm": PeerPolicy("PM"), "emr": PeerPolicy("EMR", profile=PROFILE)}
    async with Desk(store=store, peers=peers) as desk:
        await desk.send("pm", adt("REG", "A28"))
        for number, batch in enumerate(days):
            asked = [asyncio.create_task(desk.enter(code, to)) for code, to in batch.sayings]
            await asyncio.sleep(0)  # they are asked for; the engine's turn comes after ours
            for place, codes in enumerate(batch.charges):
                control_id = f"C{number}-{place}"
                model.codes[control_id] = codes
                assert desk.offer("emr", charged(control_id, codes))
                model.judge(control_id)
            if batch.refused and (batch.charges or batch.sayings):
                store.faults.append(StoreRefused("a row of another message"))
            done = [await one for one in asked]
            await desk.settled()
            for (code, to), outcome in zip(batch.sayings, done, strict=True):
                assert isinstance(outcome, Entered if model.say(code, to) else NotDone)
            assert left(desk) == model.sent
            assert {name: waits(desk, name) for name in model.codes} == {
                name: {f"mapping:provider:{code}" for code in model.waiting.get(name, ())} for name in model.codes
            }
            assert {code: entry.to for (_, _, code), entry in desk.memory.codes.items()} == model.entered
        ledger = [charge for charge, _ in desk.memory.charges.values()]
        assert len(ledger) == sum(map(len, model.codes.values()))
        assert {charge.state for charge in ledger} <= {"sent", "held"}


def left(desk: Desk) -> dict[str, list[str]]:
    """Control id -> FT1-20 of its charges, of everything that was handed to the outbox: each once."""
    found: dict[str, list[str]] = {}
    for row, body in desk.seen.fed:
        source = desk.memory.journal[row.message]
        if source.event.startswith("DFT"):
            assert source.control_id not in found
            lines = (body if body is not None else source.raw).decode().split("\r")
            found[source.control_id] = [line.split("|")[20] for line in lines if line.startswith("FT1")]
    return found


def waits(desk: Desk, control_id: str) -> set[str]:
    return set(desk.waits_for(control_id))


@settings(max_examples=150, deadline=None)
@given(st.lists(batches, max_size=6))
def test_the_pm_gets_what_a_code_was_called_at_the_commit_and_nothing_is_lost(days: list[Batch]) -> None:
    asyncio.run(play(days))
