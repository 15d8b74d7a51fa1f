"""The hourly run of retention in a broker: what it tells, what it survives, who may hurry it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any, TypeVar, cast

from ophl7.engine.intake import Engine
from ophl7.engine.retention import Ages, Keep, Stage, Step
from ophl7.engine.storage import Rows
from ophl7.errors import StoreAway, StoreRefused
from ophl7.keeping import Retention
from ophl7.observe.logs import make_log
from ophl7.observe.metrics import Counters
from ophl7.store.memory import MemoryStore
from tests.unit.store.records import hold, journal

T = TypeVar("T")


class Frozen:
    def now(self) -> datetime:
        return datetime(2036, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class Turns:
    """An engine that has nothing else to do."""

    async def tidy(self, chore: Callable[[], Awaitable[T]], *, soon: bool = False) -> T:
        assert not soon
        return await chore()


class Failing(MemoryStore):
    """Fails in the first runs as it is told to."""

    def __init__(self, *faults: Exception) -> None:
        super().__init__()
        self.faults = list(faults)

    async def retire(self, stage: Stage, after: int, ages: Ages) -> Step:
        if self.faults:
            raise self.faults.pop(0)
        return await super().retire(stage, after, ages)


async def no_pause(_seconds: float) -> None:
    return


class Due:
    """So many runs are due, then the test is over."""

    def __init__(self, runs: int) -> None:
        self.left = runs
        self.over = asyncio.Event()

    async def __call__(self, _event: asyncio.Event, _seconds: float) -> None:
        self.left -= 1
        if self.left < 0:
            self.over.set()
            await asyncio.Event().wait()


async def after(store: MemoryStore, runs: int) -> tuple[Retention, Counters, list[dict[str, Any]]]:
    lines, counters, due = StringIO(), Counters(), Due(runs)
    log = make_log("info", "json", stream=lines, strict=True)
    engine = cast("Engine", Turns())
    kept = Retention(store, engine, Keep(86400.0 * 90, 86400.0 * 365), Frozen(), log, counters, wait=due, sleep=no_pause)
    task = asyncio.create_task(kept.run())
    await due.over.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return kept, counters, [json.loads(line) for line in lines.getvalue().splitlines()]


async def test_a_run_tells_once_what_it_removed_and_a_run_without_work_says_nothing() -> None:
    store = MemoryStore()
    await store.commit(Rows(journal=[journal(1), journal(2, state="held"), journal(3)], holds=[hold(1, 2)]))
    kept, counters, said = await after(store, 3)
    assert [(one["event"], one["bodies"], one["rows"], one["kept"]) for one in said] == [("retention", 2, 1, 3)]
    assert (counters.retention_removed.value("bodies"), counters.retention_removed.value("rows")) == (2, 1)
    status = kept.status()
    assert (status["bodies"], status["running"]) == (0, False)
    assert status["kept"]["held"] >= 1


async def test_a_store_that_is_away_or_refuses_is_met_again_in_the_next_run() -> None:
    store = Failing(StoreAway("no disk"), StoreRefused("a row"))
    await store.commit(Rows(journal=[journal(1), journal(2)]))
    _, _, said = await after(store, 3)
    assert [one["event"] for one in said] == ["retention_failed", "retention"]
    assert set(store.bodies_removed) == {2}


async def test_who_hurries_it_begins_the_next_run() -> None:
    store = MemoryStore()
    await store.commit(Rows(journal=[journal(1), journal(2)]))
    engine = cast("Engine", Turns())
    kept = Retention(store, engine, Keep(1.0, 1.0), Frozen(), make_log(stream=StringIO()), Counters(), sleep=no_pause)
    kept.hurry()
    task = asyncio.create_task(kept.run())
    async with asyncio.timeout(10):
        while kept.status()["at"] is None:  # noqa: ASYNC110 - there is nothing else to wait for
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert set(store.bodies_removed) == {2}
