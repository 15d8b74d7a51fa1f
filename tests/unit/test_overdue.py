"""What has waited too long rings once, and is silent when nothing of the kind waits any more."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ophl7.domain.merge import Merge, MergeState
from ophl7.domain.office_hours import OfficeHours, read_week
from ophl7.engine.storage import ClosedHold, Rows
from ophl7.errors import StoreAway
from ophl7.observe.alarms import Alarms
from ophl7.observe.logs import make_log
from ophl7.overdue import WATCHES, Held, Overdue
from ophl7.store.reader import SqliteReader
from ophl7.store.sqlite import SqliteStore
from tests.unit.engine.desk import ZONE, ManualClock
from tests.unit.store.records import hold, journal, patient, registered


class Counted:
    """So many are open; None: the database is away."""

    def __init__(self) -> None:
        self.count: int | None = 0
        self.asked: list[float] = []
        self.held: dict[tuple[Held, float], int] = {}
        self.long: dict[float, int] = {}
        self.keys: list[str] = []
        self.put_off: dict[str, float] = {}

    async def open_merges(self, noted_before: float) -> int:
        self.asked.append(noted_before)
        if self.count is None:
            raise StoreAway("away")
        return self.count

    async def held_messages(self, kind: Held, since_before: float) -> int:
        return self.held.get((kind, since_before), 0)

    async def held_long(self, since_before: float) -> int:
        return self.long.get(since_before, 0)

    async def held_for(self, key: str) -> int:
        return self.keys.count(key)

    async def locked(self, before: float) -> list[dict[str, Any]]:
        return [{"destination": side, "deliveries": 1} for side, since in self.put_off.items() if since < before]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def watched(reads: Counted, alarms: Alarms, clock: ManualClock) -> Overdue:
    return Overdue(reads, clock, alarms, OfficeHours(ZONE), reads.locked)


async def test_it_rings_once_when_some_are_overdue_and_stops_when_none_is(capsys: pytest.CaptureFixture[str]) -> None:
    reads, clock, alarms = Counted(), ManualClock(), Alarms(make_log("info", "json"))
    watch = watched(reads, alarms, clock)
    for count, ringing in ((0, False), (1, True), (1, True), (2, True), (None, True), (1, True), (0, False), (0, False)):
        reads.count = count
        await watch.look()
        assert ("merges" in alarms.ringing()) == ringing
    said = [(line["event"], line.get("waiting")) for line in lines(capsys)]
    assert said == [("alarm_opened", 1), ("alarm_resolved", None)]
    assert reads.asked[0] == clock.moment - 24 * 3600


async def test_a_part_that_failed_rings_until_nothing_of_it_is_held() -> None:
    reads, clock = Counted(), ManualClock()
    alarms = Alarms(make_log("error", "json"), lambda: clock.moment)
    watch = watched(reads, alarms, clock)
    alarms.ring("handler", "allergies")
    alarms.ring("message_kept", "pm")
    reads.keys = ["handler:allergies", "handler:store"]
    for keys, ringing in ((reads.keys, {"handler", "message_kept"}), (["handler:allergies"], {"handler"}), ([], set())):
        reads.keys = keys
        for _ in range(2):
            await watch.look()
            clock.moment += 600
            alarms.tick()
        assert set(alarms.ringing()) == ringing


async def test_206_what_a_peer_puts_off_rings_after_an_hour_and_ends_when_it_is_over() -> None:
    reads, clock = Counted(), ManualClock()
    alarms = Alarms(make_log("error", "json"), lambda: clock.moment)
    watch = watched(reads, alarms, clock)
    reads.put_off["emr"] = clock.moment
    for minutes, ringing in ((60, []), (1, ["emr"]), (0, ["emr"])):
        clock.moment += 60 * minutes
        await watch.look()
        assert alarms.about("record_open") == ringing
    del reads.put_off["emr"]
    await watch.look()
    clock.moment += 600
    alarms.tick()
    assert alarms.about("record_open") == []


async def test_while_nobody_is_there_nothing_more_becomes_overdue() -> None:
    reads, clock = Counted(), ManualClock()
    alarms = Alarms(make_log("error", "json"))
    hours = OfficeHours(ZONE, read_week("Mon-Fri 08:00-18:00"))
    watch = Overdue(reads, clock, alarms, hours, reads.locked)
    friday = datetime(2024, 3, 1, 18, 0, tzinfo=ZONE).timestamp()
    reads.held = {("DFT", friday - 3600): 1}
    clock.moment = datetime(2024, 3, 3, 12, 0, tzinfo=ZONE).timestamp()
    await watch.look()
    assert set(alarms.ringing()) == {"held_charges"}


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
    watch = watched(reads, alarms, clock)
    reads.held = {(held, clock.moment - seconds): 2}
    await watch.look()
    assert set(alarms.ringing()) == {kind}
    reads.held = {}
    await watch.look()
    assert alarms.ringing() == {}
    assert [line["event"] for line in lines(capsys)] == ["alarm_opened", "alarm_resolved"]


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
