"""Merges that only one system has done ring after a day, once, and are silent when they are done."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ophl7.domain.merge import Merge, MergeState
from ophl7.engine.storage import Rows
from ophl7.errors import StoreAway
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import make_log
from ophl7.overdue import OVERDUE_SECONDS, OverdueMerges
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from tests.unit.engine.desk import ManualClock
from tests.unit.store.records import patient, registered


class Counted:
    """So many are open; None: the database is away."""

    def __init__(self) -> None:
        self.count: int | None = 0
        self.asked: list[float] = []

    async def open_merges(self, noted_before: float) -> int:
        self.asked.append(noted_before)
        if self.count is None:
            raise StoreAway("away")
        return self.count


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_it_rings_when_one_is_overdue_and_when_there_are_more_and_stops_when_none_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reads, clock, alarms = Counted(), ManualClock(), Alarms(make_log("info", "json"))
    watch = OverdueMerges(reads, clock, alarms)
    for count, ringing in ((0, False), (1, True), (1, True), (2, True), (None, True), (1, True), (0, False), (0, False)):
        reads.count = count
        await watch.look()
        assert ("merges" in alarms.ringing()) == ringing
    said = [(line["event"], line.get("waiting")) for line in lines(capsys)]
    assert said == [("alarm", 1), ("alarm", 2), ("alarm_cleared", None)]
    assert reads.asked[0] == clock.moment - OVERDUE_SECONDS


async def test_it_looks_again_and_again_until_it_is_cancelled() -> None:
    reads = Counted()
    looked = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        if len(reads.asked) == 3:
            looked.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(OverdueMerges(reads, ManualClock(), Alarms(make_log("error", "json")), sleep).run())
    await asyncio.wait_for(looked.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(reads.asked) == 3


@pytest.mark.parametrize(
    ("state", "noted_at", "counts"),
    [("one_sided", 10.0, 1), ("conflict", 10.0, 1), ("one_sided", 20.0, 0), ("two_sided", 10.0, 0), ("unmerged", 10.0, 0)],
)
async def test_what_is_open_since_long_is_counted(tmp_path: Path, state: MergeState, noted_at: float, counts: int) -> None:
    store = SqliteStore(tmp_path / "ophl7.db")
    await store.open()
    rows = registered(patient(1), patient(2))
    rows.merges[1] = Merge(1, 1, 2, 5.0, None, state, 7, 7, None, noted_at)
    await store.commit(rows)
    await store.commit(Rows())
    reader = SqliteReader(store.path)
    try:
        assert await reader.open_merges(15.0) == counts
    finally:
        await reader.close()
        await store.close()
