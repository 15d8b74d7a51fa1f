"""What people ask for, with a time limit, and what the log says of it."""

from __future__ import annotations

import json

import pytest

from ophl7 import orders
from ophl7.engine.acts import Act, Done, NotDone
from ophl7.engine.dispatching import Dispatch
from ophl7.errors import StoreAway, StoreRefused
from ophl7.observe.logs import make_log
from ophl7.orders import Orders
from tests.unit.engine.desk import Desk, ScriptedStore, adt

ACT = Act("discard", 1, 2, "SECRETACTOR", "SECRETREASON")


async def waiting(desk: Desk) -> Orders:
    """Message 2 waits under hold 1."""
    await desk.send("pm", adt("P1"), adt("P2", "A08", name="Rivers^Bea", born="20180101"))
    dispatch = Dispatch(lambda _number, *, let_go=False: None, desk.clock.now)
    log = make_log("info", "json")
    return Orders(desk.engine, desk.people, desk.unmerging, dispatch, desk.replays, desk.explainer, desk.codes, desk.clock, log)


async def test_a_decision_is_logged_without_who_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    async with Desk() as desk:
        people = await waiting(desk)
        assert isinstance(await people.act(ACT), Done)
        assert isinstance(await people.act(ACT), NotDone)
    (line,) = capsys.readouterr().err.splitlines()
    assert "SECRET" not in line
    said = json.loads(line)
    assert (said["event"], said["hold_id"], said["message_id"], said["outcome"]) == ("hold_decided", 1, 2, "ignored")


async def test_what_the_database_refuses_is_logged_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        people = await waiting(desk)
        store.faults = [StoreRefused(), None, StoreRefused()]
        with pytest.raises(StoreRefused):
            await people.act(ACT)
        assert desk.journal("P2").state == "held"
    (line,) = capsys.readouterr().err.splitlines()
    assert "SECRET" not in line
    assert json.loads(line)["event"] == "hold_undecided"


async def test_what_takes_too_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "_ACT_SECONDS", 0.01)
    monkeypatch.setattr(orders, "_AUDIT_SECONDS", 0.01)
    async with Desk() as desk:
        people = await waiting(desk)
        desk._task.cancel()
        with pytest.raises(TimeoutError):
            await people.act(ACT)
        with pytest.raises(StoreAway):
            await people.audit("somebody", "look", "message 1", "")


async def test_an_audit_row_is_on_disk_when_it_returns() -> None:
    async with Desk() as desk:
        people = await waiting(desk)
        await people.audit("somebody", "look", "message 1", "so")
        assert [(row.actor, row.action, row.target, row.reason) for row in desk.memory.audit] == [
            ("somebody", "look", "message 1", "so")
        ]
