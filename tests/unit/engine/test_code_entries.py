"""What people say of codes, in batches that go wrong, and what is never translated."""

from __future__ import annotations

import asyncio

import pytest

from ophl7.domain.policy import PeerPolicy
from ophl7.domain.profile import CodeTable, Profile
from ophl7.engine.acts import NotDone
from ophl7.engine.code_entries import Entered
from ophl7.errors import StoreAway, StoreRefused
from ophl7.kit import Change, Context, Rules, Verdict
from tests.unit.engine.desk import Desk, ScriptedStore, adt, dft, ft1, pid

MAPPED = Profile(
    maps={"provider": CodeTable(("FT1-20", "PV1-7"), {"D-1": "101"}), "race": CodeTable(("PID-10",), {"W": "2106-3"})}
)
PEERS = {"pm": PeerPolicy("PM", profile=MAPPED), "emr": PeerPolicy("EMR", profile=MAPPED)}


def charged(control_id: str, doctor: str, transaction: str = "T-1") -> bytes:
    return dft(control_id, ft1(transaction) + "|" * 9 + doctor)


async def test_an_entry_whose_commit_fails_was_never_made() -> None:
    store = ScriptedStore()
    async with Desk(store=store, peers=PEERS) as desk:
        await desk.send("pm", adt("REG"))
        store.faults = [StoreAway()]
        with pytest.raises(StoreAway):
            await desk.enter("D-7", "107")
        await desk.settled()
        await desk.send("emr", charged("C1", "D-7"))
        assert desk.waits_for("C1") == ["mapping:provider:D-7"]
        store.faults = [StoreRefused(), None, StoreRefused()]  # the batch; nothing but marks; the request alone
        with pytest.raises(StoreRefused):
            await desk.enter("D-7", "107")
        assert desk.waits_for("C1") == ["mapping:provider:D-7"]
        assert (desk.memory.audit, desk.memory.codes) == ([], {})
        assert isinstance(await desk.enter("D-7", "107"), Entered)
        assert desk.delivered == ["REG", "C1"]


async def test_an_entry_counts_for_what_was_asked_for_in_the_same_batch() -> None:
    async with Desk(peers=PEERS) as desk:
        await desk.send("pm", adt("REG"))
        await desk.send("emr", charged("C1", "D-7"))
        asked = [asyncio.create_task(desk.enter("D-7", to)) for to in ("107", "207", None, None)]
        done = [await one for one in asked]
        assert [type(one) for one in done] == [Entered, Entered, Entered, NotDone]
        assert [one.released for one in done if isinstance(one, Entered)] == [1, 0, 0]
        ((_, body),) = desk.seen.fed[1:]
        assert body is not None
        assert b"|107" in body
        assert desk.memory.codes == {}
        assert [row.action for row in desk.memory.audit] == ["map-code", "map-code", "unmap-code"]


async def test_the_registry_keeps_a_code_as_its_owner_says_it() -> None:
    async with Desk(peers=PEERS) as desk:
        await desk.send("pm", adt("REG", rest="||W"))
        body = desk.seen.fed[0][1]
        assert body is not None
        assert b"|F||2106-3" in body
        (patient,) = desk.memory.patients.values()
        assert patient.fields["PID-10"] == "W"


async def test_what_leaves_with_the_owners_value_in_its_place_is_no_code_of_the_senders() -> None:
    profile = Profile(maps={"allergy": CodeTable(("AL1-3",))})
    async with Desk(peers={"pm": PeerPolicy("PM", profile=profile), "emr": PeerPolicy("EMR")}) as desk:
        await desk.send("pm", adt("REG"))
        await desk.send("pm", adt("A1", "A08", rest="||W\rAL1|1||PEN"))  # allergies are the EMR's (decisions 9)
        body = desk.seen.fed[-1][1]
        assert body is not None
        assert b"AL1" not in body
        assert desk.memory.codes_seen == {}
        assert desk.journal("A1").row == "#4"


async def test_a_copy_without_tables_is_stored_once_and_nothing_is_asked_of_the_store() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        await desk.send("pm", adt("REG"))
        loads = store.loads
        await desk.send("emr", charged("C1", "D-7"))
        assert store.loads - loads == 1
        assert [row.body for row in desk.memory.deliveries.values()] == [None, None]


async def test_codes_of_a_message_are_read_with_its_batch() -> None:
    store = ScriptedStore()
    async with Desk(store=store, peers=PEERS) as desk:
        await desk.send("pm", adt("REG"))
        loads = store.loads
        await desk.send("emr", charged("C1", "D-1"))
        assert (store.loads - loads, desk.engine.extra_reads) == (1, 0)


async def test_a_rule_that_fails_on_a_code_holds_the_message() -> None:
    rules = Rules("broken")

    @rules.judge("code.translate")
    async def fails(_change: Change, _ctx: Context) -> Verdict | None:
        raise RuntimeError(pid())

    async with Desk(peers=PEERS, rules=rules.registered) as desk:
        await desk.send("pm", adt("REG"))
        assert await desk.send("emr", charged("C1", "D-1")) == ["AA"]
        assert desk.waits_for("C1") == ["handler:broken.fails"]


async def test_an_author_s_rule_may_ask_what_a_code_is_called() -> None:
    told: list[str | None] = []
    rules = Rules("asking")

    @rules.judge("charge.add")
    async def asks(_change: Change, ctx: Context) -> Verdict | None:
        told.extend([await ctx.translated("provider", code) for code in ("D-1", "D-2", "D-3")])
        told.append(await ctx.translated("room", "D-1"))
        told.append(await ctx.translated("provider", "D-2", "pm"))
        return None

    async with Desk(peers=PEERS, rules=rules.registered) as desk:
        await desk.send("pm", adt("REG"))
        await desk.enter("D-2", "102")
        await desk.send("emr", charged("C1", "D-1"))
        assert told == ["101", "102", None, None, None]


async def test_a_table_of_another_name_is_refused_with_what_to_do() -> None:
    async with Desk(peers=PEERS) as desk:
        outcome = await desk.enter("D-7", "107", table="room")
        assert isinstance(outcome, NotDone)
        assert "has no table room; add it there" in outcome.reason
