"""What has waited too long rings, once for each number of it, and is silent when nothing of the kind waits any more."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ophl7.domain.merge import Merge, MergeState
from ophl7.engine.storage import ClosedHold, Rows
from ophl7.errors import StoreAway
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import make_log
from ophl7.overdue import WATCHES, Held, Overdue
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from tests.unit.engine.desk import ManualClock
from tests.unit.store.records import hold, journal, patient, registered


class Counted:
    """So many are open; None: the database is away."""

    def __init__(self) -> None:
        self.count: int | None = 0
        self.asked: list[float] = []
        self.held: dict[tuple[Held, float], int] = {}

    async def open_merges(self, noted_before: float) -> int:
        self.asked.append(noted_before)
        if self.count is None:
            raise StoreAway("away")
        return self.count

    async def held_messages(self, kind: Held, since_before: float) -> int:
        return self.held.get((kind, since_before), 0)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_it_rings_when_one_is_overdue_and_when_there_are_more_and_stops_when_none_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    reads, clock, alarms = Counted(), ManualClock(), Alarms(make_log("info", "json"))
    watch = Overdue(reads, clock, alarms)
    for count, ringing in ((0, False), (1, True), (1, True), (2, True), (None, True), (1, True), (0, False), (0, False)):
        reads.count = count
        await watch.look()
        assert ("merges" in alarms.ringing()) == ringing
    said = [(line["event"], line.get("waiting")) for line in lines(capsys)]
    assert said == [("alarm", 1), ("alarm", 2), ("alarm_cleared", None)]
    assert reads.asked[0] == clock.moment - 24 * 3600


async def test_it_looks_again_and_again_until_it_is_cancelled() -> None:
    reads = Counted()
    looked = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        if len(reads.asked) == 3:
            looked.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(Overdue(reads, ManualClock(), Alarms(make_log("error", "json")), sleep).run())
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


@pytest.mark.parametrize(("kind", "held", "seconds"), [("held_bookings", "SIU", 15 * 60), ("held_charges", "DFT", 3600)])
async def test_messages_in_custody_ring_by_their_type_and_age(
    capsys: pytest.CaptureFixture[str], kind: str, held: Held, seconds: int
) -> None:
    reads, clock, alarms = Counted(), ManualClock(), Alarms(make_log("info", "json"))
    watch = Overdue(reads, clock, alarms)
    reads.held = {(held, clock.moment - seconds): 2}
    await watch.look()
    assert set(alarms.ringing()) == {kind}
    reads.held = {}
    await watch.look()
    assert alarms.ringing() == {}
    assert [line["event"] for line in lines(capsys)] == ["alarm", "alarm_cleared"]


@pytest.mark.parametrize(
    ("event", "since", "closed", "found"),
    [
        ("SIU^S12", 10.0, False, 1),
        ("SIU^S12", 20.0, False, 0),
        ("DFT^P03", 10.0, False, 0),
        ("SIU^S12", 10.0, True, 0),
    ],
)
async def test_a_message_counts_once_however_many_holds_it_has(
    tmp_path: Path, event: str, since: float, closed: bool, found: int
) -> None:
    store = SqliteStore(tmp_path / "ophl7.db")
    await store.open()
    holds = [replace(hold(number, 1, f"patient:PM:{number}"), since=since) for number in (1, 2)]
    ended = [ClosedHold(number, 30.0, "released") for number in (1, 2)] if closed else []
    await store.commit(Rows(journal=[journal(1, event=event)], holds=holds, closed_holds=ended))
    reader = SqliteReader(store.path)
    try:
        assert await reader.held_messages("SIU", 15.0) == found
    finally:
        await reader.close()
        await store.close()


def test_every_watch_has_a_kind_of_its_own() -> None:
    assert len({watch.kind for watch in WATCHES}) == len(WATCHES)
