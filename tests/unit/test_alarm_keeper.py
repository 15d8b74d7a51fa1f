"""Alarms on disk: what changed while the database was away is written when it is back, and nothing is rung twice for it."""

from __future__ import annotations

import asyncio
import io

import pytest

from ophl7.alarm_keeper import AlarmKeeper
from ophl7.errors import StoreAway
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import make_log
from tests.unit.engine.desk import Desk, ScriptedStore


async def until(condition: object) -> None:
    """Lets the loop turn until the condition holds."""
    assert callable(condition)
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - whatever it is that the test waits for
            await asyncio.sleep(0)  # a turn of the loop, no time


async def test_what_rings_and_ends_while_the_store_is_away_is_kept_when_it_is_back() -> None:
    store, slept, go_on = ScriptedStore(), list[float](), asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await go_on.wait()

    async with Desk(store=store) as desk:
        alarms = Alarms(make_log(stream=io.StringIO()), lambda: desk.clock.moment)
        keeper = AlarmKeeper(desk.engine, alarms, desk.clock, make_log(stream=io.StringIO()), sleep)
        store.faults.append(StoreAway("no disk"))
        task = asyncio.create_task(keeper.run())
        alarms.ring("silent", "pm")
        keeper.heard({"pm": 1.0, "emr": 1.0})
        await until(lambda: slept)
        alarms.ring("delivery_stopped", "emr")
        alarms.ring("delivery_stopped", "emr")
        alarms.clear("silent", "pm")
        keeper.heard({"pm": 2.0})
        assert desk.memory.kept_alarms == {}
        go_on.set()
        await until(lambda: len(desk.memory.kept_alarms) == 2)
        kept = await store.alarms()
        assert [(row.kind, row.times) for row in kept.open] == [("delivery_stopped", 2)]
        assert desk.memory.kept_alarms[1].how == "cause_gone"
        assert dict(kept.heard) == {"pm": 2.0, "emr": 1.0}, "what was heard meanwhile counts"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nobody_is_told_that_he_has_seen_an_alarm_while_that_cannot_be_written() -> None:
    store = ScriptedStore()
    async with Desk(store=store) as desk:
        alarms = Alarms(make_log(stream=io.StringIO()), lambda: desk.clock.moment)
        keeper = AlarmKeeper(desk.engine, alarms, desk.clock, make_log(stream=io.StringIO()))
        alarms.ring("unknown_status", "emr")
        store.faults.append(StoreAway("no disk"))
        with pytest.raises(StoreAway):
            await keeper.acknowledge(1, "anna", "I add it")
        (row,) = alarms.open()
        assert row.acknowledged_at is None
        await until(lambda: desk.engine.closed_for == frozenset())
        done = await keeper.acknowledge(1, "anna", "I add it")
        assert done is not None
        assert done.how == "acknowledged"
        assert alarms.open() == []
        assert await keeper.acknowledge(1, "anna", "again") is None
