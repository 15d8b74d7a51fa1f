"""Own trouble: a database that is away, a row that it refuses, a handler that fails. Nobody is answered wrongly (#94, #95)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ophl7.engine import intake
from ophl7.engine.asked import Work
from ophl7.engine.deciding import Decision
from ophl7.engine.storage import AuditRow, DeliveryMark
from ophl7.engine.unit_of_work import UnitOfWork
from ophl7.errors import StoreAway, StoreRefused
from ophl7.kit import Change, Context, Handlers, Rules, Segment, Verdict
from ophl7.kit.parts import RegisteredRule
from tests.unit.engine.desk import Desk, Line, ScriptedStore, adt, dft, ft1, message, msa, msh
from tests.unit.store.records import drift


@pytest.fixture(autouse=True)
def probe_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_PROBE_SECONDS", 0.0)


def mark(number: int = 1) -> DeliveryMark:
    return DeliveryMark(number, "accepted", 1, None, "AA", 1.0)


async def until(condition: object) -> None:
    """Lets the loop turn until the condition holds."""
    assert callable(condition)
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - whatever it is that the test waits for
            await asyncio.sleep(0)  # a turn of the loop, no time


async def test_one_poisoned_message_costs_only_itself() -> None:
    store = ScriptedStore()
    store.refuse_deliveries_of.add("C2")
    async with Desk(store=store) as desk:
        messages = [adt(f"C{number}", ids=f"{number}^^^PM^MR") for number in range(5)]
        assert await desk.send("pm", *messages) == ["AA"] * 5
        assert [msa(answer, 2) for answer in desk.lines["pm"].answers] == [f"C{number}" for number in range(5)]
        assert {row.control_id: row.state for row in desk.memory.journal.values()} == {
            "C0": "accepted",
            "C1": "accepted",
            "C2": "held",
            "C3": "accepted",
            "C4": "accepted",
        }
        (held,) = desk.memory.holds.values()
        assert held.key == "handler:store"
        assert held.blocks.startswith("record:")
        assert desk.seen.alone == ["the database refused its rows"]
        assert desk.delivered == ["C0", "C1", "C3", "C4"]
        assert [row.subject for row in desk.memory.patients.values()] == [
            row.subject for row in desk.memory.journal.values() if row.state == "accepted"
        ]


async def test_the_charges_of_a_poisoned_message_stand_in_the_ledger_as_held() -> None:
    store = ScriptedStore()
    store.refuse_deliveries_of.add("D1")
    async with Desk(store=store) as desk:
        await desk.send("pm", adt("P1"))
        assert await desk.send("emr", dft("D1", ft1("T1"), ft1("T2", 2))) == ["AA"]
        assert [row.key for row in desk.memory.holds.values()] == ["handler:store"]
        assert [(c.transaction_id, c.state) for c, _ in desk.memory.charges.values()] == [("T1", "held"), ("T2", "held")]


async def test_a_message_whose_very_charges_are_refused_is_kept_without_them() -> None:
    store = ScriptedStore()
    store.refuse_charges_of.add("D1")
    async with Desk(store=store) as desk:
        await desk.send("pm", adt("P1"))
        assert await desk.send("emr", dft("D1", ft1("T1"))) == ["AA"]
        assert [row.key for row in desk.memory.holds.values()] == ["handler:store"]
        assert desk.memory.charges == {}
        assert desk.seen.alone == ["the database refused its rows"]


async def test_later_messages_of_the_poisoned_ones_record_wait_behind_it() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        await desk.send("pm", adt("P1"))
        store.refuse_deliveries_of.add("C2")
        await desk.send("pm", adt("C2", "A08", rest="||Elm St"))
        await desk.send("pm", adt("C3", "A08", rest="||Oak St"), adt("C4", ids="8^^^PM^MR"))
        assert [desk.journal(number).state for number in ("C2", "C3", "C4")] == ["held", "held", "accepted"]


async def test_they_wait_by_whichever_id_of_the_patient_they_come() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        both = "7050^^^PM^MR~C9^^^EMR^PI"
        await desk.send("pm", adt("P1", ids=both))
        store.refuse_deliveries_of.add("C2")
        await desk.send("pm", adt("C2", "A08", ids="C9^^^EMR^PI", rest="||Elm St"))
        await desk.send("pm", adt("C3", "A08", rest="||Oak St"))
        assert [desk.journal(number).state for number in ("C2", "C3")] == ["held", "held"]
        assert desk.journal("C2").subject == desk.memory.patients[1].subject


async def test_a_message_whose_very_journal_row_is_refused_is_not_answered_and_its_line_closes() -> None:
    store = ScriptedStore()
    store.inner.refuse.add("C1")
    async with Desk(store=store) as desk:
        other = Line("pm", 7)
        desk.offer("pm", adt("C0", ids="1^^^PM^MR"), line=other)
        desk.offer("pm", adt("C1"))
        desk.offer("pm", adt("C2", ids="2^^^PM^MR"), line=other)
        await desk.settled()
        assert desk.lines["pm"].answers == []
        assert desk.lines["pm"].abandoned == 1
        assert other.codes == ["AA", "AA"]
        assert other.abandoned == 0
        assert len(desk.seen.alone) == 2


async def test_a_commit_that_fails_once_for_a_fault_of_ours_is_mended_by_judging_again() -> None:
    store = ScriptedStore()
    store.faults = [StoreRefused()]
    async with Desk(store=store) as desk:
        assert await desk.send("pm", adt("C1"), adt("C1"), adt("C2", "A08", rest="||Elm St")) == ["AA"] * 3
        assert desk.states == ["accepted", "duplicate", "accepted"]
        assert len(set(desk.lines["pm"].answers[:2])) == 1
        assert len(desk.memory.patients) == 1
        assert desk.delivered == ["C1", "C2"]


async def test_while_the_store_is_away_nobody_is_answered_and_everybody_is_abandoned() -> None:
    store = ScriptedStore()
    store.inner.away = "the disk is gone"
    async with Desk(store=store) as desk:
        lines = [Line("pm", number) for number in range(3)]
        for number, line in enumerate(lines):
            desk.offer("pm", adt(f"C{number}", ids=f"{number}^^^PM^MR"), line=line)
        await until(lambda: store.probes > 2)
        assert [line.abandoned for line in lines] == [1, 1, 1]
        assert [line.answers for line in lines] == [[], [], []]
        assert not desk.offer("pm", adt("C9"))
        assert desk.engine.closed_for == {"store"}
        assert desk.seen.closings == 1
        store.inner.away = None
        await until(lambda: desk.seen.back == 1)
        assert desk.back == ["back"]
        assert desk.engine.closed_for == frozenset()
        assert await desk.send("pm", adt("C9")) == ["AA"]


async def test_a_doubted_store_is_written_to_when_nothing_else_waits_and_found_away_without_a_message() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        desk.engine.doubt_store()
        await desk.settled()
        assert store.probes == 1
        assert desk.engine.closed_for == frozenset()
        store.inner.away = "the disk is gone"
        desk.engine.doubt_store()
        await until(lambda: store.probes > 3)
        assert desk.engine.closed_for == {"store"}
        assert desk.seen.away == ["the disk is gone"]
        assert desk.seen.closings == 1
        store.inner.away = None
        await desk.settled()
        assert desk.engine.closed_for == frozenset()


async def test_a_doubt_never_goes_before_a_message() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        store.gate = asyncio.Event()
        desk.offer("pm", adt("C1"))
        desk.engine.doubt_store()
        await store.reached.wait()
        assert store.probes == 0
        store.gate.set()
        await desk.settled()
        assert (store.probes, desk.lines["pm"].codes) == (1, ["AA"])


async def look(uow: UnitOfWork) -> str:
    """What a person asks for: here no more than an audit row."""
    uow.rows.audit.append(AuditRow(1.0, "operator", "look", "message 1", "asked"))
    return "seen"


async def with_a_message(desk: Desk, *work: Work[object]) -> list[object]:
    """One batch of a message and these requests; what came of each, exceptions too."""
    await asyncio.sleep(0)  # the loop waits
    asked = [asyncio.create_task(desk.engine.perform(one)) for one in work]
    desk.offer("pm", adt("C1"))  # wakes the loop, after the tasks that were made before
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_a_store_that_goes_away_in_the_middle_keeps_marks_and_writes_them_when_it_is_back() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        await desk.send("pm", adt("C1"))
        store.faults = [StoreAway()]
        desk.engine.mark(mark())
        desk.offer("pm", adt("C2", ids="2^^^PM^MR"))
        await desk.settled()
        assert desk.lines["pm"].abandoned == 1
        assert desk.seen.marks == [mark()]
        assert desk.memory.marks[1].state == "accepted"
        assert desk.memory.journal.keys() == {1}


async def test_what_a_person_asked_for_fails_with_the_store_and_is_not_done_later() -> None:
    store = ScriptedStore()
    store.gate = asyncio.Event()
    async with Desk(store=store) as desk:
        first = asyncio.create_task(desk.engine.perform(look))
        await store.reached.wait()
        second = asyncio.create_task(desk.engine.perform(look))  # waits for the next batch
        await asyncio.sleep(0)
        store.inner.away = "the disk is gone"
        store.gate.set()
        for asked in (first, second):
            with pytest.raises(StoreAway):
                await asked
        with pytest.raises(StoreAway):
            await desk.engine.perform(look)
        store.inner.away = None
        await until(lambda: desk.seen.back == 1)
        assert await desk.engine.perform(look) == "seen"
        assert len(desk.memory.audit) == 1


async def test_what_a_person_asked_for_is_undone_alone_and_the_batch_goes_on() -> None:
    async def fail(uow: UnitOfWork) -> None:
        await look(uow)
        raise ZeroDivisionError

    async with Desk() as desk:
        outcomes = await with_a_message(desk, look, fail, look)
        assert [type(one) for one in outcomes] == [str, ZeroDivisionError, str]
        assert desk.memory.commits == 1
        assert len(desk.memory.audit) == 2
        assert desk.states == ["accepted"]


async def test_rows_that_the_database_refuses_are_told_to_whoever_asked_and_to_nobody_else() -> None:
    async def poison(uow: UnitOfWork) -> None:
        uow.rows.drift.append(drift(1))
        uow.rows.drift.append(drift(1))

    async with Desk() as desk:
        outcomes = await with_a_message(desk, look, poison, look)
        assert [type(one) for one in outcomes] == [str, StoreRefused, str]
        assert len(desk.memory.audit) == 2
        assert desk.states == ["accepted"]


async def test_a_store_that_goes_away_between_two_requests_fails_the_rest() -> None:
    store = ScriptedStore()
    # The batch is refused; then the marks alone, C1 alone, the first request alone, and the second meets a store that is away.
    store.faults = [StoreRefused(), None, None, None, StoreAway()]
    async with Desk(store=store) as desk:
        outcomes = await with_a_message(desk, look, look, look)
        assert [type(one) for one in outcomes] == [str, StoreAway, StoreAway]
        assert len(desk.memory.audit) == 1


async def test_a_store_that_goes_away_while_messages_are_judged_one_by_one_silences_the_rest() -> None:
    store = ScriptedStore()
    # The batch is refused; then the marks alone, C0 alone, and C1 meets a store that is away.
    store.faults = [StoreRefused(), None, None, StoreAway()]
    async with Desk(store=store) as desk:
        lines = [Line("pm", number) for number in range(4)]
        for number, line in enumerate(lines):
            desk.offer("pm", adt(f"C{number}", ids=f"{number}^^^PM^MR"), line=line)
        await desk.settled()
        answered = [line.codes for line in lines]
        assert answered[0] == ["AA"]
        assert [line.abandoned for line in lines] == [0, 1, 1, 1]
        assert answered[1:] == [[], [], []]


async def test_a_fault_in_a_batch_of_nothing_but_marks_is_seen_and_not_repeated_for_ever() -> None:
    store = ScriptedStore()
    store.faults = [StoreRefused("no such delivery")]
    async with Desk(store=store) as desk:
        desk.engine.mark(mark())
        with pytest.raises(StoreRefused):
            await desk.settled()


async def test_an_observer_that_fails_after_the_commit_causes_no_second_judgement() -> None:
    async with Desk() as desk:

        def broken(_decision: Decision) -> None:
            raise RuntimeError("the log is broken")

        desk.seen.decided = broken  # type: ignore[method-assign, assignment]
        desk.offer("pm", adt("C1"))
        desk.offer("pm", adt("C2", "A08", rest="||Elm St"))
        with pytest.raises(RuntimeError, match="the log is broken"):
            await desk.settled()
        assert desk.lines["pm"].codes == ["AA", "AA"]
        assert desk.states == ["accepted", "accepted"]
        assert desk.delivered == ["C1", "C2"]


async def test_nothing_is_taken_while_a_reason_forbids_it() -> None:
    async with Desk() as desk:
        desk.engine.close_for("draining")
        desk.engine.close_for("disk")
        desk.engine.open_for("disk")
        assert not desk.offer("pm", adt("C1"))
        desk.engine.open_for("draining")
        assert await desk.send("pm", adt("C1")) == ["AA"]
        assert desk.engine.waiting == 0


async def test_whoever_asked_may_be_gone_when_it_is_done() -> None:
    store = ScriptedStore()
    store.gate = asyncio.Event()
    async with Desk(store=store) as desk:
        asked = asyncio.create_task(desk.engine.perform(look))
        await store.reached.wait()
        asked.cancel()
        await asyncio.wait({asked})
        store.gate.set()
        await desk.settled()
        assert len(desk.memory.audit) == 1


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    store = ScriptedStore()
    store.gate = asyncio.Event()
    async with Desk(store=store) as desk:
        desk.offer("pm", adt("C1"))
        await store.reached.wait()
        asked = asyncio.create_task(desk.engine.perform(look))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait({asked})
        store.gate.set()
        await desk.settled()
        assert desk.memory.audit == []


async def test_what_is_open_when_the_loop_is_stopped_was_not_answered() -> None:
    store = ScriptedStore()
    store.gate = asyncio.Event()
    desk = Desk(store=store)
    async with desk:
        desk.offer("pm", adt("C1"))
        await store.reached.wait()
    assert desk.lines["pm"].answers == []
    assert desk.memory.journal == {}


# -- authors' faults --------------------------------------------------------------------------------------------------


def failing(name: str = "visits", *, only: str = "8^^^PM^MR") -> Handlers:
    handlers = Handlers(name)

    @handlers.on("ADT^A04", "ADT^A08")
    async def stumble(_msh: Segment, ctx: Context) -> list[Change]:
        if any(key.value == only.partition("^")[0] for key in ctx.match.named.keys):
            raise KeyError("Rivers^Ada")  # an author's error text may quote a patient
        return []

    return handlers


async def test_a_handler_that_fails_takes_its_message_into_custody_and_the_record_waits_behind_it() -> None:
    handlers = failing()
    async with Desk(handlers=handlers.registered) as desk:
        await desk.send("pm", adt("C1", ids="8^^^PM^MR"), adt("C2", ids="9^^^PM^MR"), adt("C3", "A08", ids="8^^^PM^MR"))
        assert desk.states == ["held", "accepted", "held"]
        assert desk.lines["pm"].codes == ["AA"] * 3
        keys = {row.key for row in desk.memory.holds.values()}
        assert keys == {"handler:visits.stumble"}
        assert [decision.failed for decision in desk.seen.decisions] == ["handler:visits.stumble", "", "handler:visits.stumble"]
        reason = desk.memory.journal[1].reason
        assert "KeyError at " in reason
        assert "Rivers" not in reason
        assert len(desk.memory.patients) == 1


@pytest.mark.parametrize("rubbish", [None, "text", 7, ["no change"], {"a": 1}])
async def test_a_handler_that_returns_rubbish_is_a_fault_of_its_author(rubbish: object) -> None:
    handlers = Handlers("odd")

    @handlers.on("ADT^A04")
    async def odd(_msh: Segment, _ctx: Context) -> list[Change]:
        return rubbish  # type: ignore[return-value]

    async with Desk(handlers=handlers.registered) as desk:
        assert await desk.send("pm", adt("C1")) == ["AA"]
        assert [row.key for row in desk.memory.holds.values()] == ["handler:odd.odd"]


async def test_a_handler_with_the_wrong_signature_costs_its_message_only() -> None:
    handlers = Handlers("short")

    @handlers.on("ADT^A08")  # type: ignore[arg-type]  # the point
    async def short(_msh: Segment) -> list[Change]:
        return []

    async with Desk(handlers=handlers.registered) as desk:
        assert await desk.send("pm", adt("C1"), adt("C2", "A08", rest="||Elm St")) == ["AA", "AA"]
        assert [row.key for row in desk.memory.holds.values()] == ["handler:short.short"]
        assert desk.states == ["accepted", "held"]


def rules_with(body: object) -> Sequence[RegisteredRule]:
    rules = Rules("own")

    @rules.judge("patient.create")
    async def own(change: Change, ctx: Context) -> Verdict | None:
        assert callable(body)
        return body(change, ctx)  # type: ignore[no-any-return]

    return rules.registered


@pytest.mark.parametrize("rubbish", [True, "apply", 0, []])
async def test_a_rule_that_returns_rubbish_fails_closed(rubbish: object) -> None:
    async with Desk(rules=rules_with(lambda _change, _ctx: rubbish)) as desk:
        assert await desk.send("pm", adt("C1")) == ["AA"]
        assert [row.key for row in desk.memory.holds.values()] == ["handler:own.own"]
        assert desk.memory.patients == {}


async def test_a_rule_that_fails_holds_the_change() -> None:
    def broken(_change: Change, _ctx: Context) -> Verdict:
        raise ZeroDivisionError

    async with Desk(rules=rules_with(broken)) as desk:
        assert await desk.send("pm", adt("C1")) == ["AA"]
        assert [row.key for row in desk.memory.holds.values()] == ["handler:own.own"]
        assert desk.memory.patients == {}


async def test_a_message_about_nobody_blocks_nobody() -> None:
    handlers = Handlers("results")

    @handlers.on("ORU^R01")
    async def fail(_msh: Segment, ctx: Context) -> list[Change]:
        if ctx.message.control_id == "C1":
            raise ValueError
        return []

    async with Desk(handlers=handlers.registered) as desk:
        await desk.send("pm", message(msh("ORU^R01", "C1")), message(msh("ORU^R01", "C2")))
        assert desk.states == ["held", "ignored"]
        assert [row.blocks for row in desk.memory.holds.values()] == [""]
